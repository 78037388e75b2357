//! A valid message for every RPC, as one service sends it to another. None of them changes what another test looks at.

use beem_proto::{Access, Contract, Method};
use beem_tests::forge::unique;
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

pub const ROWS: &[Row] = &[
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
    row("/beem.identity.v1.Profiles/GetProfile", |_| json!({})),
    row("/beem.identity.v1.Clients/DeleteClient", |w| json!({ "id": w.principal })),
];

/// Every RPC with its row, in the order of the rows: PrepareChange before CommitChange, DeleteClient last.
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
