//! How far somebody has pulled an account's events, as a token: the position of an event and a digest of the account, so that
//! one account's token is not taken for another's. It says nothing but where to go on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use beem_fault::{Fault, Result};
use beem_ids::AccountId;
use sha2::{Digest as _, Sha256};

const BYTES: usize = 16;

/// Reads the token of a request: the position of the last event that was given. None when it is empty.
///
/// # Errors
/// `validation-failed` naming `after`, for what is garbled or another account's.
pub fn read_cursor(token: &str, account: AccountId) -> Result<Option<i64>> {
    if token.is_empty() {
        return Ok(None);
    }
    let garbled = || Fault::field("after", "not a token of this account");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| garbled())?;
    let bytes: [u8; BYTES] = bytes.try_into().map_err(|_| garbled())?;
    let (position, of) = bytes.split_first_chunk::<8>().ok_or_else(garbled)?;
    let position = i64::from_be_bytes(*position);
    if of != digest(account) || position < 0 {
        return Err(garbled());
    }
    Ok(Some(position))
}

/// The token of a position.
#[must_use]
pub fn write_cursor(position: i64, account: AccountId) -> String {
    URL_SAFE_NO_PAD.encode([position.to_be_bytes(), digest(account)].concat())
}

fn digest(account: AccountId) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(b"ListEvents\0");
    hash.update(account.0.as_bytes());
    let mut short = [0; 8];
    for (to, from) in short.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    proptest! {
        #[test]
        fn a_token_is_good_for_its_account_only(position in 0..=i64::MAX, account in any::<u128>(), other in any::<u128>()) {
            prop_assume!(account != other);
            let (account, other) = (AccountId(Uuid::from_u128(account)), AccountId(Uuid::from_u128(other)));
            let token = write_cursor(position, account);
            prop_assert_eq!(read_cursor(&token, account).unwrap(), Some(position));
            prop_assert_eq!(&read_cursor(&token, other).unwrap_err().fields[0].field, "after");
        }

        #[test]
        fn any_other_text_is_refused(token in "\\PC{1,40}") {
            let fault = read_cursor(&token, AccountId(Uuid::nil())).unwrap_err();
            prop_assert_eq!(&fault.fields[0].field, "after");
        }
    }

    #[test]
    fn nothing_is_the_beginning_and_nothing_lies_before_it() {
        let account = AccountId(Uuid::nil());
        assert_eq!(read_cursor("", account).unwrap(), None);
        assert!(read_cursor(&write_cursor(-1, account), account).is_err());
    }
}
