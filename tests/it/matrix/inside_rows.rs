//! A valid message for every RPC, as one service sends it to another. None of them changes what another test looks at.

use super::hooks::{HookOfTest, new_hook};
use super::inside_books::Books;
use super::inside_people::People;
use beem_proto::{Access, Contract, Method};
use beem_tests::forge::unique;
use beem_tests::people::{new_password, new_user};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};

/// What messages are about.
pub struct World {
    pub account: String,
    /// The principal of a client that nobody else asks about.
    pub principal: String,
    pub client_id: String,
    /// A public key, PEM.
    pub key: String,
    pub people: People,
    pub books: Books,
    pub hook: HookOfTest,
}

/// One RPC.
pub struct Row {
    pub rpc: &'static str,
    /// As JSON.
    pub message: fn(&World) -> Value,
}

const fn row(rpc: &'static str, message: fn(&World) -> Value) -> Row {
    Row { rpc, message }
}

/// An id nobody has.
fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// A UTC time of the last hour, in Unix milliseconds.
fn just_now_ms() -> i64 {
    beem_tests::forge::now_s() * 1_000
}

fn audit_row(w: &World) -> Value {
    json!({
        "id": new_id(), "accountId": w.account, "timeMs": just_now_ms(), "action": "GetClient", "outcome": "done",
        "actor": { "principalId": w.principal, "kind": "CLIENT", "name": w.client_id },
        "target": { "type": "client", "id": w.principal }, "address": "127.0.0.1", "requestId": new_id(),
    })
}

pub const ROWS: &[Row] = &[
    row("/beem.authz.v1.Audit/ListAuditEvents", |_| json!({})),
    row("/beem.authz.v1.Audit/PushAuditRows", |w| json!({ "rows": [audit_row(w)] })),
    row("/beem.authz.v1.Audit/ReportRefusals", |_| {
        let count = json!({ "address": "192.0.2.1", "minuteS": just_now_ms() / 60_000 * 60, "code": "client-unknown", "count": 2 });
        json!({ "reportId": new_id(), "counts": [count] })
    }),
    row("/beem.authz.v1.Audit/ListAuditHeads", |_| json!({})),
    row("/beem.authz.v1.Audit/VerifyAudit", |_| json!({})),
    row("/beem.authz.v1.Roles/ListRoles", |_| json!({})),
    row("/beem.authz.v1.Standings/GetStanding", |w| json!({ "principalId": w.principal })),
    row(
        "/beem.authz.v1.Standings/BatchGetStandings",
        |w| json!({ "accountId": w.account, "principalIds": [w.principal] }),
    ),
    row(
        "/beem.authz.v1.Standings/PutAccount",
        |_| json!({ "accountId": new_id(), "roleGrantPolicy": "HELD" }),
    ),
    row(
        "/beem.authz.v1.Standings/SetRoleGrantPolicy",
        |w| json!({ "accountId": w.account, "roleGrantPolicy": "HELD", "effectKey": unique() }),
    ),
    row("/beem.authz.v1.Standings/CreateStanding", |w| {
        json!({
            "effectKey": unique(), "accountId": w.account, "principalId": new_id(), "kind": "CLIENT", "enabled": true,
        })
    }),
    row("/beem.authz.v1.Standings/PrepareChange", |w| {
        json!({
            "effectKey": "matrix", "accountId": w.account, "principalId": w.principal, "credentialChange": true,
        })
    }),
    row("/beem.authz.v1.Standings/CommitChange", |_| json!({ "effectKey": "matrix" })),
    row("/beem.authz.v1.Standings/Check", |w| json!({ "accountId": w.account, "principalId": w.principal })),
    row(
        "/beem.authz.v1.Standings/BatchCheck",
        |w| json!({ "accountId": w.account, "principalIds": [w.principal] }),
    ),
    row("/beem.authz.v1.Standings/ListHolders", |w| json!({ "accountId": w.account, "role": 1 })),
    row(
        "/beem.authz.v1.Standings/ActivateStanding",
        |w| json!({ "accountId": w.account, "principalId": w.people.invited_id }),
    ),
    row("/beem.events.v1.Feed/Subscribe", |_| json!({})),
    row("/beem.identity.v1.Accounts/GetAccount", |_| json!({})),
    row("/beem.identity.v1.Accounts/UpdateAccount", |_| json!({ "name": "inside", "present": "name" })),
    row("/beem.identity.v1.Clients/ListClients", |_| json!({})),
    row("/beem.identity.v1.Clients/CreateClient", |w| json!({ "name": "inside", "publicKey": w.key })),
    row("/beem.identity.v1.Clients/GetClient", |w| json!({ "id": w.principal })),
    row(
        "/beem.identity.v1.Clients/UpdateClient",
        |w| json!({ "id": w.principal, "name": "inside", "present": "name" }),
    ),
    row("/beem.identity.v1.Clients/RotateClientKey", |w| json!({ "id": w.principal, "publicKey": w.key })),
    row("/beem.identity.v1.Directory/GetClientCredential", |w| json!({ "clientId": w.client_id })),
    row("/beem.identity.v1.Directory/ReportUse", |_| json!({})),
    row("/beem.identity.v1.Directory/CreateAccount", |w| {
        json!({
            "effectKey": unique(), "name": "inside", "ownerEmail": "owner@inside.example",
            "clientName": "first", "clientPublicKey": w.key,
        })
    }),
    row("/beem.identity.v1.Directory/ListAccounts", |_| json!({})),
    row("/beem.identity.v1.Directory/GetInstallation", |_| json!({})),
    row("/beem.identity.v1.Directory/GetSession", |w| json!({ "tokenHash": w.people.session_hash })),
    row("/beem.identity.v1.Directory/InviteOwner", |w| json!({ "accountId": w.account })),
    row("/beem.identity.v1.Directory/ResealSecrets", |_| json!({})),
    row(
        "/beem.identity.v1.Directory/ListOperators",
        |w| json!({ "accountId": w.account, "role": "hook:operator" }),
    ),
    row("/beem.ledger.v1.Currencies/ListCurrencies", |_| json!({})),
    row("/beem.ledger.v1.Wallets/ListWallets", |_| json!({})),
    row("/beem.ledger.v1.Wallets/CreateWallet", |_| json!({ "currency": "USD", "name": "inside" })),
    row("/beem.ledger.v1.Wallets/GetWallet", |w| json!({ "id": w.books.usd })),
    row("/beem.ledger.v1.Wallets/ListBalances", |_| json!({})),
    row("/beem.ledger.v1.Wallets/ListTransactions", |w| json!({ "id": w.books.usd })),
    row("/beem.ledger.v1.Wallets/ExportTransactions", |w| json!({ "id": w.books.usd })),
    row("/beem.ledger.v1.Credits/CreateCredit", |w| json!({ "walletId": w.books.usd, "amount": "1.00" })),
    row(
        "/beem.ledger.v1.Quotes/CreateQuote",
        |w| json!({ "fromWalletId": w.books.usd, "toWalletId": w.books.eur, "amountIn": "1.08" }),
    ),
    row("/beem.ledger.v1.Quotes/ExecuteQuote", |w| json!({ "id": w.books.quote })),
    row("/beem.ledger.v1.Quotes/GetQuote", |w| json!({ "id": w.books.quote })),
    row("/beem.ledger.v1.Quotes/ListQuotes", |_| json!({})),
    row("/beem.ledger.v1.Postings/PostBatches", |w| {
        let transfer = json!({
            "debit": { "system": "CLEARING", "network": "sandbox" }, "credit": { "walletId": w.books.usdc },
            "currency": "USDC", "amount": "1", "kind": "DEPOSIT", "cause": w.books.cause(),
        });
        let batch = json!({ "effectKey": unique(), "accountId": w.account, "transfers": [transfer] });
        json!({ "batches": [batch] })
    }),
    row("/beem.ledger.v1.Postings/Reserve", |w| {
        json!({
            "effectKey": unique(), "accountId": w.account, "walletId": w.books.usd, "amount": "1.00",
            "cause": w.books.cause(),
        })
    }),
    row(
        "/beem.ledger.v1.Postings/ReadHold",
        |w| json!({ "accountId": w.account, "holdId": w.books.holds[0] }),
    ),
    row("/beem.ledger.v1.Postings/PostHold", |w| {
        json!({
            "effectKey": unique(), "accountId": w.account, "holdId": w.books.holds[0], "amount": "0.50",
            "credit": { "system": "FEES" }, "kind": "FEE",
        })
    }),
    row(
        "/beem.ledger.v1.Postings/VoidHold",
        |w| json!({ "effectKey": unique(), "accountId": w.account, "holdId": w.books.holds[1] }),
    ),
    row(
        "/beem.ledger.v1.Postings/ReadWallet",
        |w| json!({ "accountId": w.account, "walletId": w.books.usd }),
    ),
    row("/beem.ledger.v1.Settlements/SettleInbound", |w| {
        json!({
            "effectKey": w.books.deposit, "accountId": w.account, "walletId": w.books.usd, "network": "sandbox",
            "currency": "USDC", "amount": "10", "kind": "DEPOSIT", "cause": w.books.cause(), "keep": true,
        })
    }),
    row("/beem.ledger.v1.Settlements/ReadSettlement", |w| json!({ "effectKey": w.books.deposit })),
    row("/beem.ledger.v1.Settlements/ReleaseInbound", |w| json!({ "effectKey": w.books.deposit })),
    row("/beem.ledger.v1.Settlements/ReserveOutbound", |w| w.books.payout(&w.account)),
    row(
        "/beem.ledger.v1.Settlements/PostOutbound",
        |w| json!({ "effectKey": unique(), "accountId": w.account, "holdId": w.books.holds[2] }),
    ),
    row(
        "/beem.ledger.v1.Rates/LockRate",
        |_| json!({ "effectKey": unique(), "from": "USDC", "to": "USD", "side": "SELL", "timeToLiveS": 60 }),
    ),
    row("/beem.ledger.v1.Rates/ReadRate", |_| json!({ "from": "BTC", "to": "EUR" })),
    row("/beem.ledger.v1.Books/VerifyLedger", |_| json!({ "maxRows": 1 })),
    row("/beem.ledger.v1.Books/ListLedgerHeads", |_| json!({})),
    row("/beem.ledger.v1.Books/ListSuspended", |_| json!({})),
    row("/beem.identity.v1.Profiles/GetProfile", |_| json!({})),
    row(
        "/beem.identity.v1.Profiles/UpdateProfile",
        |_| json!({ "firstName": "inside", "present": "firstName" }),
    ),
    row("/beem.identity.v1.Users/ListUsers", |_| json!({})),
    row("/beem.identity.v1.Users/CreateUser", |_| new_user(&Value::Null)),
    row("/beem.identity.v1.Users/GetUser", |w| json!({ "id": w.people.invited_id })),
    row(
        "/beem.identity.v1.Users/UpdateUser",
        |w| json!({ "id": w.people.invited_id, "firstName": "inside", "present": "firstName" }),
    ),
    // People come in: each with what the steps before it left.
    row(
        "/beem.identity.v1.SignIns/Activate",
        |w| json!({ "token": w.people.invitation, "password": new_password() }),
    ),
    row("/beem.identity.v1.Users/ResendInvitation", |w| json!({ "id": w.people.invited_id })),
    row(
        "/beem.identity.v1.SignIns/ConfirmActivation",
        |w| json!({ "token": w.people.begun, "code": w.people.begun_code }),
    ),
    row(
        "/beem.identity.v1.SignIns/SignIn",
        |w| json!({ "email": w.people.email, "password": w.people.password }),
    ),
    row(
        "/beem.identity.v1.SignIns/PassSecondFactor",
        |w| json!({ "challenge": w.people.challenge, "code": w.people.codes[0] }),
    ),
    row(
        "/beem.identity.v1.SignIns/RequestPasswordReset",
        |_| json!({ "email": format!("{}@nowhere.example", unique()) }),
    ),
    row(
        "/beem.identity.v1.SignIns/ConfirmPasswordReset",
        |w| json!({ "token": w.people.reset, "password": new_password(), "code": w.people.reset_code }),
    ),
    row("/beem.identity.v1.Sessions/ListSessions", |_| json!({})),
    row("/beem.identity.v1.Sessions/EndSession", |w| json!({ "id": w.people.other_session_id })),
    row("/beem.identity.v1.Sessions/ChangePassword", |w| {
        let (current, code) = (&w.people.password, &w.people.codes[1]);
        json!({ "currentPassword": current, "newPassword": new_password(), "code": code })
    }),
    row("/beem.identity.v1.Sessions/RenewSecondFactor", |w| json!({ "code": w.people.codes[2] })),
    row("/beem.identity.v1.Sessions/EndCurrentSession", |_| json!({})),
    row("/beem.identity.v1.Users/ResetSecondFactor", |w| json!({ "id": w.people.id })),
    row("/beem.identity.v1.Users/DeleteUser", |w| json!({ "id": w.people.invited_id })),
    row("/beem.identity.v1.Clients/DeleteClient", |w| json!({ "id": w.principal })),
    // Keys take a while to draw: after the codes of people, which do not last.
    row("/beem.hooks.v1.Events/ListEvents", |_| json!({})),
    row("/beem.hooks.v1.Hooks/ListHooks", |_| json!({})),
    row("/beem.hooks.v1.Hooks/CreateHook", |_| new_hook("inside")),
    row("/beem.hooks.v1.Hooks/GetHook", |w| json!({ "id": w.hook.id })),
    row(
        "/beem.hooks.v1.Hooks/UpdateHook",
        |w| json!({ "id": w.hook.id, "enabled": true, "present": "enabled" }),
    ),
    row("/beem.hooks.v1.Hooks/RotateHookKey", |w| json!({ "id": w.hook.id })),
    row("/beem.hooks.v1.Hooks/TestHook", |w| json!({ "id": w.hook.id })),
    row("/beem.hooks.v1.Hooks/ReplayHook", |w| json!({ "id": w.hook.id, "since": "2026-01-01T00:00:00Z" })),
    row("/beem.hooks.v1.Hooks/ListDeliveries", |w| json!({ "id": w.hook.id })),
    row("/beem.hooks.v1.Hooks/GetDelivery", |w| json!({ "id": w.hook.id, "deliveryId": w.hook.delivery })),
    row("/beem.hooks.v1.Hooks/ListAttempts", |w| json!({ "id": w.hook.id, "deliveryId": w.hook.delivery })),
    row("/beem.hooks.v1.Hooks/ReplayDelivery", |w| json!({ "id": w.hook.id, "deliveryId": w.hook.delivery })),
    row("/beem.hooks.v1.Hooks/ListEventTypes", |_| json!({})),
    row("/beem.hooks.v1.Hooks/DeleteHook", |w| json!({ "id": w.hook.id })),
    row("/beem.hooks.v1.Upkeep/ResealSecrets", |_| json!({})),
    row("/beem.hooks.v1.Upkeep/ListFeeds", |_| json!({})),
    // What is known is not taken in again.
    row("/beem.hooks.v1.Upkeep/RestartFeed", |_| json!({ "source": "identity" })),
];

/// Every RPC with its row, in the order of the rows: what uses something up comes after what looks at it.
pub fn all() -> Vec<(Method, &'static Row)> {
    let contract = Contract::load().unwrap();
    let methods = contract.methods().cloned();
    let mut all: Vec<_> = methods
        .map(|method| {
            let found = ROWS.iter().find(|row| row.rpc == method.path);
            let row =
                found.unwrap_or_else(|| panic!("{} has no row of a valid message: add one", method.path));
            (method, row)
        })
        .collect();
    all.sort_by_key(|(_, row)| ROWS.iter().position(|r| r.rpc == row.rpc));
    all
}

/// The encoded message.
pub fn encode(method: &Method, message: &Value) -> Vec<u8> {
    let parsed = DynamicMessage::deserialize(method.descriptor.input(), message);
    parsed.unwrap_or_else(|e| panic!("{}: {e}", method.path)).encode_to_vec()
}

/// Whether an actor stands behind a call of it.
pub fn is_for_actors(method: &Method) -> bool {
    matches!(method.access, Access::AnyOf(_) | Access::SignedIn)
}
