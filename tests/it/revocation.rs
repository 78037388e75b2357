//! What is taken away is gone: at every gateway within a second of the answer that says so, and at once for what must be
//! judged afresh. What is given works as soon as it is given.

mod cache;
mod sessions;

use beem_roles::Role;
use beem_signing::KeyKind;
use beem_tests::creds::new_key;
use beem_tests::forge::{now_s, unique};
use beem_tests::{Caller, Client, Creds, Rig, ask, eventually, on_both_shapes};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub const CLIENTS: &str = "/platform/v1/clients";
const ME: &str = "/platform/v1/me";
/// The promise: 3.2 of the contract.
const WITHIN: Duration = Duration::from_secs(1);
/// For so long after that nobody is let in again.
const STAYS: Duration = Duration::from_millis(700);
const LOOK: Duration = Duration::from_millis(20);

/// Sends one request after the other at each gateway: whatever begins a second after `since` is refused, and whoever was
/// refused once is refused from then on.
pub async fn refused_within_a_second(
    callers: &[impl Caller],
    target: &str,
    since: Instant,
    refusals: &[(u16, &str)],
) {
    let each = callers.iter().map(|caller| async move {
        let mut refused = false;
        while since.elapsed() < WITHIN + STAYS || !refused {
            let began = since.elapsed();
            let answer = ask(caller, "GET", target, &Value::Null).await;
            if answer.status == 200 {
                assert!(began < WITHIN, "{caller:?}: still let in {began:?} after");
                assert!(!refused, "{caller:?}: let in again");
            } else {
                let code = answer.code();
                assert!(refusals.contains(&(answer.status, code.as_str())), "{}", answer.text());
                refused = true;
            }
            sleep(LOOK).await;
        }
    });
    join_all(each).await;
}

fn new_client() -> Value {
    json!({ "name": unique(), "publicKey": new_key(KeyKind::Ed25519).public().pem() })
}

/// Ways to take everything away from a client, and how it is refused from then on.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Roles,
    Enabled,
    Key,
    Network,
    Existence,
}

const LOSSES: [Loss; 5] = [Loss::Roles, Loss::Enabled, Loss::Key, Loss::Network, Loss::Existence];

impl Loss {
    async fn inflict(self, main: &Client, id: &str) {
        let at = format!("{CLIENTS}/{id}");
        let answer = match self {
            Self::Roles => main.patch(&at, &json!({ "roles": [] })).await,
            Self::Enabled => main.patch(&at, &json!({ "enabled": false })).await,
            Self::Key => {
                let key = new_key(KeyKind::Ed25519).public().pem();
                main.post(&format!("{at}/rotate"), &json!({ "publicKey": key, "retireOldAfter": 0 })).await
            }
            Self::Network => main.patch(&at, &json!({ "networkWhitelist": ["10.0.0.0/8"] })).await,
            Self::Existence => main.delete(&at).await,
        };
        answer.expect(200);
    }

    fn refusal(self) -> (u16, &'static str) {
        match self {
            Self::Roles => (403, "role-missing"),
            Self::Enabled => (403, "principal-disabled"),
            Self::Key => (401, "signature-invalid"),
            Self::Network => (403, "network-not-allowed"),
            Self::Existence => (401, "client-unknown"),
        }
    }
}

/// An operator of clients whom every gateway knows and lets in.
async fn known_operator(rig: &Rig) -> Creds {
    let creds = rig.new_client(&[Role::ClientOperator]).await;
    for client in rig.everywhere(&creds) {
        client.get(CLIENTS).await.expect(200);
        client.post(CLIENTS, &new_client()).await.expect(201);
    }
    creds
}

async fn what_is_taken_away_is_refused_everywhere_within_a_second(rig: &Rig) {
    join_all(LOSSES.map(|loss| async move {
        let creds = known_operator(rig).await;
        let clients: Vec<Client> = rig.everywhere(&creds).collect();
        loss.inflict(&rig.client(), &creds.id).await;
        let (status, code) = loss.refusal();
        refused_within_a_second(&clients, CLIENTS, Instant::now(), &[(status, code)]).await;
    }))
    .await;
}

/// Creating a client is judged afresh: the first request after the answer is refused, at every gateway.
async fn what_is_judged_afresh_is_refused_at_once(rig: &Rig) {
    for loss in LOSSES {
        let creds = known_operator(rig).await;
        let clients: Vec<Client> = rig.everywhere(&creds).collect();
        loss.inflict(&rig.client(), &creds.id).await;
        let (status, code) = loss.refusal();
        let body = new_client();
        let answers = join_all(clients.iter().map(|client| client.post(CLIENTS, &body))).await;
        for answer in answers {
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (status, code),
                "{loss:?}: {}",
                answer.text()
            );
        }
    }
}

async fn a_new_key_works_at_once_and_the_old_one_no_longer(rig: &Rig) {
    let old = known_operator(rig).await;
    let new = old.with_key(&new_key(KeyKind::EcdsaP256));
    let at = format!("{CLIENTS}/{}/rotate", old.id);
    rig.client().post(&at, &json!({ "publicKey": new.key.public().pem() })).await.expect(200);
    let since = Instant::now();
    for client in rig.everywhere(&new) {
        client.get(CLIENTS).await.expect(200);
        client.post(CLIENTS, &new_client()).await.expect(201);
    }
    let clients: Vec<Client> = rig.everywhere(&old).collect();
    refused_within_a_second(&clients, CLIENTS, since, &[(401, "signature-invalid")]).await;
}

/// Both keys are accepted during the overlap, whose end the answer tells; from then on the new one alone is.
async fn an_overlap_ends_when_it_says(rig: &Rig) {
    const OVERLAP_S: i64 = 3;
    let old = known_operator(rig).await;
    let new = old.with_key(&new_key(KeyKind::Ed25519));
    let at = format!("{CLIENTS}/{}/rotate", old.id);
    let body = json!({ "publicKey": new.key.public().pem(), "retireOldAfter": OVERLAP_S });
    let asked_s = now_s();
    let rotated = rig.client().post(&at, &body).await.expect(200);
    let answered_s = now_s();
    assert!(rotated["retiringKey"]["notAfter"].is_string(), "{rotated}");
    for creds in [&old, &new] {
        for client in rig.everywhere(creds) {
            client.post(CLIENTS, &new_client()).await.expect(201);
        }
    }
    join_all(rig.everywhere(&old).map(|client| async move {
        loop {
            let began_s = now_s();
            let answer = client.get(CLIENTS).await;
            if answer.status == 200 {
                assert!(began_s <= answered_s + OVERLAP_S, "let in after the overlap");
            } else {
                answer.refused(401, "signature-invalid");
                assert!(now_s() >= asked_s + OVERLAP_S, "refused during the overlap");
                return;
            }
            sleep(LOOK).await;
        }
    }))
    .await;
    for client in rig.everywhere(&new) {
        client.get(CLIENTS).await.expect(200);
    }
}

async fn what_is_given_back_works_again(rig: &Rig) {
    for (taken, given) in [
        (json!({ "roles": [] }), json!({ "roles": ["client:operator"] })),
        (json!({ "enabled": false }), json!({ "enabled": true })),
        (json!({ "networkWhitelist": ["10.0.0.0/8"] }), json!({ "networkWhitelist": ["127.0.0.0/8"] })),
    ] {
        let creds = known_operator(rig).await;
        let at = format!("{CLIENTS}/{}", creds.id);
        rig.client().patch(&at, &taken).await.expect(200);
        for client in rig.everywhere(&creds) {
            eventually("refused", || async { (client.get(CLIENTS).await.status == 403).then_some(()) }).await;
        }
        let back = rig.client().patch(&at, &given).await.expect(200);
        for client in rig.everywhere(&creds) {
            // Judged afresh: at once.
            let answer = client.post(CLIENTS, &new_client()).await;
            answer.expect(201);
            eventually("let in again", || async { (client.get(CLIENTS).await.status == 200).then_some(()) })
                .await;
            assert_eq!(client.get(ME).await.expect(200)["rolesVersion"], back["rolesVersion"]);
        }
    }
}

on_both_shapes!(
    what_is_taken_away_is_refused_everywhere_within_a_second,
    what_is_judged_afresh_is_refused_at_once,
    a_new_key_works_at_once_and_the_old_one_no_longer,
    an_overlap_ends_when_it_says,
    what_is_given_back_works_again,
);
