//! No password, token, second factor or code is written anywhere in clear: not in logs, not in databases, not in the trail.

use beem_tests::people::{
    ACTIVATIONS, CONFIRM_RESET, Factor, PASSWORD, RENEWAL, RESETS, USERS, begin, new_password, new_user,
};
use beem_tests::rig::Shape;
use beem_tests::{Client, Person, Rig, eventually, on_both_peoples_shapes, trail};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use std::path::Path;

/// Everything secret in the life of one person, who does all that people do.
async fn a_life(rig: &Rig, owner: &Client) -> Vec<String> {
    let made = owner.post(USERS, &new_user(&json!({}))).await.expect(201);
    let email = made["email"].as_str().unwrap();
    let invitation = rig.mailbox.token(email, 1).await;
    let begun = new_password();
    let unused = begin(&rig.visitor(), &invitation, &begun).await;
    let weak = "password1234".to_owned();
    rig.visitor()
        .post(ACTIVATIONS, &json!({ "token": invitation, "password": weak }))
        .await
        .refused(400, "validation-failed");
    let person = Person::activate(&rig.visitor(), email, &invitation).await;
    let mut secrets = vec![invitation, begun, unused.secret, person.password.clone(), person.factor().secret];
    secrets.extend(person.factor().recovery);
    let challenge = person.challenge().await;
    person.pass(&challenge, &person.recovery_code()).await.expect(200);
    secrets.push(challenge);
    let session = person.sign_in().await;
    let newer = new_password();
    let body =
        json!({ "currentPassword": person.password, "newPassword": newer, "code": person.recovery_code() });
    session.post(PASSWORD, &body).await.expect(200);
    let renewal = session.post(RENEWAL, &json!({ "code": person.recovery_code() })).await.expect(200);
    let token = renewal["token"].as_str().unwrap().to_owned();
    let mut factor = Factor::of(&renewal);
    factor.confirm(&person.visitor, &token).await.expect(200);
    secrets.extend([newer, token, factor.secret.clone(), session.token.clone()]);
    secrets.extend(factor.recovery.clone());
    rig.visitor().post(RESETS, &json!({ "email": email })).await.expect(200);
    let reset = eventually("a link to another password", || async {
        let letters = rig.mailbox.to(email);
        letters.iter().find(|l| l.text.contains("/reset?token=")).map(|l| l.token())
    })
    .await;
    let last = new_password();
    let body = json!({ "token": reset, "password": last, "code": factor.recovery.pop().unwrap() });
    rig.visitor().post(CONFIRM_RESET, &body).await.expect(200);
    secrets.extend([reset, last]);
    let resent = owner.post(&format!("{}/second-factor/reset", person.path()), &Value::Null).await;
    resent.expect(200);
    secrets
}

/// In clear, in hexadecimal, or as its hash without a salt where a guess could be proven by it.
fn finds(text: &[u8], secret: &str) -> bool {
    let has = |wanted: &[u8]| text.windows(wanted.len()).any(|window| window == wanted);
    has(secret.as_bytes()) || has(hex::encode(secret).as_bytes())
}

async fn nothing_secret_is_written_down(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let secrets = a_life(rig, &owner).await;
    assert!(secrets.len() > 25 && secrets.iter().all(|s| s.len() >= 12), "{secrets:?}");
    let rows = trail(&owner, "").await;
    assert!(rows.len() > 5);
    let mut places = vec![("the trail".to_owned(), json!(rows).to_string().into_bytes())];
    for log in std::fs::read_dir(rig.logs()).unwrap().map(|e| e.unwrap().path()) {
        if log.extension().is_some_and(|e| e == "log") {
            places.push((log.display().to_string(), std::fs::read(&log).unwrap()));
        }
    }
    assert!(places.len() > 1, "there are logs");
    match &rig.shape {
        Shape::Embedded(embedded) => places.extend(files(&embedded.data_dir())),
        Shape::Clustered(cluster) => {
            for service in ["identity", "authz", "hooks"] {
                places.push((service.to_owned(), everything(cluster.database(service).unwrap()).await));
            }
        }
    }
    let mut found = Vec::new();
    for (place, text) in &places {
        let here = secrets.iter().enumerate().filter(|(_, s)| finds(text, s));
        found.extend(here.map(|(n, secret)| format!("secret {n} {secret} in {place}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The databases and their journals.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let all = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let databases = all.filter(|f| f.to_string_lossy().contains(".sqlite"));
    let read: Vec<_> = databases.map(|f| (f.display().to_string(), std::fs::read(&f).unwrap())).collect();
    assert!(read.len() >= 2);
    read
}

/// Every row of every table, as text.
async fn everything(url: &str) -> Vec<u8> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    let mut all = Vec::new();
    for table in tables {
        let query = format!("SELECT t::text FROM \"{table}\" t");
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
        all.extend(rows.join("\n").into_bytes());
    }
    assert!(all.len() > 1_000);
    all
}

on_both_peoples_shapes!(nothing_secret_is_written_down);
