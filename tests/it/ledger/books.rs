//! What tests of money start from: an account's wallets by the public API, and the ledger as another service calls it.

use beem_caller::{ServiceIdentity, metadata};
use beem_proto::ledger::v1::postings_client::PostingsClient;
use beem_proto::ledger::v1::settlements_client::SettlementsClient;
use beem_proto::ledger::v1::{
    Batch, BatchOutcome, Cause, Hold, PostBatchesRequest, PostHoldRequest, ReserveRequest, Side, Transfer,
    VoidHoldRequest,
};
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::forge::unique;
use beem_tests::{Answer, Client, Rig, ask};
use serde_json::{Value, json};
use std::time::Duration;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

pub const WALLETS: &str = "/api/v1/wallets";
pub const BALANCES: &str = "/api/v1/wallets/balances";
pub const CURRENCIES: &str = "/api/v1/currencies";
pub const QUOTES: &str = "/api/v1/quote";
pub const CREDITS: &str = "/sandbox/v1/credits";

/// Longer than any call takes on a busy machine.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// An account of a test's own, with a client of all 15 roles.
#[derive(Clone, Debug)]
pub struct Purse(pub Client);

/// Where a wallet stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    pub total: String,
    pub available: String,
    pub reserved: String,
}

impl Balance {
    pub fn of(value: &Value) -> Self {
        let text =
            |name: &str| value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}")).to_owned();
        Self { total: text("total"), available: text("available"), reserved: text("reserved") }
    }

    /// Of which nothing is held.
    pub fn free(total: &str) -> Self {
        Self { total: total.into(), available: total.into(), reserved: zero_like(total) }
    }
}

/// `0.00` for `12.34`.
fn zero_like(amount: &str) -> String {
    match amount.split_once('.') {
        Some((_, decimals)) => format!("0.{}", "0".repeat(decimals.len())),
        None => "0".into(),
    }
}

/// Minor units of a decimal text that has all its decimals.
pub fn minor(amount: &str) -> i128 {
    amount.replace('.', "").parse().unwrap_or_else(|e| panic!("{amount}: {e}"))
}

pub fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned()
}

pub fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

pub fn accept(quote: &str) -> String {
    format!("{QUOTES}/accept/{quote}")
}

pub fn conversion(from: &str, to: &str, amount_in: &str) -> Value {
    json!({ "fromWalletId": from, "toWalletId": to, "amountIn": amount_in, "reference": "a test" })
}

pub fn credit(wallet: &str, amount: &str) -> Value {
    json!({ "walletId": wallet, "amount": amount, "reference": "a test" })
}

impl Purse {
    pub fn new(rig: &Rig) -> Self {
        Self(rig.as_client(&rig.new_account()))
    }

    /// A wallet with nothing in it.
    pub async fn wallet(&self, currency: &str) -> String {
        id(&self.0.post(WALLETS, &json!({ "currency": currency, "name": "till" })).await.expect(201))
    }

    /// A wallet with that in it.
    pub async fn filled(&self, currency: &str, amount: &str) -> String {
        let wallet = self.wallet(currency).await;
        self.credit(&wallet, amount).await;
        wallet
    }

    /// The transaction.
    pub async fn credit(&self, wallet: &str, amount: &str) -> Value {
        self.0.post(CREDITS, &credit(wallet, amount)).await.expect(201)
    }

    /// The quote.
    pub async fn quote(&self, from: &str, to: &str, amount_in: &str) -> Value {
        self.0.post(QUOTES, &conversion(from, to, amount_in)).await.expect(201)
    }

    pub async fn execute(&self, quote: &str) -> Answer {
        ask(&self.0, "PUT", &accept(quote), &Value::Null).await
    }

    pub async fn balance(&self, wallet: &str) -> Balance {
        Balance::of(&self.0.get(&format!("{WALLETS}/{wallet}")).await.expect(200)["balance"])
    }

    /// Everything that moved in it, oldest first, page by page.
    pub async fn transactions(&self, wallet: &str) -> Vec<Value> {
        self.listed(&format!("{WALLETS}/{wallet}/transactions?order=asc&max=500")).await
    }

    /// All pages of a list; the target has a query.
    pub async fn listed(&self, target: &str) -> Vec<Value> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.0.get(&format!("{target}&pageToken={token}")).await.expect(200);
            all.extend(page["content"].as_array().unwrap().clone());
            page["nextPageToken"].as_str().unwrap().clone_into(&mut token);
            if token.is_empty() {
                return all;
            }
        }
    }

    /// The rows of an export, the header first.
    pub async fn export(&self, wallet: &str) -> Vec<Vec<String>> {
        let answer = self.0.get(&format!("{WALLETS}/{wallet}/transactions/export?format=csv")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
        csv(&answer.text())
    }
}

/// RFC 4180, read here from the RFC alone.
pub fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quoted) {
            ('"', true) if letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            ('"', true) => quoted = false,
            ('"', false) if cell.is_empty() => quoted = true,
            (',', false) => row.push(std::mem::take(&mut cell)),
            ('\r', false) if letters.peek() == Some(&'\n') => {}
            ('\n', false) => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            (other, _) => cell.push(other),
        }
    }
    assert!(cell.is_empty() && row.is_empty() && !quoted, "the last line has no end: {cell}");
    rows
}

/// Puts on what every call between services carries.
#[derive(Clone)]
pub struct As(pub ServiceIdentity);

impl Interceptor for As {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = self.0.token_for("ledger").parse().map_err(|_| Status::internal("token"))?;
        request.metadata_mut().insert(metadata::SERVICE_TOKEN, token);
        request.metadata_mut().insert(metadata::AUDIENCE, "ledger".parse().unwrap());
        request.set_timeout(CALL_LIMIT);
        Ok(request)
    }
}

pub type Service = InterceptedService<Channel, As>;

/// The ledger of a cluster, as one of its callers reaches it. Cheap to clone.
#[derive(Clone)]
pub struct Inside {
    pub postings: PostingsClient<Service>,
    pub settlements: SettlementsClient<Service>,
}

impl Inside {
    /// As payments.
    pub fn payments(keys: &ClusterKeys) -> Self {
        Self::to(keys.channel("ledger"), keys.internal("payments"))
    }

    pub fn channels(keys: &ClusterKeys) -> Self {
        Self::to(keys.channel("ledger"), keys.internal("channels"))
    }

    pub fn to(channel: Channel, identity: ServiceIdentity) -> Self {
        let service = InterceptedService::new(channel, As(identity));
        Self { postings: PostingsClient::new(service.clone()), settlements: SettlementsClient::new(service) }
    }

    /// One batch.
    pub async fn post(&self, batch: Batch) -> Result<BatchOutcome, Status> {
        let request = PostBatchesRequest { batches: vec![batch] };
        let answer = self.postings.clone().post_batches(request).await?.into_inner();
        Ok(answer.outcomes.into_iter().next().unwrap())
    }

    pub async fn reserve(&self, request: ReserveRequest) -> Result<Hold, Status> {
        Ok(self.postings.clone().reserve(request).await?.into_inner())
    }

    pub async fn post_hold(&self, request: PostHoldRequest) -> Result<Hold, Status> {
        Ok(self.postings.clone().post_hold(request).await?.into_inner())
    }

    pub async fn void_hold(&self, request: VoidHoldRequest) -> Result<Hold, Status> {
        Ok(self.postings.clone().void_hold(request).await?.into_inner())
    }
}

pub fn cause() -> Option<Cause> {
    Some(Cause { r#type: "payment".into(), id: "a-test".into() })
}

pub fn wallet_side(wallet: &str) -> Option<Side> {
    Some(Side { wallet_id: wallet.into(), ..Side::default() })
}

pub fn system_side(system: &str, network: &str) -> Option<Side> {
    Some(Side { system: system.into(), network: network.into(), ..Side::default() })
}

/// From one wallet to another.
pub fn between(from: &str, to: &str, currency: &str, amount: &str, reference: &str) -> Transfer {
    Transfer {
        debit: wallet_side(from),
        credit: wallet_side(to),
        currency: currency.into(),
        amount: amount.into(),
        kind: "ADJUSTMENT".into(),
        reference: reference.into(),
        cause: cause(),
    }
}

pub fn batch(account: &str, transfers: Vec<Transfer>) -> Batch {
    Batch { effect_key: format!("test:{}", unique()), account_id: account.into(), transfers }
}

pub fn reserve(account: &str, wallet: &str, amount: &str) -> ReserveRequest {
    ReserveRequest {
        effect_key: format!("test:{}:hold", unique()),
        account_id: account.into(),
        wallet_id: wallet.into(),
        amount: amount.into(),
        reference: "a test".into(),
        cause: cause(),
        expires_at: None,
    }
}

/// All of it, out to a chain.
pub fn post_hold(account: &str, hold: &Hold) -> PostHoldRequest {
    PostHoldRequest {
        effect_key: format!("test:{}:post", unique()),
        account_id: account.into(),
        hold_id: hold.id.clone(),
        amount: String::new(),
        credit: system_side("FEES", ""),
        kind: "PAYMENT_OUT".into(),
    }
}

pub fn void_hold(account: &str, hold: &Hold) -> VoidHoldRequest {
    VoidHoldRequest {
        effect_key: format!("test:{}:void", unique()),
        account_id: account.into(),
        hold_id: hold.id.clone(),
    }
}

/// What `beem admin verify-ledger` ends with and says.
pub fn verify(rig: &Rig, more: &[&str]) -> (Option<i32>, String) {
    let output = rig.beem(&[&["admin", "verify-ledger"], more].concat());
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

pub fn clean(rig: &Rig, more: &[&str]) {
    let (code, said) = verify(rig, more);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" 0 findings") && !said.contains("WRONG"), "{said}");
}
