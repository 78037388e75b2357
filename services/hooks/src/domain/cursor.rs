//! How far somebody has pulled an account's events, as a token.
//!
//! Positions are of all accounts: two of them would tell how much happened in between, so they are sealed. The same place has
//! the same token, and an account's token is not another's: AES-256-GCM-SIV with a nonce of the account and no more, which
//! gives nothing away but that two tokens of one account are equal
//! ([RFC 8452](https://www.rfc-editor.org/rfc/rfc8452) section 9).

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, EventId};

/// Bytes of a place, and of a token before it is text.
const PLACE: usize = 16;
const SEALED: usize = PLACE + 16;

/// Behind an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub position: i64,
    /// Which event is there, as [`mark`] has it; 0 when nobody knows any more.
    pub mark: u64,
}

/// Half of an event's id: the random one, which is never 0. It tells whether a position still is of the same history.
#[must_use]
pub const fn mark(event: EventId) -> u64 {
    event.0.as_u64_pair().1
}

/// Makes and reads tokens.
pub struct PullTokens(LessSafeKey);

impl PullTokens {
    /// Under the installation's key for them.
    ///
    /// # Errors
    /// `internal` when the cryptography library refuses it.
    pub fn new(key: &[u8; 32]) -> Result<Self> {
        Ok(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key).map_err(Fault::internal)?)))
    }

    /// The token of a place.
    ///
    /// # Errors
    /// `internal` when the cryptography library fails.
    pub fn write(&self, place: Place, account: AccountId) -> Result<String> {
        let mut sealed = [place.position.to_be_bytes(), place.mark.to_be_bytes()].concat();
        self.0
            .seal_in_place_append_tag(nonce(account), about(account), &mut sealed)
            .map_err(Fault::internal)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Reads the token of a request. None when it is empty.
    ///
    /// # Errors
    /// `validation-failed` naming `after`, for what is no token, or another account's.
    pub fn read(&self, token: &str, account: AccountId) -> Result<Option<Place>> {
        if token.is_empty() {
            return Ok(None);
        }
        self.open(token, account)
            .map(Some)
            .ok_or_else(|| Fault::field("after", "not a token of this account"))
    }

    fn open(&self, token: &str, account: AccountId) -> Option<Place> {
        let mut sealed: [u8; SEALED] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let place = self.0.open_in_place(nonce(account), about(account), &mut sealed).ok()?;
        let (position, mark) = place.split_first_chunk::<8>()?;
        Some(Place {
            position: i64::from_be_bytes(*position),
            mark: u64::from_be_bytes(*mark.first_chunk::<8>()?),
        })
    }
}

fn nonce(account: AccountId) -> Nonce {
    let [_, _, _, _, nonce @ ..] = account.0.into_bytes();
    Nonce::assume_unique_for_key(nonce)
}

fn about(account: AccountId) -> Aad<Vec<u8>> {
    Aad::from([b"ListEvents".as_slice(), account.0.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn tokens() -> PullTokens {
        PullTokens::new(&[7; 32]).unwrap()
    }

    proptest! {
        #[test]
        fn a_token_is_good_for_its_account_only(
            position in any::<i64>(), mark in any::<u64>(), account in any::<u128>(), other in any::<u128>(),
        ) {
            prop_assume!(account != other);
            let (account, other) = (AccountId(Uuid::from_u128(account)), AccountId(Uuid::from_u128(other)));
            let place = Place { position, mark };
            let token = tokens().write(place, account).unwrap();
            prop_assert_eq!(&token, &tokens().write(place, account).unwrap());
            prop_assert_eq!(tokens().read(&token, account).unwrap(), Some(place));
            prop_assert_eq!(&tokens().read(&token, other).unwrap_err().fields[0].field, "after");
            let stranger = PullTokens::new(&[8; 32]).unwrap();
            prop_assert!(stranger.read(&token, account).is_err());
        }

        #[test]
        fn any_other_text_is_refused(token in "\\PC{1,60}") {
            let fault = tokens().read(&token, AccountId(Uuid::nil())).unwrap_err();
            prop_assert_eq!(&fault.fields[0].field, "after");
        }

        #[test]
        fn what_was_altered_is_refused(byte in 0..SEALED, bit in 0..8_u8) {
            let account = AccountId(Uuid::nil());
            let token = tokens().write(Place { position: 7, mark: 9 }, account).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
            bytes[byte] ^= 1 << bit;
            prop_assert!(tokens().read(&URL_SAFE_NO_PAD.encode(bytes), account).is_err());
        }
    }

    #[test]
    fn nothing_is_the_beginning_and_neighbours_have_nothing_in_common() {
        let account = AccountId(Uuid::nil());
        assert_eq!(tokens().read("", account).unwrap(), None);
        let [one, next] = [41, 42].map(|position| {
            let token = tokens().write(Place { position, mark: 9 }, account).unwrap();
            URL_SAFE_NO_PAD.decode(token).unwrap()
        });
        let same = one.iter().zip(&next).filter(|(a, b)| a == b).count();
        assert!(same < 8, "{same} of {SEALED} bytes are the same");
    }

    #[test]
    fn a_token_of_the_form_before_is_refused() {
        let before = URL_SAFE_NO_PAD.encode([0; 16]);
        assert_eq!(tokens().read(&before, AccountId(Uuid::nil())).unwrap_err().fields[0].field, "after");
    }
}
