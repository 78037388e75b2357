//! Transfers: one amount of one currency from one ledger account to another.

use super::digest::{Digest, Hash};
use beem_clock::{Entropy, Moment};
use beem_ids::{LedgerAccountId, TransferId};
use beem_money::{Amount, CurrencyCode, Rate};
use uuid::{Builder, Uuid, Variant, Version};

/// Characters of a reference at most.
pub const MAX_REFERENCE: usize = 200;

/// What a movement is, as its wallet shows it. Those after ADJUSTMENT stay between system accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Deposit,
    ConversionIn,
    ConversionOut,
    PaymentIn,
    PaymentOut,
    Fee,
    Refund,
    Adjustment,
    Spread,
    Rounding,
    /// From chain clearing to suspense and on.
    Settlement,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Deposit,
        Self::ConversionIn,
        Self::ConversionOut,
        Self::PaymentIn,
        Self::PaymentOut,
        Self::Fee,
        Self::Refund,
        Self::Adjustment,
        Self::Spread,
        Self::Rounding,
        Self::Settlement,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "DEPOSIT",
            Self::ConversionIn => "CONVERSION_IN",
            Self::ConversionOut => "CONVERSION_OUT",
            Self::PaymentIn => "PAYMENT_IN",
            Self::PaymentOut => "PAYMENT_OUT",
            Self::Fee => "FEE",
            Self::Refund => "REFUND",
            Self::Adjustment => "ADJUSTMENT",
            Self::Spread => "SPREAD",
            Self::Rounding => "ROUNDING",
            Self::Settlement => "SETTLEMENT",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What made it: `quote` and its id, `deposit` and its effect key. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cause {
    pub kind: String,
    pub id: String,
}

/// What was given or received for it in another currency.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counterpart {
    pub currency: CurrencyCode,
    pub amount: Amount,
    /// Units received for one unit given.
    pub rate: Rate,
}

/// A transfer that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransfer {
    /// As [`NewTransfer::draw_id`] draws it.
    pub id: TransferId,
    pub debit: LedgerAccountId,
    pub credit: LedgerAccountId,
    pub currency: CurrencyCode,
    /// Above zero.
    pub amount: Amount,
    pub kind: Kind,
    pub reference: String,
    pub cause: Cause,
    pub counterpart: Option<Counterpart>,
}

impl NewTransfer {
    /// A new id; its last bit is 0.
    #[must_use]
    pub fn draw_id(now: Moment, entropy: &Entropy) -> TransferId {
        let TransferId(id) = TransferId::draw(now, entropy);
        TransferId(Uuid::from_u128(id.as_u128() & !1))
    }

    /// The id of the one transfer that a step of a stored thing makes: always the same, so that taking the step twice is a
    /// second row under one primary key, whatever was done to the thing's own row. It has the thing's time, the layout of
    /// UUID version 7, and 0 as its last bit.
    #[must_use]
    pub fn derived_id(of: Uuid, step: &str) -> TransferId {
        let hash = Digest::of("beem.ledger.v1 transfer id").bytes(of.as_bytes()).text(step).done();
        let time = of.as_bytes().iter().take(6);
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(time.chain(&hash)) {
            *to = *from;
        }
        let id = Builder::from_bytes(bytes).with_version(Version::SortRand).with_variant(Variant::RFC4122);
        TransferId(Uuid::from_u128(id.into_uuid().as_u128() & !1))
    }
}

/// A transfer that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub new: NewTransfer,
    /// The key it was carried out under: one key, one effect, for ever.
    pub effect: String,
    /// The numbers of its entries in the two accounts.
    pub debit_sequence: i64,
    pub credit_sequence: i64,
    pub time: Moment,
}

impl NewTransfer {
    /// Over all that is said of it and the key it is carried out under; the entries it makes carry this in their hash.
    #[must_use]
    pub fn digest(&self, effect: &str) -> Hash {
        let counterpart = self.counterpart.as_ref();
        let code = counterpart.map(|c| c.currency.as_str().as_bytes());
        let amount = counterpart.map(|c| c.amount.minor().to_be_bytes());
        let rate = counterpart.map(|c| c.rate.to_string());
        Digest::of("beem.ledger.v1 transfer")
            .text(effect)
            .bytes(self.id.0.as_bytes())
            .bytes(self.debit.0.as_bytes())
            .bytes(self.credit.0.as_bytes())
            .text(self.currency.as_str())
            .amount(self.amount)
            .text(self.kind.as_str())
            .text(&self.reference)
            .text(&self.cause.kind)
            .text(&self.cause.id)
            .optional(code)
            .optional(amount.as_ref().map(<[u8; 16]>::as_slice))
            .optional(rate.as_ref().map(String::as_bytes))
            .done()
    }

    /// The public id of the entry it makes in the account it leaves, or comes to.
    #[must_use]
    pub fn entry_id(id: TransferId, leaves: bool) -> Uuid {
        if leaves { id.0 } else { Uuid::from_u128(id.0.as_u128() | 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_is_one_of_the_thing_and_its_step() {
        let (now, entropy) = (Moment::from_unix_ms(1_800_000_000_123), Entropy::seeded(1));
        let [one, two] = [(); 2].map(|()| beem_ids::draw(now, &entropy));
        let id = NewTransfer::derived_id(one, "debit");
        assert_eq!(id, NewTransfer::derived_id(one, "debit"));
        assert_ne!(id, NewTransfer::derived_id(one, "credit"));
        assert_ne!(id, NewTransfer::derived_id(two, "debit"));
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.0.get_variant(), Variant::RFC4122);
        assert_eq!(id.0.as_u128() & 1, 0);
        assert_eq!(id.0.get_timestamp(), one.get_timestamp());
    }
}
