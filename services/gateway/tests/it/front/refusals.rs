//! Refusals of callers nobody knows: counted by address, minute and code.

use super::rig::Rig;
use beem_fault::{Code, Fault};
use beem_gateway::audit::Refusals;
use beem_ids::RequestId;
use beem_roles::RoleSet;
use beem_runtime::{Tasks, task};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// The rig's clock begins on a full minute.
const MINUTE_S: i64 = 1_800_000_000;

fn row(address: &str, minute: i64, code: &str, count: u64) -> (String, i64, String, u64) {
    (address.into(), MINUTE_S + 60 * minute, code.into(), count)
}

#[tokio::test(start_paused = true)]
async fn who_is_not_known_is_counted_by_address_minute_and_code() {
    let rig = Rig::new();
    let me = |peer: &str| rig.ask("GET /platform/v1/me").from(peer);
    me("203.0.113.7").send().await.refused(401, "signature-missing");
    me("203.0.113.7").send().await.refused(401, "signature-missing");
    me("203.0.113.7").bearer("guessed").send().await.refused(401, "session-invalid");
    me("2001:db8:1:2::1").bearer("guessed").send().await.refused(401, "session-invalid");
    me("2001:db8:1:2:ffff::9").bearer("guessed").send().await.refused(401, "session-invalid");
    rig.clock.advance_ms(60_000);
    let stranger = stranger_to(&rig);
    me("203.0.113.7").signed(&stranger).send().await.refused(401, "client-unknown");
    // What the caller or the system did wrong otherwise, and who is known, is not counted here.
    rig.ask("GET /nowhere").send().await.refused(404, "not-found");
    let person = rig.person(RoleSet::EMPTY);
    rig.ask("GET /platform/v1/users").bearer(&person.token).send().await.refused(403, "role-missing");
    rig.state(|s| s.away.insert("identity"));
    let other = rig.person(RoleSet::EMPTY);
    rig.me(&other).await.refused(503, "unavailable");
    rig.until("the report arrives", |s| !s.reports.is_empty()).await;
    let expected = [
        row("2001:db8:1:2::/64", 0, "session-invalid", 2),
        row("203.0.113.7", 0, "session-invalid", 1),
        row("203.0.113.7", 0, "signature-missing", 2),
        row("203.0.113.7", 1, "client-unknown", 1),
    ];
    assert_eq!(rig.state(|s| s.counts()), expected);
}

/// A program nobody has registered.
fn stranger_to(rig: &Rig) -> super::rig::Program {
    let mut program = rig.program(RoleSet::ALL);
    program.signer.keyid = RequestId::draw(rig.clock.now(), &rig.entropy).to_string();
    program
}

#[tokio::test(start_paused = true)]
async fn wrong_passwords_are_counted_where_they_come_from() {
    let rig = Rig::new();
    let sign_in =
        || rig.ask("POST /platform/v1/sessions").json(r#"{"email":"ada@example.com","password":"x"}"#);
    for code in
        [Code::CredentialsInvalid, Code::CredentialsInvalid, Code::RateLimited, Code::ValidationFailed]
    {
        rig.state(|s| s.refusal = Some(Fault::new(code, "no")));
        assert_eq!(sign_in().send().await.code(), code.as_str());
    }
    // Whoever is known and refused by a service is that service's to record.
    let person = rig.person(RoleSet::ALL);
    rig.state(|s| s.refusal = Some(Fault::new(Code::CredentialsInvalid, "no")));
    rig.me(&person).await.refused(401, "credentials-invalid");
    rig.drain().await;
    let expected =
        [row("203.0.113.7", 0, "credentials-invalid", 2), row("203.0.113.7", 0, "rate-limited", 1)];
    assert_eq!(rig.state(|s| s.counts()), expected);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_comes_too_often_is_counted() {
    let rig = Rig::with(|s| s.rates.address_per_s = 1);
    for _ in 0..2 {
        rig.ask("GET /platform/v1/me").send().await.refused(401, "signature-missing");
    }
    rig.ask("GET /healthz").send().await.refused(429, "rate-limited");
    rig.drain().await;
    let expected = [row("203.0.113.7", 0, "rate-limited", 1), row("203.0.113.7", 0, "signature-missing", 2)];
    assert_eq!(rig.state(|s| s.counts()), expected);
}

#[tokio::test(start_paused = true)]
async fn a_report_keeps_its_id_until_authz_has_it() {
    let rig = Rig::new();
    let missing = async || rig.ask("GET /platform/v1/me").send().await.refused(401, "signature-missing");
    missing().await;
    rig.state(|s| s.answers_lost = true);
    rig.until("it was sent twice", |s| s.reports.len() > 1).await;
    missing().await;
    rig.state(|s| s.answers_lost = false);
    rig.until("what was counted meanwhile follows", |s| s.counts().len() == 2).await;
    let ids = rig.state(|s| s.reports.iter().map(|r| r.report_id.clone()).collect::<Vec<_>>());
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids.first(), ids.last());
    let one = row("203.0.113.7", 0, "signature-missing", 1);
    assert_eq!(rig.state(|s| s.counts()), [one.clone(), one]);
}

#[tokio::test(start_paused = true)]
async fn counts_are_bounded_and_none_is_lost() {
    let rig = Rig::new();
    let refusals =
        Refusals::new(rig.authz.clone(), rig.clock.clone(), rig.entropy.clone(), rig.telemetry.clone());
    for n in 0..10_500_u32 {
        refusals.count(IpAddr::V4(Ipv4Addr::from_bits(n)), Code::SessionInvalid);
    }
    refusals.count(IpAddr::V4(Ipv4Addr::from_bits(5)), Code::SessionInvalid);
    let tasks = Tasks::new(rig.telemetry.clone());
    tasks.supervise(task("report", move |cancel| refusals.clone().report(cancel)));
    assert!(tasks.drain(Duration::from_secs(10)).await);
    let (counts, sizes) =
        rig.state(|s| (s.counts(), s.reports.iter().map(|r| r.counts.len()).collect::<Vec<_>>()));
    assert!(sizes.iter().all(|size| *size <= 1_000), "{sizes:?}");
    assert_eq!(counts.iter().map(|(_, _, _, n)| n).sum::<u64>(), 10_501);
    assert_eq!(counts[0], row("", 0, "session-invalid", 500));
    assert!(counts.contains(&row("0.0.0.5", 0, "session-invalid", 2)));
}
