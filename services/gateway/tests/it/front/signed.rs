//! Signed requests beside sessions: programs are let in as before, and what is for people they do not get.

use super::rig::Rig;
use beem_caller::{AuthenticatedBy, PrincipalKind};
use beem_roles::{Role, RoleSet};

#[tokio::test(start_paused = true)]
async fn a_program_reaches_the_service_as_itself() {
    let rig = Rig::new();
    let program = rig.program(RoleSet::ALL);
    rig.ask("GET /platform/v1/me").signed(&program).send().await.fine();
    let actor = rig.last_actor();
    assert_eq!((actor.kind, actor.authenticated_by), (PrincipalKind::Client, AuthenticatedBy::Signature));
    assert_eq!((actor.name, actor.session), (program.signer.keyid.clone(), None));
    rig.until("the use is reported", |s| {
        s.uses.iter().flat_map(|u| &u.uses).any(|u| u.principal_id == program.principal)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_for_people_is_refused_to_programs() {
    let rig = Rig::new();
    let program = rig.program(RoleSet::ALL);
    let person = rig.person(RoleSet::EMPTY);
    for line in [
        "GET /platform/v1/sessions",
        "DELETE /platform/v1/sessions/current",
        "POST /platform/v1/password",
        "POST /platform/v1/me/second-factor",
        "PATCH /platform/v1/me",
    ] {
        rig.ask(line).signed(&program).send().await.refused(403, "session-required");
        rig.ask(line).bearer(&person.token).send().await.fine();
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_and_a_signature_pass_the_same_access_rules() {
    let rig = Rig::new();
    let viewer = RoleSet::EMPTY.with(Role::ClientViewer);
    let (program, person) = (rig.program(viewer), rig.person(viewer));
    for (line, status) in [("GET /platform/v1/clients", 200), ("POST /platform/v1/clients", 403)] {
        assert_eq!(rig.ask(line).signed(&program).send().await.status, status);
        let answer = rig.ask(line).bearer(&person.token).send().await;
        assert_eq!(answer.status, status);
        if status == 403 {
            assert!(answer.json["detail"].as_str().unwrap().contains("layer1:role:client:operator"));
        }
    }
}
