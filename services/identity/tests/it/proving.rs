//! Who is signed in proves who they are once more: wrong proofs wait for nobody and are told, and an older change of the
//! password does not undo a newer one.

use crate::clients::mask;
use crate::on_both;
use crate::passwords::{NEW, asked_and_mailed, change, mails, renew, reset};
use crate::people::{HOME, PASSWORD, active, credential, update_user, wrong_code};
use crate::rig::{Reached, Rig};
use beem_events::audit::unpushed;
use beem_proto::identity::v1 as wire;
use std::time::Duration;

on_both!(
    wrong_proofs_are_told_in_the_trail,
    wrong_proofs_do_not_wait_for_changes_of_the_user,
    an_older_change_does_not_undo_a_newer_reset,
);

async fn wrong_proofs_are_told_in_the_trail(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (actor, _) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    let (code, wrong) = (person.code(&rig), wrong_code(&rig, &person.totp));
    change(&rig, &actor, "1", ("a wrong password", NEW, &code)).await.unwrap_err();
    change(&rig, &actor, "2", (PASSWORD, NEW, &wrong)).await.unwrap_err();
    change(&rig, &actor, "3", (PASSWORD, "1234567890", &code)).await.unwrap_err();
    renew(&rig, &actor, "4", &wrong).await.unwrap_err();
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let failed: Vec<_> = rows.iter().filter(|r| r.row.outcome == "credentials-invalid").collect();
    let mut told: Vec<_> = failed.iter().map(|r| r.row.action.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["ChangePassword", "ChangePassword", "RenewSecondFactor"]);
    for row in &failed {
        assert_eq!(
            (&row.row.target_id, &row.row.actor["principalId"]),
            (&person.id, &person.id.clone().into())
        );
        assert_eq!(row.row.address, HOME);
    }
    change(&rig, &actor, "5", (PASSWORD, NEW, &code)).await.unwrap();
}

async fn wrong_proofs_do_not_wait_for_changes_of_the_user(rig: Rig) {
    rig.run_tasks();
    let person = active(&rig, "a", "a@example.com").await;
    let (actor, _) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    let patch = wire::UpdateUserRequest {
        network_whitelist: vec!["203.0.113.0/24".into()],
        present: mask(&["network_whitelist"]),
        ..wire::UpdateUserRequest::default()
    };
    rig.gate.hang_at(0, Reached::No);
    let mut changing = Box::pin(update_user(&rig, "n", &person, patch));
    tokio::select! {
        () = &mut changing => panic!("authz was not asked"),
        () = rig.gate.hanging() => {}
    }
    rig.gate.open();
    let code = person.code(&rig);
    let wrong = change(&rig, &actor, "w", ("a wrong password", NEW, &code));
    let wrong = tokio::time::timeout(Duration::from_secs(4), wrong).await.unwrap();
    assert_eq!(wrong.unwrap_err().code(), "credentials-invalid");
    let counted = async || rig.count("attempts WHERE failures > 1").await;
    let right = change(&rig, &actor, "r", (PASSWORD, NEW, &code)).await.unwrap_err();
    assert_eq!((right.code(), counted().await), ("request-in-progress", 0), "it was no wrong one");
    drop(changing);
    rig.sagas_ended().await;
    change(&rig, &actor, "r", (PASSWORD, NEW, &person.code(&rig))).await.unwrap();
}

async fn an_older_change_does_not_undo_a_newer_reset(rig: Rig) {
    rig.run_tasks();
    let mut person = active(&rig, "a", "a@example.com").await;
    let (actor, _) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    let token = asked_and_mailed(&rig, &person).await;
    rig.gate.hang_at(0, Reached::Yes);
    let code = person.code(&rig);
    let asked = (PASSWORD, "of whoever was in", code.as_str());
    let mut older = Box::pin(change(&rig, &actor, "c", asked));
    tokio::select! {
        ended = &mut older => panic!("authz was not asked: {ended:?}"),
        () = rig.gate.hanging() => {}
    }
    rig.gate.open();
    rig.clock.advance_ms(10_000);
    reset(&rig, HOME, &token, NEW, &person.recovery[0]).await.unwrap();
    drop(older);
    rig.sagas_ended().await;
    let again = change(&rig, &actor, "c", asked).await.unwrap_err();
    assert_eq!((again.code(), again.replayed), ("changed-concurrently", true));
    assert_eq!(mails(&rig, "password-changed").await, 1, "the reset's");
    assert_eq!(person.sign_in(&rig, HOME).await.unwrap_err().code(), "credentials-invalid");
    person.password = NEW.into();
    let (actor, token) = person.entered(&rig).await;
    let version = credential(&rig, &token).await.unwrap().version;
    assert_eq!(version, rig.credential_version(&person.account, &person.id).await);
    // The user is free for the next one.
    rig.clock.advance_ms(30_000);
    change(&rig, &actor, "d", (NEW, "the next password", &person.code(&rig))).await.unwrap();
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let of = |outcome: &str| {
        rows.iter().filter(|r| r.row.action == "ChangePassword" && r.row.outcome == outcome).count()
    };
    assert_eq!((of("changed-concurrently"), of("done")), (1, 1));
}
