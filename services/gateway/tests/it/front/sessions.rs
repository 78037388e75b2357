//! Sessions at the front door: what lets in, what does not, and how soon what ended has ended.

use super::rig::{Answer, Person, Rig, hash};
use beem_caller::{AuthenticatedBy, PrincipalKind};
use beem_proto::to_timestamp;
use beem_roles::{Role, RoleSet};

const ME: &str = "GET /platform/v1/me";
const NAME: &str = "PATCH /platform/v1/me";

/// One and the same refusal, whatever the reason was.
#[track_caller]
fn unknown(answer: &Answer) {
    answer.refused(401, "session-invalid");
    assert_eq!(answer.json["detail"], "the session is not known here, or it has ended: sign in");
    assert_eq!(answer.headers["www-authenticate"], "Bearer");
}

fn reads(rig: &Rig) -> usize {
    rig.state(|s| s.called("/GetSession"))
}

#[tokio::test(start_paused = true)]
async fn a_session_reaches_the_service_as_its_person() {
    let rig = Rig::new();
    let person = rig.person(RoleSet::EMPTY.with(Role::LedgerViewer));
    rig.me(&person).await.fine();
    let actor = rig.last_actor();
    assert_eq!((actor.kind, actor.authenticated_by), (PrincipalKind::User, AuthenticatedBy::Session));
    assert_eq!(actor.name, "ada@example.com");
    assert_eq!(actor.principal.to_string(), person.principal);
    assert_eq!(actor.session.unwrap().to_string(), person.session);
    assert_eq!(actor.roles, RoleSet::EMPTY.with(Role::LedgerViewer));
    assert_eq!((actor.key_fingerprint.as_str(), actor.request_key.as_str()), ("", ""));
    rig.until("the use is reported", |s| {
        let sessions = s.uses.iter().flat_map(|u| &u.session_uses);
        sessions.clone().any(|u| u.session_id == person.session && u.address == "203.0.113.7")
            && s.uses.iter().all(|u| u.uses.is_empty())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_of_a_session_has_the_key_it_was_sent_with_or_its_own() {
    let rig = Rig::new();
    let person = rig.person(RoleSet::EMPTY);
    let rename = || rig.ask(NAME).bearer(&person.token).json(r#"{"firstName":"Ada"}"#);
    let answer = rename().send().await;
    answer.fine();
    assert_eq!(rig.last_actor().request_key, format!("d:{}", answer.request));
    rename().header("idempotency-key", "once").send().await.fine();
    assert_eq!(rig.last_actor().request_key, "k:once");
    let twice = rename().header("idempotency-key", "a").header("idempotency-key", "b").send().await;
    twice.refused(400, "validation-failed");
    rig.drain().await;
    assert!(rig.state(|s| s.counts().is_empty()), "who is known is not counted among those who are not");
}

#[tokio::test(start_paused = true)]
async fn whatever_is_wrong_with_a_token_the_answer_is_the_same() {
    let rig = Rig::new();
    let person = rig.person(RoleSet::ALL);
    let token = person.token.as_str();
    let guessed = format!("{}A", "0123456789".repeat(5).split_at(42).0);
    let cut = &token[..42];
    for value in [
        format!("Bearer {guessed}"),
        format!("Bearer {cut}"),
        format!("Bearer {token}A"),
        format!("Bearer {token}="),
        format!("Bearer {cut}*"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token},"),
        format!("Bearer\t{token}"),
        format!("Basic {token}"),
        format!("DPoP {token}"),
        token.to_owned(),
        "Bearer".into(),
        "Bearer ".into(),
        String::new(),
    ] {
        unknown(&rig.ask(ME).header("authorization", &value).send().await);
    }
    let odd = rig.ask(ME).header("authorization", b"Bearer \xff\xfe").send().await;
    unknown(&odd);
    unknown(&rig.ask(ME).bearer(token).bearer(token).send().await);
    unknown(&rig.ask(ME).bearer(token).header("authorization", "Basic YTpi").send().await);
    assert!(rig.state(|s| s.subjects.is_empty()), "nothing of it went inward");
    rig.ask(ME).header("authorization", format!("bEARER  {token}")).send().await.fine();
}

#[tokio::test(start_paused = true)]
async fn ended_expired_and_idle_sessions_and_those_of_nobody_are_unknown() {
    let rig = Rig::new();
    let ended = rig.person(RoleSet::ALL);
    rig.end(&ended);
    let at = |ms| Some(to_timestamp(rig.clock.now().plus_ms(ms).unix_ms()));
    let expired = rig.person(RoleSet::ALL);
    rig.resession(&expired, |s| s.expires_at = at(0));
    let idle = rig.person(RoleSet::ALL);
    rig.resession(&idle, |s| s.idle_until = at(0));
    let deleted = rig.person(RoleSet::ALL);
    rig.restand(&deleted.principal, |s| s.deleted = true);
    let nobodys = rig.person(RoleSet::ALL);
    rig.state(|s| s.standings.remove(&nobodys.principal));
    for person in [ended, expired, idle, deleted, nobodys] {
        unknown(&rig.me(&person).await);
    }
    let endless = rig.person(RoleSet::ALL);
    rig.resession(&endless, |s| s.idle_until = None);
    rig.me(&endless).await.refused(500, "internal");
}

#[tokio::test(start_paused = true)]
async fn a_signature_and_a_token_together_are_refused_and_neither_is_told_of_both() {
    let rig = Rig::new();
    let (person, program) = (rig.person(RoleSet::ALL), rig.program(RoleSet::ALL));
    for half in ["signature", "signature-input"] {
        let both = rig.ask(ME).bearer(&person.token).header(half, "sig=()").send().await;
        both.refused(400, "validation-failed");
        assert_eq!(both.json["errors"][0]["field"], "Authorization");
    }
    rig.ask(ME).signed(&program).bearer(&person.token).send().await.refused(400, "validation-failed");
    let neither = rig.ask(ME).send().await;
    neither.refused(401, "signature-missing");
    assert!(neither.json["detail"].as_str().unwrap().contains("Authorization: Bearer"));
    assert!(!neither.headers.contains_key("www-authenticate"));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_judged_by_its_persons_networks_at_every_use() {
    let rig = Rig::new();
    let person = rig.person(RoleSet::ALL);
    rig.resession(&person, |s| s.network_whitelist = vec!["198.51.100.0/24".into()]);
    let from = async |address: &str| rig.ask(ME).bearer(&person.token).from(address).send().await;
    from("203.0.113.7").await.refused(403, "network-not-allowed");
    from("198.51.100.9").await.fine();
    from("2001:db8::1").await.refused(403, "network-not-allowed");
}

#[tokio::test(start_paused = true)]
async fn a_disabled_person_is_refused_whatever_the_session_says() {
    let rig = Rig::new();
    let person = rig.person(RoleSet::ALL);
    rig.me(&person).await.fine();
    rig.restand(&person.principal, |s| s.enabled = false);
    rig.later(600).await;
    rig.me(&person).await.refused(403, "principal-disabled");
}

#[tokio::test(start_paused = true)]
async fn a_kept_session_is_used_until_the_standing_is_newer() {
    let rig = Rig::new();
    let person = rig.person(RoleSet::ALL);
    for _ in 0..3 {
        rig.me(&person).await.fine();
        rig.later(600).await;
    }
    assert_eq!(reads(&rig), 1);
    // Another of this person's sessions ended: this one is read again, and kept once identity is as far.
    rig.restand(&person.principal, |s| s.credential_version = 2);
    rig.later(600).await;
    rig.me(&person).await.fine();
    rig.me(&person).await.fine();
    assert_eq!(reads(&rig), 3, "older than the standing: not kept");
    rig.resession(&person, |s| s.version = 2);
    rig.me(&person).await.fine();
    rig.me(&person).await.fine();
    assert_eq!(reads(&rig), 4);
    // Now this one ends.
    rig.restand(&person.principal, |s| s.credential_version = 3);
    rig.end(&person);
    rig.later(600).await;
    unknown(&rig.me(&person).await);
}

/// The standing's copy here is up to half a second old: it cannot be what tells.
#[tokio::test(start_paused = true)]
async fn whoever_signed_out_is_signed_out_here_at_once() {
    let rig = Rig::new();
    let person = rig.person(RoleSet::ALL);
    rig.me(&person).await.fine();
    rig.end(&person);
    rig.me(&person).await.fine();
    rig.ask("DELETE /platform/v1/sessions/current").bearer(&person.token).send().await.fine();
    unknown(&rig.me(&person).await);
}

#[tokio::test(start_paused = true)]
async fn a_kept_session_past_its_time_is_asked_about_once_more() {
    let rig = Rig::new();
    let person = rig.person(RoleSet::ALL);
    rig.me(&person).await.fine();
    rig.later(31 * 60_000).await;
    // It was used at another gateway meanwhile.
    let until = Some(to_timestamp(rig.clock.now().plus_ms(20 * 60_000).unix_ms()));
    rig.resession(&person, |s| s.idle_until = until);
    rig.me(&person).await.fine();
    rig.me(&person).await.fine();
    assert_eq!(reads(&rig), 2);
    rig.later(21 * 60_000).await;
    unknown(&rig.me(&person).await);
    assert_eq!(reads(&rig), 3);
}

#[tokio::test(start_paused = true)]
async fn a_guess_is_looked_up_once_a_second_at_most() {
    let rig = Rig::new();
    let nobody = Person { token: rig.person(RoleSet::ALL).token, principal: "".into(), session: "".into() };
    rig.state(|s| s.sessions.remove(&hash(&nobody.token)));
    for _ in 0..5 {
        unknown(&rig.me(&nobody).await);
    }
    assert_eq!(reads(&rig), 1);
}

#[tokio::test(start_paused = true)]
async fn without_identity_only_kept_sessions_are_let_in() {
    let rig = Rig::new();
    let (kept, other) = (rig.person(RoleSet::ALL), rig.person(RoleSet::ALL));
    let roles = async |person: &Person| rig.ask("GET /platform/v1/roles").bearer(&person.token).send().await;
    roles(&kept).await.fine();
    rig.state(|s| s.away.insert("identity"));
    roles(&kept).await.fine();
    roles(&other).await.refused(503, "unavailable");
    rig.state(|s| s.away.remove("identity"));
    roles(&other).await.fine();
    rig.state(|s| s.away.insert("authz"));
    rig.later(600).await;
    rig.me(&kept).await.refused(503, "unavailable");
}

#[tokio::test(start_paused = true)]
async fn what_is_judged_afresh_does_not_take_a_kept_session_for_granted() {
    let rig = Rig::new();
    let person = rig.person(RoleSet::ALL);
    let password = || {
        let body = r#"{"currentPassword":"a","newPassword":"b","code":"123456"}"#;
        rig.ask("POST /platform/v1/password").bearer(&person.token).json(body)
    };
    rig.me(&person).await.fine();
    password().send().await.fine();
    // A moment ago: the gateway's copy of the standing does not know yet.
    rig.restand(&person.principal, |s| s.credential_version = 2);
    rig.end(&person);
    unknown(&password().send().await);
}

#[tokio::test(start_paused = true)]
async fn a_person_has_one_rate_for_all_sessions() {
    let rig = Rig::with(|s| s.rates.client_per_s = 1);
    let person = rig.person(RoleSet::ALL);
    rig.me(&person).await.fine();
    let second = rig.me(&person).await;
    second.fine();
    assert!(second.headers["ratelimit"].to_str().unwrap().starts_with("\"user\""));
    let third = rig.me(&person).await;
    third.refused(429, "rate-limited");
    assert!(third.headers.contains_key("retry-after"));
    rig.me(&rig.person(RoleSet::ALL)).await.fine();
}
