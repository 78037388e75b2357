//! A hook that requests of the matrix are about. Nobody listens where it posts to, so that its deliveries stay under way.

use crate::hooks::nowhere;
use beem_tests::Client;
use serde_json::{Value, json};

pub const HOOKS: &str = "/platform/v1/hooks";

/// A hook with a delivery of a test event.
pub struct HookOfTest {
    pub id: String,
    pub delivery: String,
}

impl HookOfTest {
    /// For messages that nobody will read.
    pub fn nowhere() -> Self {
        let id = || uuid::Uuid::now_v7().to_string();
        Self { id: id(), delivery: id() }
    }

    /// Of the owner's account.
    pub async fn make(owner: &Client) -> Self {
        let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
        let hook = id(&owner.post(HOOKS, &new_hook("matrix")).await.expect(201));
        let delivery = owner.post(&format!("{HOOKS}/{hook}/test"), &Value::Null).await.expect(200);
        Self { id: hook, delivery: id(&delivery) }
    }
}

/// A CreateHook that whoever may make hooks may send: of what it may read.
pub fn new_hook(path: &str) -> Value {
    json!({ "url": nowhere(path), "eventCodes": ["*"] })
}
