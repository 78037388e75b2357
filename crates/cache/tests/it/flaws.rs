//! Entries that lie, and fills that come too late.

use crate::rig::{LIFE_MS, Rig, gateway, in_redis, is_unavailable, rig, roles};
use beem_cache::{COPY_LIFE, Put, SignedEntry, StandingCache, Verifier};
use beem_testkit::redis::Server;
use ed25519_dalek::SigningKey;
use prost::Message;

/// Puts bytes where an entry belongs, as somebody with a hand in Redis can. `version` is what they pretend.
async fn plant(server: &Server, rig: &Rig, version: u64, blob: &[u8]) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = [b"beem:standing:".as_slice(), rig.principal.0.as_bytes()].concat();
    let now = rig.clock.now().unix_ms();
    let mut set = redis::cmd("HSET");
    set.arg(key).arg("v").arg(version).arg("i").arg(now).arg("b").arg(blob);
    set.query_async::<i64>(&mut connection).await.unwrap();
}

async fn let_the_copy_lapse() {
    tokio::time::sleep(COPY_LIFE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_fill_that_read_the_old_standing_brings_nothing_back() {
    let server = Server::start().unwrap();
    for cache in [StandingCache::in_process(100), in_redis(&server)] {
        let Rig { authz, cache, gateway: slow, principal, .. } = rig(cache);
        authz.commit(principal, 1, 0b11);
        authz.close_gate();
        let fill = slow.get(principal);
        let removal = async {
            // The slow read has left authz with version 1 in its hand when the role goes.
            crate::rig::until("the fill is under way", async || authz.fetched() == 1).await;
            let removed = authz.commit(principal, 2, 0b01);
            assert_eq!(cache.put_if_newer(&removed).await.unwrap(), Put::Stored);
            assert_eq!(roles(gateway(&authz, &cache).get(principal).await), 0b01);
            authz.open_gate();
        };
        let (_, ()) = tokio::join!(fill, removal);
        let blob = cache.get(principal).await.unwrap().unwrap();
        let third = gateway(&authz, &cache);
        assert_eq!(roles(third.get(principal).await), 0b01, "the old standing came back: {blob:?}");
        let_the_copy_lapse().await;
        assert_eq!(roles(slow.get(principal).await), 0b01);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_entry_grants_nothing_and_does_not_stay() {
    let server = Server::start().unwrap();
    let rig = rig(in_redis(&server));
    rig.authz.commit(rig.principal, 1, 0b01);
    let mut standing = rig.gateway.fresh(rig.principal).await.unwrap().unwrap().standing.clone();
    standing.roles = 0x7fff;
    standing.version = 99;
    let stranger = SigningKey::from_bytes(&[66; 32]);
    let forged = SignedEntry::issue(&stranger, standing, rig.clock.now(), LIFE_MS).unwrap();
    for blob in [forged.signed.encode_to_vec(), b"junk".to_vec(), Vec::new()] {
        plant(&server, &rig, 99, &blob).await;
        let other = gateway(&rig.authz, &rig.cache);
        assert_eq!(roles(other.get(rig.principal).await), 0b01);
        assert_eq!((other.counts().flawed, other.counts().asked), (1, 1));
        let refilled = gateway(&rig.authz, &rig.cache);
        assert_eq!(roles(refilled.get(rig.principal).await), 0b01);
        assert_eq!(refilled.counts().cached, 1, "the pretended version kept the true entry out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_somebody_else_grants_nothing() {
    let server = Server::start().unwrap();
    let rig = rig(in_redis(&server));
    rig.authz.commit(rig.principal, 1, 0b01);
    let admin = beem_ids::PrincipalId::draw(rig.clock.now(), &beem_clock::Entropy::System);
    let entry = rig.authz.commit(admin, 50, 0x7fff);
    plant(&server, &rig, 50, &entry.signed.encode_to_vec()).await;
    assert_eq!(roles(rig.gateway.get(rig.principal).await), 0b01);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_24_a_rolled_back_entry_grants_nothing_to_who_saw_the_newer() {
    let server = Server::start().unwrap();
    let rig = rig(in_redis(&server));
    let old = rig.authz.commit(rig.principal, 1, 0b11);
    let new = rig.authz.commit(rig.principal, 2, 0b01);
    rig.cache.put_if_newer(&new).await.unwrap();
    assert_eq!(roles(rig.gateway.get(rig.principal).await), 0b01);
    plant(&server, &rig, 3, &old.signed.encode_to_vec()).await;
    let_the_copy_lapse().await;
    assert_eq!(roles(rig.gateway.get(rig.principal).await), 0b01);
    assert_eq!(rig.gateway.counts().flawed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outlived_entry_grants_nothing() {
    let server = Server::start().unwrap();
    let rig = rig(in_redis(&server));
    rig.cache.put_if_newer(&rig.authz.commit(rig.principal, 1, 0b11)).await.unwrap();
    rig.clock.advance_ms(LIFE_MS + 1);
    rig.authz.set_away(true);
    assert!(is_unavailable(&rig.gateway.get(rig.principal).await));
    rig.authz.set_away(false);
    rig.authz.commit(rig.principal, 2, 0b01);
    assert_eq!(roles(rig.gateway.get(rig.principal).await), 0b01);
}

#[tokio::test]
async fn an_answer_of_the_source_is_believed_no_more_than_the_cache() {
    let rig = rig(StandingCache::in_process(100));
    let old = rig.authz.commit(rig.principal, 1, 0b11);
    rig.authz.commit(rig.principal, 2, 0b01);
    assert_eq!(roles(rig.gateway.fresh(rig.principal).await), 0b01);
    *rig.authz.lie.lock().unwrap() = Some(old.signed);
    assert!(is_unavailable(&rig.gateway.fresh(rig.principal).await), "an older answer than the one seen");
    let stranger = SigningKey::from_bytes(&[66; 32]);
    let standing = rig.gateway.get(rig.principal).await.unwrap().unwrap().standing.clone();
    let forged = SignedEntry::issue(&stranger, standing, rig.clock.now(), LIFE_MS).unwrap();
    *rig.authz.lie.lock().unwrap() = Some(forged.signed);
    assert!(is_unavailable(&rig.gateway.fresh(rig.principal).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pretended_version_does_not_keep_out_what_authz_publishes() {
    let server = Server::start().unwrap();
    let rig = rig(in_redis(&server));
    let old = rig.authz.commit(rig.principal, 1, 0b11);
    let new = rig.authz.commit(rig.principal, 2, 0b01);
    let verifier = Verifier::new(vec![rig.authz.key.verifying_key()]);
    // A genuine entry under a version that it does not have.
    plant(&server, &rig, 1_000_000, &old.signed.encode_to_vec()).await;
    assert_eq!(rig.cache.put_if_newer(&new).await.unwrap(), Put::OlderThanCached);
    assert_eq!(rig.cache.publish(&new, &verifier).await.unwrap(), Put::Stored);
    assert_eq!(roles(gateway(&rig.authz, &rig.cache).get(rig.principal).await), 0b01);
    // What is rightly newer stays.
    assert_eq!(rig.cache.publish(&old, &verifier).await.unwrap(), Put::OlderThanCached);
}
