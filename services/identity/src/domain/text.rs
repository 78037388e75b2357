//! The texts people and programs name things with, checked once.

use std::fmt;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(&'static str);

/// A name for people to read: 1 to 100 characters, no control characters, no space at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        if text.is_empty() {
            return Err(Unfit("1 to 100 characters are needed"));
        }
        if text.chars().count() > 100 {
            return Err(Unfit("has more than 100 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(Unfit("has a control character"));
        }
        if text.trim() != text {
            return Err(Unfit("begins or ends with a space"));
        }
        Ok(Self(text.to_owned()))
    }

    /// A name that is mailed to others, of a person or an account: besides, nothing that a mail program makes a link of or
    /// a reader takes for one, since whoever may invite could send their own text to anybody by it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_mailed(text: &str) -> Result<Self, Unfit> {
        let name = Self::parse(text)?;
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '.');
        if text.contains("://") || words.any(begins_as_host) {
            return Err(Unfit("has a link in it"));
        }
        if text.contains(['<', '>']) {
            return Err(Unfit("has an angle bracket"));
        }
        Ok(name)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `www.`, whatever its case, and `www2.` likewise, with something behind it.
fn begins_as_host(word: &str) -> bool {
    let word = word.trim_start_matches('.').to_lowercase();
    let Some(rest) = word.strip_prefix("www") else { return false };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.strip_prefix('.').is_some_and(|host| !host.is_empty())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A mail address, checked as far as can be without sending a mail: one `@` with something on both sides, at most 254
/// characters (RFC 5321, 4.5.3.1.3, less its angle brackets), no spaces and no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        let whole = text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !domain.starts_with('.')
        });
        if !whole || text.len() > 254 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Unfit("is not a mail address"));
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As addresses are compared: without regard to case.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// A key another service or an operator gives, for ever: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectKey(String);

impl EffectKey {
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        if (1..=255).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Unfit("1 to 255 visible characters are needed"))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_bounds() {
        for fine in ["a", "Köln settlement", &"ü".repeat(100)] {
            assert_eq!(Name::parse(fine).unwrap().as_str(), fine);
        }
        for wrong in ["", " a", "a ", "a\nb", "a\u{7f}", &"u".repeat(101)] {
            assert!(Name::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_that_are_mailed_hold_no_links() {
        for fine in ["Ada", "J.R.R. Tolkien", "O'Neil: junior", "Wwwest.", "Booking.com", "a/b", "Köln (www)"]
        {
            assert_eq!(Name::parse_mailed(fine).unwrap().as_str(), fine);
        }
        for wrong in [
            "pay at https://evil.example/now",
            "x://y",
            "www.evil.example",
            "see WWW.evil.example",
            "(www2.evil.example)",
            "...www.evil",
            "a-www.evil",
            "<b>Ada",
            "Ada>",
            "",
            " Ada",
        ] {
            assert!(Name::parse_mailed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn mail_addresses_are_checked_as_far_as_can_be() {
        assert!(Email::parse("owner@example.com").is_ok());
        for wrong in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@.c"] {
            assert!(Email::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn effect_keys_are_visible() {
        assert!(EffectKey::parse("first-start").is_ok());
        for wrong in ["", "a b", "é", &"k".repeat(256)] {
            assert!(EffectKey::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
