//! Holds: an amount of a wallet that is set aside, and ends exactly once.

use super::digest::{Digest, Hash};
use super::transfer::Cause;
use beem_clock::Moment;
use beem_ids::{AccountId, HoldId, LedgerAccountId};
use beem_money::{Amount, CurrencyCode};

/// Where a hold is. Everything but Active is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldState {
    Active,
    Posted,
    Voided,
    Expired,
}

impl HoldState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Posted => "POSTED",
            Self::Voided => "VOIDED",
            Self::Expired => "EXPIRED",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Active, Self::Posted, Self::Voided, Self::Expired];
        all.into_iter().find(|state| state.as_str() == text)
    }
}

/// How a hold is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEnd {
    /// With that much of it transferred away, above zero; the transfers stand beside it in the same order.
    Posted(Amount),
    Voided,
    Expired,
}

impl HoldEnd {
    #[must_use]
    pub const fn state(self) -> HoldState {
        match self {
            Self::Posted(_) => HoldState::Posted,
            Self::Voided => HoldState::Voided,
            Self::Expired => HoldState::Expired,
        }
    }

    #[must_use]
    pub const fn posted(self) -> Amount {
        match self {
            Self::Posted(amount) => amount,
            Self::Voided | Self::Expired => Amount::ZERO,
        }
    }
}

/// A hold that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHold {
    pub id: HoldId,
    /// A wallet.
    pub account: LedgerAccountId,
    /// Above zero, in the wallet's currency.
    pub amount: Amount,
    pub reference: String,
    pub cause: Cause,
    /// None: never by itself.
    pub expires: Option<Moment>,
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub new: NewHold,
    /// The key it was placed under: one key, one effect, for ever.
    pub effect: String,
    pub owner: AccountId,
    pub currency: CurrencyCode,
    pub created: Moment,
    /// The number of the entry that placed it.
    pub created_sequence: i64,
    pub state: HoldState,
    /// What left the wallet; zero unless posted.
    pub posted: Amount,
    /// Once it has ended: when, and the number of the entry that gave it back.
    pub ended: Option<(Moment, i64)>,
}

impl Hold {
    /// Over what never changes of it.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let expires = self.new.expires.map(|at| at.unix_ms().to_be_bytes());
        Digest::of("beem.ledger.v1 hold")
            .text(&self.effect)
            .bytes(self.new.id.0.as_bytes())
            .bytes(self.new.account.0.as_bytes())
            .bytes(self.owner.0.as_bytes())
            .text(self.currency.as_str())
            .amount(self.new.amount)
            .text(&self.new.reference)
            .text(&self.new.cause.kind)
            .text(&self.new.cause.id)
            .optional(expires.as_ref().map(<[u8; 8]>::as_slice))
            .done()
    }

    /// Over how it ended, for the entry that gives it back.
    #[must_use]
    pub fn end_digest(&self, state: HoldState, posted: Amount) -> Hash {
        Digest::of("beem.ledger.v1 hold end").bytes(&self.digest()).text(state.as_str()).amount(posted).done()
    }
}
