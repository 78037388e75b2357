//! One suite over both forms of the store.

use crate::rig::{Rig, in_redis, rig};
use beem_cache::{Put, StandingCache};
use beem_testkit::redis::Server;
use prost::Message;

async fn conformance(cache: StandingCache) {
    let Rig { authz, cache, clock, principal, .. } = rig(cache);
    cache.ping().await.unwrap();
    assert_eq!(cache.get(principal).await.unwrap(), None);
    let first = authz.commit(principal, 1, 7);
    let blob = first.signed.encode_to_vec();
    assert_eq!(cache.put_if_newer(&first).await.unwrap(), Put::Stored);
    assert_eq!(cache.get(principal).await.unwrap(), Some(blob.clone()));
    assert_eq!(cache.put_if_newer(&first).await.unwrap(), Put::OlderThanCached, "the same once more");
    clock.advance_ms(5);
    let again = authz.commit(principal, 1, 7);
    assert_eq!(cache.put_if_newer(&again).await.unwrap(), Put::Stored, "the same version, issued later");
    assert_eq!(cache.put_if_newer(&first).await.unwrap(), Put::OlderThanCached, "issued earlier");
    let third = authz.commit(principal, 3, 1);
    clock.advance_ms(5);
    let second = authz.commit(principal, 2, 3);
    assert_eq!(cache.put_if_newer(&third).await.unwrap(), Put::Stored);
    assert_eq!(
        cache.put_if_newer(&second).await.unwrap(),
        Put::OlderThanCached,
        "a lower version, issued later"
    );
    assert_eq!(cache.get(principal).await.unwrap(), Some(third.signed.encode_to_vec()));
    cache.discard(principal, &blob).await.unwrap();
    assert!(cache.get(principal).await.unwrap().is_some(), "something else is there by now");
    cache.discard(principal, &third.signed.encode_to_vec()).await.unwrap();
    assert_eq!(cache.get(principal).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_stores_conform() {
    conformance(StandingCache::in_process(100)).await;
    let server = Server::start().unwrap();
    conformance(in_redis(&server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_at_once_the_highest_version_stays() {
    let server = Server::start().unwrap();
    for cache in [StandingCache::in_process(100), in_redis(&server)] {
        let Rig { authz, cache, principal, .. } = rig(cache);
        let entries: Vec<_> = (1..=40).map(|version| authz.commit(principal, version, 1)).collect();
        let highest = entries[39].signed.encode_to_vec();
        futures::future::join_all(entries.iter().map(|e| cache.put_if_newer(e))).await;
        assert_eq!(cache.get(principal).await.unwrap(), Some(highest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_in_redis_goes_a_minute_after_its_end() {
    let server = Server::start().unwrap();
    let Rig { authz, cache, clock, principal, .. } = rig(in_redis(&server));
    clock.advance_ms(-70_100);
    cache.put_if_newer(&authz.commit(principal, 1, 1)).await.unwrap();
    crate::rig::until("redis forgets", async || cache.get(principal).await.unwrap().is_none()).await;
}
