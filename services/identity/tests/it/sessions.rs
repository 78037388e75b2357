//! Sessions: how long they are good, which there are, and how they end.

use crate::on_both;
use crate::people::{HOME, Person, active, colleague, credential, delete_user, enable, pass, update_user};
use crate::rig::{Answer, Reached, Refusal, Rig};
use beem_caller::Actor;
use beem_events::audit::unpushed;
use beem_proto::identity::v1 as wire;

on_both!(
    a_session_ends_after_twelve_hours_or_thirty_idle_minutes,
    uses_are_noted_once_a_minute_and_never_backwards,
    sessions_are_listed_and_ended_by_their_owner_alone,
    ending_the_current_one_signs_out,
    the_fifty_first_session_ends_the_oldest,
    disabling_and_deleting_end_sessions,
    an_ended_session_is_not_told_under_the_version_that_ended_it,
    killed_at_any_call_a_session_ends_when_asked_again,
    ending_what_is_over_does_nothing,
    signing_out_waits_for_no_change_of_the_user,
    what_is_over_is_forgotten_in_time,
);

const END: &str = "/beem.identity.v1.Sessions/EndSession";
const END_CURRENT: &str = "/beem.identity.v1.Sessions/EndCurrentSession";

async fn end(rig: &Rig, actor: &Actor, key: &str, id: &str) -> Result<Answer<wire::Session>, Refusal> {
    rig.call(actor, key, END, wire::EndSessionRequest { id: id.into() }).await
}

async fn list(rig: &Rig, actor: &Actor) -> Vec<wire::Session> {
    let path = "/beem.identity.v1.Sessions/ListSessions";
    let listed: Answer<wire::ListSessionsResponse> =
        rig.call(actor, "", path, wire::ListSessionsRequest::default()).await.unwrap();
    listed.body.content
}

async fn used(rig: &Rig, session: &str, at_s: i64, address: &str) {
    let session_uses = vec![wire::SessionUse {
        session_id: session.into(),
        time: Some(beem_proto::to_timestamp(at_s * 1000)),
        address: address.into(),
    }];
    let asked = wire::ReportUseRequest { uses: vec![], session_uses };
    let path = "/beem.identity.v1.Directory/ReportUse";
    let _: Answer<wire::ReportUseResponse> = rig.internal(path, asked).await.unwrap();
}

async fn a_session_ends_after_twelve_hours_or_thirty_idle_minutes(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let idle = person.sign_in(&rig, HOME).await.unwrap();
    rig.clock.advance_ms(30 * 60_000 - 1);
    credential(&rig, &idle).await.unwrap();
    rig.clock.advance_ms(1);
    assert_eq!(credential(&rig, &idle).await.unwrap_err().code(), "not-found");
    let token = person.sign_in(&rig, HOME).await.unwrap();
    let session = credential(&rig, &token).await.unwrap();
    let ends = session.expires_at.unwrap().seconds;
    while rig.clock.now().unix_s() + 1500 < ends {
        rig.clock.advance_ms(1_500_000);
        used(&rig, &session.session_id, rig.clock.now().unix_s(), HOME).await;
        credential(&rig, &token).await.unwrap();
    }
    rig.clock.advance_ms((ends - rig.clock.now().unix_s()) * 1000);
    assert_eq!(credential(&rig, &token).await.unwrap_err().code(), "not-found", "twelve hours are the end");
    used(&rig, &session.session_id, rig.clock.now().unix_s(), HOME).await;
    assert_eq!(credential(&rig, &token).await.unwrap_err().code(), "not-found");
}

async fn uses_are_noted_once_a_minute_and_never_backwards(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (actor, token) = person.entered(&rig).await;
    let id = actor.session.unwrap().to_string();
    let began = rig.clock.now().unix_s();
    let idle_until = async || credential(&rig, &token).await.unwrap().idle_until.unwrap().seconds - 1800;
    rig.clock.advance_ms(300_000);
    used(&rig, &id, began + 59, "198.51.100.1").await;
    assert_eq!(idle_until().await, began, "within the minute");
    used(&rig, &id, began + 120, "198.51.100.2").await;
    assert_eq!(idle_until().await, began + 120);
    used(&rig, &id, began + 60, "198.51.100.3").await;
    assert_eq!(idle_until().await, began + 120, "reports come in any order");
    used(&rig, &id, began + 90_000, "198.51.100.4").await;
    assert_eq!(idle_until().await, began + 300, "a clock that runs ahead is not believed");
    let listed = list(&rig, &actor).await;
    assert_eq!(listed[0].address, "198.51.100.4");
    assert_eq!(listed[0].last_used_at.unwrap().seconds, (began + 300) / 60 * 60);
    end(&rig, &actor, "e", &id).await.unwrap();
    rig.clock.advance_ms(120_000);
    used(&rig, &id, rig.clock.now().unix_s(), "198.51.100.5").await;
    assert_eq!(credential(&rig, &token).await.unwrap_err().code(), "not-found");
    let garbled = wire::SessionUse { session_id: "x".into(), ..wire::SessionUse::default() };
    let asked = wire::ReportUseRequest { uses: vec![], session_uses: vec![garbled] };
    let refused: Result<Answer<wire::ReportUseResponse>, _> =
        rig.internal("/beem.identity.v1.Directory/ReportUse", asked).await;
    assert_eq!(refused.unwrap_err().fields(), ["sessionUses[0].sessionId"]);
}

async fn sessions_are_listed_and_ended_by_their_owner_alone(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let other = active(&rig, "b", "b@example.com").await;
    let (first, first_token) = person.entered(&rig).await;
    let (second, second_token) = person.entered(&rig).await;
    let (stranger, _) = other.entered(&rig).await;
    let listed = list(&rig, &second).await;
    let ids: Vec<_> = listed.iter().map(|s| (s.id.as_str(), s.current)).collect();
    let (first_id, second_id) = (first.session.unwrap().to_string(), second.session.unwrap().to_string());
    assert_eq!(ids, [(second_id.as_str(), true), (first_id.as_str(), false)], "newest first");
    assert_eq!((listed[0].user_agent.as_str(), listed[0].address.as_str()), ("a browser", HOME));
    for id in [first_id.as_str(), "nothing", &other.id] {
        assert_eq!(end(&rig, &stranger, &format!("x{id}"), id).await.unwrap_err().code(), "not-found");
    }
    let before = credential(&rig, &second_token).await.unwrap().version;
    let ended = end(&rig, &second, "e", &first_id).await.unwrap();
    assert_eq!((&ended.body.id, ended.body.current, ended.replayed), (&first_id, false, false));
    assert!(end(&rig, &second, "e", &first_id).await.unwrap().replayed);
    assert_eq!(credential(&rig, &first_token).await.unwrap_err().code(), "not-found");
    let kept = credential(&rig, &second_token).await.unwrap();
    assert!(kept.version > before, "whoever kept the ended one asks again");
    let again = end(&rig, &second, "e2", &first_id).await.unwrap();
    assert_eq!(again.body.id, first_id, "ending what is over answers it");
    assert_eq!(list(&rig, &second).await.len(), 1);
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    let row = rows.iter().find(|r| r.row.action == "EndSession").unwrap();
    assert_eq!((row.row.target_type.as_str(), row.row.target_id.as_str()), ("session", first_id.as_str()));
    let client: Result<Answer<wire::ListSessionsResponse>, _> = rig
        .call(
            &person.client,
            "",
            "/beem.identity.v1.Sessions/ListSessions",
            wire::ListSessionsRequest::default(),
        )
        .await;
    assert_eq!(client.unwrap_err().code(), "session-required");
}

async fn ending_the_current_one_signs_out(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (actor, token) = person.entered(&rig).await;
    let ended: Answer<wire::Session> =
        rig.call(&actor, "o", END_CURRENT, wire::EndCurrentSessionRequest {}).await.unwrap();
    assert!(ended.body.current);
    assert_eq!(credential(&rig, &token).await.unwrap_err().code(), "not-found");
    let again: Answer<wire::Session> =
        rig.call(&actor, "o2", END_CURRENT, wire::EndCurrentSessionRequest {}).await.unwrap();
    assert_eq!(again.body.id, ended.body.id);
}

async fn the_fifty_first_session_ends_the_oldest(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (mut tokens, mut actor): (Vec<String>, Option<Actor>) = (Vec::new(), None);
    for n in 0..51 {
        let (entered, token) = person.entered(&rig).await;
        if n % 20 == 0 {
            for token in &tokens {
                let id = credential(&rig, token).await.unwrap().session_id;
                used(&rig, &id, rig.clock.now().unix_s(), HOME).await;
            }
        }
        tokens.push(token);
        actor = Some(entered);
    }
    assert_eq!(list(&rig, &actor.unwrap()).await.len(), 50);
    assert_eq!(credential(&rig, &tokens[0]).await.unwrap_err().code(), "not-found");
    credential(&rig, &tokens[1]).await.unwrap();
    credential(&rig, &tokens[50]).await.unwrap();
    // One that is not let in ends none.
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    rig.clock.advance_ms(30_000);
    rig.gate.refuse("BatchGetStandings", beem_fault::Code::NotFound);
    let refused = pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap_err();
    assert_eq!(refused.code(), "credentials-invalid");
    rig.gate.open();
    credential(&rig, &tokens[1]).await.unwrap();
    pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap();
    assert_eq!(credential(&rig, &tokens[1]).await.unwrap_err().code(), "not-found");
    credential(&rig, &tokens[2]).await.unwrap();
}

async fn disabling_and_deleting_end_sessions(rig: Rig) {
    let owner = active(&rig, "a", "a@example.com").await;
    let person = colleague(&rig, &owner, "b@example.com").await;
    let token = person.sign_in(&rig, HOME).await.unwrap();
    rig.clock.advance_ms(30_000);
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    enable(&rig, "off", &person, false).await;
    enable(&rig, "on", &person, true).await;
    assert_eq!(credential(&rig, &token).await.unwrap_err().code(), "not-found");
    let token = pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap().session_token;
    rig.clock.advance_ms(30_000);
    let challenge = person.challenge(&rig, HOME).await.unwrap();
    delete_user(&rig, &person).await;
    assert_eq!(credential(&rig, &token).await.unwrap_err().code(), "not-found");
    let refusal = pass(&rig, HOME, &challenge, &person.code(&rig)).await.unwrap_err();
    assert_eq!(refusal.code(), "credentials-invalid");
    assert_eq!(rig.count("sessions WHERE ended_ms IS NULL").await, 0);
}

async fn an_ended_session_is_not_told_under_the_version_that_ended_it(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (actor, _) = person.entered(&rig).await;
    let (_, doomed) = person.entered(&rig).await;
    let doomed_id = credential(&rig, &doomed).await.unwrap().session_id;
    let reader = async {
        let mut last = 0;
        while let Ok(read) = credential(&rig, &doomed).await {
            last = read.version;
            tokio::task::yield_now().await;
        }
        last
    };
    let (last, ended) = futures::join!(reader, end(&rig, &actor, "e", &doomed_id));
    ended.unwrap();
    let standing = end(&rig, &actor, "e", &doomed_id).await.unwrap();
    assert!(standing.replayed);
    let (_, fresh) = person.entered(&rig).await;
    assert!(credential(&rig, &fresh).await.unwrap().version > last);
}

async fn killed_at_any_call_a_session_ends_when_asked_again(mut rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    for (n, reached) in [Reached::No, Reached::Yes].into_iter().enumerate() {
        let (actor, token) = person.entered(&rig).await;
        let key = format!("k{n}");
        rig.gate.hang_at(0, reached);
        let ending =
            rig.call::<_, wire::Session>(&actor, &key, END_CURRENT, wire::EndCurrentSessionRequest {});
        tokio::select! {
            ended = ending => panic!("authz was not asked: {ended:?}"),
            () = rig.gate.hanging() => {}
        }
        rig.restart().await;
        credential(&rig, &token).await.unwrap();
        for replayed in [false, true] {
            let again: Answer<wire::Session> =
                rig.call(&actor, &key, END_CURRENT, wire::EndCurrentSessionRequest {}).await.unwrap();
            assert_eq!(again.replayed, replayed);
            assert_eq!(credential(&rig, &token).await.unwrap_err().code(), "not-found");
        }
    }
    let rows = unpushed(&rig.identity.db, 100).await.unwrap();
    assert_eq!(rows.iter().filter(|r| r.row.action == "EndCurrentSession").count(), 2);
}

async fn ending_what_is_over_does_nothing(rig: Rig) {
    let person = active(&rig, "a", "a@example.com").await;
    let (gone, _) = person.entered(&rig).await;
    let (actor, token) = person.entered(&rig).await;
    let gone = gone.session.unwrap().to_string();
    let first = end(&rig, &actor, "e", &gone).await.unwrap();
    let (version, rows) = (credential(&rig, &token).await.unwrap().version, rig.count("audit_rows").await);
    drop(rig.gate.calls());
    for n in 0..3 {
        let again = end(&rig, &actor, &format!("again {n}"), &gone).await.unwrap();
        assert_eq!((again.body, again.replayed), (first.body.clone(), false));
    }
    let other = wire::EndSessionRequest { id: actor.session.unwrap().to_string() };
    let reused = rig.call::<_, wire::Session>(&actor, "e", END, other).await.unwrap_err();
    assert_eq!(reused.code(), "idempotency-key-reused");
    assert_eq!(rig.count("audit_rows").await, rows);
    // The last one, refused for its key, was asked for as one that ends something.
    assert_eq!(rig.gate.calls(), ["PrepareChange"]);
    assert_eq!(credential(&rig, &token).await.unwrap().version, version);
    // One that was idle for too long may yet be found to have been used: it is ended for good.
    let (idle, idle_token) = person.entered(&rig).await;
    rig.clock.advance_ms(31 * 60_000);
    let (actor, _) = person.entered(&rig).await;
    let id = idle.session.unwrap().to_string();
    end(&rig, &actor, "idle", &id).await.unwrap();
    used(&rig, &id, rig.clock.now().unix_s(), HOME).await;
    assert_eq!(credential(&rig, &idle_token).await.unwrap_err().code(), "not-found");
}

async fn signing_out_waits_for_no_change_of_the_user(rig: Rig) {
    rig.run_tasks();
    let person = active(&rig, "a", "a@example.com").await;
    let (actor, token) = person.entered(&rig).await;
    let patch = wire::UpdateUserRequest {
        network_whitelist: vec!["203.0.113.0/24".into()],
        present: crate::clients::mask(&["network_whitelist"]),
        ..wire::UpdateUserRequest::default()
    };
    // Authz has judged the change, and identity does not hear of it: the user is being changed.
    rig.gate.hang_at(1, Reached::Yes);
    let mut changing = Box::pin(update_user(&rig, "n", &person, patch));
    tokio::select! {
        () = &mut changing => panic!("authz was not asked"),
        () = rig.gate.hanging() => {}
    }
    rig.gate.open();
    let ending = rig.call::<_, wire::Session>(&actor, "o", END_CURRENT, wire::EndCurrentSessionRequest {});
    ending.await.unwrap();
    assert_eq!(credential(&rig, &token).await.unwrap_err().code(), "not-found");
    drop(changing);
    rig.sagas_ended().await;
    // What ended it has a later version than the change that was under way: identity has come to it with that.
    let token = person.sign_in(&rig, HOME).await.unwrap();
    let read = credential(&rig, &token).await.unwrap();
    assert_eq!(read.network_whitelist, ["203.0.113.0/24"]);
    assert_eq!(read.version, rig.credential_version(&person.account, &person.id).await);
}

async fn what_is_over_is_forgotten_in_time(rig: Rig) {
    let person: Person = active(&rig, "a", "a@example.com").await;
    crate::people::invited(&rig, "b", "b@example.com").await;
    person.sign_in(&rig, HOME).await.unwrap();
    person.challenge(&rig, HOME).await.unwrap();
    person.challenge(&rig, "198.51.100.1").await.unwrap();
    let tables = ["links", "challenges", "sessions", "attempts", "known_places"];
    for table in tables {
        assert!(rig.count(table).await > 0, "{table}");
    }
    rig.clock.advance_ms(31 * 24 * 3_600_000);
    rig.run_tasks();
    for table in tables {
        for _ in 0..500 {
            if rig.count(table).await == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(rig.count(table).await, 0, "{table}");
    }
}
