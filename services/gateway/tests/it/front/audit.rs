//! The rows the gateway adds to the trail: which there are, and that they arrive.

use super::rig::Rig;
use beem_fault::{Code, Fault};
use beem_gateway::audit::Rows;
use beem_proto::authz::v1::AuditRow;
use beem_roles::{Role, RoleSet};
use beem_runtime::{Tasks, task};
use std::time::Duration;

fn outcomes(rows: &[AuditRow]) -> Vec<(&str, &str)> {
    rows.iter().map(|r| (r.action.as_str(), r.outcome.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn who_is_known_and_forbidden_is_in_the_trail() {
    let rig = Rig::with(|s| s.audit.read_sample = 0);
    let (person, program) = (rig.person(RoleSet::EMPTY), rig.program(RoleSet::EMPTY));
    let missing = rig.ask("GET /platform/v1/users").bearer(&person.token).send().await;
    missing.refused(403, "role-missing");
    rig.ask("POST /platform/v1/password").signed(&program).send().await.refused(403, "session-required");
    rig.later(600).await;
    rig.restand(&program.principal, |s| s.enabled = false);
    rig.ask("GET /platform/v1/me").signed(&program).send().await.refused(403, "principal-disabled");
    let outside = rig.person(RoleSet::ALL);
    rig.resession(&outside, |s| s.network_whitelist = vec!["198.51.100.0/24".into()]);
    rig.me(&outside).await.refused(403, "network-not-allowed");
    rig.until("the rows arrive", |s| s.rows().len() == 4).await;
    let rows = rig.state(|s| s.rows());
    let expected = [
        ("ListUsers", "role-missing"),
        ("ChangePassword", "session-required"),
        ("GetProfile", "principal-disabled"),
        ("GetProfile", "network-not-allowed"),
    ];
    assert_eq!(outcomes(&rows), expected);
    let first = &rows[0];
    let actor = first.actor.as_ref().unwrap();
    let target = first.target.as_ref().unwrap();
    assert_eq!((actor.principal_id.as_str(), actor.kind.as_str()), (person.principal.as_str(), "USER"));
    assert_eq!(actor.name, "ada@example.com");
    assert_eq!((target.r#type.as_str(), target.id.as_str()), ("rpc", "ListUsers"));
    assert_eq!((first.address.as_str(), first.key_fingerprint.as_str()), ("203.0.113.7", ""));
    assert_eq!(first.request_id, missing.request.to_string());
    assert!(first.before.is_empty() && first.after.is_empty());
    assert_eq!(rows[1].actor.as_ref().unwrap().kind, "CLIENT");
    assert_eq!(rows[1].key_fingerprint, program.signer.key.public().fingerprint());
    let told = format!("{rows:?}");
    assert!(!told.contains(&person.token), "no secret stands in a row");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_refusal_of_the_gateway_is_no_row() {
    let rig = Rig::with(|s| {
        s.audit.read_sample = 0;
        s.rates.client_per_s = 1;
    });
    let person = rig.person(RoleSet::EMPTY);
    rig.state(|s| s.refusal = Some(Fault::new(Code::RoleMissing, "name needs user:operator")));
    let account = || rig.ask("PATCH /platform/v1/account").bearer(&person.token);
    account().json(r#"{"name":"x"}"#).send().await.refused(403, "role-missing");
    account().json(r#"{"nmae":"x"}"#).send().await.refused(400, "unknown-field");
    account().send().await.refused(429, "rate-limited");
    // A row that is there shows that the others would have been.
    let other = rig.person(RoleSet::EMPTY);
    rig.ask("GET /platform/v1/users").bearer(&other.token).send().await.refused(403, "role-missing");
    rig.until("the one row arrives", |s| !s.rows().is_empty()).await;
    assert_eq!(outcomes(&rig.state(|s| s.rows())), [("ListUsers", "role-missing")]);
}

#[tokio::test(start_paused = true)]
async fn allowed_reads_are_sampled() {
    let rig = Rig::with(|s| s.audit.read_sample = 1);
    let person = rig.person(RoleSet::EMPTY.with(Role::UserOperator));
    rig.me(&person).await.fine();
    rig.ask("PATCH /platform/v1/me").bearer(&person.token).send().await.fine();
    rig.ask("HEAD /platform/v1/users").bearer(&person.token).send().await.fine();
    rig.state(|s| s.refusal = Some(Fault::not_found("user")));
    rig.me(&person).await.refused(404, "not-found");
    rig.drain().await;
    let rows = rig.state(|s| s.rows());
    assert_eq!(outcomes(&rows), [("GetProfile", "done"), ("ListUsers", "done")]);
}

#[tokio::test(start_paused = true)]
async fn about_one_read_in_so_many_is_recorded() {
    let rig = Rig::with(|s| s.audit.read_sample = 10);
    let person = rig.person(RoleSet::EMPTY);
    for _ in 0..400 {
        rig.me(&person).await.fine();
        rig.later(5).await;
    }
    rig.drain().await;
    let recorded = rig.state(|s| s.rows().len());
    assert!((15..80).contains(&recorded), "{recorded} of 400");
}

#[tokio::test(start_paused = true)]
async fn rows_wait_while_authz_is_away_and_arrive_once() {
    let rig = Rig::with(|s| s.audit.read_sample = 1);
    let person = rig.person(RoleSet::EMPTY);
    // authz takes rows, but its answers are lost: it is sent the same rows again.
    rig.state(|s| s.answers_lost = true);
    for _ in 0..3 {
        rig.me(&person).await.fine();
    }
    rig.until("rows were sent twice", |s| s.pushes.len() > 1).await;
    rig.state(|s| s.answers_lost = false);
    rig.until("a push went through", |s| s.pushes.len() > 2).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (pushes, rows) = rig.state(|s| (s.pushes.len(), s.rows()));
    assert_eq!(rows.len(), 3);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.state(|s| s.pushes.len()), pushes, "what authz has is not sent again");
}

#[tokio::test(start_paused = true)]
async fn rows_that_wait_are_bounded_and_sent_in_portions() {
    let rig = Rig::new();
    let rows = Rows::new(rig.authz.clone(), rig.telemetry.clone());
    rig.state(|s| s.away.insert("authz"));
    for n in 0..10_003 {
        rows.add(AuditRow { id: format!("{n:05}"), ..AuditRow::default() });
    }
    rig.state(|s| s.away.remove("authz"));
    let tasks = Tasks::new(rig.telemetry.clone());
    tasks.supervise(task("push", move |cancel| rows.clone().push(cancel)));
    rig.until("all arrive", |s| s.rows().len() == 10_000).await;
    let sizes = rig.state(|s| s.pushes.iter().map(Vec::len).collect::<Vec<_>>());
    assert_eq!(sizes, [500; 20]);
    assert!(rig.state(|s| s.rows().iter().any(|r| r.id == "09999")));
    let metrics = rig.telemetry.prometheus_text();
    assert!(metrics.contains(r#"beem_gateway_audit_lost_total{why="full"} 3"#), "{metrics}");
    assert!(tasks.drain(Duration::from_secs(10)).await);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_authz_will_never_take_does_not_hold_up_the_others() {
    let rig = Rig::new();
    let rows = Rows::new(rig.authz.clone(), rig.telemetry.clone());
    rig.state(|s| s.refused_action = Some("Bad".into()));
    for n in 0..40 {
        let action = if n == 13 || n == 14 { "Bad" } else { "Good" };
        rows.add(AuditRow { id: format!("{n}"), action: action.into(), ..AuditRow::default() });
    }
    let tasks = Tasks::new(rig.telemetry.clone());
    tasks.supervise(task("push", move |cancel| rows.clone().push(cancel)));
    rig.until("the good ones arrive", |s| s.rows().len() == 38).await;
    let metrics = rig.telemetry.prometheus_text();
    assert!(metrics.contains(r#"beem_gateway_audit_lost_total{why="refused"} 2"#), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_sends_what_it_has_and_does_not_wait_for_ever() {
    let rig = Rig::with(|s| s.audit.read_sample = 1);
    let person = rig.person(RoleSet::EMPTY);
    rig.me(&person).await.fine();
    rig.ask("GET /platform/v1/me").send().await.refused(401, "signature-missing");
    rig.drain().await;
    assert_eq!(rig.state(|s| (s.rows().len(), s.counts().len())), (1, 1));
    let rig = Rig::with(|s| s.audit.read_sample = 1);
    let person = rig.person(RoleSet::EMPTY);
    rig.me(&person).await.fine();
    rig.state(|s| s.away.insert("authz"));
    rig.drain().await;
}
