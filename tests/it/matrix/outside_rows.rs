//! A valid request for every RPC that is reachable from outside.

use super::hooks::{HOOKS, HookOfTest, new_hook};
use crate::ledger::books::{Purse, conversion, credit, id};
use beem_proto::{Access, Contract, Method};
use beem_roles::Role;
use beem_signing::KeyKind;
use beem_tests::people::{RESETS, SESSIONS, USERS, begin, new_email, new_password, new_user, own_session};
use beem_tests::{Caller, Client, Creds, Person, Rig, Visitor, Wire};
use serde_json::{Value, json};

/// A valid request: its body, and another valid one.
pub struct Row {
    /// The gRPC path.
    pub rpc: &'static str,
    /// [`FROM`] and [`TO`] in it stand for the world's wallets.
    pub body: fn() -> Value,
    /// Valid as well, and not the same request; null when there is no other.
    pub other_body: fn() -> Value,
    /// Whether a caller without any role may send exactly this.
    pub without_roles: bool,
}

/// The wallet that has something in it, and the one that has not.
const FROM: &str = "@from";
const TO: &str = "@to";

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
    read("/beem.authz.v1.Audit/ListAuditEvents", false),
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
    read("/beem.identity.v1.Profiles/GetProfile", true),
    write(
        "/beem.identity.v1.Profiles/UpdateProfile",
        || json!({ "firstName": "one" }),
        || json!({ "firstName": "two" }),
    ),
    read("/beem.ledger.v1.Currencies/ListCurrencies", true),
    read("/beem.ledger.v1.Wallets/ListWallets", false),
    write(
        "/beem.ledger.v1.Wallets/CreateWallet",
        || json!({ "currency": "USD", "name": "one" }),
        || json!({ "currency": "USD", "name": "two" }),
    ),
    read("/beem.ledger.v1.Wallets/GetWallet", false),
    read("/beem.ledger.v1.Wallets/ListBalances", false),
    read("/beem.ledger.v1.Wallets/ListTransactions", false),
    read("/beem.ledger.v1.Wallets/ExportTransactions", false),
    write(
        "/beem.ledger.v1.Quotes/CreateQuote",
        || conversion(FROM, TO, "1.08"),
        || conversion(FROM, TO, "1.09"),
    ),
    write("/beem.ledger.v1.Quotes/ExecuteQuote", || Value::Null, || Value::Null),
    read("/beem.ledger.v1.Quotes/GetQuote", false),
    read("/beem.ledger.v1.Quotes/ListQuotes", false),
    read("/beem.hooks.v1.Events/ListEvents", true),
    read("/beem.hooks.v1.Hooks/ListHooks", false),
    write("/beem.hooks.v1.Hooks/CreateHook", || new_hook("one"), || new_hook("two")),
    read("/beem.hooks.v1.Hooks/GetHook", false),
    // Where it posts to is changed only by who may read what it posts.
    write("/beem.hooks.v1.Hooks/UpdateHook", || json!({ "enabled": true }), || json!({ "enabled": false })),
    write("/beem.hooks.v1.Hooks/DeleteHook", || Value::Null, || Value::Null),
    write("/beem.hooks.v1.Hooks/RotateHookKey", || json!({}), || json!({ "retireOldAfter": 60 })),
    write("/beem.hooks.v1.Hooks/TestHook", || Value::Null, || Value::Null),
    write(
        "/beem.hooks.v1.Hooks/ReplayHook",
        || json!({ "since": "2026-01-01T00:00:00Z" }),
        || json!({ "since": "2026-01-02T00:00:00Z" }),
    ),
    read("/beem.hooks.v1.Hooks/ListDeliveries", false),
    read("/beem.hooks.v1.Hooks/GetDelivery", false),
    read("/beem.hooks.v1.Hooks/ListAttempts", false),
    write("/beem.hooks.v1.Hooks/ReplayDelivery", || Value::Null, || Value::Null),
    read("/beem.hooks.v1.Hooks/ListEventTypes", false),
    write("/beem.ledger.v1.Credits/CreateCredit", || credit(TO, "1.00"), || credit(FROM, "1.01")),
    // What stands here for people is made for each request: see World::valid.
    read("/beem.identity.v1.Sessions/ListSessions", true),
    write("/beem.identity.v1.Sessions/EndCurrentSession", || Value::Null, || Value::Null),
    write("/beem.identity.v1.Sessions/EndSession", || Value::Null, || Value::Null),
    write("/beem.identity.v1.Sessions/ChangePassword", || Value::Null, || Value::Null),
    write("/beem.identity.v1.Sessions/RenewSecondFactor", || Value::Null, || Value::Null),
    write("/beem.identity.v1.SignIns/Activate", || Value::Null, || Value::Null),
    write("/beem.identity.v1.SignIns/ConfirmActivation", || Value::Null, || Value::Null),
    write("/beem.identity.v1.SignIns/SignIn", || Value::Null, || Value::Null),
    write("/beem.identity.v1.SignIns/PassSecondFactor", || Value::Null, || Value::Null),
    write("/beem.identity.v1.SignIns/RequestPasswordReset", || Value::Null, || Value::Null),
    write("/beem.identity.v1.SignIns/ConfirmPasswordReset", || Value::Null, || Value::Null),
    read("/beem.identity.v1.Users/ListUsers", false),
    read("/beem.identity.v1.Users/GetUser", false),
    write("/beem.identity.v1.Users/CreateUser", || new_user(&Value::Null), || new_user(&Value::Null)),
    write(
        "/beem.identity.v1.Users/UpdateUser",
        || json!({ "firstName": "one" }),
        || json!({ "firstName": "two" }),
    ),
    write("/beem.identity.v1.Users/DeleteUser", || Value::Null, || Value::Null),
    write("/beem.identity.v1.Users/ResendInvitation", || Value::Null, || Value::Null),
    write("/beem.identity.v1.Users/ResetSecondFactor", || Value::Null, || Value::Null),
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

/// Whom requests are about: an account of the test's own, a client and an invited user of it that nobody else asks about.
pub struct World<'a> {
    rig: &'a Rig,
    pub owner: Client,
    /// Of another account.
    pub stranger: Client,
    target: Creds,
    /// The user's id.
    invited: String,
    /// Wallets with and without something in them, and a quote between them.
    wallets: [String; 2],
    quote: String,
    hook: HookOfTest,
}

/// A request that succeeds.
#[derive(Debug)]
pub struct Valid {
    pub caller: Box<dyn Caller>,
    pub verb: &'static str,
    pub path: String,
    pub body: Value,
    /// Under the same key another request.
    pub other_body: Value,
}

impl Valid {
    pub fn wire(&self, key: Option<&str>) -> Wire {
        self.caller.wire(self.verb, &self.path, &self.body, key)
    }

    pub fn other_wire(&self, key: &str) -> Wire {
        self.caller.wire(self.verb, &self.path, &self.other_body, Some(key))
    }
}

impl<'a> World<'a> {
    pub async fn new(rig: &'a Rig) -> Self {
        let owner = rig.as_client(&rig.new_account());
        let target = owner.new_client(&json!({})).await;
        let stranger = rig.as_client(&rig.new_account());
        let invited = invite(&owner).await.0;
        let purse = Purse(owner.clone());
        let wallets = [purse.filled("USD", "1000.00").await, purse.wallet("EUR").await];
        let quote = id(&purse.quote(&wallets[0], &wallets[1], "1.08").await);
        let hook = HookOfTest::make(&owner).await;
        Self { rig, owner, stranger, target, invited, wallets, quote, hook }
    }

    /// Other targets, for what uses one up.
    pub async fn renew(&mut self) {
        self.target = self.owner.new_client(&json!({})).await;
        self.invited = invite(&self.owner).await.0;
        let [from, to] = &self.wallets;
        self.quote = id(&Purse(self.owner.clone()).quote(from, to, "1.08").await);
        let before = std::mem::replace(&mut self.hook, HookOfTest::make(&self.owner).await);
        // An account has so many hooks at most; this one may have been deleted already.
        self.owner.delete(&format!("{HOOKS}/{}", before.id)).await;
    }

    /// A valid body, about the world's wallets.
    pub fn body(&self, method: &Method) -> Value {
        self.filled((row(method).body)())
    }

    fn filled(&self, mut body: Value) -> Value {
        for value in body.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
            for (place, wallet) in [FROM, TO].into_iter().zip(&self.wallets) {
                if value == place {
                    *value = json!(wallet);
                }
            }
        }
        body
    }

    /// Verb and path of an RPC, about the target.
    pub fn place(&self, method: &Method) -> (&'static str, String) {
        let binding = &method.http[0];
        let service = method.path.split('/').nth(1).and_then(|name| name.rsplit('.').next());
        let id = match service.unwrap() {
            "Clients" => &self.target.id,
            "Wallets" => &self.wallets[0],
            "Quotes" => &self.quote,
            "Hooks" => &self.hook.id,
            _ => &self.invited,
        };
        let path = binding.template.replace("{id}", id).replace("{delivery_id}", &self.hook.delivery);
        (binding.verb.as_str(), path)
    }

    pub fn visitor(&self) -> Visitor {
        self.rig.visitor()
    }

    /// A client of the owner's account with exactly these roles.
    pub async fn with_roles(&self, roles: &[Role]) -> Client {
        Client { creds: self.owner.new_client(&json!({ "roles": short(roles) })).await, ..self.owner.clone() }
    }

    /// A person of the owner's account with exactly these roles.
    pub async fn person(&self, roles: &[Role]) -> Person {
        self.rig.join(&self.owner, &json!({ "roles": short(roles) })).await
    }

    /// A request of whoever may send it: of a visitor, of a person of its own, or of the owner's client.
    pub async fn valid(&self, method: &Method) -> Valid {
        if method.access == Access::Public {
            return self.of_a_visitor(method).await;
        }
        if method.session {
            return self.of_a_person(method).await;
        }
        let (verb, path) = self.place(method);
        Valid {
            caller: Box::new(self.owner.clone()),
            verb,
            path,
            body: self.body(method),
            other_body: self.filled((row(method).other_body)()),
        }
    }

    async fn of_a_visitor(&self, method: &Method) -> Valid {
        let (verb, path) = self.place(method);
        let visitor = self.visitor();
        let body = match method.name.as_str() {
            "RequestPasswordReset" => json!({ "email": new_email() }),
            "Activate" => json!({ "token": self.invitation().await, "password": new_password() }),
            "ConfirmActivation" => {
                let token = self.invitation().await;
                let code = begin(&visitor, &token, &new_password()).await.next_code();
                json!({ "token": token, "code": code })
            }
            "SignIn" => self.person(&[]).await.credentials(),
            "PassSecondFactor" => {
                let person = self.person(&[]).await;
                json!({ "challenge": person.challenge().await, "code": person.code() })
            }
            "ConfirmPasswordReset" => {
                let person = self.person(&[]).await;
                visitor.post(RESETS, &json!({ "email": person.email })).await.expect(200);
                let token = self.rig.mailbox.token(&person.email, 2).await;
                json!({ "token": token, "password": new_password(), "code": person.code() })
            }
            other => panic!("{other}: teach this test how a visitor asks for it"),
        };
        Valid { caller: Box::new(visitor), verb, path, body, other_body: Value::Null }
    }

    async fn of_a_person(&self, method: &Method) -> Valid {
        let (verb, mut path) = self.place(method);
        let person = self.person(&[]).await;
        let session = person.sign_in().await;
        let (body, other_body) = match method.name.as_str() {
            "EndSession" => {
                path = format!("{SESSIONS}/{}", own_session(&person.sign_in().await).await);
                (Value::Null, Value::Null)
            }
            "ChangePassword" => {
                let code = person.code();
                let to = |new: String| json!({ "currentPassword": person.password, "newPassword": new, "code": code });
                (to(new_password()), to(new_password()))
            }
            "RenewSecondFactor" => (json!({ "code": person.code() }), json!({ "code": person.code() })),
            _ => ((row(method).body)(), (row(method).other_body)()),
        };
        Valid { caller: Box::new(session), verb, path, body, other_body }
    }

    /// The token of a new user's invitation.
    async fn invitation(&self) -> String {
        self.rig.mailbox.token(&invite(&self.owner).await.1, 1).await
    }
}

/// Id and address of a new user without roles.
async fn invite(owner: &Client) -> (String, String) {
    let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("email"))
}

fn short(roles: &[Role]) -> Vec<&'static str> {
    roles.iter().map(|r| r.short()).collect()
}
