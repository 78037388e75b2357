//! Tokens people hold: of links, challenges and sessions. 256 random bits, as base64url without padding; stored and looked
//! up by their SHA-256 alone, so that a copy of the database opens nothing.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use beem_clock::Entropy;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A token in the clear. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// What is stored of it.
pub type TokenHash = [u8; 32];

impl Token {
    /// A new one.
    #[must_use]
    pub fn draw(entropy: &Entropy) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()))
    }

    /// The text itself, for whoever is to hold it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn hash(&self) -> TokenHash {
        hash(&self.0)
    }
}

/// The hash of whatever text was sent as a token.
#[must_use]
pub fn hash(text: &str) -> TokenHash {
    Sha256::digest(text.as_bytes()).into()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_bits_and_does_not_print() {
        let token = Token::draw(&Entropy::seeded(1));
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(token.expose()).unwrap().len(), 32);
        assert_eq!(token.expose().len(), 43);
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(token.hash(), hash(token.expose()));
        assert_ne!(token, Token::draw(&Entropy::seeded(2)));
    }
}
