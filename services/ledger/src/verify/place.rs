//! Where a page of verification ends and the next one goes on.

use crate::store::proof::Key;
use beem_fault::{Fault, Result};
use uuid::Uuid;

/// The parts, in the order in which they are looked at. The sums come last: whatever else is wrong usually shows in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Heads beyond this number.
    Heads(i64),
    Accounts(Walk),
    Transfers(Option<Uuid>),
    Holds(Option<Uuid>),
    Quotes(Option<Uuid>),
    RateLocks(Option<Uuid>),
    Settlements(Option<Uuid>),
    Outbounds(Option<Uuid>),
    Sums,
}

/// How far the walk through all entries has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    Start,
    /// Behind this entry of an account that is sound so far.
    Behind(Key),
    /// Everything of this account has been looked at.
    Done(Uuid),
}

impl Place {
    /// What comes when there is no more of this.
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Heads(_) => Some(Self::Accounts(Walk::Start)),
            Self::Accounts(_) => Some(Self::Transfers(None)),
            Self::Transfers(_) => Some(Self::Holds(None)),
            Self::Holds(_) => Some(Self::Quotes(None)),
            Self::Quotes(_) => Some(Self::RateLocks(None)),
            Self::RateLocks(_) => Some(Self::Settlements(None)),
            Self::Settlements(_) => Some(Self::Outbounds(None)),
            Self::Outbounds(_) => Some(Self::Sums),
            Self::Sums => None,
        }
    }

    /// As a token, with whether anything has been found so far.
    pub fn token(self, found: bool) -> String {
        let id = |name: &str, id: Option<Uuid>| {
            format!("{name}.{}", id.map(|id| id.to_string()).unwrap_or_default())
        };
        let place = match self {
            Self::Heads(number) => format!("heads.{number}"),
            Self::Accounts(Walk::Start) => "accounts".to_owned(),
            Self::Accounts(Walk::Behind((account, time, sequence))) => {
                format!("entries.{account}.{time}.{sequence}")
            }
            Self::Accounts(Walk::Done(account)) => format!("accounts.{account}"),
            Self::Transfers(after) => id("transfers", after),
            Self::Holds(after) => id("holds", after),
            Self::Quotes(after) => id("quotes", after),
            Self::RateLocks(after) => id("locks", after),
            Self::Settlements(after) => id("settlements", after),
            Self::Outbounds(after) => id("outbounds", after),
            Self::Sums => "sums".to_owned(),
        };
        format!("{}.{place}", u8::from(found))
    }

    /// # Errors
    /// `validation-failed` for anything that [`Place::token`] does not make.
    pub fn parse(token: &str) -> Result<(Self, bool)> {
        Self::read(token).ok_or_else(|| Fault::field("pageToken", "not a page token"))
    }

    fn read(token: &str) -> Option<(Self, bool)> {
        let parts: Vec<_> = token.split('.').collect();
        let (found, parts) = parts.split_first()?;
        let uuid = |text: &str| Uuid::try_parse(text).ok();
        let place = match parts {
            ["heads", number] => Self::Heads(number.parse().ok()?),
            ["accounts"] => Self::Accounts(Walk::Start),
            ["accounts", account] => Self::Accounts(Walk::Done(uuid(account)?)),
            ["entries", account, time, sequence] => {
                Self::Accounts(Walk::Behind((uuid(account)?, time.parse().ok()?, sequence.parse().ok()?)))
            }
            ["sums"] => Self::Sums,
            [part, after] => {
                let after = if after.is_empty() { None } else { Some(uuid(after)?) };
                match *part {
                    "transfers" => Self::Transfers(after),
                    "holds" => Self::Holds(after),
                    "quotes" => Self::Quotes(after),
                    "locks" => Self::RateLocks(after),
                    "settlements" => Self::Settlements(after),
                    "outbounds" => Self::Outbounds(after),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let found = match *found {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        Some((place, found)).filter(|(place, found)| place.token(*found) == token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_and_anything_else_is_refused() {
        let id = Uuid::from_u128(5);
        let places = [
            Place::Heads(7),
            Place::Accounts(Walk::Start),
            Place::Accounts(Walk::Behind((id, 1, 2))),
            Place::Accounts(Walk::Done(id)),
            Place::Transfers(None),
            Place::Holds(Some(id)),
            Place::Quotes(None),
            Place::RateLocks(Some(id)),
            Place::Settlements(Some(id)),
            Place::Outbounds(None),
            Place::Sums,
        ];
        for (place, found) in places.into_iter().zip([true, false].into_iter().cycle()) {
            assert_eq!(Place::parse(&place.token(found)).unwrap(), (place, found));
        }
        for wrong in [
            "",
            "0",
            "0.",
            "2.sums",
            "sums",
            "0.heads.x",
            "0.entries.5.1",
            "1.transfers.7",
            "0.sums.0",
            "0.x.",
        ] {
            assert_eq!(Place::parse(wrong).unwrap_err().fields[0].field, "pageToken", "{wrong}");
        }
        let mut place = Some(Place::Heads(0));
        let mut parts = 0;
        while let Some(at) = place {
            (place, parts) = (at.next(), parts + 1);
        }
        assert_eq!(parts, 9, "every part is looked at");
    }
}
