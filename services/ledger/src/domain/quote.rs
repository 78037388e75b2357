//! Quotes: an offer to convert between two wallets of an account, at a price that holds until it expires. Carried out once.

use super::digest::{Digest, Hash};
use super::transfer::NewTransfer;
use beem_clock::Moment;
use beem_ids::{AccountId, LedgerAccountId, PrincipalId, QuoteId, TransferId};
use beem_money::{Amount, Conversion, ConversionError, CurrencyCode, Rate, Terms};

/// A quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    pub id: QuoteId,
    pub offer: Offer,
    pub created: Moment,
    /// From here on it is too late.
    pub expires: Moment,
    pub executed: Option<Executed>,
}

/// What is offered; nothing of it ever changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub owner: AccountId,
    pub from: LedgerAccountId,
    pub to: LedgerAccountId,
    pub currency_in: CurrencyCode,
    pub currency_out: CurrencyCode,
    pub conversion: Conversion,
    /// The market's rate when it was made.
    pub mid: Rate,
    pub reference: String,
    pub created_by: PrincipalId,
}

/// That it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    pub time: Moment,
    /// The transfer that left the one wallet.
    pub debit: TransferId,
    /// The transfer that came to the other.
    pub credit: TransferId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteStatus {
    Pending,
    Executed,
    Expired,
}

impl QuoteStatus {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Executed => "EXECUTED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// Which side of a conversion is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of this is given.
    In(Amount),
    /// Exactly this is received.
    Out(Amount),
}

impl Wanted {
    /// The price on these terms.
    ///
    /// # Errors
    /// When there is none.
    pub fn price(self, terms: &Terms<'_>) -> Result<Conversion, ConversionError> {
        match self {
            Self::In(amount) => terms.sell(amount),
            Self::Out(amount) => terms.buy(amount),
        }
    }

    /// The field of a request that says it.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::In(_) => "amountIn",
            Self::Out(_) => "amountOut",
        }
    }
}

impl Quote {
    #[must_use]
    pub fn status(&self, now: Moment) -> QuoteStatus {
        match self.executed {
            Some(_) => QuoteStatus::Executed,
            None if now >= self.expires => QuoteStatus::Expired,
            None => QuoteStatus::Pending,
        }
    }

    /// The transfer that leaves the one wallet and the one that comes to the other: a quote has no others, ever.
    #[must_use]
    pub fn transfer_ids(&self) -> (TransferId, TransferId) {
        (NewTransfer::derived_id(self.id.0, "debit"), NewTransfer::derived_id(self.id.0, "credit"))
    }

    /// Over the row as it is written; that it was carried out is proved by its transfers.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let (offer, priced) = (&self.offer, &self.offer.conversion);
        Digest::of("beem.ledger.v1 quote")
            .bytes(self.id.0.as_bytes())
            .bytes(offer.owner.0.as_bytes())
            .bytes(offer.from.0.as_bytes())
            .bytes(offer.to.0.as_bytes())
            .text(offer.currency_in.as_str())
            .amount(priced.amount_in)
            .amount(priced.fee)
            .text(offer.currency_out.as_str())
            .amount(priced.amount_out)
            .amount(priced.spread)
            .amount(priced.remainder)
            .text(&priced.rate.to_string())
            .text(&offer.mid.exact())
            .text(&offer.reference)
            .bytes(offer.created_by.0.as_bytes())
            .number(self.created.unix_ms())
            .number(self.expires.unix_ms())
            .done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn quote() -> Quote {
        let amount = Amount::from_minor;
        let conversion = Conversion {
            amount_in: amount(100),
            fee: amount(1),
            net_in: amount(99),
            amount_out: amount(80),
            spread: amount(2),
            remainder: amount(1),
            rate: Rate::ONE,
        };
        let id = Uuid::from_u128;
        Quote {
            id: QuoteId(id(1)),
            offer: Offer {
                owner: AccountId(id(2)),
                from: LedgerAccountId(id(3)),
                to: LedgerAccountId(id(4)),
                currency_in: "USD".parse().unwrap(),
                currency_out: "EUR".parse().unwrap(),
                conversion,
                mid: Rate::ONE,
                reference: "r".into(),
                created_by: PrincipalId(id(5)),
            },
            created: Moment::from_unix_ms(1_000),
            expires: Moment::from_unix_ms(61_000),
            executed: None,
        }
    }

    #[test]
    fn it_expires_at_its_moment_unless_it_was_carried_out() {
        let mut quote = quote();
        assert_eq!(quote.status(Moment::from_unix_ms(60_999)), QuoteStatus::Pending);
        assert_eq!(quote.status(Moment::from_unix_ms(61_000)), QuoteStatus::Expired);
        let transfer = TransferId(Uuid::from_u128(6));
        let time = Moment::from_unix_ms(60_999);
        quote.executed = Some(Executed { time, debit: transfer, credit: transfer });
        assert_eq!(quote.status(Moment::from_unix_ms(61_000)), QuoteStatus::Executed);
    }

    #[test]
    fn every_field_is_in_the_digest() {
        let one = Amount::from_minor(7);
        let other = Uuid::from_u128(7);
        let changes: [fn(&mut Quote, Amount, Uuid); 17] = [
            |q, _, id| q.id = QuoteId(id),
            |q, _, id| q.offer.owner = AccountId(id),
            |q, _, id| q.offer.from = LedgerAccountId(id),
            |q, _, id| q.offer.to = LedgerAccountId(id),
            |q, _, _| q.offer.currency_in = "GBP".parse().unwrap(),
            |q, _, _| q.offer.currency_out = "GBP".parse().unwrap(),
            |q, a, _| q.offer.conversion.amount_in = a,
            |q, a, _| q.offer.conversion.fee = a,
            |q, a, _| q.offer.conversion.amount_out = a,
            |q, a, _| q.offer.conversion.spread = a,
            |q, a, _| q.offer.conversion.remainder = a,
            |q, _, _| q.offer.conversion.rate = "2".parse().unwrap(),
            |q, _, _| q.offer.mid = "2".parse().unwrap(),
            |q, _, _| q.offer.reference = "s".into(),
            |q, _, id| q.offer.created_by = PrincipalId(id),
            |q, _, _| q.created = Moment::from_unix_ms(7),
            |q, _, _| q.expires = Moment::from_unix_ms(7),
        ];
        for (place, change) in changes.into_iter().enumerate() {
            let mut changed = quote();
            change(&mut changed, one, other);
            assert_ne!(changed.digest(), quote().digest(), "{place}");
        }
    }
}
