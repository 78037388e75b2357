//! Money that messages from inside are about: wallets and a quote by the public API, holds as payments places them.

use crate::ledger::books::{Inside, Purse, id, reserve};
use beem_proto::ledger::v1::{Cause, Money, ReserveOutboundRequest};
use beem_tests::Client;
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::forge::unique;
use serde_json::{Value, json};

/// See the module.
pub struct Books {
    pub usd: String,
    pub eur: String,
    pub usdc: String,
    pub quote: String,
    /// One to post, one to void, one of a payout.
    pub holds: [String; 3],
    /// The effect key of a deposit that is not there yet.
    pub deposit: String,
}

impl Books {
    /// For messages that nobody will read.
    pub fn nowhere() -> Self {
        let id = || uuid::Uuid::now_v7().to_string();
        let holds = [id(), id(), id()];
        Self { usd: id(), eur: id(), usdc: id(), quote: id(), holds, deposit: "deposit:nowhere".into() }
    }

    /// Of the owner's account.
    pub async fn gather(owner: &Client, keys: &ClusterKeys) -> Self {
        let (purse, payments) = (Purse(owner.clone()), Inside::payments(keys));
        let account = owner.creds.account_id.as_str();
        let (usd, eur, usdc) =
            (purse.filled("USD", "1000.00").await, purse.wallet("EUR").await, purse.wallet("USDC").await);
        let quote = id(&purse.quote(&usd, &eur, "1.08").await);
        let one = payments.reserve(reserve(account, &usd, "1.00")).await.unwrap();
        let two = payments.reserve(reserve(account, &usd, "1.00")).await.unwrap();
        let payout = ReserveOutboundRequest {
            effect_key: unique(),
            account_id: account.into(),
            wallet_id: usd.clone(),
            network: "sandbox".into(),
            pay: Some(Money { currency: "USDC".into(), amount: "1".into() }),
            fee_payer: "MERCHANT".into(),
            base_currency: "USD".into(),
            cause: Some(Cause { r#type: "payment".into(), id: "inside".into() }),
            ..ReserveOutboundRequest::default()
        };
        let payout = payments.settlements.clone().reserve_outbound(payout).await.unwrap().into_inner();
        let deposit = format!("deposit:sandbox:{}:0", unique());
        Self { usd, eur, usdc, quote, holds: [one.id, two.id, payout.hold_id], deposit }
    }

    #[expect(clippy::unused_self, reason = "read beside what is about the books")]
    pub fn cause(&self) -> Value {
        json!({ "type": "payment", "id": "inside" })
    }

    /// ReserveOutbound.
    pub fn payout(&self, account: &str) -> Value {
        json!({
            "effectKey": unique(), "accountId": account, "walletId": self.usd, "network": "sandbox",
            "pay": { "currency": "USDC", "amount": "1" }, "feePayer": "MERCHANT", "baseCurrency": "USD",
            "cause": self.cause(),
        })
    }
}
