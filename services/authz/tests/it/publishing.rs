//! Every standing reaches the cache: before the answer when it can, after a restart when it could not.

use crate::rig::{Place, Rig, Shape, cache, redis_cache, set, until};
use beem_cache::StandingCache;
use beem_proto::authz::v1::PrepareChangeRequest;
use beem_redis::Redis;
use beem_roles::Role::HookViewer;
use beem_roles::RoleSet;
use std::time::Duration;

/// Nobody listens there.
fn refusing_cache() -> StandingCache {
    StandingCache::in_redis(
        Redis::new("redis+unix:///nonexistent/redis.sock", "", Duration::from_millis(50)).unwrap(),
    )
}

const EVERY_PAIR: [(Shape, Shape); 4] = [
    (Shape::Embedded, Shape::Embedded),
    (Shape::Embedded, Shape::Clustered),
    (Shape::Clustered, Shape::Embedded),
    (Shape::Clustered, Shape::Clustered),
];

/// authz killed between commit and write-through.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_unpublished_is_published_at_the_next_start() {
    for (database, into) in EVERY_PAIR {
        let rig = Rig::build(Place::new(database).await, refusing_cache()).await;
        rig.put_account("HELD").await;
        let admin = rig.client(RoleSet::ALL).await;
        let target = rig.client(set([HookViewer])).await;
        let off = PrepareChangeRequest { enabled: Some(false), ..rig.change("off", target, admin) };
        assert_eq!(rig.prepare(off).await.unwrap().version, 2, "the cache being away refuses nothing");
        assert_eq!(rig.count("SELECT COUNT(*) FROM standings WHERE published_version = 0").await, 2);
        let place = rig.kill().await;
        let rig = Rig::build(place, cache(into)).await.with_tasks();
        until("both are published", async || {
            rig.cached_version(admin).await == 1 && rig.cached_version(target).await == 2
        })
        .await;
        until("and that is known", async || {
            rig.count("SELECT COUNT(*) FROM standings WHERE published_version < version").await == 0
        })
        .await;
        drop(rig.kill().await);
    }
}

/// A repeat of an answered write publishes what the first one did not get to.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_writes_through_too() {
    for shape in [Shape::Embedded, Shape::Clustered] {
        let rig = Rig::build(Place::new(shape).await, refusing_cache()).await;
        rig.put_account("HELD").await;
        let create = rig.creation(rig.new_id(), RoleSet::EMPTY);
        rig.standings().create_standing(create.clone()).await.unwrap();
        let rig = Rig::build(rig.kill().await, cache(shape)).await;
        rig.standings().create_standing(create.clone()).await.unwrap();
        assert_eq!(rig.cached_version(create.principal_id.parse().unwrap()).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_restarted_gets_what_it_missed() {
    for shape in [Shape::Embedded, Shape::Clustered] {
        let mut redis = beem_testkit::redis::Server::start().unwrap();
        let rig = Rig::build(Place::new(shape).await, redis_cache(&redis.url())).await.with_tasks();
        rig.put_account("HELD").await;
        let admin = rig.client(RoleSet::ALL).await;
        let target = rig.client(RoleSet::EMPTY).await;
        assert_eq!(rig.cached_version(target).await, 1);
        redis.kill();
        let change = PrepareChangeRequest { credential_change: true, ..rig.change("c", target, admin) };
        assert_eq!(rig.prepare(change).await.unwrap().version, 2);
        assert_eq!(rig.standing(target).await.version, 2, "the table answers meanwhile");
        redis.start_again().unwrap();
        until("redis has the new version", async || {
            rig.cache.get(target).await.is_ok_and(|found| found.is_some())
                && rig.cached_version(target).await == 2
        })
        .await;
        drop(rig.kill().await);
    }
}

/// Row 24: an entry that was read before a change and arrives after it stays outside.
#[tokio::test(flavor = "multi_thread")]
async fn row_24_an_old_standing_does_not_come_back_into_the_cache() {
    for (database, into) in EVERY_PAIR {
        let rig = Rig::build(Place::new(database).await, cache(into)).await;
        rig.put_account("HELD").await;
        let admin = rig.client(RoleSet::ALL).await;
        let target = rig.client(set([HookViewer])).await;
        let old = rig.cached(target).await.unwrap().entry;
        let take = PrepareChangeRequest { roles: Some(0), ..rig.change("t", target, admin) };
        rig.prepare(take).await.unwrap();
        let put = rig.cache.put_if_newer(&old).await.unwrap();
        assert_eq!(put, beem_cache::Put::OlderThanCached);
        assert_eq!(rig.cached_version(target).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_lives_ten_seconds() {
    let rig = Rig::start(Shape::Embedded).await;
    let target = rig.client(RoleSet::EMPTY).await;
    let entry = rig.cached(target).await.unwrap().entry;
    assert_eq!(entry.not_after.ms_since(entry.issued_at), 10_000);
}
