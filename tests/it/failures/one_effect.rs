//! Rows 1 to 4 and 6: however often and however badly a write is sent under one key, it has one effect and one answer.

use crate::hooks::{HOOKS, hook, nowhere, under};
use crate::ledger::books::{CREDITS, Purse, QUOTES, WALLETS, accept, conversion, credit, id};
use beem_proto::{Access, Contract};
use beem_roles::Role;
use beem_signing::KeyKind;
use beem_tests::creds::new_key;
use beem_tests::forge::unique;
use beem_tests::people::{ME, PASSWORD, RENEWAL, SESSIONS, USERS, new_password, new_user, own_session};
use beem_tests::rig::Gateway;
use beem_tests::{Answer, Caller, Client, Rig, eventually, on_both_shapes};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

const CLIENTS: &str = "/platform/v1/clients";

fn pem() -> String {
    new_key(KeyKind::Ed25519).public().pem().to_owned()
}

fn named(name: &str) -> Value {
    json!({ "name": name, "publicKey": pem() })
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

async fn count_named(client: &Client, name: &str) -> usize {
    let list = client.get(&format!("{CLIENTS}?max=500")).await.expect(200);
    list["content"].as_array().unwrap().iter().filter(|c| c["name"] == name).count()
}

/// A write and, under the same key, another one.
#[derive(Debug)]
struct Case {
    caller: Box<dyn Caller>,
    method: &'static str,
    target: String,
    body: Value,
    other_target: String,
    other_body: Value,
}

impl Case {
    /// One attempt at every gateway, of the one write or the other.
    async fn everywhere(&self, rig: &Rig, other: bool, key: &str) -> Vec<Answer> {
        let (target, body) =
            if other { (&self.other_target, &self.other_body) } else { (&self.target, &self.body) };
        let mut answers = Vec::new();
        for gateway in &rig.gateways {
            let caller = self.caller.moved(gateway);
            answers.push(caller.wire(self.method, target, body, Some(key)).send().await);
        }
        answers
    }

    async fn first(&self, key: &str) -> Answer {
        self.caller.wire(self.method, &self.target, &self.body, Some(key)).send().await
    }
}

/// One of `caller`'s.
fn case(
    caller: &dyn Caller,
    method: &'static str,
    (target, body): (&str, Value),
    (other_target, other_body): (&str, Value),
    gateway: &Gateway,
) -> Case {
    let (target, other_target) = (target.to_owned(), other_target.to_owned());
    Case { caller: caller.moved(gateway), method, target, body, other_target, other_body }
}

/// Every write of the public API by its RPC, on the account of `owner`; none may be missing.
async fn writes(rig: &Rig, owner: &Client) -> Vec<(&'static str, Case)> {
    let mut cases = writes_of_clients(owner).await;
    cases.extend(writes_of_money(owner).await);
    cases.extend(writes_of_hooks(owner).await);
    cases.extend(writes_of_people(rig, owner).await);
    cases
}

async fn writes_of_clients(owner: &Client) -> Vec<(&'static str, Case)> {
    let (one, other) = (owner.new_client(&json!({})).await, owner.new_client(&json!({})).await);
    let at = |id: &str| format!("{CLIENTS}/{id}");
    let (a, b) = (at(&one.id), at(&other.id));
    let rotate = format!("{a}/rotate");
    let account = "/platform/v1/account";
    let case = |method, target: &str, body: Value, other_target: &str, other_body: Value| {
        case(owner, method, (target, body), (other_target, other_body), &owner.gateway)
    };
    vec![
        ("CreateClient", case("POST", CLIENTS, named("one"), CLIENTS, named("one"))),
        (
            "UpdateClient",
            case("PATCH", &a, json!({ "name": "x", "roles": ["hook:viewer"] }), &a, json!({ "name": "x" })),
        ),
        (
            "RotateClientKey",
            case("POST", &rotate, json!({ "publicKey": pem() }), &rotate, json!({ "publicKey": pem() })),
        ),
        ("DeleteClient", case("DELETE", &a, Value::Null, &b, Value::Null)),
        (
            "UpdateAccount",
            case("PATCH", account, json!({ "name": "Main" }), account, json!({ "name": "Other" })),
        ),
    ]
}

async fn writes_of_money(owner: &Client) -> Vec<(&'static str, Case)> {
    let purse = Purse(owner.clone());
    let (usd, eur) = (purse.filled("USD", "100.00").await, purse.wallet("EUR").await);
    let quoted = |amount: &str| conversion(&usd, &eur, amount);
    let one = accept(&id(&purse.quote(&usd, &eur, "1.08").await));
    let other = accept(&id(&purse.quote(&usd, &eur, "1.08").await));
    let wallet = |name: &str| json!({ "currency": "USD", "name": name });
    let case = |method, target: &str, body: Value, other_target: &str, other_body: Value| {
        case(owner, method, (target, body), (other_target, other_body), &owner.gateway)
    };
    vec![
        ("CreateWallet", case("POST", WALLETS, wallet("one"), WALLETS, wallet("two"))),
        ("CreateCredit", case("POST", CREDITS, credit(&usd, "1.00"), CREDITS, credit(&usd, "2.00"))),
        ("CreateQuote", case("POST", QUOTES, quoted("1.08"), QUOTES, quoted("1.09"))),
        ("ExecuteQuote", case("PUT", &one, Value::Null, &other, Value::Null)),
    ]
}

/// To receivers that nobody runs.
async fn writes_of_hooks(owner: &Client) -> Vec<(&'static str, Case)> {
    let new = |name: &str| json!({ "url": nowhere(name), "eventCodes": ["*"] });
    let (one, other) = (hook(owner, &nowhere("a"), &["*"]).await, hook(owner, &nowhere("b"), &["*"]).await);
    let mut replays = Vec::new();
    for hook in [&one, &other] {
        let sent = owner.post(&under(hook, "/test"), &Value::Null).await.expect(200);
        replays.push(under(hook, &format!("/deliveries/{}/replay", id(&sent))));
    }
    let (a, b) = (under(&one, ""), under(&other, ""));
    let since = |day: u32| json!({ "since": format!("2026-01-0{day}T00:00:00Z") });
    let case = |method, target: &str, body: Value, other_target: &str, other_body: Value| {
        case(owner, method, (target, body), (other_target, other_body), &owner.gateway)
    };
    let act = |act: &str, body: Value, other_body: Value| {
        let target = under(&one, act);
        case("POST", &target, body, &target, other_body)
    };
    vec![
        ("CreateHook", case("POST", HOOKS, new("one"), HOOKS, new("two"))),
        ("UpdateHook", case("PATCH", &a, json!({ "enabled": true }), &a, json!({ "enabled": false }))),
        ("RotateHookKey", act("/rotate", json!({}), json!({ "retireOldAfter": 60 }))),
        ("ReplayHook", act("/replay", since(1), since(2))),
        ("TestHook", case("POST", &under(&one, "/test"), Value::Null, &under(&other, "/test"), Value::Null)),
        ("ReplayDelivery", case("POST", &replays[0], Value::Null, &replays[1], Value::Null)),
        ("DeleteHook", case("DELETE", &a, Value::Null, &b, Value::Null)),
    ]
}

async fn writes_of_people(rig: &Rig, owner: &Client) -> Vec<(&'static str, Case)> {
    let case = |method, target: &str, body: Value, other_target: &str, other_body: Value| {
        case(owner, method, (target, body), (other_target, other_body), &owner.gateway)
    };
    let (ada, bob) = (rig.join(owner, &json!({})).await, rig.join(owner, &json!({})).await);
    let invited = owner.post(USERS, &new_user(&json!({}))).await.expect(201);
    let invited = format!("{USERS}/{}", invited["id"].as_str().unwrap());
    let (resend, reset) = (format!("{invited}/invitation"), "second-factor/reset");
    let resets = [format!("{}/{reset}", ada.path()), format!("{}/{reset}", bob.path())];
    let elsewhere = format!("{}/invitation", ada.path());
    let mut cases = vec![
        ("CreateUser", case("POST", USERS, new_user(&json!({})), USERS, new_user(&json!({})))),
        (
            "UpdateUser",
            case("PATCH", &invited, json!({ "roles": ["hook:viewer"] }), &invited, json!({ "roles": [] })),
        ),
        ("ResendInvitation", case("POST", &resend, Value::Null, &elsewhere, Value::Null)),
    ];
    let own = bob.sign_in().await;
    let (doomed, kept) = (own_session(&bob.sign_in().await).await, own_session(&bob.sign_in().await).await);
    let code = bob.code();
    let change = |new: &str| json!({ "currentPassword": bob.password, "newPassword": new, "code": code });
    let (new, newer) = (new_password(), new_password());
    let session = |id: &str| format!("{SESSIONS}/{id}");
    let personal = |method, target: &str, body: Value, other_target: &str, other_body: Value| {
        self::case(&own, method, (target, body), (other_target, other_body), &owner.gateway)
    };
    cases.extend([
        (
            "UpdateProfile",
            personal("PATCH", ME, json!({ "firstName": "x" }), ME, json!({ "firstName": "y" })),
        ),
        ("EndSession", personal("DELETE", &session(&doomed), Value::Null, &session(&kept), Value::Null)),
        (
            "RenewSecondFactor",
            personal("POST", RENEWAL, json!({ "code": bob.code() }), RENEWAL, json!({ "code": bob.code() })),
        ),
        ("ChangePassword", personal("POST", PASSWORD, change(&new), PASSWORD, change(&newer))),
        ("ResetSecondFactor", case("POST", &resets[0], Value::Null, &resets[1], Value::Null)),
        ("DeleteUser", case("DELETE", &invited, Value::Null, &bob.path(), Value::Null)),
    ]);
    cases
}

/// The RPCs that change something for known callers, as the contract has them. Ending the session that asks is not among
/// them: nobody is left to ask twice.
fn public_writes() -> Vec<String> {
    let contract = Contract::load().unwrap();
    let known = contract.methods().filter(|m| matches!(m.access, Access::AnyOf(_) | Access::SignedIn));
    let writes = known.filter(|m| m.is_write() && m.name != "EndCurrentSession");
    let mut names: Vec<String> = writes.map(|m| m.name.clone()).collect();
    names.sort();
    names
}

/// A client gives up waiting and sends the write again under its key.
async fn row_1_a_client_that_gives_up_waiting_and_retries_makes_one_client(rig: &Rig) {
    let client = &rig.client();
    join_all([0, 2, 5, 10, 20, 40, 80].map(|patience_ms| async move {
        let (name, key) = (unique(), unique());
        let body = named(&name);
        let first = client.forge("POST", CLIENTS).json(&body).keyed(&key).sign();
        let waited = tokio::time::timeout(Duration::from_millis(patience_ms), first.try_send()).await;
        let made = client.keyed("POST", CLIENTS, &body, &key).await.expect(201);
        if let Ok(Ok(answer)) = waited {
            assert_eq!(answer.expect(201), made);
        }
        let again = client.keyed("POST", CLIENTS, &body, &key).await;
        assert!(replayed(&again));
        assert_eq!(again.expect(201)["id"], made["id"]);
        assert_eq!(count_named(client, &name).await, 1, "after {patience_ms} ms");
    }))
    .await;
}

/// Every write, twice: the same answer, the same ids, and no second effect.
async fn row_2_every_write_called_twice_gives_the_same_ids(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let cases = writes(rig, &owner).await;
    let mut covered: Vec<String> = cases.iter().map(|(rpc, _)| (*rpc).to_owned()).collect();
    covered.sort();
    assert_eq!(covered, public_writes(), "a write without a case here");
    for (rpc, case) in cases {
        let key = unique();
        let first = case.first(&key).await;
        assert!(matches!(first.status, 200 | 201) && !replayed(&first), "{rpc}: {}", first.text());
        for again in case.everywhere(rig, false, &key).await {
            assert!(replayed(&again), "{rpc}: {} {:?}", again.text(), again.headers);
            assert_eq!((again.status, again.json()), (first.status, first.json()), "{rpc}");
        }
        if rpc.ends_with("Client") || rpc.ends_with("User") || rpc == "RotateClientKey" {
            let id = first.json()["id"].as_str().unwrap().to_owned();
            let at = if rpc.ends_with("User") { USERS } else { CLIENTS };
            let now = owner.get(&format!("{at}/{id}")).await.expect(200);
            assert_eq!(now["rolesVersion"], first.json()["rolesVersion"], "{rpc} happened once");
        }
    }
}

async fn row_3_another_payload_under_a_used_key_is_refused(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    for (rpc, case) in writes(rig, &owner).await {
        let key = unique();
        let first = case.first(&key).await;
        assert!(matches!(first.status, 200 | 201), "{rpc}: {}", first.text());
        for other in case.everywhere(rig, true, &key).await {
            assert_eq!((other.status, other.code().as_str()), (422, "idempotency-key-reused"), "{rpc}");
        }
        // The first answer stays.
        for again in case.everywhere(rig, false, &key).await {
            assert_eq!((again.status, again.json()), (first.status, first.json()), "{rpc}");
        }
    }
}

/// Twenty first uses of one key at the same time, over all gateways.
async fn row_4_many_first_uses_of_one_key_at_once_have_one_effect(rig: &Rig) {
    let (name, key) = (unique(), unique());
    let body = named(&name);
    let gateways: Vec<Client> = rig.everywhere(&rig.main).collect();
    let clients: Vec<&Client> = gateways.iter().cycle().take(20).collect();
    let answers = join_all(clients.iter().map(|client| client.keyed("POST", CLIENTS, &body, &key))).await;
    let made: Vec<&Answer> = answers.iter().filter(|a| a.status == 201).collect();
    let first = made[0].json();
    for answer in &answers {
        if answer.status == 201 {
            assert_eq!(answer.json(), first);
        } else {
            answer.refused(409, "request-in-progress");
        }
    }
    assert!(made.iter().filter(|a| !replayed(a)).count() <= 1, "one was the first");
    assert_eq!(count_named(&rig.client(), &name).await, 1);
}

/// A refusal by the rules is remembered, even when the reason for it has gone.
async fn row_6_a_refusal_is_remembered_after_its_reason_is_gone(rig: &Rig) {
    let creds = rig.new_client(&[Role::ClientOperator]).await;
    let (operator, key, name) = (rig.as_client(&creds), unique(), unique());
    let mut body = named(&name);
    body["roles"] = json!(["ledger:viewer"]);
    operator.keyed("POST", CLIENTS, &body, &key).await.refused(403, "role-not-held");
    let at = format!("{CLIENTS}/{}", creds.id);
    rig.client().patch(&at, &json!({ "roles": ["client:operator", "ledger:viewer"] })).await.expect(200);
    for client in rig.everywhere(&creds) {
        let again = client.keyed("POST", CLIENTS, &body, &key).await;
        again.refused(403, "role-not-held");
        assert!(replayed(&again), "{:?}", again.headers);
    }
    assert_eq!(count_named(&rig.client(), &name).await, 0);
    eventually("the new role counts", || async {
        (operator.keyed("POST", CLIENTS, &body, &unique()).await.status == 201).then_some(())
    })
    .await;
    operator.keyed("POST", CLIENTS, &body, &key).await.refused(403, "role-not-held");
    assert_eq!(count_named(&rig.client(), &name).await, 1);
}

on_both_shapes!(
    row_1_a_client_that_gives_up_waiting_and_retries_makes_one_client,
    row_2_every_write_called_twice_gives_the_same_ids,
    row_3_another_payload_under_a_used_key_is_refused,
    row_4_many_first_uses_of_one_key_at_once_have_one_effect,
    row_6_a_refusal_is_remembered_after_its_reason_is_gone,
);
