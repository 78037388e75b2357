//! A valid request for every RPC that is reachable from outside.

use beem_proto::{Access, Contract, Method};
use beem_signing::KeyKind;
use beem_tests::{Client, Creds, Rig};
use serde_json::{Value, json};

/// A valid request: its body, and another valid one.
pub struct Row {
    /// The gRPC path.
    pub rpc: &'static str,
    pub body: fn() -> Value,
    /// Valid as well, and not the same request; null when there is no other.
    pub other_body: fn() -> Value,
    /// Whether a caller without any role may send exactly this.
    pub without_roles: bool,
}

const fn read(rpc: &'static str, without_roles: bool) -> Row {
    Row { rpc, body: || Value::Null, other_body: || Value::Null, without_roles }
}

const fn write(rpc: &'static str, body: fn() -> Value, other_body: fn() -> Value) -> Row {
    Row { rpc, body, other_body, without_roles: false }
}

fn new_key() -> String {
    beem_tests::creds::new_key(KeyKind::Ed25519).public().pem()
}

pub const ROWS: &[Row] = &[
    read("/beem.identity.v1.Profiles/GetProfile", true),
    read("/beem.authz.v1.Roles/ListRoles", true),
    read("/beem.identity.v1.Accounts/GetAccount", true),
    write(
        "/beem.identity.v1.Accounts/UpdateAccount",
        || json!({ "name": "one" }),
        || json!({ "name": "two" }),
    ),
    read("/beem.identity.v1.Clients/ListClients", false),
    read("/beem.identity.v1.Clients/GetClient", false),
    write(
        "/beem.identity.v1.Clients/CreateClient",
        || json!({ "name": "one", "publicKey": new_key() }),
        || json!({ "name": "two", "publicKey": new_key() }),
    ),
    write("/beem.identity.v1.Clients/UpdateClient", || json!({ "name": "one" }), || json!({ "name": "two" })),
    write("/beem.identity.v1.Clients/DeleteClient", || Value::Null, || Value::Null),
    write(
        "/beem.identity.v1.Clients/RotateClientKey",
        || json!({ "publicKey": new_key() }),
        || json!({ "publicKey": new_key(), "retireOldAfter": 60 }),
    ),
];

/// Every RPC with an HTTP rule.
pub fn methods() -> Vec<Method> {
    let contract = Contract::load().unwrap();
    contract.methods().filter(|m| !matches!(m.access, Access::Internal(_))).cloned().collect()
}

/// The row of an RPC.
pub fn row(method: &Method) -> &'static Row {
    let found = ROWS.iter().find(|row| row.rpc == method.path);
    found.unwrap_or_else(|| panic!("{} has no row of a valid request: add one", method.path))
}

/// Whom requests are about: an account of the test's own, and a client of it that nobody else asks about.
pub struct World {
    pub owner: Client,
    /// Of another account.
    pub stranger: Client,
    target: Creds,
}

impl World {
    pub async fn new(rig: &Rig) -> Self {
        let owner = rig.as_client(&rig.new_account());
        let target = owner.new_client(&json!({})).await;
        Self { owner, stranger: rig.as_client(&rig.new_account()), target }
    }

    /// Another target, for what uses one up.
    pub async fn renew(&mut self) {
        self.target = self.owner.new_client(&json!({})).await;
    }

    /// Verb and path of an RPC, about the target.
    pub fn place(&self, method: &Method) -> (&'static str, String) {
        let binding = &method.http[0];
        (binding.verb.as_str(), binding.template.replace("{id}", &self.target.id))
    }

    /// A client of the owner's account with exactly these roles.
    pub async fn with_roles(&self, roles: &[beem_roles::Role]) -> Client {
        let short: Vec<&str> = roles.iter().map(|r| r.short()).collect();
        Client { creds: self.owner.new_client(&json!({ "roles": short })).await, ..self.owner.clone() }
    }
}
