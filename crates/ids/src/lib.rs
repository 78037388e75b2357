//! Typed ids. Each is a UUID v7, so that ids sort by the time they were made; the type says what they name, so that an
//! account's id cannot stand where a principal's is meant. Parsed once at the edge.

use beem_clock::{Entropy, Moment};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAnId;

/// A new UUID v7 for that moment.
#[must_use]
pub fn draw(at: Moment, entropy: &Entropy) -> Uuid {
    let ms = u64::try_from(at.unix_ms()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, &entropy.bytes::<10>()).into_uuid()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id for that moment.
            #[must_use]
            pub fn draw(at: Moment, entropy: &Entropy) -> Self {
                Self(draw(at, entropy))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Takes the hyphenated lower- or upper-case form only.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                if text.len() != 36 {
                    return Err(NotAnId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| NotAnId)
            }
        }
    };
}

id!(
    /// An account.
    AccountId
);
id!(
    /// A user or a client, whichever it is.
    PrincipalId
);
id!(
    /// The keyid of a client's signatures; it outlives its keys.
    ClientId
);
id!(
    /// A signed-in session of a user.
    SessionId
);
id!(
    /// One request from outside.
    RequestId
);
id!(
    /// One committed event.
    EventId
);
id!(
    /// The installation.
    InstallationId
);
id!(
    /// A ledger account: a wallet, or a system account, whose id comes from its name.
    LedgerAccountId
);
id!(
    /// A transfer between two ledger accounts. Its last bit is 0; the entries of its two sides are named by it and by it
    /// with 1 there.
    TransferId
);
id!(
    /// An amount set aside.
    HoldId
);
id!(
    /// An offer to convert.
    QuoteId
);
id!(
    /// A promised rate.
    RateLockId
);
id!(
    /// A deposit on its way to its wallet.
    SettlementId
);
id!(
    /// A destination of events.
    HookId
);
id!(
    /// One event on its way to one hook.
    DeliveryId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_later() {
        let entropy = Entropy::seeded(1);
        let a = AccountId::draw(Moment::from_unix_ms(1000), &entropy);
        let b = AccountId::draw(Moment::from_unix_ms(2000), &entropy);
        assert!(a < b);
        assert_eq!(a.0.get_version_num(), 7);
    }

    #[test]
    fn only_the_hyphenated_form_is_taken() {
        assert!("0190163d-8694-739b-aea5-966c26f8ad91".parse::<AccountId>().is_ok());
        assert!("0190163d8694739baea5966c26f8ad91".parse::<AccountId>().is_err());
        assert!("{0190163d-8694-739b-aea5-966c26f8ad9}".parse::<AccountId>().is_err());
    }
}
