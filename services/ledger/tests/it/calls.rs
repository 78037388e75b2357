//! Every RPC of the ledger as a typed call, and the few that most tests begin with.

use crate::rig::{Ledger, Refusal, Reply, Rig};
use beem_caller::Actor;
use beem_proto::google::api::HttpBody;
use beem_proto::ledger::v1 as wire;
use tonic::Streaming;

macro_rules! writes_of_actors {
    ($($name:ident = $method:literal ($asked:ident) -> $answer:ident;)+) => {
        impl Ledger {
            $(pub async fn $name(&self, actor: &Actor, key: &str, asked: wire::$asked) -> Reply<wire::$answer> {
                self.call(actor, key, concat!("/beem.ledger.v1.", $method), asked).await
            })+
        }
    };
}

macro_rules! reads_of_actors {
    ($($name:ident = $method:literal ($asked:ident) -> $answer:ident;)+) => {
        impl Ledger {
            $(pub async fn $name(&self, actor: &Actor, asked: wire::$asked) -> Result<wire::$answer, Refusal> {
                let method = concat!("/beem.ledger.v1.", $method);
                self.call(actor, "", method, asked).await.map(|answer| answer.body)
            })+
        }
    };
}

macro_rules! of_services {
    ($($name:ident = $caller:ident $method:literal ($asked:ident) -> $answer:ident;)+) => {
        impl Ledger {
            $(pub async fn $name(&self, asked: wire::$asked) -> Reply<wire::$answer> {
                self.internal(&self.$caller, concat!("/beem.ledger.v1.", $method), asked).await
            })+
        }
    };
}

writes_of_actors! {
    create_wallet = "Wallets/CreateWallet" (CreateWalletRequest) -> Wallet;
    create_quote = "Quotes/CreateQuote" (CreateQuoteRequest) -> Quote;
    execute_quote = "Quotes/ExecuteQuote" (ExecuteQuoteRequest) -> Quote;
    create_credit = "Credits/CreateCredit" (CreateCreditRequest) -> Transaction;
}

reads_of_actors! {
    list_currencies = "Currencies/ListCurrencies" (ListCurrenciesRequest) -> ListCurrenciesResponse;
    list_wallets = "Wallets/ListWallets" (ListWalletsRequest) -> ListWalletsResponse;
    get_wallet = "Wallets/GetWallet" (GetWalletRequest) -> Wallet;
    list_balances = "Wallets/ListBalances" (ListBalancesRequest) -> ListBalancesResponse;
    list_transactions = "Wallets/ListTransactions" (ListTransactionsRequest) -> ListTransactionsResponse;
    get_quote = "Quotes/GetQuote" (GetQuoteRequest) -> Quote;
    list_quotes = "Quotes/ListQuotes" (ListQuotesRequest) -> ListQuotesResponse;
}

of_services! {
    post_batches = payments "Postings/PostBatches" (PostBatchesRequest) -> PostBatchesResponse;
    reserve = payments "Postings/Reserve" (ReserveRequest) -> Hold;
    post_hold = payments "Postings/PostHold" (PostHoldRequest) -> Hold;
    void_hold = payments "Postings/VoidHold" (VoidHoldRequest) -> Hold;
    read_hold = payments "Postings/ReadHold" (ReadHoldRequest) -> Hold;
    read_wallet = payments "Postings/ReadWallet" (ReadWalletRequest) -> Wallet;
    settle_inbound = channels "Settlements/SettleInbound" (SettleInboundRequest) -> Settlement;
    release_inbound = channels "Settlements/ReleaseInbound" (ReleaseInboundRequest) -> Settlement;
    read_settlement = channels "Settlements/ReadSettlement" (ReadSettlementRequest) -> Settlement;
    reserve_outbound = payments "Settlements/ReserveOutbound" (ReserveOutboundRequest) -> Outbound;
    post_outbound = payments "Settlements/PostOutbound" (PostOutboundRequest) -> Outbound;
    lock_rate = payments "Rates/LockRate" (LockRateRequest) -> RateLock;
    read_rate = payments "Rates/ReadRate" (ReadRateRequest) -> ReadRateResponse;
    verify_ledger = admin "Books/VerifyLedger" (VerifyLedgerRequest) -> VerifyLedgerResponse;
    list_ledger_heads = admin "Books/ListLedgerHeads" (ListLedgerHeadsRequest) -> ListLedgerHeadsResponse;
    list_suspended = admin "Books/ListSuspended" (ListSuspendedRequest) -> ListSuspendedResponse;
}

impl Ledger {
    pub async fn export_transactions(
        &self,
        actor: &Actor,
        asked: wire::ExportTransactionsRequest,
    ) -> Result<Streaming<HttpBody>, Refusal> {
        self.stream(actor, "/beem.ledger.v1.Wallets/ExportTransactions", asked).await
    }
}

impl Rig {
    /// A new wallet of the owner; its id.
    pub async fn wallet(&self, currency: &str) -> String {
        self.wallet_of(&self.owner, currency).await
    }

    pub async fn wallet_of(&self, actor: &Actor, currency: &str) -> String {
        let asked = wire::CreateWalletRequest { currency: currency.into(), name: format!("In {currency}") };
        self.create_wallet(actor, &self.key(), asked).await.unwrap().body.id
    }

    /// Free money for a wallet of the owner.
    pub async fn credit(&self, wallet: &str, amount: &str) {
        self.credit_of(&self.owner, wallet, amount).await;
    }

    pub async fn credit_of(&self, actor: &Actor, wallet: &str, amount: &str) {
        let (wallet_id, amount, reference) = (wallet.into(), amount.into(), String::new());
        let asked = wire::CreateCreditRequest { wallet_id, amount, reference };
        self.create_credit(actor, &self.key(), asked).await.unwrap();
    }

    /// A wallet of the owner with that much in it.
    pub async fn funded(&self, currency: &str, amount: &str) -> String {
        let wallet = self.wallet(currency).await;
        self.credit(&wallet, amount).await;
        wallet
    }

    /// Total, reserved and available of a wallet of the owner.
    pub async fn balance(&self, wallet: &str) -> [String; 3] {
        let asked = wire::ReadWalletRequest { account_id: self.account(), wallet_id: wallet.into() };
        let balance = self.read_wallet(asked).await.unwrap().body.balance.unwrap();
        [balance.total, balance.reserved, balance.available]
    }

    /// A batch of the owner's.
    pub fn batch(&self, effect_key: &str, transfers: Vec<wire::Transfer>) -> wire::Batch {
        wire::Batch { effect_key: effect_key.into(), account_id: self.account(), transfers }
    }

    /// Posts one batch of the owner's, which must not fail otherwise than by a refusal.
    pub async fn post(&self, effect_key: &str, transfers: Vec<wire::Transfer>) -> wire::BatchOutcome {
        let batches = vec![self.batch(effect_key, transfers)];
        let answer = self.post_batches(wire::PostBatchesRequest { batches }).await.unwrap();
        answer.body.outcomes.into_iter().next().unwrap()
    }

    /// The same as the service that knows the chains.
    pub async fn post_from_chain(
        &self,
        effect_key: &str,
        transfers: Vec<wire::Transfer>,
    ) -> wire::BatchOutcome {
        let asked = wire::PostBatchesRequest { batches: vec![self.batch(effect_key, transfers)] };
        let method = "/beem.ledger.v1.Postings/PostBatches";
        let answer: Reply<wire::PostBatchesResponse> = self.internal(&self.channels, method, asked).await;
        answer.unwrap().body.outcomes.into_iter().next().unwrap()
    }

    /// A hold on a wallet of the owner, to be sent as it is or changed.
    pub fn reserving(&self, effect_key: &str, wallet: &str, amount: &str) -> wire::ReserveRequest {
        wire::ReserveRequest {
            effect_key: effect_key.into(),
            account_id: self.account(),
            wallet_id: wallet.into(),
            amount: amount.into(),
            reference: "a hold".into(),
            cause: Some(cause("payment", effect_key)),
            expires_at: None,
        }
    }

    /// The posting of all of a hold to the fees of its currency.
    pub fn posting(&self, effect_key: &str, hold: &str) -> wire::PostHoldRequest {
        wire::PostHoldRequest {
            effect_key: effect_key.into(),
            account_id: self.account(),
            hold_id: hold.into(),
            amount: String::new(),
            credit: Some(system("FEES")),
            kind: "FEE".into(),
        }
    }

    pub fn voiding(&self, effect_key: &str, hold: &str) -> wire::VoidHoldRequest {
        let (effect_key, hold_id) = (effect_key.into(), hold.into());
        wire::VoidHoldRequest { effect_key, account_id: self.account(), hold_id }
    }
}

pub fn cause(kind: &str, id: &str) -> wire::Cause {
    wire::Cause { r#type: kind.into(), id: id.into() }
}

pub fn wallet_side(id: &str) -> wire::Side {
    wire::Side { wallet_id: id.into(), ..wire::Side::default() }
}

pub fn system(name: &str) -> wire::Side {
    wire::Side { system: name.into(), ..wire::Side::default() }
}

pub fn clearing(network: &str) -> wire::Side {
    wire::Side { system: "CLEARING".into(), network: network.into(), ..wire::Side::default() }
}

pub fn transfer(debit: wire::Side, credit: wire::Side, currency: &str, amount: &str) -> wire::Transfer {
    wire::Transfer {
        debit: Some(debit),
        credit: Some(credit),
        currency: currency.into(),
        amount: amount.into(),
        kind: "ADJUSTMENT".into(),
        reference: "a transfer".into(),
        cause: Some(cause("test", "1")),
    }
}
