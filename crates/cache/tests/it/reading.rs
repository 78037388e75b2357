//! How a gateway reads when all is well.

use crate::rig::{Rig, gateway, in_redis, rig, roles, until};
use beem_cache::{COPY_LIFE, Counts, StandingCache};
use beem_testkit::redis::Server;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn row_24_a_removed_role_is_gone_at_every_gateway_within_the_life_of_a_copy() {
    let server = Server::start().unwrap();
    for cache in [StandingCache::in_process(100), in_redis(&server)] {
        let Rig { authz, cache, gateway: one, principal, .. } = rig(cache);
        let two = gateway(&authz, &cache);
        cache.put_if_newer(&authz.commit(principal, 1, 0b11)).await.unwrap();
        for gateway in [&one, &two] {
            assert_eq!(roles(gateway.get(principal).await), 0b11);
        }
        cache.put_if_newer(&authz.commit(principal, 2, 0b01)).await.unwrap();
        let written = tokio::time::Instant::now();
        for gateway in [&one, &two] {
            until("the role is gone", async || roles(gateway.get(principal).await) == 0b01).await;
        }
        assert!(written.elapsed() < Duration::from_secs(1), "took {:?}", written.elapsed());
        assert_eq!(authz.fetched(), 0, "the cache alone served both");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_used_for_half_a_second_and_then_the_cache_is_asked() {
    let Rig { authz, cache, gateway, principal, .. } = rig(StandingCache::in_process(100));
    cache.put_if_newer(&authz.commit(principal, 1, 3)).await.unwrap();
    assert_eq!(roles(gateway.get(principal).await), 3);
    cache.put_if_newer(&authz.commit(principal, 2, 1)).await.unwrap();
    tokio::time::advance(COPY_LIFE - Duration::from_millis(1)).await;
    assert_eq!(roles(gateway.get(principal).await), 3);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(roles(gateway.get(principal).await), 1);
    assert_eq!(gateway.counts(), Counts { copies: 1, cached: 2, asked: 0, flawed: 0 });
}

#[tokio::test]
async fn a_copy_is_not_used_past_the_end_that_authz_set() {
    let Rig { authz, clock, gateway, principal, .. } = rig(StandingCache::in_process(100));
    authz.commit(principal, 1, 3);
    assert_eq!(roles(gateway.get(principal).await), 3);
    clock.advance_ms(10_001);
    authz.commit(principal, 2, 1);
    assert_eq!(roles(gateway.get(principal).await), 1);
}

#[tokio::test]
async fn a_miss_asks_authz_once_and_fills_the_cache() {
    let Rig { authz, cache, gateway: one, principal, .. } = rig(StandingCache::in_process(100));
    authz.commit(principal, 1, 3);
    assert_eq!(roles(one.get(principal).await), 3);
    let two = gateway(&authz, &cache);
    assert_eq!(roles(two.get(principal).await), 3);
    assert_eq!(authz.fetched(), 1);
}

#[tokio::test]
async fn fresh_sees_what_no_cache_has_yet_and_fills_them() {
    let Rig { authz, cache, gateway: one, principal, .. } = rig(StandingCache::in_process(100));
    cache.put_if_newer(&authz.commit(principal, 1, 3)).await.unwrap();
    assert_eq!(roles(one.get(principal).await), 3);
    authz.commit(principal, 2, 1);
    assert_eq!(roles(one.get(principal).await), 3, "authz was killed between commit and write-through");
    assert_eq!(roles(one.fresh(principal).await), 1);
    assert_eq!(roles(one.get(principal).await), 1);
    assert_eq!(roles(gateway(&authz, &cache).get(principal).await), 1);
}

#[tokio::test]
async fn an_unknown_principal_is_asked_for_each_time() {
    let Rig { authz, gateway, principal, .. } = rig(StandingCache::in_process(100));
    assert_eq!(gateway.get(principal).await.unwrap(), None);
    assert_eq!(gateway.get(principal).await.unwrap(), None);
    assert_eq!(authz.fetched(), 2);
    authz.commit(principal, 1, 3);
    assert_eq!(roles(gateway.get(principal).await), 3, "a new client waits for nothing");
}

#[tokio::test]
async fn concurrent_misses_become_one_read() {
    let Rig { authz, gateway, principal, .. } = rig(StandingCache::in_process(100));
    authz.commit(principal, 1, 3);
    for outcome in futures::future::join_all((0..50).map(|_| gateway.get(principal))).await {
        assert_eq!(roles(outcome), 3);
    }
    assert_eq!(authz.fetched(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_takes_nobody_with_it() {
    let Rig { authz, gateway, principal, .. } = rig(StandingCache::in_process(100));
    authz.commit(principal, 1, 3);
    authz.close_gate();
    let impatient = tokio::time::timeout(Duration::from_millis(100), gateway.get(principal));
    let (gave_up, patient) = tokio::join!(impatient, async {
        let patient = gateway.get(principal);
        tokio::pin!(patient);
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut patient).await.is_err());
        authz.open_gate();
        patient.await
    });
    assert!(gave_up.is_err());
    assert_eq!(roles(patient), 3);
    assert_eq!(authz.fetched(), 1);
}
