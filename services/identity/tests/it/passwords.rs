//! Passwords forgotten and changed, second factors renewed: each with what one has, once, and with all sessions but one's own
//! ended.

use crate::clients::mask;
use crate::on_both;
use crate::people::{
    CONFIRM_RESET, ELSEWHERE, HOME, PASSWORD, Person, REQUEST_RESET, active, colleague, confirm, credential,
    enable, known_token, sign_in, totp, update_user, wrong_code,
};
use crate::rig::{Answer, Reached, Refusal, Rig};
use beem_caller::Actor;
use beem_events::audit::unpushed;
use beem_proto::identity::v1 as wire;
use std::time::Duration;

on_both!(
    a_forgotten_password_is_set_anew_and_ends_all_sessions,
    asking_for_a_reset_tells_nothing_and_mails_three_an_hour,
    a_reset_needs_the_second_factor_and_its_hour,
    a_reset_lets_a_victim_in_from_where_it_was_done,
    a_password_is_changed_with_itself_and_a_code,
    changing_a_password_slows_guessing_down,
    a_password_change_cut_off_is_gone_on_with,
    a_second_factor_is_renewed_by_its_owner,
    a_renewal_ends_with_the_session_that_asked,
    a_reset_cut_off_after_authz_is_done_again,
    no_secret_is_left_anywhere,
);

const CHANGE: &str = "/beem.identity.v1.Sessions/ChangePassword";
const RENEW: &str = "/beem.identity.v1.Sessions/RenewSecondFactor";
pub const NEW: &str = "another horse entirely";

pub async fn ask(rig: &Rig, from: &str, email: &str) -> Result<(), Refusal> {
    let asked = wire::RequestPasswordResetRequest { email: email.into() };
    let answer: Answer<wire::RequestPasswordResetResponse> = rig.visit(from, REQUEST_RESET, asked).await?;
    assert_eq!(answer.body, wire::RequestPasswordResetResponse {});
    Ok(())
}

/// Waits until the task has looked at every request.
pub async fn carried_out(rig: &Rig) {
    for _ in 0..600 {
        if rig.count("reset_requests").await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("a reset was not carried out");
}

pub async fn asked_and_mailed(rig: &Rig, person: &Person) -> String {
    ask(rig, ELSEWHERE, &person.email.to_uppercase()).await.unwrap();
    carried_out(rig).await;
    known_token(rig, &person.id, "RESET").await
}

pub async fn reset(rig: &Rig, from: &str, token: &str, password: &str, code: &str) -> Result<(), Refusal> {
    let asked = wire::ConfirmPasswordResetRequest {
        token: token.into(),
        password: password.into(),
        code: code.into(),
    };
    let answer: Answer<wire::ConfirmPasswordResetResponse> = rig.visit(from, CONFIRM_RESET, asked).await?;
    assert!(!answer.replayed);
    Ok(())
}

pub async fn change(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    (current, new, code): (&str, &str, &str),
) -> Result<Answer<wire::ChangePasswordResponse>, Refusal> {
    let asked = wire::ChangePasswordRequest {
        current_password: current.into(),
        new_password: new.into(),
        code: code.into(),
    };
    rig.call(actor, key, CHANGE, asked).await
}

pub async fn renew(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    code: &str,
) -> Result<Answer<wire::RenewSecondFactorResponse>, Refusal> {
    rig.call(actor, key, RENEW, wire::RenewSecondFactorRequest { code: code.into() }).await
}

pub async fn mails(rig: &Rig, kind: &str) -> i64 {
    rig.count(&format!("mails WHERE kind = '{kind}'")).await
}

async fn a_forgotten_password_is_set_anew_and_ends_all_sessions(rig: Rig) {
    rig.run_tasks();
    let mut person = active(&rig, "a", "a@example.com").await;
    let (_, session) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    let token = asked_and_mailed(&rig, &person).await;
    assert_eq!(mails(&rig, "password-reset").await, 1);
    credential(&rig, &session).await.unwrap();
    reset(&rig, HOME, &token, NEW, &person.code(&rig)).await.unwrap();
    assert_eq!(credential(&rig, &session).await.unwrap_err().code(), "not-found", "sessions end");
    rig.clock.advance_ms(30_000);
    let begun = crate::people::pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap_err();
    assert_eq!(begun.code(), "credentials-invalid", "what the old password began is over");
    assert_eq!(mails(&rig, "password-changed").await, 1);
    assert_eq!(person.sign_in(&rig, HOME).await.unwrap_err().code(), "credentials-invalid");
    person.password = NEW.into();
    person.sign_in(&rig, HOME).await.unwrap();
    rig.clock.advance_ms(30_000);
    let again = reset(&rig, HOME, &token, PASSWORD, &person.code(&rig)).await.unwrap_err();
    assert_eq!(again.code(), "credentials-invalid", "once");
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let of = |action: &str| rows.iter().filter(|r| r.row.action == action).count();
    assert_eq!((of("RequestPasswordReset"), of("ConfirmPasswordReset")), (1, 1));
}

async fn asking_for_a_reset_tells_nothing_and_mails_three_an_hour(rig: Rig) {
    let owner = active(&rig, "a", "a@example.com").await;
    let disabled = colleague(&rig, &owner, "off@example.com").await;
    enable(&rig, "off", &disabled, false).await;
    crate::people::invited(&rig, "b", "invited@example.com").await;
    for (n, email) in
        ["a@example.com", "nobody@example.com", "invited@example.com", "off@example.com"].iter().enumerate()
    {
        let before = (rig.count("attempts").await, rig.count("reset_requests").await);
        ask(&rig, &format!("198.51.100.{n}"), email).await.unwrap();
        let after = (rig.count("attempts").await, rig.count("reset_requests").await);
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{email}: the same rows");
    }
    rig.run_tasks();
    carried_out(&rig).await;
    assert_eq!(mails(&rig, "password-reset").await, 1, "only who can sign in is mailed");
    for n in 0..5 {
        ask(&rig, &format!("198.51.101.{n}"), "a@example.com").await.unwrap();
        carried_out(&rig).await;
    }
    assert_eq!(mails(&rig, "password-reset").await, 3);
    rig.clock.advance_ms(3_600_000);
    ask(&rig, "198.51.102.1", "a@example.com").await.unwrap();
    carried_out(&rig).await;
    assert_eq!(mails(&rig, "password-reset").await, 4);
    let mut limited = None;
    for n in 0..12 {
        limited = ask(&rig, ELSEWHERE, &format!("{n}@example.com")).await.err();
    }
    assert_eq!(limited.unwrap().code(), "rate-limited", "many from one place");
    assert_eq!(ask(&rig, HOME, "no address").await.unwrap_err().fields(), ["email"]);
}

async fn a_reset_needs_the_second_factor_and_its_hour(rig: Rig) {
    rig.run_tasks();
    let owner = active(&rig, "a", "a@example.com").await;
    let person = colleague(&rig, &owner, "maria.lindqvist@example.com").await;
    let token = asked_and_mailed(&rig, &person).await;
    let wrong = wrong_code(&rig, &person.totp);
    assert_eq!(reset(&rig, HOME, &token, NEW, &wrong).await.unwrap_err().code(), "credentials-invalid");
    for weak in ["1234567890", "maria.lindqvist"] {
        let refusal = reset(&rig, HOME, &token, weak, &person.code(&rig)).await.unwrap_err();
        assert_eq!(refusal.fields(), ["password"], "{weak}");
    }
    let none = reset(&rig, HOME, "no token", NEW, &person.code(&rig)).await.unwrap_err();
    assert_eq!(none.code(), "credentials-invalid");
    let activation = crate::people::activate(&rig, &token, NEW).await.unwrap_err();
    assert_eq!(activation.code(), "credentials-invalid", "a link is good for its purpose alone");
    enable(&rig, "off", &person, false).await;
    assert_eq!(
        reset(&rig, HOME, &token, NEW, &person.code(&rig)).await.unwrap_err().code(),
        "credentials-invalid"
    );
    enable(&rig, "on", &person, true).await;
    let present = mask(&["network_whitelist"]);
    let network_whitelist = vec!["203.0.113.0/24".into()];
    let patch = wire::UpdateUserRequest { network_whitelist, present, ..Default::default() };
    update_user(&rig, "n", &person, patch).await;
    let outside = reset(&rig, ELSEWHERE, &token, NEW, &person.code(&rig)).await.unwrap_err();
    assert_eq!(outside.code(), "credentials-invalid");
    rig.clock.advance_ms(3_600_000);
    let late = reset(&rig, HOME, &token, NEW, &person.code(&rig)).await.unwrap_err();
    assert_eq!(late.code(), "credentials-invalid", "an hour later");
    let earlier = asked_and_mailed(&rig, &person).await;
    rig.clock.advance_ms(1_000);
    let later = asked_and_mailed(&rig, &person).await;
    assert_eq!(
        reset(&rig, HOME, &earlier, NEW, &person.code(&rig)).await.unwrap_err().code(),
        "credentials-invalid"
    );
    reset(&rig, HOME, &later, NEW, &person.recovery[0]).await.unwrap();
}

async fn a_reset_lets_a_victim_in_from_where_it_was_done(rig: Rig) {
    rig.run_tasks();
    let mut person = active(&rig, "a", "a@example.com").await;
    let attack = async || {
        for n in 0..12 {
            let wrong = wire::SignInRequest { password: "wrong".into(), ..person.sign_in_request() };
            sign_in(&rig, &format!("198.51.77.{n}"), wrong).await.unwrap_err();
        }
    };
    let here = "192.0.2.77";
    attack().await;
    assert_eq!(person.challenge(&rig, here).await.unwrap_err().code(), "rate-limited", "it was never here");
    let token = asked_and_mailed(&rig, &person).await;
    reset(&rig, here, &token, NEW, &person.code(&rig)).await.unwrap();
    attack().await;
    person.password = NEW.into();
    person.sign_in(&rig, here).await.unwrap();
}

async fn a_password_is_changed_with_itself_and_a_code(rig: Rig) {
    let mut person = active(&rig, "a", "a@example.com").await;
    let (_, other) = person.entered(&rig).await;
    let (actor, own) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    let code = person.code(&rig);
    for (current, new, code, met) in [
        ("a wrong password", NEW, code.as_str(), "credentials-invalid"),
        (PASSWORD, NEW, &wrong_code(&rig, &person.totp), "credentials-invalid"),
        (PASSWORD, "1234567890", &code, "validation-failed"),
        (PASSWORD, PASSWORD, &code, "validation-failed"),
        ("", NEW, &code, "validation-failed"),
    ] {
        let refusal =
            change(&rig, &actor, &format!("{current}{new}"), (current, new, code)).await.unwrap_err();
        assert_eq!(refusal.code(), met, "{current} {new}");
        if met == "validation-failed" {
            assert!(["newPassword", "currentPassword"].contains(&refusal.fields()[0]));
        }
    }
    assert_eq!(rig.count("claims WHERE state = 'RUNNING'").await, 0, "what is wrong leaves nothing behind");
    // The same key after a wrong code begins anew.
    change(&rig, &actor, "k", (PASSWORD, NEW, &wrong_code(&rig, &person.totp))).await.unwrap_err();
    let changed = change(&rig, &actor, "c", (PASSWORD, NEW, &code)).await.unwrap();
    assert!(!changed.replayed);
    assert!(change(&rig, &actor, "c", (PASSWORD, NEW, &code)).await.unwrap().replayed);
    let reused = change(&rig, &actor, "c", (PASSWORD, "yet another horse", &code)).await.unwrap_err();
    assert_eq!(reused.code(), "idempotency-key-reused");
    let twice = change(&rig, &actor, "d", (NEW, "yet another horse", &code)).await.unwrap_err();
    assert_eq!(twice.code(), "credentials-invalid", "a code counts once");
    credential(&rig, &own).await.unwrap();
    assert_eq!(credential(&rig, &other).await.unwrap_err().code(), "not-found", "all others end");
    assert_eq!(mails(&rig, "password-changed").await, 1);
    assert_eq!(person.sign_in(&rig, HOME).await.unwrap_err().code(), "credentials-invalid");
    person.password = NEW.into();
    person.sign_in(&rig, HOME).await.unwrap();
}

async fn changing_a_password_slows_guessing_down(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (actor, _) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    for n in 0..5 {
        let tried =
            change(&rig, &actor, &format!("{n}"), ("a wrong password", NEW, &person.code(&rig))).await;
        assert_eq!(tried.unwrap_err().code(), "credentials-invalid");
    }
    let limited = change(&rig, &actor, "5", (PASSWORD, NEW, &person.code(&rig))).await.unwrap_err();
    assert_eq!((limited.code(), limited.fault.retry_after_s), ("rate-limited", Some(1)));
    let limited = renew(&rig, &actor, "6", &person.code(&rig)).await.unwrap_err();
    assert_eq!(limited.code(), "rate-limited");
    // Whoever has the session does not keep its owner from signing in.
    person.sign_in(&rig, HOME).await.unwrap();
    rig.clock.advance_ms(30_000);
    change(&rig, &actor, "7", (PASSWORD, NEW, &person.code(&rig))).await.unwrap();
}

async fn a_password_change_cut_off_is_gone_on_with(mut rig: Rig) {
    let mut person = active(&rig, "a", "a@example.com").await;
    for (n, reached) in [Reached::No, Reached::Yes].into_iter().enumerate() {
        let (actor, own) = person.entered(&rig).await;
        let (_, other) = person.entered(&rig).await;
        rig.clock.advance_ms(30_000);
        let (key, new, code) = (format!("k{n}"), format!("{NEW} {n}"), person.code(&rig));
        rig.gate.hang_at(0, reached);
        tokio::select! {
            ended = change(&rig, &actor, &key, (&person.password, &new, &code)) => panic!("authz was not asked: {ended:?}"),
            () = rig.gate.hanging() => {}
        }
        rig.restart().await;
        rig.run_tasks();
        rig.sagas_ended().await;
        assert!(change(&rig, &actor, &key, (&person.password, &new, &code)).await.unwrap().replayed);
        person.password = new;
        credential(&rig, &own).await.unwrap();
        assert_eq!(credential(&rig, &other).await.unwrap_err().code(), "not-found");
        person.sign_in(&rig, HOME).await.unwrap();
    }
    assert_eq!(mails(&rig, "password-changed").await, 2, "one each");
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    assert_eq!(rows.iter().filter(|r| r.row.action == "ChangePassword").count(), 2);
}

async fn a_second_factor_is_renewed_by_its_owner(rig: Rig) {
    let mut person = active(&rig, "a", "a@example.com").await;
    let (_, other) = person.entered(&rig).await;
    let (actor, own) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    let wrong = wrong_code(&rig, &person.totp);
    assert_eq!(renew(&rig, &actor, "w", &wrong).await.unwrap_err().code(), "credentials-invalid");
    let code = person.code(&rig);
    let drawn = renew(&rig, &actor, "r", &code).await.unwrap();
    let again = renew(&rig, &actor, "r", &code).await.unwrap();
    assert!(again.replayed && again.body == drawn.body);
    let drawn = drawn.body;
    // Until it is confirmed the old one counts.
    rig.clock.advance_ms(30_000);
    person.sign_in(&rig, HOME).await.unwrap();
    let old = totp(&person.totp, rig.clock.now().unix_s() + 30);
    assert_eq!(confirm(&rig, &drawn.token, &old).await.unwrap_err().code(), "credentials-invalid");
    let recovery = confirm(&rig, &drawn.token, &totp(&drawn.secret, rig.clock.now().unix_s())).await.unwrap();
    assert_eq!(recovery.len(), 10);
    credential(&rig, &own).await.unwrap();
    assert_eq!(credential(&rig, &other).await.unwrap_err().code(), "not-found");
    assert_eq!(mails(&rig, "second-factor-changed").await, 1);
    assert_eq!(person.sign_in(&rig, HOME).await.unwrap_err().code(), "credentials-invalid", "the old factor");
    person.totp = drawn.secret;
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    let stale = crate::people::pass(&rig, HOME, &challenge, &person.recovery[0]).await.unwrap_err();
    assert_eq!(stale.code(), "credentials-invalid", "the old recovery codes");
    crate::people::pass(&rig, HOME, &challenge, &recovery[0]).await.unwrap();
    person.sign_in(&rig, HOME).await.unwrap();
}

async fn a_renewal_ends_with_the_session_that_asked(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (actor, _) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    let drawn = renew(&rig, &actor, "r", &person.code(&rig)).await.unwrap().body;
    let path = "/beem.identity.v1.Sessions/EndCurrentSession";
    let _: Answer<wire::Session> =
        rig.call(&actor, "o", path, wire::EndCurrentSessionRequest {}).await.unwrap();
    let code = totp(&drawn.secret, rig.clock.now().unix_s());
    assert_eq!(confirm(&rig, &drawn.token, &code).await.unwrap_err().code(), "credentials-invalid");
    let (actor, _) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    let drawn = renew(&rig, &actor, "r2", &person.code(&rig)).await.unwrap().body;
    rig.clock.advance_ms(600_000);
    let code = totp(&drawn.secret, rig.clock.now().unix_s());
    assert_eq!(
        confirm(&rig, &drawn.token, &code).await.unwrap_err().code(),
        "credentials-invalid",
        "ten minutes"
    );
    person.sign_in(&rig, HOME).await.unwrap();
}

async fn a_reset_cut_off_after_authz_is_done_again(mut rig: Rig) {
    rig.run_tasks();
    let mut person = active(&rig, "a", "a@example.com").await;
    let session = person.sign_in(&rig, HOME).await.unwrap();
    rig.clock.advance_ms(30_000);
    let token = asked_and_mailed(&rig, &person).await;
    // Its calls: the standing, and the end of all sessions.
    rig.gate.hang_at(1, Reached::Yes);
    let code = person.code(&rig);
    tokio::select! {
        ended = reset(&rig, HOME, &token, NEW, &code) => panic!("authz was not asked: {ended:?}"),
        () = rig.gate.hanging() => {}
    }
    rig.restart().await;
    credential(&rig, &session).await.unwrap();
    reset(&rig, HOME, &token, NEW, &code).await.unwrap();
    assert_eq!(credential(&rig, &session).await.unwrap_err().code(), "not-found");
    person.password = NEW.into();
    person.sign_in(&rig, HOME).await.unwrap();
}

async fn no_secret_is_left_anywhere(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (actor, session) = person.entered(&rig).await;
    rig.clock.advance_ms(30_000);
    let first = person.code(&rig);
    change(&rig, &actor, "c", (PASSWORD, NEW, &first)).await.unwrap();
    rig.clock.advance_ms(30_000);
    let drawn = renew(&rig, &actor, "r", &person.code(&rig)).await.unwrap().body;
    let stored = String::from_utf8_lossy(&rig.stored()).into_owned();
    let rows = format!("{:?}", unpushed(&rig.identity.db, 100).await.unwrap());
    for secret in [PASSWORD, NEW, &session, &drawn.token, &drawn.secret, &person.totp, &person.recovery[3]] {
        assert!(!stored.contains(secret), "at rest: {secret}");
        assert!(!rows.contains(secret), "in the trail: {secret}");
    }
}
