//! `beem admin rotate-sealing-key`: everything is sealed anew while people go on signing in, and opens after a restart.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_clock::Entropy;
use beem_tests::forge::unique;
use beem_tests::people::{ME, RENEWAL, USERS, new_user};
use beem_tests::{Caller as _, Person, Rig};
use serde_json::{Value, json};

#[tokio::test]
async fn embedded_another_sealing_key_locks_nobody_out() {
    let mut rig = Rig::start_embedded(&[]);
    let owner = rig.client();
    let [ada, bob, eve] = [
        rig.join(&owner, &Value::Null).await,
        rig.join(&owner, &Value::Null).await,
        rig.join(&owner, &Value::Null).await,
    ];
    let session = ada.sign_in().await;
    let (key, body) = (unique(), json!({ "code": ada.code() }));
    let renewal = session.wire("POST", RENEWAL, &body, Some(&key)).send().await.expect(200);
    let waiting = owner.post(USERS, &new_user(&json!({}))).await.expect(201);
    let output = rig.beem(&["admin", "rotate-sealing-key"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (person, restarted) in [(bob, false), (eve, true)] {
        if restarted {
            assert!(rig.embedded_mut().process.stop().unwrap().success());
            rig.embedded_mut().start_again().unwrap();
        }
        session.get(ME).await.expect(200);
        // By a TOTP code, which needs the sealed key; recovery codes are hashes.
        let code = person.code();
        assert_eq!(code.len(), 6);
        person.pass(&person.challenge().await, &code).await.expect(200);
        // A secret answer that was stored sealed.
        let again = session.wire("POST", RENEWAL, &body, Some(&key)).send().await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.expect(200), renewal);
    }
    let email = waiting["email"].as_str().unwrap();
    Person::activate(&rig.visitor(), email, &rig.mailbox.token(email, 1).await).await;
}

/// Identity's settings, with these sealing keys; it starts again by them.
fn keys(rig: &mut Rig, change: impl FnOnce(&mut Vec<toml::Value>)) {
    let path = rig.cluster_folder().join("identity.toml");
    let mut settings: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    change(settings["sealing"]["keys"].as_array_mut().unwrap());
    std::fs::write(&path, settings.to_string()).unwrap();
    rig.cluster_mut().stop("identity").unwrap();
    rig.cluster_mut().start_again("identity").unwrap();
}

#[tokio::test]
async fn clustered_secrets_are_sealed_anew_under_the_first_key() {
    let mut rig = Rig::start_clustered(&[]);
    let owner = rig.client();
    let [ada, bob] = [rig.join(&owner, &Value::Null).await, rig.join(&owner, &Value::Null).await];
    let session = ada.sign_in().await;
    let new = STANDARD.encode(Entropy::System.bytes::<32>());
    keys(&mut rig, |keys| keys.insert(0, new.into()));
    let output = rig.beem(&["admin", "rotate-sealing-key"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The old key goes; what it had sealed opens with the new one.
    keys(&mut rig, |keys| keys.truncate(1));
    session.get(ME).await.expect(200);
    let code = bob.code();
    assert_eq!(code.len(), 6);
    bob.pass(&bob.challenge().await, &code).await.expect(200);
}
