//! What a refused write leaves behind: a row in the audit trail where there is something to tell, and nothing else.

use crate::clients::{create, delete, enabled, get, mask, named, strings, update};
use crate::keys::rotate;
use crate::on_both;
use crate::rig::{Answer, Rig};
use beem_caller::Actor;
use beem_events::audit::unpushed;
use beem_fault::Code;
use beem_proto::identity::v1 as wire;
use beem_roles::RoleSet;
use beem_signing::{KeyKind, PrivateKey};
use std::time::Duration;
use tokio::time::Instant;

on_both!(
    a_private_key_pasted_by_mistake_is_kept_nowhere,
    a_request_larger_than_64_kib_has_no_claim,
    missing_roles_are_told_before_there_is_a_claim,
    what_authz_refuses_for_good_ends_the_saga,
    a_client_without_a_standing_holds_nothing_up,
    whatever_is_past_its_time_goes_in_one_round,
);

const NOTHING_KEPT: &str =
    "claims WHERE payload IS NOT NULL OR actor IS NOT NULL OR ids IS NOT NULL OR state = 'RUNNING'";

async fn a_private_key_pasted_by_mistake_is_kept_nowhere(rig: Rig) {
    let owner = rig.owner("a").await;
    let client = create(&rig, &owner, "c", &named(&rig, "c", &[])).await.unwrap().body;
    let secret = PrivateKey::generate(KeyKind::Ed25519, &rig.entropy).unwrap().to_pkcs8_pem().unwrap();
    let line = secret.lines().nth(1).unwrap();
    let claims = rig.count("claims").await;
    let asked = wire::CreateClientRequest { public_key: secret.to_string(), ..named(&rig, "c", &[]) };
    let account = wire::CreateAccountRequest {
        client_public_key: secret.to_string(),
        ..rig.new_account("with-a-secret")
    };
    for _ in 0..2 {
        let refused = [
            create(&rig, &owner, "s1", &asked).await.unwrap_err(),
            rotate(&rig, &owner, "s2", &client.id, &secret, None).await.unwrap_err(),
            rig.create_account(&account).await.unwrap_err(),
        ];
        for (refusal, field) in refused.iter().zip(["publicKey", "publicKey", "clientPublicKey"]) {
            assert_eq!((refusal.fields(), refusal.replayed), (vec![field], false));
            assert!(!format!("{:?}", refusal.fault).contains(line));
        }
    }
    assert_eq!(rig.count("claims").await, claims, "none of them has a claim");
    let stored = rig.stored();
    assert!(!stored.windows(line.len()).any(|bytes| bytes == line.as_bytes()));
    // The key was not used up.
    create(&rig, &owner, "s1", &named(&rig, "c", &[])).await.unwrap();
    assert_eq!(rig.count(NOTHING_KEPT).await, 0, "of what has ended only the answer is kept");
}

async fn a_request_larger_than_64_kib_has_no_claim(rig: Rig) {
    let owner = rig.owner("a").await;
    let claims = rig.count("claims").await;
    let padded = |bytes| wire::CreateClientRequest { name: "x".repeat(bytes), ..named(&rig, "", &[]) };
    assert_eq!(create(&rig, &owner, "k", &padded(60 * 1024)).await.unwrap_err().fields(), ["name"]);
    let large = create(&rig, &owner, "k", &padded(64 * 1024)).await.unwrap_err();
    assert_eq!(large.fault.code, Code::BodyTooLarge);
    let account = wire::CreateAccountRequest { name: "x".repeat(64 * 1024), ..rig.new_account("k") };
    assert_eq!(rig.create_account(&account).await.unwrap_err().fault.code, Code::BodyTooLarge);
    assert_eq!(rig.count("claims").await, claims);
}

async fn missing_roles_are_told_before_there_is_a_claim(rig: Rig) {
    let owner = rig.owner("a").await;
    let nobody = Actor { roles: RoleSet::EMPTY, ..owner.clone() };
    let asked = wire::UpdateAccountRequest {
        name: "Renamed".into(),
        present: mask(&["name"]),
        ..wire::UpdateAccountRequest::default()
    };
    let path = "/beem.identity.v1.Accounts/UpdateAccount";
    let claims = rig.count("claims").await;
    let refusal = rig.call::<_, wire::Account>(&nobody, "k", path, asked.clone()).await.unwrap_err();
    assert_eq!((refusal.code(), rig.count("claims").await), ("role-missing", claims));
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let told = rows.iter().filter(|r| r.row.action == "UpdateAccount" && r.row.outcome == "role-missing");
    assert_eq!(told.count(), 1, "it is in the trail all the same");
    let made: Answer<wire::Account> = rig.call(&owner, "k", path, asked).await.unwrap();
    assert_eq!(made.body.name, "Renamed");
}

async fn what_authz_refuses_for_good_ends_the_saga(rig: Rig) {
    let owner = rig.owner("a").await;
    let client = create(&rig, &owner, "c", &named(&rig, "c", &["hook:viewer"])).await.unwrap().body;
    let grown = wire::UpdateClientRequest {
        id: client.id.clone(),
        roles: strings(&["hook:viewer", "hook:operator"]),
        present: mask(&["roles"]),
        ..wire::UpdateClientRequest::default()
    };
    for code in [Code::LastOperator, Code::NotFound] {
        for call in ["PrepareChange", "CommitChange"] {
            let key = format!("{code} {call}");
            rig.gate.refuse(call, code);
            for replayed in [false, true] {
                let refusal = update(&rig, &owner, &key, &grown).await.unwrap_err();
                assert_eq!((refusal.fault.code, refusal.replayed), (code, replayed), "{call}");
                rig.gate.open();
            }
            assert_eq!(rig.count(NOTHING_KEPT).await + rig.count("saga_steps").await, 0);
            assert_eq!(rig.count("clients WHERE changing IS NOT NULL").await, 0, "it is given back");
            update(&rig, &owner, &format!("next {key}"), &enabled(&client.id, true)).await.unwrap();
        }
    }
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    for code in [Code::LastOperator, Code::NotFound] {
        assert_eq!(rows.iter().filter(|r| r.row.outcome == code.as_str()).count(), 2, "one row a change");
    }
}

async fn a_client_without_a_standing_holds_nothing_up(rig: Rig) {
    let owner = rig.owner("a").await;
    let client = create(&rig, &owner, "c", &named(&rig, "c", &[])).await.unwrap().body;
    rig.gate.refuse("BatchGetStandings", Code::NotFound);
    assert_eq!(delete(&rig, &owner, "d", &client.id).await.unwrap_err().code(), "not-found");
    assert_eq!(get(&rig, &owner, &client.id).await.unwrap_err().code(), "not-found");
    rig.gate.open();
    assert_eq!(rig.count("clients WHERE changing IS NOT NULL").await, 0);
    assert!(delete(&rig, &owner, "d", &client.id).await.unwrap_err().replayed);
    delete(&rig, &owner, "d2", &client.id).await.unwrap();
}

async fn whatever_is_past_its_time_goes_in_one_round(rig: Rig) {
    let owner = rig.owner("a").await;
    create(&rig, &owner, "c", &named(&rig, "c", &[])).await.unwrap();
    let copies =
        "INSERT INTO claims (principal, rpc, key, fingerprint, state, outcome, created_ms, expires_ms,
            attempts, lease_until_ms)
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1700)
        SELECT principal, rpc, 'copy ' || i, fingerprint, state, outcome, created_ms, expires_ms, 1, 0
        FROM claims, n WHERE key = 'c'";
    let copied = rig.identity.db.write(|tx| Box::pin(beem_database::Sql::run(tx, copies, vec![])));
    assert_eq!(copied.await.unwrap(), 1700);
    rig.clock.advance_ms(25 * 60 * 60 * 1000);
    rig.run_tasks();
    // Rounds are a minute apart.
    let give_up = Instant::now() + Duration::from_secs(20);
    while rig.count("claims").await > 0 {
        assert!(Instant::now() < give_up, "{} are left", rig.count("claims").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
