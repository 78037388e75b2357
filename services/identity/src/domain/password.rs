//! Passwords: how long, and which are too easily guessed. What is refused is refused for a reason its author can mend, so
//! each has its own sentence. The bytes are taken as they were sent: nothing is trimmed, cut or folded.

use super::Email;
use std::fmt;

/// Characters, at least and at most.
pub const SHORTEST: usize = 10;
pub const LONGEST: usize = 128;

/// A listed word as short as this may well be part of a good password.
const SHORTEST_WORD: usize = 4;

/// The 20,000 passwords most often found in leaks, lower-case, one a line: the list that Django 5.2 ships
/// (`django/contrib/auth/common-passwords.txt.gz`), which Royce Williams compiled.
const COMMON: &str = include_str!("common_passwords.txt");

/// A new password that may be taken. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    #[error("10 characters or more are needed")]
    Short,
    #[error("has more than 128 characters")]
    Long,
    #[error("is one of the most used passwords: choose another")]
    Common,
    #[error("is a much used word with little around it: choose another, or several words")]
    Decorated,
    #[error("is one character again and again: choose another")]
    Repeated,
    #[error("is the e-mail address, or a part of it: choose another")]
    OwnAddress,
}

impl Password {
    /// What can be said without knowing whose it is.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn parse(text: &str) -> Result<Self, Weak> {
        let length = text.chars().count();
        if length < SHORTEST {
            return Err(Weak::Short);
        }
        if length > LONGEST {
            return Err(Weak::Long);
        }
        let folded = text.to_lowercase();
        let mut characters = folded.chars();
        let first = characters.next();
        if characters.all(|c| Some(c) == first) {
            return Err(Weak::Repeated);
        }
        if is_common(&folded) {
            return Err(Weak::Common);
        }
        let word = folded.trim_matches(|c: char| !c.is_alphabetic());
        if word.chars().count() >= SHORTEST_WORD && is_common(word) {
            return Err(Weak::Decorated);
        }
        Ok(Self(text.to_owned()))
    }

    /// That it is not its owner's address, nor what stands before the `@`.
    ///
    /// # Errors
    /// [`Weak::OwnAddress`].
    pub fn of(self, owner: &Email) -> Result<Self, Weak> {
        let (folded, address) = (self.0.to_lowercase(), owner.folded());
        let local = address.split_once('@').map_or(address.as_str(), |(local, _)| local);
        let word = folded.trim_matches(|c: char| !c.is_alphabetic());
        let own =
            folded == address || folded == local || (word.chars().count() >= SHORTEST_WORD && word == local);
        if own { Err(Weak::OwnAddress) } else { Ok(self) }
    }

    /// The text itself, to be hashed.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

fn is_common(folded: &str) -> bool {
    COMMON.lines().any(|listed| listed == folded)
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_list_is_whole() {
        assert!(COMMON.lines().count() > 19_000);
        assert!(COMMON.lines().all(|l| !l.is_empty() && l == l.trim() && l == l.to_lowercase()));
    }

    #[test]
    fn easily_guessed_passwords_are_refused_each_for_its_reason() {
        for (text, why) in [
            ("", Weak::Short),
            ("tr0ub4dor", Weak::Short),
            ("ü12345678", Weak::Short),
            (&"x1".repeat(65), Weak::Long),
            ("AAAAAAAAAAAA", Weak::Repeated),
            ("1234567890", Weak::Common),
            ("QWERTYUIOP", Weak::Common),
            ("Password2024!", Weak::Decorated),
            ("...dragon12345", Weak::Decorated),
        ] {
            assert_eq!(Password::parse(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn good_ones_are_taken_as_they_are() {
        for text in [
            "correct horse battery",
            " spaced out ends ",
            "пароль не угадать",
            &"q9".repeat(64),
            "Xk7#mPq2!vLz",
        ] {
            assert_eq!(Password::parse(text).unwrap().expose(), text);
        }
    }

    #[test]
    fn nobody_uses_their_own_address() {
        let owner = Email::parse("Maria.Lindqvist@example.com").unwrap();
        for own in ["maria.lindqvist@EXAMPLE.com", "maria.lindqvist", "!MARIA.Lindqvist99"] {
            assert_eq!(Password::parse(own).unwrap().of(&owner).unwrap_err(), Weak::OwnAddress, "{own}");
        }
        assert!(Password::parse("maria likes lindens").unwrap().of(&owner).is_ok());
        assert_eq!(format!("{:?}", Password::parse("correct horse battery").unwrap()), "Password(…)");
    }
}
