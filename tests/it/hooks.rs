//! Webhooks from outside: registered through the public API, received by this test or by strangers' code, listed, replayed
//! and pulled, as 2.3 and 2.5 of the contract and BEEM's webhook guide promise them.

mod catching_up;
mod deliveries;
mod foreign;
mod pulled;
mod rules;
pub mod stranger;

use beem_testkit::cluster::free_addresses;
use beem_tests::Client;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::LazyLock;

pub const HOOKS: &str = "/platform/v1/hooks";
pub const EVENTS: &str = "/platform/v1/events";
pub const WALLET_CREATED: &str = "layer1:ledger:wallet:created";
pub const EXECUTED: &str = "layer1:ledger:conversion:executed";
pub const KEY_ROTATED: &str = "layer1:identity:client:key-rotated";

/// A hook of this client's account; as CreateHook answers it.
pub async fn hook(client: &Client, url: &str, codes: &[&str]) -> Value {
    client.post(HOOKS, &json!({ "url": url, "eventCodes": codes })).await.expect(201)
}

/// A URL on this machine where nobody listens. No name: a resolver that answers every name would send signed bodies to a
/// stranger.
pub fn nowhere(path: &str) -> String {
    static ADDRESS: LazyLock<SocketAddr> = LazyLock::new(|| free_addresses(1).unwrap()[0]);
    format!("https://{}/{path}", *ADDRESS)
}

/// What lies under a hook.
pub fn under(hook: &Value, rest: &str) -> String {
    format!("{HOOKS}/{}{rest}", hook["id"].as_str().unwrap())
}

/// All deliveries of a hook, newest first.
pub async fn deliveries(client: &Client, hook: &Value, query: &str) -> Vec<Value> {
    let listed = client.get(&under(hook, &format!("/deliveries{query}"))).await.expect(200);
    listed["content"].as_array().unwrap().clone()
}
