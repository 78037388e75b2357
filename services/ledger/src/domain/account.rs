//! Ledger accounts: wallets, and the system accounts that stand beside them for each currency.

use super::digest::{Digest, Hash};
use beem_clock::Moment;
use beem_ids::{AccountId, LedgerAccountId};
use beem_money::CurrencyCode;

/// What a ledger account is for. Those of the system belong to the installation, not to an account of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// An account's own money. Never below zero.
    Wallet,
    /// What a chain holds for us, as what we owe for it: one per network. Below zero, and without a limit: what a chain has
    /// done is a fact.
    Clearing,
    /// The other side of conversions. May go below zero, to a limit.
    Liquidity,
    /// Fees charged.
    Fees,
    /// The difference between the middle rate and the one a conversion got.
    Spread,
    /// Network fees paid.
    Gas,
    /// Remainders of conversions, below what a minor unit can be split into.
    Rounding,
    /// Deposits that are booked and not yet credited.
    Suspense,
    /// Where the free money of a sandbox comes from. May go below zero; exists only there.
    Sandbox,
}

impl Purpose {
    /// Every purpose of the system that is not bound to a network.
    pub const OF_A_CURRENCY: [Self; 6] =
        [Self::Liquidity, Self::Fees, Self::Spread, Self::Gas, Self::Rounding, Self::Suspense];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wallet => "WALLET",
            Self::Clearing => "CLEARING",
            Self::Liquidity => "LIQUIDITY",
            Self::Fees => "FEES",
            Self::Spread => "SPREAD",
            Self::Gas => "GAS",
            Self::Rounding => "ROUNDING",
            Self::Suspense => "SUSPENSE",
            Self::Sandbox => "SANDBOX",
        }
    }

    /// Of its text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Wallet, Self::Clearing, Self::Sandbox].into_iter().chain(Self::OF_A_CURRENCY);
        all.into_iter().find(|purpose| purpose.as_str() == text)
    }

    /// The id of a system account: always the same for the same purpose, currency and network (none: ""), so that no one
    /// has to look it up and processes that start together make the same one.
    #[must_use]
    pub fn id(self, currency: CurrencyCode, network: &str) -> LedgerAccountId {
        let digest = Digest::of("beem.ledger.v1 system account");
        let hash = digest.text(self.as_str()).text(currency.as_str()).text(network).done();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(hash) {
            *to = from;
        }
        LedgerAccountId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// A ledger account as it was opened; nothing of it ever changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAccount {
    pub id: LedgerAccountId,
    /// Whose wallet it is; none for the system's.
    pub owner: Option<AccountId>,
    pub purpose: Purpose,
    pub currency: CurrencyCode,
    /// Of clearing; otherwise empty.
    pub network: String,
    /// A wallet's; otherwise empty.
    pub name: String,
    pub created: Moment,
}

impl LedgerAccount {
    /// Where the chain of its entries begins: whoever changes the account's row breaks the chain at its first link.
    #[must_use]
    pub fn genesis(&self) -> Hash {
        Digest::of("beem.ledger.v1 account")
            .bytes(self.id.0.as_bytes())
            .optional(self.owner.as_ref().map(|owner| owner.0.as_bytes().as_slice()))
            .text(self.purpose.as_str())
            .text(self.currency.as_str())
            .text(&self.network)
            .text(&self.name)
            .number(self.created.unix_ms())
            .done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_account_has_one_id_of_its_own() {
        let (usd, eur) = ("USD".parse().unwrap(), "EUR".parse().unwrap());
        assert_eq!(Purpose::Liquidity.id(usd, ""), Purpose::Liquidity.id(usd, ""));
        assert_ne!(Purpose::Liquidity.id(usd, ""), Purpose::Liquidity.id(eur, ""));
        assert_ne!(Purpose::Liquidity.id(usd, ""), Purpose::Fees.id(usd, ""));
        assert_ne!(Purpose::Clearing.id(usd, "a"), Purpose::Clearing.id(usd, "b"));
        for purpose in Purpose::OF_A_CURRENCY {
            assert_eq!(Purpose::parse(purpose.as_str()), Some(purpose));
        }
    }
}
