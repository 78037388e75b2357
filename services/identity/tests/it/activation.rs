//! Activations: the link, the password, the second factor, and what becomes of each when it is not right, not in time or not
//! alone.

use crate::clients::mask;
use crate::on_both;
use crate::people::{
    CONFIRM, ELSEWHERE, HOME, PASSWORD, Person, activate, active, colleague, confirm, delete_user, enable,
    hashes, invite, invited, known_token, sign_in, totp, update_user, wrong_code,
};
use crate::rig::{Answer, Reached, Rig};
use beem_events::audit::unpushed;
use beem_proto::identity::v1 as wire;

on_both!(
    a_link_password_and_code_activate_once,
    a_link_that_has_ended_is_told_apart_from_none_by_nothing,
    an_earlier_link_stops_working_when_there_is_another,
    a_common_or_own_password_is_refused,
    the_last_activate_counts,
    wrong_codes_slow_down_and_burn_nothing,
    two_confirms_at_once_activate_once,
    a_disabled_and_a_deleted_user_cannot_activate,
    killed_between_authz_and_identity_it_is_done_again,
    a_link_is_activated_five_times_and_then_slowly,
    a_link_counts_only_from_the_users_network,
    whoever_activated_is_known_there,
    users_of_one_address_share_a_salt_unless_they_came_at_once,
);

async fn status(rig: &Rig, person: &crate::people::Person) -> String {
    let asked = wire::GetUserRequest { id: person.id.clone() };
    let user: crate::rig::Answer<wire::User> =
        rig.call(&person.client, "", "/beem.identity.v1.Users/GetUser", asked).await.unwrap();
    user.body.status
}

async fn a_link_password_and_code_activate_once(rig: Rig) {
    let (mut person, token) = invited(&rig, "a", "Owner@example.com").await;
    assert_eq!(status(&rig, &person).await, "INVITED");
    let drawn = activate(&rig, &token, PASSWORD).await.unwrap();
    person.totp = drawn.secret.clone();
    assert_eq!(drawn.secret.len(), 32);
    assert!(drawn.otpauth_url.starts_with("otpauth://totp/BEEM:Owner%40example.com?secret="), "{drawn:?}");
    assert_eq!(
        person.challenge(&rig, "203.0.113.9").await.unwrap_err().code(),
        "credentials-invalid",
        "not yet"
    );
    let code = person.code(&rig);
    person.recovery = confirm(&rig, &token, &code).await.unwrap();
    assert_eq!(person.recovery.len(), 10);
    assert_eq!(status(&rig, &person).await, "ACTIVE");
    assert_eq!(activate(&rig, &token, PASSWORD).await.unwrap_err().code(), "credentials-invalid", "used");
    assert_eq!(confirm(&rig, &token, &code).await.unwrap_err().code(), "credentials-invalid", "used");
    assert_eq!(invite(&rig, &person.account).await.unwrap_err().code(), "user-active");
    // The code that activated is used up.
    let challenge = person.challenge(&rig, "203.0.113.9").await.unwrap();
    let again = crate::people::pass(&rig, "203.0.113.9", &challenge, &code).await.unwrap_err();
    assert_eq!(again.code(), "credentials-invalid");
    person.sign_in(&rig, "203.0.113.9").await.unwrap();
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let row = rows.iter().find(|r| r.row.action == "ConfirmActivation").unwrap();
    assert_eq!((row.row.target_id.as_str(), row.row.address.as_str()), (person.id.as_str(), "203.0.113.9"));
    assert_eq!(row.row.actor["principalId"], person.id);
    assert_eq!(
        (&row.row.actor["kind"], &row.row.actor["name"]),
        (&"USER".into(), &"Owner@example.com".into())
    );
    let told = format!("{rows:?}");
    for secret in [token.as_str(), PASSWORD, &drawn.secret, &code, &person.recovery[0], "argon2"] {
        assert!(!told.contains(secret), "the trail tells {secret}");
    }
    let stored = String::from_utf8_lossy(&rig.stored()).into_owned();
    for secret in [token.as_str(), PASSWORD, &drawn.secret, &person.recovery[0]] {
        assert!(!stored.contains(secret), "{secret} is at rest in the clear");
    }
}

async fn a_link_that_has_ended_is_told_apart_from_none_by_nothing(rig: Rig) {
    let (_, used) = invited(&rig, "a", "a@example.com").await;
    let secret = activate(&rig, &used, PASSWORD).await.unwrap().secret;
    confirm(&rig, &used, &totp(&secret, rig.clock.now().unix_s())).await.unwrap();
    let (late, past) = invited(&rig, "b", "b@example.com").await;
    let (replaced, replaced_token) = invited(&rig, "c", "c@example.com").await;
    rig.clock.advance_ms(1);
    invite(&rig, &replaced.account).await.unwrap();
    rig.clock.advance_ms(72 * 3_600_000 - 2);
    activate(&rig, &past, PASSWORD).await.unwrap();
    rig.clock.advance_ms(1);
    let before = hashes(&rig);
    let truncated = &past[..42];
    let mut answers = Vec::new();
    for token in [used.as_str(), &past, &replaced_token, truncated, "", &"A".repeat(43)] {
        let refusal = activate(&rig, token, PASSWORD).await.unwrap_err();
        answers.push(format!("{:?} {:?}", refusal.fault, refusal.fault.retry_after_s));
        let refusal = confirm(&rig, token, "123456").await.unwrap_err();
        answers.push(format!("{:?} {:?}", refusal.fault, refusal.fault.retry_after_s));
    }
    assert!(answers.iter().all(|a| *a == answers[0] && a.contains("credentials-invalid")), "{answers:?}");
    assert_eq!(hashes(&rig), before, "and none costs a password's computation");
    assert_eq!(rig.count("users WHERE activated_ms IS NOT NULL").await, 1);
    assert_eq!(status(&rig, &late).await, "INVITED");
}

async fn an_earlier_link_stops_working_when_there_is_another(rig: Rig) {
    let (person, first) = invited(&rig, "a", "a@example.com").await;
    let secret = activate(&rig, &first, PASSWORD).await.unwrap().secret;
    let second = invite(&rig, &person.account).await.unwrap();
    let code = totp(&secret, rig.clock.now().unix_s());
    assert_eq!(confirm(&rig, &first, &code).await.unwrap_err().code(), "credentials-invalid");
    assert_eq!(
        confirm(&rig, &second, &code).await.unwrap_err().code(),
        "credentials-invalid",
        "of the first"
    );
    let secret = activate(&rig, &second, PASSWORD).await.unwrap().secret;
    confirm(&rig, &second, &totp(&secret, rig.clock.now().unix_s())).await.unwrap();
}

async fn a_common_or_own_password_is_refused(rig: Rig) {
    let (_, token) = invited(&rig, "a", "maria.lindqvist@example.com").await;
    for weak in ["short", "1234567890", "Password2024!", "aaaaaaaaaaaa", "maria.lindqvist", &"x7".repeat(65)]
    {
        let refusal = activate(&rig, &token, weak).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.fields()), ("validation-failed", vec!["password"]), "{weak}");
    }
    // Whose link it is, or whether it is one, is not told by the rules that need no owner.
    assert_eq!(activate(&rig, "no link", "1234567890").await.unwrap_err().code(), "validation-failed");
    assert_eq!(activate(&rig, "no link", "maria.lindqvist").await.unwrap_err().code(), "credentials-invalid");
    activate(&rig, &token, PASSWORD).await.unwrap();
    let neither = confirm(&rig, &token, "12345").await.unwrap_err();
    assert_eq!((neither.code(), neither.fields()), ("validation-failed", vec!["code"]));
}

async fn the_last_activate_counts(rig: Rig) {
    let (mut person, token) = invited(&rig, "a", "a@example.com").await;
    let first = activate(&rig, &token, "the first password").await.unwrap().secret;
    let second = activate(&rig, &token, PASSWORD).await.unwrap().secret;
    let now = rig.clock.now().unix_s();
    assert_eq!(confirm(&rig, &token, &totp(&first, now)).await.unwrap_err().code(), "credentials-invalid");
    confirm(&rig, &token, &totp(&second, now)).await.unwrap();
    person.totp = second;
    person.sign_in(&rig, "203.0.113.9").await.unwrap();
    person.password = "the first password".into();
    assert_eq!(person.sign_in(&rig, "203.0.113.9").await.unwrap_err().code(), "credentials-invalid");
}

async fn wrong_codes_slow_down_and_burn_nothing(rig: Rig) {
    let (mut person, token) = invited(&rig, "a", "a@example.com").await;
    person.totp = activate(&rig, &token, PASSWORD).await.unwrap().secret;
    for _ in 0..5 {
        let wrong = wrong_code(&rig, &person.totp);
        assert_eq!(confirm(&rig, &token, &wrong).await.unwrap_err().code(), "credentials-invalid");
    }
    let early = confirm(&rig, &token, &person.code(&rig)).await.unwrap_err();
    assert_eq!((early.code(), early.fault.retry_after_s), ("rate-limited", Some(1)));
    rig.clock.advance_ms(1_000);
    let wrong = wrong_code(&rig, &person.totp);
    assert_eq!(confirm(&rig, &token, &wrong).await.unwrap_err().code(), "credentials-invalid");
    let early = confirm(&rig, &token, &person.code(&rig)).await.unwrap_err();
    assert_eq!(early.fault.retry_after_s, Some(2), "longer each time");
    rig.clock.advance_ms(2_000);
    confirm(&rig, &token, &person.code(&rig)).await.unwrap();
}

async fn two_confirms_at_once_activate_once(rig: Rig) {
    let (mut person, token) = invited(&rig, "a", "a@example.com").await;
    person.totp = activate(&rig, &token, PASSWORD).await.unwrap().secret;
    let code = person.code(&rig);
    let tried = futures::future::join_all((0..4).map(|_| confirm(&rig, &token, &code))).await;
    let (won, lost): (Vec<_>, Vec<_>) = tried.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 3));
    assert!(lost.into_iter().all(|lost| lost.unwrap_err().code() == "credentials-invalid"));
    person.recovery = won.into_iter().next().unwrap().unwrap();
    // The winner's recovery codes are those that count.
    assert_eq!(rig.count("recovery_codes").await, 10);
    rig.clock.advance_ms(30_000);
    let challenge = person.challenge(&rig, "203.0.113.9").await.unwrap();
    crate::people::pass(&rig, "203.0.113.9", &challenge, &person.recovery[9]).await.unwrap();
}

async fn a_disabled_and_a_deleted_user_cannot_activate(rig: Rig) {
    let owner = active(&rig, "a", "a@example.com").await;
    let person = colleague(&rig, &owner, "b@example.com").await;
    let reset = wire::ResetSecondFactorRequest { id: person.id.clone() };
    let path = "/beem.identity.v1.Users/ResetSecondFactor";
    let _: crate::rig::Answer<wire::User> = rig.call(&owner.client, "r", path, reset).await.unwrap();
    let token = known_token(&rig, &person.id, "ACTIVATION").await;
    let secret = activate(&rig, &token, PASSWORD).await.unwrap().secret;
    enable(&rig, "off", &person, false).await;
    let code = totp(&secret, rig.clock.now().unix_s());
    assert_eq!(activate(&rig, &token, PASSWORD).await.unwrap_err().code(), "credentials-invalid");
    assert_eq!(confirm(&rig, &token, &code).await.unwrap_err().code(), "credentials-invalid");
    enable(&rig, "on", &person, true).await;
    delete_user(&rig, &person).await;
    assert_eq!(activate(&rig, &token, PASSWORD).await.unwrap_err().code(), "credentials-invalid");
    assert_eq!(confirm(&rig, &token, &code).await.unwrap_err().code(), "credentials-invalid");
}

async fn killed_between_authz_and_identity_it_is_done_again(mut rig: Rig) {
    let (mut person, token) = invited(&rig, "a", "a@example.com").await;
    person.totp = activate(&rig, &token, PASSWORD).await.unwrap().secret;
    // Its calls: the standing, and that it is active.
    for call in [0, 1] {
        for reached in [Reached::No, Reached::Yes] {
            rig.gate.hang_at(call, reached);
            let code = person.code(&rig);
            tokio::select! {
                ended = confirm(&rig, &token, &code) => panic!("there is no call {call}: {ended:?}"),
                () = rig.gate.hanging() => {}
            }
            rig.restart().await;
            rig.clock.advance_ms(30_000);
            assert_eq!(status(&rig, &person).await, "INVITED");
            assert_eq!(rig.count("recovery_codes").await, 0);
        }
    }
    let code = person.code(&rig);
    confirm(&rig, &token, &code).await.unwrap();
    assert_eq!(status(&rig, &person).await, "ACTIVE");
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    assert_eq!(rows.iter().filter(|r| r.row.action == "ConfirmActivation").count(), 1);
}

async fn a_link_is_activated_five_times_and_then_slowly(rig: Rig) {
    let (_, token) = invited(&rig, "a", "a@example.com").await;
    let (_, other) = invited(&rig, "b", "b@example.com").await;
    for _ in 0..5 {
        activate(&rig, &token, PASSWORD).await.unwrap();
    }
    let hashed = hashes(&rig);
    let early = activate(&rig, &token, PASSWORD).await.unwrap_err();
    assert_eq!((early.code(), early.fault.retry_after_s), ("rate-limited", Some(1)));
    assert_eq!(hashes(&rig), hashed, "no password is hashed for it");
    activate(&rig, &other, PASSWORD).await.unwrap();
    rig.clock.advance_ms(1_000);
    // What was not judged is not counted.
    rig.gate.close();
    for _ in 0..3 {
        assert_eq!(activate(&rig, &token, PASSWORD).await.unwrap_err().code(), "unavailable");
    }
    rig.gate.open();
    activate(&rig, &token, PASSWORD).await.unwrap();
    assert_eq!(activate(&rig, &token, PASSWORD).await.unwrap_err().fault.retry_after_s, Some(2));
}

async fn a_link_counts_only_from_the_users_network(rig: Rig) {
    let (person, token) = invited(&rig, "a", "a@example.com").await;
    let patch = wire::UpdateUserRequest {
        network_whitelist: vec!["203.0.113.0/24".into()],
        present: mask(&["network_whitelist"]),
        ..wire::UpdateUserRequest::default()
    };
    update_user(&rig, "n", &person, patch).await;
    let secret = activate(&rig, &token, PASSWORD).await.unwrap().secret;
    let code = totp(&secret, rig.clock.now().unix_s());
    let asked = wire::ConfirmActivationRequest { token: token.clone(), code: code.clone() };
    let outside: Result<Answer<wire::ConfirmActivationResponse>, _> =
        rig.visit(ELSEWHERE, CONFIRM, asked).await;
    assert_eq!(outside.unwrap_err().code(), "credentials-invalid");
    assert_eq!(status(&rig, &person).await, "INVITED");
    confirm(&rig, &token, &code).await.unwrap();
}

async fn whoever_activated_is_known_there(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    for n in 0..12 {
        let asked = wire::SignInRequest { password: "a wrong one".into(), ..person.sign_in_request() };
        sign_in(&rig, &format!("198.51.77.{n}"), asked).await.unwrap_err();
    }
    assert_eq!(person.challenge(&rig, ELSEWHERE).await.unwrap_err().code(), "rate-limited");
    person.sign_in(&rig, HOME).await.unwrap();
}

async fn users_of_one_address_share_a_salt_unless_they_came_at_once(rig: Rig) {
    let costs = async |person: &Person| {
        rig.clock.advance_ms(30_000);
        let hashed = hashes(&rig);
        let asked = wire::SignInRequest { account_id: person.account.clone(), ..person.sign_in_request() };
        let challenge = sign_in(&rig, HOME, asked).await.unwrap();
        crate::people::pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap();
        hashes(&rig) - hashed
    };
    let (one, other) =
        (active(&rig, "a", "shared@example.com").await, active(&rig, "b", "shared@example.com").await);
    assert_eq!((costs(&one).await, costs(&other).await), (1, 1));
    let (mut one, token) = invited(&rig, "c", "at-once@example.com").await;
    let (mut other, other_token) = invited(&rig, "d", "at-once@example.com").await;
    one.totp = activate(&rig, &token, PASSWORD).await.unwrap().secret;
    other.totp = activate(&rig, &other_token, PASSWORD).await.unwrap().secret;
    confirm(&rig, &token, &one.code(&rig)).await.unwrap();
    confirm(&rig, &other_token, &other.code(&rig)).await.unwrap();
    assert_eq!((costs(&one).await, costs(&other).await), (2, 2), "each is found, whichever salt it has");
    let salts =
        rig.count("(SELECT DISTINCT substr(password_hash, 31, 22) AS salt FROM users) AS salts").await;
    assert_eq!(salts, 3, "and none but those of one address is anybody else's");
}
