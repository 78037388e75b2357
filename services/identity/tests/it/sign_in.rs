//! Signing in, in two steps, and what keeps one out: a wrong anything, another network, a disabled user.

use crate::clients::mask;
use crate::on_both;
use crate::people::{
    ELSEWHERE, HOME, active, colleague, credential, delete_user, enable, hashes, pass, sign_in, totp,
    update_user, wrong_code,
};
use crate::rig::Rig;
use beem_database::{Backend, Sql as _};
use beem_events::audit::unpushed;
use beem_proto::identity::v1 as wire;

on_both!(
    password_and_code_make_a_session,
    a_code_counts_one_step_early_or_late_and_once,
    a_recovery_code_counts_once,
    five_codes_end_a_challenge_and_five_minutes_do,
    whatever_is_wrong_reads_and_costs_the_same,
    an_address_in_several_accounts_says_which_after_the_right_password,
    only_from_the_users_network,
    a_disabled_user_learns_it_after_both_steps_alone,
    two_second_factors_at_once_make_one_session,
    with_authz_away_nothing_is_used_up,
    a_malformed_sign_in_names_its_fields,
);

async fn password_and_code_make_a_session(rig: Rig) {
    let mut person = active(&rig, "a", "Maria@example.com").await;
    person.email = "mARIA@EXAMPLE.com".into();
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    assert_eq!(
        credential(&rig, &challenge).await.unwrap_err().code(),
        "not-found",
        "a challenge is no session"
    );
    let passed = pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap();
    let (token, now) = (passed.session_token, rig.clock.now());
    assert_eq!(passed.expires_at.unwrap().seconds, now.unix_s() + 12 * 3600);
    assert_eq!(token.len(), 43);
    let session = credential(&rig, &token).await.unwrap();
    assert_eq!((&session.principal_id, &session.account_id), (&person.id, &person.account));
    assert_eq!(
        (session.name.as_str(), session.network_whitelist[0].as_str()),
        ("Maria@example.com", "0.0.0.0/0")
    );
    assert_eq!(session.expires_at.unwrap().seconds, now.unix_s() + 12 * 3600);
    assert_eq!(session.idle_until.unwrap().seconds, now.unix_s() + 1800);
    let again = pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap_err();
    assert_eq!(again.code(), "credentials-invalid", "a challenge is used up");
    for guessed in [&token[..42], &format!("{token}A"), &token.to_lowercase(), ""] {
        assert_eq!(credential(&rig, guessed).await.unwrap_err().code(), "not-found", "{guessed}");
    }
    let asked = wire::GetUserRequest { id: person.id.clone() };
    let path = "/beem.identity.v1.Users/GetUser";
    let user: wire::User = rig.call(&person.client, "", path, asked).await.unwrap().body;
    let last = user.last_sign_in.unwrap();
    assert_eq!((last.time.unwrap().seconds, last.address.as_str()), (now.unix_s(), HOME));
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let row = rows.iter().find(|r| r.row.action == "SignIn").unwrap();
    assert_eq!((row.row.target_type.as_str(), &row.row.target_id), ("session", &session.session_id));
    let told = format!("{rows:?}");
    assert!(!told.contains(&token) && !told.contains(&challenge));
    let stored = String::from_utf8_lossy(&rig.stored()).into_owned();
    assert!(!stored.contains(&token) && !stored.contains(&challenge));
}

async fn a_code_counts_one_step_early_or_late_and_once(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    rig.clock.advance_ms(300_000);
    let now = rig.clock.now().unix_s();
    let code = |steps: i64| totp(&person.totp, now + steps * 30);
    for (steps, passes) in
        [(-2, false), (2, false), (-1, true), (-1, false), (0, true), (1, true), (1, false), (0, false)]
    {
        let challenge = person.challenge(&rig, HOME).await.unwrap();
        let passed = pass(&rig, HOME, &challenge, &code(steps)).await;
        assert_eq!(passed.is_ok(), passes, "{steps} steps");
        if let Err(refusal) = passed {
            assert_eq!(refusal.code(), "credentials-invalid");
        }
    }
}

async fn a_recovery_code_counts_once(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let first = person.recovery[0].to_uppercase().replace('-', "");
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    pass(&rig, HOME, &challenge, &first).await.unwrap();
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    let again = pass(&rig, HOME, &challenge, &person.recovery[0]).await.unwrap_err();
    assert_eq!(again.code(), "credentials-invalid");
    pass(&rig, HOME, &challenge, &person.recovery[1]).await.unwrap();
    let other = active(&rig, "b", "b@example.com").await;
    let challenge = other.challenge(&rig, HOME).await.unwrap();
    let foreign = pass(&rig, HOME, &challenge, &person.recovery[2]).await.unwrap_err();
    assert_eq!(foreign.code(), "credentials-invalid", "another user's");
}

async fn five_codes_end_a_challenge_and_five_minutes_do(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    for _ in 0..4 {
        assert!(pass(&rig, HOME, &challenge, &wrong_code(&rig, &person.totp)).await.is_err());
    }
    pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap();
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    rig.clock.advance_ms(30_000);
    for _ in 0..5 {
        assert!(pass(&rig, HOME, &challenge, &wrong_code(&rig, &person.totp)).await.is_err());
    }
    rig.clock.advance_ms(30_000);
    let over = pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap_err();
    assert_eq!(over.code(), "credentials-invalid", "the sixth");
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    rig.clock.advance_ms(300_000);
    let late = pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap_err();
    assert_eq!(late.code(), "credentials-invalid", "five minutes later");
}

/// Everything that a sign-in could leave behind.
async fn traces(rig: &Rig) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in [
        "attempts",
        "challenges",
        "sessions",
        "reset_requests",
        "audit_rows",
        "mails",
        "links",
        "known_places",
    ] {
        counts.push(rig.count(table).await);
    }
    let row =
        rig.identity.db.read().row("SELECT CAST(SUM(failures) AS BIGINT) AS n FROM attempts", vec![]).await;
    counts.push(row.unwrap().unwrap().try_get::<Option<i64>>("", "n").unwrap().unwrap_or(0));
    counts
}

/// Rows written by this connection so far, where the database tells.
async fn rows_written(rig: &Rig) -> i64 {
    if rig.identity.db.backend() == Backend::Postgres {
        return 0;
    }
    let asked = rig.identity.db.write(|tx| {
        Box::pin(async move {
            let row = tx.row("SELECT total_changes() AS n", vec![]).await?.unwrap();
            Ok(row.try_get::<i64>("", "n").unwrap())
        })
    });
    asked.await.unwrap()
}

async fn whatever_is_wrong_reads_and_costs_the_same(rig: Rig) {
    let known = active(&rig, "a", "known@example.com").await;
    let outside = active(&rig, "b", "outside@example.com").await;
    let networks = vec!["10.0.0.0/8".into()];
    let present = mask(&["network_whitelist"]);
    let patch = wire::UpdateUserRequest { network_whitelist: networks, present, ..Default::default() };
    update_user(&rig, "n", &outside, patch).await;
    let owner = active(&rig, "c", "c@example.com").await;
    let deleted = colleague(&rig, &owner, "deleted@example.com").await;
    delete_user(&rig, &deleted).await;
    crate::people::invited(&rig, "d", "invited@example.com").await;
    let mut met = Vec::new();
    for (n, (email, password)) in [
        (known.email.as_str(), "a wrong password"),
        (outside.email.as_str(), outside.password.as_str()),
        ("nobody@example.com", known.password.as_str()),
        ("deleted@example.com", deleted.password.as_str()),
        ("invited@example.com", known.password.as_str()),
    ]
    .into_iter()
    .enumerate()
    {
        let (before, hashed, written) = (traces(&rig).await, hashes(&rig), rows_written(&rig).await);
        let asked =
            wire::SignInRequest { email: email.into(), password: password.into(), account_id: String::new() };
        let refusal = sign_in(&rig, &format!("198.51.100.{n}"), asked).await.unwrap_err();
        let left: Vec<i64> =
            traces(&rig).await.iter().zip(before).map(|(after, before)| after - before).collect();
        let cost = (hashes(&rig) - hashed, rows_written(&rig).await - written);
        met.push(format!("{:?} {:?} {left:?} {cost:?}", refusal.fault, refusal.fault.retry_after_s));
    }
    assert!(met.iter().all(|m| *m == met[0] && m.starts_with("credentials-invalid")), "{met:#?}");
    // Known and unknown wait alike, too.
    for email in ["known@example.com", "nobody@example.com"] {
        let asked =
            || wire::SignInRequest { email: email.into(), password: "x".into(), account_id: String::new() };
        for n in 1..5 {
            assert_eq!(
                sign_in(&rig, &format!("198.51.101.{n}"), asked()).await.unwrap_err().code(),
                "credentials-invalid"
            );
        }
        let limited = sign_in(&rig, "198.51.102.1", asked()).await.unwrap_err();
        assert_eq!((limited.code(), limited.fault.retry_after_s), ("rate-limited", Some(1)), "{email}");
    }
}

async fn an_address_in_several_accounts_says_which_after_the_right_password(rig: Rig) {
    let first = active(&rig, "a", "both@example.com").await;
    let second = active(&rig, "b", "BOTH@example.com").await;
    let hashed = hashes(&rig);
    let asked = first.challenge(&rig, HOME).await.unwrap_err();
    assert_eq!((asked.code(), asked.fields()), ("validation-failed", vec!["accountId"]));
    let wrong = wire::SignInRequest { password: "a wrong password".into(), ..first.sign_in_request() };
    assert_eq!(sign_in(&rig, HOME, wrong).await.unwrap_err().code(), "credentials-invalid");
    assert_eq!(hashes(&rig), hashed + 2, "one computation each");
    for person in [&first, &second] {
        let asked = wire::SignInRequest { account_id: person.account.clone(), ..person.sign_in_request() };
        let challenge = sign_in(&rig, HOME, asked).await.unwrap();
        let token = pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap().session_token;
        assert_eq!(credential(&rig, &token).await.unwrap().principal_id, person.id);
    }
    let elsewhere =
        wire::SignInRequest { account_id: first.client.principal.to_string(), ..first.sign_in_request() };
    assert_eq!(sign_in(&rig, HOME, elsewhere).await.unwrap_err().code(), "credentials-invalid");
}

async fn only_from_the_users_network(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let present = mask(&["network_whitelist"]);
    let patch = wire::UpdateUserRequest {
        network_whitelist: vec!["203.0.113.0/24".into()],
        present,
        ..Default::default()
    };
    update_user(&rig, "n", &person, patch).await;
    assert_eq!(person.challenge(&rig, ELSEWHERE).await.unwrap_err().code(), "credentials-invalid");
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    let refusal = pass(&rig, ELSEWHERE, &challenge, &person.code(&rig)).await.unwrap_err();
    assert_eq!(refusal.code(), "credentials-invalid");
    pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap();
}

async fn a_disabled_user_learns_it_after_both_steps_alone(rig: Rig) {
    let owner = active(&rig, "a", "a@example.com").await;
    let person = colleague(&rig, &owner, "b@example.com").await;
    enable(&rig, "off", &person, false).await;
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    let wrong = pass(&rig, HOME, &challenge, &wrong_code(&rig, &person.totp)).await.unwrap_err();
    assert_eq!(wrong.code(), "credentials-invalid");
    let right = pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap_err();
    assert_eq!(right.code(), "principal-disabled");
    assert_eq!(rig.count("sessions").await, 0);
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let row = rows.iter().find(|r| r.row.action == "SignIn").unwrap();
    assert_eq!(
        (row.row.outcome.as_str(), row.row.target_id.as_str()),
        ("principal-disabled", person.id.as_str())
    );
    assert_eq!(row.row.address, HOME);
    enable(&rig, "on", &person, true).await;
    pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap();
}

async fn two_second_factors_at_once_make_one_session(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (one, other) =
        (person.challenge(&rig, HOME).await.unwrap(), person.challenge(&rig, HOME).await.unwrap());
    let code = person.code(&rig);
    let tried =
        futures::future::join_all([&one, &other, &one, &other].map(|c| pass(&rig, HOME, c, &code))).await;
    assert_eq!(tried.iter().filter(|t| t.is_ok()).count(), 1, "{tried:?}");
    assert_eq!(rig.count("sessions").await, 1);
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    assert_eq!(rows.iter().filter(|r| r.row.action == "SignIn").count(), 1);
}

async fn with_authz_away_nothing_is_used_up(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (_, token) = crate::people::invited(&rig, "b", "b@example.com").await;
    let drawn = crate::people::activate(&rig, &token, crate::people::PASSWORD).await.unwrap();
    rig.gate.close();
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    let (code, second) = (person.code(&rig), totp(&drawn.secret, rig.clock.now().unix_s()));
    assert_eq!(pass(&rig, HOME, &challenge, &code).await.unwrap_err().code(), "unavailable");
    assert_eq!(crate::people::confirm(&rig, &token, &second).await.unwrap_err().code(), "unavailable");
    rig.gate.open();
    let session = pass(&rig, HOME, &challenge, &code).await.unwrap().session_token;
    crate::people::confirm(&rig, &token, &second).await.unwrap();
    rig.gate.close();
    credential(&rig, &session).await.unwrap();
}

async fn a_malformed_sign_in_names_its_fields(rig: Rig) {
    let asked =
        wire::SignInRequest { email: "nobody".into(), password: String::new(), account_id: "x".into() };
    let refusal = sign_in(&rig, HOME, asked).await.unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.fields()),
        ("validation-failed", vec!["email", "password", "accountId"])
    );
    let refusal = pass(&rig, HOME, "c", "12 34").await.unwrap_err();
    assert_eq!((refusal.code(), refusal.fields()), ("validation-failed", vec!["code"]));
    assert_eq!(hashes(&rig), 0);
}
