//! What people prove themselves with besides the password: a code of their app, or a recovery code. Recovery codes are 80
//! random bits each, shown once and kept as SHA-256; how they are written (case, dashes, spaces) does not matter.

use beem_clock::Entropy;
use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// How many a user gets.
pub const RECOVERY_CODES: usize = 10;

/// What is stored of a recovery code.
pub type RecoveryHash = [u8; 32];

/// What was sent as a code. It does not print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SecondFactor {
    /// Six digits of an app.
    Totp(u32),
    Recovery(RecoveryHash),
}

/// It is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("six digits, or a recovery code of 16 letters and digits")]
pub struct NoCode;

impl SecondFactor {
    /// Whether it is right is not said here.
    ///
    /// # Errors
    /// When it can be neither.
    pub fn parse(text: &str) -> Result<Self, NoCode> {
        let plain: String =
            text.chars().filter(|c| !matches!(c, ' ' | '-')).collect::<String>().to_uppercase();
        if plain.len() == 6 && plain.bytes().all(|b| b.is_ascii_digit()) {
            return plain.parse().map(Self::Totp).map_err(|_| NoCode);
        }
        let alphabet = |b: u8| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b);
        if plain.len() == 16 && plain.bytes().all(alphabet) {
            return Ok(Self::Recovery(Sha256::digest(plain.as_bytes()).into()));
        }
        Err(NoCode)
    }
}

/// A new recovery code: how it is shown, and what is stored of it.
#[must_use]
pub fn draw_recovery_code(entropy: &Entropy) -> (String, RecoveryHash) {
    let plain = BASE32_NOPAD.encode(&entropy.bytes::<10>());
    let hash = Sha256::digest(plain.as_bytes()).into();
    let shown = plain.to_lowercase().chars().enumerate().fold(String::new(), |mut out, (i, c)| {
        if i > 0 && i % 4 == 0 {
            out.push('-');
        }
        out.push(c);
        out
    });
    (shown, hash)
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Totp(_) => "Totp(…)",
            Self::Recovery(_) => "Recovery(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_is_known_again_however_it_is_written() {
        let (shown, hash) = draw_recovery_code(&Entropy::seeded(5));
        assert_eq!(shown.len(), 19);
        assert!(shown.split('-').all(|part| part.len() == 4), "{shown}");
        let plain = shown.replace('-', "");
        for text in [shown.clone(), shown.to_uppercase(), plain, shown.replace('-', " ")] {
            assert_eq!(SecondFactor::parse(&text).unwrap(), SecondFactor::Recovery(hash));
        }
        assert_ne!(draw_recovery_code(&Entropy::seeded(6)).1, hash);
    }

    #[test]
    fn six_digits_are_a_code_of_an_app() {
        assert_eq!(SecondFactor::parse("081 804").unwrap(), SecondFactor::Totp(81_804));
        for neither in ["", "12345", "1234567", "12345a", "٣٤٥٦٧٨", "abcd-efgh-ijkl-mno1", "abcd-efgh"]
        {
            assert!(SecondFactor::parse(neither).is_err(), "{neither}");
        }
        assert_eq!(format!("{:?}", SecondFactor::Totp(1)), "Totp(…)");
    }
}
