//! An account's events, pulled; and the types of events that hooks can name.

use crate::deliveries::{EXECUTED, NOWHERE, WALLET, run, wallets};
use crate::on_both;
use crate::receiver::{Answer, Receiver};
use crate::rig::{self, Refusal, Rig, until};
use beem_caller::Actor;
use beem_clock::Moment;
use beem_events::Event;
use beem_hooks::domain::{Area, CATALOGUE, body};
use beem_hooks::store;
use beem_hooks::store::intake::Incoming;
use beem_ids::{AccountId, EventId};
use beem_proto::hooks::v1 as wire;
use beem_proto::{AnswerJson, Contract};
use beem_roles::{Role, RoleSet};
use beem_sealing::{Sealing, SealingKey};
use serde_json::json;

on_both!(
    events_are_pulled_in_order_and_on_behind_what_was_seen,
    what_is_pulled_is_what_is_posted,
    everybody_pulls_what_it_may_read,
    without_a_role_there_is_nothing_and_tokens_work,
    much_that_may_not_be_read_is_passed_over_a_part_at_a_time,
    large_events_make_short_pages,
    a_token_is_for_its_account,
    a_token_from_before_what_is_kept_is_lost,
    a_token_from_behind_the_end_is_lost,
    a_token_of_another_history_is_lost,
    a_token_outlasts_sealing_keys,
    a_test_is_not_pulled,
    every_type_is_listed,
);

const ROTATED: &str = "layer1:identity:client:key-rotated";

async fn pull(
    rig: &Rig,
    actor: &Actor,
    after: &str,
    max: Option<u32>,
) -> Result<wire::ListEventsResponse, Refusal> {
    let asked = wire::ListEventsRequest { after: after.into(), max };
    rig.call(actor, "", "/beem.hooks.v1.Events/ListEvents", asked).await.map(|answer| answer.body)
}

fn ids(events: &[wire::Event]) -> Vec<&str> {
    events.iter().map(|event| event.event_id.as_str()).collect()
}

fn types(events: &[wire::Event]) -> Vec<&str> {
    events.iter().map(|event| event.event.as_str()).collect()
}

/// Events as the intake keeps them, so many at once.
async fn kept(rig: &Rig, account: AccountId, event: &str, count: u32, data: &str) {
    let now = rig.clock.now();
    let one = |n: u32| Event {
        position: 0,
        event_id: EventId::draw(now, &rig.entropy),
        account_id: account,
        event: event.to_owned(),
        source: "ledger".to_owned(),
        entity_id: String::new(),
        sequence: u64::from(n) + 1,
        time: now,
        data: data.to_owned(),
    };
    let events: Vec<Event> = (0..count).map(one).collect();
    let (area, events) = (Area::of(event).unwrap().bit(), &events);
    let written = rig.db.write(|tx| {
        Box::pin(async move {
            let place = store::intake::advance(tx, events.len()).await?;
            let incoming: Vec<_> =
                events.iter().map(|event| Incoming { event, area, body: body(event).unwrap() }).collect();
            store::intake::insert_events(tx, place, &incoming).await
        })
    });
    written.await.unwrap();
}

async fn events_are_pulled_in_order_and_on_behind_what_was_seen(rig: Rig) {
    let nothing = pull(&rig, &rig.owner, "", None).await.unwrap();
    assert_eq!((nothing.content.len(), nothing.next_page_token.as_str()), (0, ""));
    assert!(!nothing.resume_token.is_empty());

    rig.run_task("hooks-intake-ledger");
    let (mut made, other) = (Vec::new(), rig.stranger());
    for n in 0..5 {
        made.push(
            rig.happen(rig.account(), WALLET, &format!("wallet {n}"), json!({"n": n})).await.to_string(),
        );
        rig.happen(other.account, WALLET, "other", json!({})).await;
    }
    until("every event is taken in", async || rig.count("events").await == 10).await;
    let mut seen = Vec::new();
    let mut token = nothing.resume_token;
    loop {
        let page = pull(&rig, &rig.owner, &token, Some(2)).await.unwrap();
        seen.extend(page.content);
        token = page.resume_token;
        if page.next_page_token.is_empty() {
            break;
        }
        assert_eq!(page.next_page_token, token);
    }
    assert_eq!(ids(&seen), made);
    assert!(seen.iter().all(|event| event.account_id == rig.account().to_string() && event.sequence == 1));
    let whole = pull(&rig, &rig.owner, "", None).await.unwrap();
    assert_eq!(whole.content, seen);

    let now = pull(&rig, &rig.owner, &token, None).await.unwrap();
    assert_eq!((now.content.len(), now.next_page_token.as_str()), (0, ""));
    let new = rig.happen(rig.account(), EXECUTED, "quote", json!({})).await.to_string();
    until("it is taken in", async || rig.count("events").await == 11).await;
    for token in [&token, &now.resume_token] {
        assert_eq!(ids(&pull(&rig, &rig.owner, token, None).await.unwrap().content), [new.as_str()]);
    }
    for max in [0, 501] {
        assert_eq!(pull(&rig, &rig.owner, "", Some(max)).await.unwrap_err().fields(), ["max"]);
    }
}

async fn what_is_pulled_is_what_is_posted(rig: Rig) {
    let receiver = Receiver::start(Answer::ok()).await;
    rig.hook(&receiver.url(), &["*"]).await;
    rig.run_tasks();
    let data = json!({
        "id": "w", "balance": {"total": "-0.10", "n": 12.5, "big": 9_007_199_254_740_992_u64}, "none": null,
        "list": [1, "ü", {"a": true}], "dateCreated": "2027-01-15T08:00:00.120Z",
    });
    rig.happen(rig.account(), WALLET, "wallet", data).await;
    rig.happen(rig.account(), WALLET, "wallet", json!({})).await;
    let posted = receiver.wait_for(2).await;
    let pulled = pull(&rig, &rig.owner, "", None).await.unwrap().content;
    assert_eq!(pulled.len(), 2);
    let json = AnswerJson::new(&Contract::load().unwrap(), "beem.hooks.v1.Event").unwrap();
    for event in &pulled {
        let same = posted.iter().find(|one| one.event_id() == event.event_id).unwrap();
        assert_eq!(json.of(event).unwrap(), same.json());
    }
    assert_eq!(pulled.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);
}

async fn everybody_pulls_what_it_may_read(rig: Rig) {
    rig.run_tasks_but(&["hooks-audit", "hooks-engine"]);
    for event in [WALLET, EXECUTED, WALLET] {
        rig.happen(rig.account(), event, "entity", json!({})).await;
    }
    until("they are taken in", async || rig.count("events").await == 3).await;
    rig.happen(rig.account(), ROTATED, "client", json!({})).await;
    until("they are taken in", async || rig.count("events").await == 4).await;
    let pulled = async |roles: &[Role]| {
        let roles = roles.iter().fold(RoleSet::EMPTY, |roles, role| roles.with(*role));
        let page = pull(&rig, &rig.actor_with(roles), "", None).await.unwrap();
        assert_eq!(page.next_page_token, "");
        page.content.into_iter().map(|event| event.event).collect::<Vec<_>>()
    };
    assert_eq!(pulled(&[Role::LedgerViewer]).await, [WALLET, WALLET]);
    assert_eq!(pulled(&[Role::LedgerOperator]).await, [WALLET, WALLET]);
    assert_eq!(pulled(&[Role::ConversionOperator]).await, [EXECUTED]);
    assert_eq!(pulled(&[Role::ClientViewer]).await, [ROTATED]);
    assert_eq!(pulled(&[Role::LedgerViewer, Role::ClientViewer]).await, [WALLET, WALLET, ROTATED]);
    assert!(pulled(&[Role::HookOperator, Role::HookViewer]).await.is_empty(), "hooks are no area");
    let everything = pull(&rig, &rig.owner, "", None).await.unwrap();
    assert_eq!(types(&everything.content), [WALLET, EXECUTED, WALLET, ROTATED]);
}

async fn without_a_role_there_is_nothing_and_tokens_work(rig: Rig) {
    kept(&rig, rig.account(), WALLET, 3, "{}").await;
    let nobody = rig.actor_with(RoleSet::EMPTY);
    let page = pull(&rig, &nobody, "", None).await.unwrap();
    assert_eq!((page.content.len(), page.next_page_token.as_str()), (0, ""));
    let again = pull(&rig, &nobody, &page.resume_token, None).await.unwrap();
    assert_eq!(again.resume_token, page.resume_token);
    // With a role from now on it goes on with what comes from now on.
    kept(&rig, rig.account(), EXECUTED, 1, "{}").await;
    assert_eq!(types(&pull(&rig, &rig.owner, &page.resume_token, None).await.unwrap().content), [EXECUTED]);
}

async fn much_that_may_not_be_read_is_passed_over_a_part_at_a_time(rig: Rig) {
    kept(&rig, rig.account(), EXECUTED, 1, "{}").await;
    kept(&rig, rig.account(), WALLET, 11_000, "{}").await;
    kept(&rig, rig.account(), EXECUTED, 1, "{}").await;
    let converts = rig.actor_with(RoleSet::EMPTY.with(Role::ConversionOperator));
    let (mut token, mut seen, mut pages) = (String::new(), 0, 0);
    loop {
        let page = pull(&rig, &converts, &token, None).await.unwrap();
        seen += page.content.len();
        pages += 1;
        token = page.resume_token;
        if page.next_page_token.is_empty() {
            break;
        }
    }
    assert_eq!((seen, pages), (2, 3));
    let all = pull(&rig, &rig.owner, "", Some(500)).await.unwrap();
    assert_eq!(all.content.len(), 500);
}

async fn large_events_make_short_pages(rig: Rig) {
    let data = json!({ "text": "x".repeat(300_000) }).to_string();
    kept(&rig, rig.account(), WALLET, 7, &data).await;
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let page = pull(&rig, &rig.owner, &token, Some(500)).await.unwrap();
        seen.push(page.content.len());
        token = page.resume_token;
        if page.next_page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [3, 3, 1]);
}

async fn a_token_is_for_its_account(rig: Rig) {
    kept(&rig, rig.account(), WALLET, 2, "{}").await;
    let token = pull(&rig, &rig.owner, "", Some(1)).await.unwrap().resume_token;
    let (stranger, altered) = (rig.stranger(), format!("{token}A"));
    // As an earlier release wrote it: the position and a digest of the account.
    let plain = "AAAAAAAAAAEAAAAAAAAAAQ";
    for (actor, token) in [
        (&stranger, token.as_str()),
        (&rig.owner, "token"),
        (&rig.owner, altered.as_str()),
        (&rig.owner, plain),
    ] {
        let refusal = pull(&rig, actor, token, None).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.fields()), ("validation-failed", vec!["after"]));
    }
    let colleague = rig.actor_with(RoleSet::ALL);
    assert_eq!(pull(&rig, &colleague, &token, None).await.unwrap().content.len(), 1);
}

async fn a_token_from_before_what_is_kept_is_lost(rig: Rig) {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let other = rig.stranger();
    // Of the beginning, when there was nothing yet.
    let first = pull(&rig, &rig.owner, "", None).await.unwrap().resume_token;
    let before = pull(&rig, &other, "", None).await.unwrap().resume_token;
    kept(&rig, rig.account(), WALLET, 3, "{}").await;
    let tokens: Vec<_> = {
        let mut tokens = Vec::new();
        for max in 1..=3 {
            tokens.push(pull(&rig, &rig.owner, "", Some(max)).await.unwrap().resume_token);
        }
        tokens
    };
    kept(&rig, other.account, WALLET, 1, "{}").await;
    rig.clock.advance_ms(31 * DAY_MS);
    kept(&rig, rig.account(), EXECUTED, 1, "{}").await;
    store::purge::events(&rig.hooks.db, 30 * DAY_MS, 2).await.unwrap();

    // Two of the first three are gone.
    assert_eq!(pull(&rig, &rig.owner, &tokens[0], None).await.unwrap_err().code(), "feed-cursor-lost");
    assert_eq!(pull(&rig, &rig.owner, &first, None).await.unwrap_err().code(), "feed-cursor-lost");
    assert_eq!(types(&pull(&rig, &rig.owner, &tokens[1], None).await.unwrap().content), [WALLET, EXECUTED]);
    assert_eq!(types(&pull(&rig, &rig.owner, &tokens[2], None).await.unwrap().content), [EXECUTED]);
    assert_eq!(types(&pull(&rig, &rig.owner, "", None).await.unwrap().content), [WALLET, EXECUTED]);
    let nobody = rig.actor_with(RoleSet::EMPTY);
    assert_eq!(pull(&rig, &nobody, &tokens[0], None).await.unwrap_err().code(), "feed-cursor-lost");

    // What is forgotten of one account is nothing to another.
    assert_eq!(pull(&rig, &other, &before, None).await.unwrap().content.len(), 1);
    store::purge::events(&rig.hooks.db, 30 * DAY_MS, 100).await.unwrap();
    assert_eq!(pull(&rig, &other, &before, None).await.unwrap_err().code(), "feed-cursor-lost");
    let empty = pull(&rig, &other, "", None).await.unwrap();
    assert!(empty.content.is_empty());
    kept(&rig, other.account, EXECUTED, 1, "{}").await;
    assert_eq!(types(&pull(&rig, &other, &empty.resume_token, None).await.unwrap().content), [EXECUTED]);
}

async fn a_token_from_behind_the_end_is_lost(rig: Rig) {
    kept(&rig, rig.account(), WALLET, 2, "{}").await;
    let page = pull(&rig, &rig.owner, "", None).await.unwrap();
    assert!(pull(&rig, &rig.owner, &page.resume_token, None).await.unwrap().content.is_empty());
    // As after the database was restored to a state of before.
    run(&rig, "DELETE FROM events WHERE position = 2 AND account_id = $1", &rig.account().to_string()).await;
    let account = rig.account().to_string();
    run(&rig, "UPDATE intake SET head = 1 WHERE $1 = $1", &account).await;
    let refusal = pull(&rig, &rig.owner, &page.resume_token, None).await.unwrap_err();
    assert_eq!(refusal.code(), "feed-cursor-lost");
}

async fn a_token_of_another_history_is_lost(rig: Rig) {
    let account = rig.account().to_string();
    kept(&rig, rig.account(), WALLET, 3, "{}").await;
    let before = pull(&rig, &rig.owner, "", Some(2)).await.unwrap().resume_token;
    let token = pull(&rig, &rig.owner, "", None).await.unwrap().resume_token;
    let nobody = pull(&rig, &rig.actor_with(RoleSet::EMPTY), "", None).await.unwrap().resume_token;
    assert_eq!(nobody, token, "the same place");
    // The database is restored to a state of before, and as much happens anew: another's event stands at that position.
    run(&rig, "DELETE FROM events WHERE position = 3 AND account_id = $1", &account).await;
    run(&rig, "UPDATE intake SET head = 2 WHERE $1 = $1", &account).await;
    kept(&rig, rig.stranger().account, WALLET, 1, "{}").await;
    kept(&rig, rig.account(), EXECUTED, 1, "{}").await;
    for actor in [&rig.owner, &rig.actor_with(RoleSet::EMPTY)] {
        assert_eq!(pull(&rig, actor, &token, None).await.unwrap_err().code(), "feed-cursor-lost");
    }
    assert_eq!(types(&pull(&rig, &rig.owner, &before, None).await.unwrap().content), [EXECUTED]);
}

async fn a_token_outlasts_sealing_keys(rig: Rig) {
    kept(&rig, rig.account(), WALLET, 2, "{}").await;
    let token = pull(&rig, &rig.owner, "", Some(1)).await.unwrap().resume_token;
    let (new, old) = (SealingKey::draw(&rig.entropy), rig.sealing_key.clone());
    rig.sealing.replace(vec![new.clone(), old]).unwrap();
    let asked = wire::ResealSecretsRequest { key_id: new.id().to_string() };
    let resealed = rig.admin("/beem.hooks.v1.Upkeep/ResealSecrets", asked).await;
    assert_eq!(resealed.map(|answer: rig::Answer<wire::ResealSecretsResponse>| answer.body.left).unwrap(), 0);
    let later = rig.another_sealed_by(Sealing::new(vec![new]).unwrap()).await.unwrap();
    let asked = wire::ListEventsRequest { after: token, max: None };
    let page = later.call(&rig.owner, "", "/beem.hooks.v1.Events/ListEvents", asked).await;
    let page: rig::Answer<wire::ListEventsResponse> = page.unwrap();
    assert_eq!(page.body.content.len(), 1);
}

async fn a_test_is_not_pulled(rig: Rig) {
    let hook = rig.hook(NOWHERE, &["*"]).await;
    wallets(&rig, 1).await;
    let token = pull(&rig, &rig.owner, "", None).await.unwrap().resume_token;
    let (asked, key) = (wire::TestHookRequest { id: hook.id }, rig.key());
    rig.call::<_, wire::Delivery>(&rig.owner, &key, "/beem.hooks.v1.Hooks/TestHook", asked).await.unwrap();
    let page = pull(&rig, &rig.owner, &token, None).await.unwrap();
    assert_eq!((page.content.len(), page.next_page_token.as_str()), (0, ""));
    assert_eq!(types(&pull(&rig, &rig.owner, "", None).await.unwrap().content), [WALLET]);
}

async fn every_type_is_listed(rig: Rig) {
    let asked = wire::ListEventTypesRequest {};
    let answer = rig.call(&rig.owner, "", "/beem.hooks.v1.Hooks/ListEventTypes", asked).await;
    let listed: wire::ListEventTypesResponse = answer.unwrap().body;
    assert_eq!(listed.content.len(), CATALOGUE.len());
    for (ty, shown) in CATALOGUE.iter().zip(&listed.content) {
        assert_eq!((ty.event, ty.source), (shown.event.as_str(), shown.source.as_str()));
        assert!(shown.roles.iter().all(|role| Role::parse(role).is_some()) && !shown.roles.is_empty());
        assert_eq!(shown.available, ty.message.is_some());
        assert_eq!((shown.schema.is_some(), shown.sample.is_some()), (shown.available, shown.available));
    }
    let json = AnswerJson::new(&Contract::load().unwrap(), "beem.hooks.v1.EventType").unwrap();
    let wallet = json.of(listed.content.iter().find(|ty| ty.event == WALLET).unwrap()).unwrap();
    assert_eq!(wallet["schema"]["properties"]["data"]["$ref"], "#/$defs/Wallet");
    assert_eq!(wallet["schema"]["properties"]["sequence"]["maximum"], json!(1_u64 << 53));
    assert_eq!(wallet["sample"]["event"], WALLET);
    assert_eq!(wallet["sample"]["timestamp"], Moment::from_unix_ms(1_772_442_904_512).rfc3339());
    assert_eq!(wallet["sample"]["data"]["balance"]["total"], "0.00");
}
