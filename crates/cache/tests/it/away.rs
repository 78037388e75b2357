//! Redis loses its memory, dies, comes back; authz goes; both go.

use crate::rig::{Rig, gateway, in_redis, in_redis_bounded, is_unavailable, rig, roles, until};
use beem_cache::{COPY_LIFE, StandingCache};
use beem_testkit::redis::Server;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn flushall_costs_a_question_and_nothing_else() {
    let server = Server::start().unwrap();
    let Rig { authz, cache, gateway: one, principal, .. } = rig(in_redis(&server));
    cache.put_if_newer(&authz.commit(principal, 1, 3)).await.unwrap();
    assert_eq!(roles(one.get(principal).await), 3);
    server.flush().unwrap();
    assert_eq!(roles(gateway(&authz, &cache).get(principal).await), 3);
    assert_eq!(authz.fetched(), 1);
    let third = gateway(&authz, &cache);
    assert_eq!(roles(third.get(principal).await), 3);
    assert_eq!((authz.fetched(), third.counts().cached), (1, 1), "the cache was filled again");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_serves_from_authz_and_restarted_recovers_by_itself() {
    let mut server = Server::start().unwrap();
    let Rig { authz, cache, principal, .. } = rig(in_redis_bounded(&server));
    until("redis answers", async || cache.ping().await.is_ok()).await;
    authz.commit(principal, 1, 3);
    server.kill();
    for _ in 0..5 {
        assert_eq!(roles(gateway(&authz, &cache).get(principal).await), 3);
    }
    assert_eq!(authz.fetched(), 5);
    server.start_again().unwrap();
    until("a gateway is served from the cache again", async || {
        let one = gateway(&authz, &cache);
        roles(one.get(principal).await) == 3 && one.counts().cached == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_redis_does_not_hold_up_requests() {
    let mut server = Server::start().unwrap();
    let Rig { authz, cache, principal, .. } = rig(in_redis_bounded(&server));
    until("redis answers", async || cache.ping().await.is_ok()).await;
    authz.commit(principal, 1, 3);
    server.pause();
    let begin = tokio::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(roles(gateway(&authz, &cache).get(principal).await), 3);
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "20 reads took {:?}", begin.elapsed());
    server.resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn authz_away_the_cache_serves_until_its_entries_end() {
    let server = Server::start().unwrap();
    let Rig { authz, cache, clock, gateway, principal } = rig(in_redis(&server));
    cache.put_if_newer(&authz.commit(principal, 1, 3)).await.unwrap();
    authz.set_away(true);
    assert_eq!(roles(gateway.get(principal).await), 3);
    assert!(is_unavailable(&gateway.fresh(principal).await), "fresh takes nobody else's word");
    clock.advance_ms(10_001);
    assert!(is_unavailable(&gateway.get(principal).await));
    authz.set_away(false);
    assert_eq!(roles(gateway.get(principal).await), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_and_authz_away_refuse_once_the_copy_lapses_and_never_allow() {
    let mut server = Server::start().unwrap();
    let Rig { authz, cache, gateway, principal, .. } = rig(in_redis_bounded(&server));
    until("redis answers", async || cache.ping().await.is_ok()).await;
    authz.commit(principal, 1, 3);
    assert_eq!(roles(gateway.fresh(principal).await), 3);
    server.kill();
    authz.set_away(true);
    let gone = tokio::time::Instant::now();
    until("it refuses", async || is_unavailable(&gateway.get(principal).await)).await;
    assert!(gone.elapsed() < COPY_LIFE + Duration::from_secs(1));
    for _ in 0..20 {
        assert!(is_unavailable(&gateway.get(principal).await));
    }
    server.start_again().unwrap();
    authz.set_away(false);
    until("both are back", async || gateway.get(principal).await.is_ok()).await;
}

#[tokio::test(start_paused = true)]
async fn an_authz_that_never_answers_is_away_after_two_seconds() {
    let Rig { authz, gateway, principal, .. } = rig(StandingCache::in_process(100));
    authz.commit(principal, 1, 3);
    authz.close_gate();
    let begin = tokio::time::Instant::now();
    assert!(is_unavailable(&gateway.get(principal).await));
    assert!(begin.elapsed() < Duration::from_secs(3));
}
