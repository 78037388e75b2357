//! Changes that stand in each other's way: none stops the house, none is made after it was said that it was not, and none
//! is made by a process that lost it.

use crate::clients::{create, enabled, get, mask, named, update};
use crate::on_both;
use crate::rig::{Answer, Reached, Refusal, Rig};
use crate::users;
use beem_caller::Actor;
use beem_proto::identity::v1 as wire;
use futures::future::join_all;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

on_both!(
    many_changes_of_one_client_at_once_stop_nobody,
    a_flood_of_one_actor_keeps_nobody_out,
    a_third_change_of_one_actor_is_refused_at_once,
    a_change_that_waited_in_vain_is_not_made_later,
    a_change_killed_before_it_began_is_not_made_later,
    a_paused_process_does_not_take_a_client_for_a_change_it_lost,
);

fn renamed(id: &str, name: &str) -> wire::UpdateClientRequest {
    wire::UpdateClientRequest {
        id: id.into(),
        name: name.into(),
        present: mask(&["name"]),
        ..wire::UpdateClientRequest::default()
    }
}

/// A client that is not enabled.
async fn shut(rig: &Rig, owner: &Actor) -> wire::Client {
    let made = create(rig, owner, "made", &named(rig, "till", &[])).await.unwrap().body;
    update(rig, owner, "shut", &enabled(&made.id, false)).await.unwrap().body
}

async fn claims(rig: &Rig, key: &str) -> i64 {
    rig.count(&format!("claims WHERE key = '{key}'")).await
}

async fn until_claims(rig: &Rig, key: &str, expected: i64) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while claims(rig, key).await != expected {
        assert!(Instant::now() < give_up, "claims under {key}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Polls a change until it hangs in its first call of authz, holding the client.
async fn until_it_hangs<F>(rig: &Rig, change: &mut F)
where
    F: Future<Output = Result<Answer<wire::Client>, Refusal>> + Unpin,
{
    tokio::select! {
        ended = change => panic!("it calls nobody: {ended:?}"),
        () = rig.gate.hanging() => {}
    }
}

async fn many_changes_of_one_client_at_once_stop_nobody(rig: Rig) {
    rig.run_tasks();
    let owner = rig.owner("a").await;
    let (one, other) = (shut(&rig, &owner).await, create(&rig, &owner, "o", &named(&rig, "o", &[])).await);
    let other = other.unwrap().body;
    let mut actors = Vec::new();
    for n in 0..30 {
        let asked = named(&rig, "actor", &["client:operator"]);
        actors.push(rig.acting(&create(&rig, &owner, &format!("actor {n}"), &asked).await.unwrap().body));
    }
    let crowd = join_all((0..150).map(|n| {
        let (rig, actor, one) = (&rig, &actors[n / 5], &one);
        async move { update(rig, actor, &format!("crowd {n}"), &enabled(&one.id, n % 2 == 0)).await }
    }));
    // Callers who give up, too: their changes are gone on with, or never were.
    let fickle = async {
        for n in 0..10 {
            let (cut_off, asked) = (format!("fickle {n}"), renamed(&one.id, "fickle"));
            let gives_up = Duration::from_millis(40 * n);
            drop(tokio::time::timeout(gives_up, update(&rig, &owner, &cut_off, &asked)).await);
        }
    };
    let beside = async {
        for n in 0..10 {
            let began = Instant::now();
            update(&rig, &owner, &format!("beside {n}"), &renamed(&other.id, &format!("n{n}")))
                .await
                .unwrap();
            assert!(began.elapsed() < Duration::from_secs(5), "waited {:?}", began.elapsed());
        }
    };
    let (answers, (), ()) = tokio::join!(crowd, fickle, beside);
    let mut made = 0;
    for answer in answers {
        match answer {
            Ok(_) => made += 1,
            Err(refusal) => assert_eq!(refusal.code(), "request-in-progress"),
        }
    }
    assert!(made > 0);
    rig.sagas_ended().await;
    update(&rig, &owner, "last", &enabled(&one.id, true)).await.unwrap();
}

async fn a_third_change_of_one_actor_is_refused_at_once(rig: Rig) {
    let owner = rig.owner("a").await;
    let client = shut(&rig, &owner).await;
    rig.gate.hang_at(0, Reached::No);
    let asked = renamed(&client.id, "desk");
    let mut first = Box::pin(update(&rig, &owner, "first", &asked));
    until_it_hangs(&rig, &mut first).await;
    let mut second = Box::pin(update(&rig, &owner, "second", &asked));
    tokio::select! {
        ended = &mut second => panic!("it waits: {ended:?}"),
        () = until_claims(&rig, "second", 1) => {}
    }
    let third = update(&rig, &owner, "third", &asked).await.unwrap_err();
    assert_eq!((third.code(), third.replayed), ("request-in-progress", false));
    assert!(third.fault.detail.contains("under way"), "it did not wait: {}", third.fault);
    assert_eq!(claims(&rig, "third").await, 0, "nothing is stored");
    let other = create(&rig, &owner, "other", &named(&rig, "other", &[])).await.unwrap().body;
    update(&rig, &owner, "beside", &renamed(&other.id, "beside")).await.unwrap();
    rig.gate.open();
    drop((first, second));
    rig.run_tasks();
    rig.sagas_ended().await;
    assert!(!update(&rig, &owner, "third", &asked).await.unwrap().replayed, "nothing was remembered");
}

async fn a_flood_of_one_actor_keeps_nobody_out(rig: Rig) {
    rig.run_tasks();
    let owner = rig.owner("a").await;
    let asked = users::person("ada@example.com", &["user:operator"]);
    let ada = users::invite(&rig, &owner, "ada", &asked).await.unwrap().body;
    let own = rig.acting_user(&ada);
    let stop = AtomicBool::new(false);
    let flood = join_all((0..400).map(|thread| {
        let (rig, own, ada, stop) = (&rig, &own, &ada, &stop);
        async move {
            let mut refused = 0;
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let renamed = users::named(&ada.id, "Ada", &format!("the {n}th"));
                let key = format!("flood {thread} {n}");
                match users::update(rig, own, &key, &renamed).await {
                    Ok(_) => {}
                    Err(refusal) => {
                        assert_eq!((refusal.code(), refusal.replayed), ("request-in-progress", false));
                        refused += 1;
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
            }
            refused
        }
    }));
    let operator = async {
        // It has begun.
        while rig.count("claims WHERE key LIKE 'flood%' AND state = 'DONE'").await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let off = users::update(&rig, &owner, "off", &users::enabled(&ada.id, false)).await;
        stop.store(true, Ordering::Relaxed);
        off
    };
    let (refused, off) = tokio::join!(flood, operator);
    assert!(!off.unwrap().body.enabled, "whoever is to be disabled does not prevent it");
    assert!(refused.into_iter().sum::<usize>() > 0);
    rig.sagas_ended().await;
    users::update(&rig, &own, "last", &users::named(&ada.id, "Ada", "Last")).await.unwrap();
}

async fn a_change_that_waited_in_vain_is_not_made_later(mut rig: Rig) {
    let owner = rig.owner("a").await;
    let client = shut(&rig, &owner).await;
    rig.gate.hang_at(0, Reached::No);
    let asked = renamed(&client.id, "desk");
    let mut first = Box::pin(update(&rig, &owner, "first", &asked));
    until_it_hangs(&rig, &mut first).await;
    rig.gate.open();
    let other = rig.another(None).await.unwrap();
    // At the same process and at another one.
    let path = "/beem.identity.v1.Clients/UpdateClient";
    let grown = enabled(&client.id, true);
    let here = rig.call::<_, wire::Client>(&owner, "here", path, grown.clone());
    let there = rig.call_at::<_, wire::Client>(&other, &owner, "there", path, grown.clone());
    let (here, there) = tokio::join!(here, there);
    for waited in [here, there] {
        let refusal = waited.unwrap_err();
        assert_eq!((refusal.code(), refusal.replayed), ("request-in-progress", false));
        assert!(refusal.fault.detail.contains("nothing was done"), "{}", refusal.fault);
    }
    assert_eq!(claims(&rig, "here").await + claims(&rig, "there").await, 0);
    drop(first);
    rig.run_tasks();
    rig.sagas_ended().await;
    assert!(!update(&rig, &owner, "later", &enabled(&client.id, false)).await.unwrap().body.enabled);
    rig.restart().await;
    rig.run_tasks();
    rig.sagas_ended().await;
    let now = get(&rig, &owner, &client.id).await.unwrap();
    assert_eq!((now.name.as_str(), now.enabled), ("desk", false));
    let anew = update(&rig, &owner, "here", &grown).await.unwrap();
    assert!(anew.body.enabled && !anew.replayed, "asked for anew, it is made");
}

async fn a_change_killed_before_it_began_is_not_made_later(mut rig: Rig) {
    let owner = rig.owner("a").await;
    let client = shut(&rig, &owner).await;
    rig.gate.hang_at(0, Reached::No);
    let asked = renamed(&client.id, "desk");
    {
        let mut first = Box::pin(update(&rig, &owner, "first", &asked));
        until_it_hangs(&rig, &mut first).await;
        let grown = enabled(&client.id, true);
        tokio::select! {
            ended = update(&rig, &owner, "second", &grown) => panic!("it waits: {ended:?}"),
            () = until_claims(&rig, "second", 1) => {}
        }
    }
    rig.restart().await;
    rig.run_tasks();
    rig.sagas_ended().await;
    assert_eq!((claims(&rig, "first").await, claims(&rig, "second").await), (1, 0));
    let now = get(&rig, &owner, &client.id).await.unwrap();
    assert_eq!((now.name.as_str(), now.enabled), ("desk", false));
}

async fn a_paused_process_does_not_take_a_client_for_a_change_it_lost(rig: Rig) {
    let owner = rig.owner("a").await;
    let client = shut(&rig, &owner).await;
    let other = rig.another(None).await.unwrap();
    rig.gate.hang_at(0, Reached::No);
    let asked = renamed(&client.id, "desk");
    let mut first = Box::pin(update(&rig, &owner, "first", &asked));
    until_it_hangs(&rig, &mut first).await;
    rig.gate.open();
    let path = "/beem.identity.v1.Clients/UpdateClient";
    let waits = rig.call_at::<_, wire::Client>(&other, &owner, "waits", path, enabled(&client.id, true));
    let meanwhile = async {
        until_claims(&rig, "waits", 1).await;
        rig.run_tasks();
        // Whenever it looks for the first time, which renews its lease.
        while claims(&rig, "waits").await > 0 {
            rig.clock.advance_ms(16_000);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(first);
    };
    let (waits, ()) = tokio::join!(waits, meanwhile);
    let refusal = waits.unwrap_err();
    assert_eq!(refusal.code(), "request-in-progress");
    assert!(!refusal.fault.detail.contains("earlier change"), "it came to its turn: {}", refusal.fault);
    rig.sagas_ended().await;
    let last = update(&rig, &owner, "last", &renamed(&client.id, "safe")).await.unwrap().body;
    assert_eq!((last.name.as_str(), last.enabled), ("safe", false));
}
