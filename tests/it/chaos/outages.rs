//! What goes on, what is refused and what comes back by itself while a server or a service is away. Never is anybody let in
//! because somebody could not be asked.

use super::installation::Installation;
use super::trying::{attempt, within};
use beem_signing::KeyKind;
use beem_tests::creds::new_key;
use beem_tests::forge::unique;
use beem_tests::{Client, Creds};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const ME: &str = "/platform/v1/me";
const ROLES: &str = "/platform/v1/roles";
const CLIENTS: &str = "/platform/v1/clients";

/// How long a gateway may go by what it verified itself, and a little for a slow machine.
const COPY_LIFE: Duration = Duration::from_millis(700);
const RECOVERS: Duration = Duration::from_secs(30);

fn new_client() -> Value {
    json!({ "name": unique(), "publicKey": new_key(KeyKind::Ed25519).public().pem() })
}

/// Reads and writes work at every gateway.
async fn serves(installation: &Installation, creds: &Creds) {
    for client in installation.everywhere(creds) {
        client.get(ME).await.expect(200);
        client.get(ROLES).await.expect(200);
        client.get(CLIENTS).await.expect(200);
        client.post(CLIENTS, &new_client()).await.expect(201);
    }
}

/// Reads and writes work again at every gateway, without anybody's help.
async fn recovers(installation: &Installation, creds: &Creds) {
    for client in installation.everywhere(creds) {
        within(RECOVERS, "it recovers by itself", || async {
            let read = client.get(CLIENTS).await.status;
            (read == 200 && client.post(CLIENTS, &new_client()).await.status == 201).then_some(())
        })
        .await;
    }
    serves(installation, creds).await;
}

/// Asks until three were refused: each request begun later than a copy may live has to get 503 `unavailable`. An earlier
/// one may be answered as before, or be let in and wait until its deadline for a service that waits for authz itself.
async fn refused_as_unavailable(client: &Client, method: &str, target: &str, before: u16, since: Instant) {
    let mut refused = 0;
    while refused < 3 {
        let began = Instant::now();
        let forge = client.forge(method, target);
        let forge = if method == "POST" { forge.json(&new_client()) } else { forge };
        let answer = attempt(&forge.sign()).await.unwrap();
        let early = began - since < COPY_LIFE && method != "POST";
        if early && (answer.status == before || answer.code() == "deadline") {
            continue;
        }
        answer.refused(503, "unavailable");
        refused += 1;
    }
}

#[tokio::test]
async fn redis_stopped_still_serves() {
    let mut installation = Installation::start(&[]);
    let creds = installation.main.clone();
    serves(&installation, &creds).await;
    for hangs in [false, true] {
        if hangs {
            installation.redis.pause()
        } else {
            installation.redis.kill()
        }
        serves(&installation, &creds).await;
        // Nobody remembers used signatures now; a captured write has no second effect all the same.
        let forge = installation.client().forge("POST", CLIENTS).json(&new_client());
        let captured = forge.with(|f| f.nonce = None).sign();
        let made = captured.send().await.expect(201);
        let again = captured.send().await;
        assert_eq!(again.expect(201), made);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        // What is taken away is away for everyone once the copies lapse.
        let victim = installation.client().new_client(&json!({ "roles": ["client:viewer"] })).await;
        for client in installation.everywhere(&victim) {
            client.get(CLIENTS).await.expect(200);
        }
        let at = format!("{CLIENTS}/{}", victim.id);
        installation.client().patch(&at, &json!({ "roles": [] })).await.expect(200);
        for client in installation.everywhere(&victim) {
            within(Duration::from_secs(11), "refused", || async {
                (client.get(CLIENTS).await.code() == "role-missing").then_some(())
            })
            .await;
        }
        if hangs {
            installation.redis.resume()
        } else {
            installation.redis.start_again().unwrap()
        }
        recovers(&installation, &creds).await;
    }
    installation.all_run();
}

#[tokio::test]
async fn redis_and_authz_stopped_refuses_and_recovers() {
    let mut installation = Installation::start(&[]);
    let creds = installation.main.clone();
    serves(&installation, &creds).await;
    for hangs in [false, true] {
        let authz = installation.cluster.process("authz").unwrap();
        if hangs {
            authz.signal("STOP");
            installation.redis.pause();
        } else {
            authz.kill();
            installation.redis.kill();
        }
        let since = Instant::now();
        let clients = installation.everywhere(&creds);
        futures::future::join_all(clients.iter().flat_map(|client| {
            [("GET", ME, 200), ("GET", CLIENTS, 200), ("POST", CLIENTS, 201)]
                .map(|(method, target, before)| refused_as_unavailable(client, method, target, before, since))
        }))
        .await;
        if hangs {
            installation.redis.resume();
            installation.cluster.process("authz").unwrap().signal("CONT");
        } else {
            installation.redis.start_again().unwrap();
            installation.cluster.start_again("authz").unwrap();
        }
        recovers(&installation, &creds).await;
    }
    installation.all_run();
}

#[tokio::test]
async fn authz_stopped_serves_until_the_entries_end() {
    let mut installation = Installation::start(&[("BEEM__AUTHZ__ENTRY_LIFE_S", "3")]);
    let creds = installation.main.clone();
    serves(&installation, &creds).await;
    installation.cluster.kill("authz").unwrap();
    let since = Instant::now();
    let clients = installation.everywhere(&creds);
    let reads = clients.iter().map(|client| async move {
        let began = Instant::now();
        // The entry in Redis was issued when authz was last asked, before `since`.
        while began.elapsed() < Duration::from_secs(6) {
            let asked = since.elapsed();
            // Identity itself asks authz for neither of these.
            let answer = attempt(&client.forge("GET", "/platform/v1/account").sign()).await.unwrap();
            match answer.status {
                200 => assert!(asked < Duration::from_millis(3_200), "let in {asked:?} after authz ended"),
                _ => {
                    answer.refused(503, "unavailable");
                }
            }
        }
    });
    futures::future::join_all(reads).await;
    // What must be judged afresh is refused at once, whatever Redis says.
    clients[1].post(CLIENTS, &new_client()).await.refused(503, "unavailable");
    installation.cluster.start_again("authz").unwrap();
    recovers(&installation, &creds).await;
    installation.all_run();
}

#[tokio::test]
async fn identity_stopped_answers_what_it_can() {
    let mut installation = Installation::start(&[]);
    let creds = installation.main.clone();
    serves(&installation, &creds).await;
    let unseen = installation.client().new_client(&json!({})).await;
    installation.cluster.kill("identity").unwrap();
    let clients = installation.everywhere(&creds);
    let asked = clients.iter().map(|client| async move {
        client.get(ROLES).await.expect(200);
        client.get(ME).await.refused(503, "unavailable");
        client.post(CLIENTS, &new_client()).await.refused(503, "unavailable");
    });
    futures::future::join_all(asked).await;
    // Nobody can tell who this is: that is no proof that there is no such client.
    for client in installation.everywhere(&unseen) {
        client.get(ROLES).await.refused(503, "unavailable");
    }
    installation.cluster.start_again("identity").unwrap();
    recovers(&installation, &creds).await;
    for client in installation.everywhere(&unseen) {
        client.get(ROLES).await.expect(200);
    }
    installation.all_run();
}

#[tokio::test]
async fn postgres_killed_refuses_and_recovers() {
    let mut installation = Installation::start(&[]);
    let creds = installation.main.clone();
    serves(&installation, &creds).await;
    installation.postgres.kill();
    let clients = installation.everywhere(&creds);
    let asked = clients.iter().map(|client| async move {
        client.get(CLIENTS).await.refused(503, "unavailable");
        client.post(CLIENTS, &new_client()).await.refused(503, "unavailable");
    });
    futures::future::join_all(asked).await;
    installation.all_run();
    installation.postgres.start_again().unwrap();
    recovers(&installation, &creds).await;
    installation.all_run();
}
