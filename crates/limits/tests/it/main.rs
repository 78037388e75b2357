//! One suite over both forms of each store, and what only Redis can do: be away and come back.

use beem_clock::Moment;
use beem_limits::{Limiter, Rate, ReplayStore, Seen};
use beem_redis::Redis;
use beem_testkit::redis::Server;
use std::time::Duration;
use tokio::time::Instant;

const NOW: Moment = Moment::from_unix_s(1_700_000_000);
const RATE: Rate = Rate { per_s: 3, burst: 5 };

/// Generous: on a loaded machine a slow answer would silently test the in-process form.
fn connect(server: &Server) -> Result<Redis, beem_redis::BadUrl> {
    Redis::new(&server.url(), "beem:", Duration::from_secs(5))
}

/// Compared call by call with the in-process form, so that the Lua and the Rust arithmetic are one.
#[tokio::test(flavor = "multi_thread")]
async fn both_limiters_give_the_same_verdicts() {
    let server = Server::start().unwrap();
    let (near, far) = (Limiter::in_process(100), Limiter::in_redis(connect(&server).unwrap(), 100));
    let mut refused = 0;
    for (step, ms) in
        [0, 0, 0, 0, 0, 0, 1, 200, 333, 334, 340, 700, 5000, 5000, 4000, 4000, 90_000].iter().enumerate()
    {
        for key in ["client:a", "client:b", "client:a"] {
            let at = NOW.plus_ms(*ms);
            let (a, b) = (near.check(key, RATE, at).await, far.check(key, RATE, at).await);
            assert_eq!(a, b, "{key} at {ms} ms, step {step}");
            refused += usize::from(!a.allowed);
        }
    }
    assert!(refused > 10, "the sequence has to go over the limit, {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_never_get_more_than_the_burst() {
    let server = Server::start().unwrap();
    let redis = connect(&server).unwrap();
    for limiter in [Limiter::in_process(100), Limiter::in_redis(redis, 100)] {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let limiter = limiter.clone();
                #[expect(clippy::disallowed_methods, reason = "a test that waits for all of them")]
                tokio::spawn(async move { limiter.check("address:192.0.2.1", RATE, NOW).await.allowed })
            })
            .collect();
        let mut allowed = 0;
        for task in tasks {
            allowed += usize::from(task.await.unwrap());
        }
        assert_eq!(allowed, 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_a_bucket_in_redis() {
    let server = Server::start().unwrap();
    let (one, two) = (
        Limiter::in_redis(connect(&server).unwrap(), 100),
        Limiter::in_redis(connect(&server).unwrap(), 100),
    );
    for n in 0..5 {
        let gateway = if n % 2 == 0 { &one } else { &two };
        assert!(gateway.check("k", RATE, NOW).await.allowed);
    }
    assert!(!one.check("k", RATE, NOW).await.allowed);
    assert!(!two.check("k", RATE, NOW).await.allowed);
}

/// Leases of these are 31 requests.
const BUSY: Rate = Rate { per_s: 500, burst: 1_000 };

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_gives_the_verdicts_of_the_bucket() {
    let server = Server::start().unwrap();
    let (near, far) = (Limiter::in_process(100), Limiter::in_redis(connect(&server).unwrap(), 100));
    for step in 0..2_500_i64 {
        // Faster than the rate, then slower, then after a pause.
        let at = NOW.plus_ms(if step < 2_200 { step / 2 } else { 5_000 + step * 3 });
        let (a, b) = (near.check("client:a", BUSY, at).await, far.check("client:a", BUSY, at).await);
        assert_eq!(a, b, "step {step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leased_requests_need_no_redis() {
    let mut server = Server::start().unwrap();
    let redis = connect(&server).unwrap();
    let limiter = Limiter::in_redis(redis.clone(), 100);
    assert_eq!(limiter.check("k", BUSY, NOW).await.remaining, 999);
    server.kill();
    for n in 1..31 {
        assert_eq!(limiter.check("k", BUSY, NOW).await.remaining, 999 - n);
    }
    assert!(!redis.is_away(), "redis was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_gateways_lease_is_counted_once() {
    let server = Server::start().unwrap();
    let gateways = [1, 2].map(|_| Limiter::in_redis(connect(&server).unwrap(), 100));
    let mut allowed = 0;
    for n in 0..2_100 {
        allowed += usize::from(gateways[n % 2].check("k", BUSY, NOW).await.allowed);
    }
    assert_eq!(allowed, 1_000, "all of the burst and nothing more");
    let later = NOW.plus_ms(100);
    for n in 0..200 {
        allowed += usize::from(gateways[n % 2].check("k", BUSY, later).await.allowed);
    }
    assert_eq!(allowed, 1_050, "and what came back since");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_take_one_lease_at_a_time() {
    let server = Server::start().unwrap();
    let limiter = Limiter::in_redis(connect(&server).unwrap(), 100);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let limiter = limiter.clone();
        tasks.spawn(async move { limiter.check("k", BUSY, NOW).await.allowed });
    }
    assert!(tasks.join_all().await.into_iter().all(|allowed| allowed));
    let other = Limiter::in_redis(connect(&server).unwrap(), 100);
    let remaining = other.check("k", BUSY, NOW).await.remaining;
    assert!(
        (669..700).contains(&remaining),
        "300 were used, at most 30 are held in advance: {remaining} remain"
    );
}

/// A request that is given up while Redis is asked must not keep the key from ever being leased again.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_given_up_does_not_end_leasing() {
    let mut server = Server::start().unwrap();
    let redis = connect(&server).unwrap();
    let limiter = Limiter::in_redis(redis.clone(), 100);
    assert!(limiter.check("other", BUSY, NOW).await.allowed);
    server.pause();
    let asked = tokio::time::timeout(Duration::from_millis(50), limiter.check("k", BUSY, NOW)).await;
    assert!(asked.is_err());
    server.resume();
    assert!(limiter.check("k", BUSY, NOW).await.allowed);
    server.kill();
    for _ in 1..31 {
        assert!(limiter.check("k", BUSY, NOW).await.allowed);
    }
    assert!(!redis.is_away(), "redis was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_away_a_limiter_limits_by_itself_and_recovers() {
    let mut server = Server::start().unwrap();
    let redis = Redis::new(&server.url(), "beem:", Duration::from_millis(100)).unwrap();
    let limiter = Limiter::in_redis(redis.clone(), 100);
    assert!(limiter.check("k", RATE, NOW).await.allowed);
    server.kill();
    let mut allowed = 0;
    for _ in 0..20 {
        allowed += usize::from(limiter.check("k", RATE, NOW).await.allowed);
    }
    assert_eq!(allowed, 5, "neither open nor shut");
    assert!(redis.is_away());
    server.start_again().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while redis.is_away() {
        assert!(Instant::now() < end, "redis was not found again");
        limiter.check("other", RATE, NOW).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(limiter.check("k", RATE, NOW).await.remaining, 4, "the bucket in redis is a new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_keys_stay_within_the_bound_and_do_not_free_a_busy_one() {
    let limiter = Limiter::in_process(1000);
    for n in 0..20_000 {
        limiter.check(&format!("address:{n}"), RATE, NOW).await;
        if n % 10 == 0 {
            limiter.check("busy", RATE, NOW).await;
        }
    }
    assert!(
        !limiter.check("busy", RATE, NOW).await.allowed,
        "a flood of keys gave the busy one a new bucket"
    );
}

async fn conformance(store: &ReplayStore) {
    let (key, until) = ([7; 32], NOW.plus_ms(300_000));
    assert_eq!(store.first_use(&key, until, NOW).await, Seen::First);
    assert_eq!(store.first_use(&key, until, NOW).await, Seen::Again);
    assert_eq!(store.first_use(&[8; 32], until, NOW).await, Seen::First, "another key");
    assert_eq!(store.first_use(&[9; 32], NOW.plus_ms(-1), NOW).await, Seen::First, "nothing to keep");
    assert_eq!(store.first_use(&[9; 32], NOW, NOW).await, Seen::First, "kept to the millisecond named");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_replay_stores_conform() {
    let server = Server::start().unwrap();
    let in_redis = ReplayStore::in_redis(connect(&server).unwrap());
    for store in [ReplayStore::in_process(100), in_redis] {
        conformance(&store).await;
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                #[expect(clippy::disallowed_methods, reason = "a test that waits for all of them")]
                tokio::spawn(async move { store.first_use(&[1; 32], NOW.plus_ms(60_000), NOW).await })
            })
            .collect();
        let mut firsts = 0;
        for task in tasks {
            firsts += usize::from(task.await.unwrap() == Seen::First);
        }
        assert_eq!(firsts, 1, "one of many at the same time");
    }
}

#[tokio::test]
async fn a_key_in_process_is_kept_through_its_last_millisecond() {
    let store = ReplayStore::in_process(100);
    let until = NOW.plus_ms(1000);
    assert_eq!(store.first_use(&[1; 32], until, NOW).await, Seen::First);
    assert_eq!(store.first_use(&[1; 32], until, until).await, Seen::Again);
    assert_eq!(store.first_use(&[1; 32], until.plus_ms(9), until.plus_ms(1)).await, Seen::First);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_redis_goes_by_itself() {
    let server = Server::start().unwrap();
    let store = ReplayStore::in_redis(connect(&server).unwrap());
    assert_eq!(store.first_use(&[1; 32], NOW.plus_ms(30), NOW).await, Seen::First);
    let end = Instant::now() + Duration::from_secs(10);
    while store.first_use(&[1; 32], NOW.plus_ms(30), NOW).await != Seen::First {
        assert!(Instant::now() < end, "the key stayed");
    }
}

#[tokio::test]
async fn a_full_store_forgets_nothing_and_says_so() {
    let store = ReplayStore::in_process(2);
    let until = NOW.plus_ms(1000);
    for key in [[1; 32], [2; 32]] {
        assert_eq!(store.first_use(&key, until, NOW).await, Seen::First);
    }
    assert_eq!(store.first_use(&[3; 32], until, NOW).await, Seen::StoreAway);
    assert_eq!(store.first_use(&[1; 32], until, NOW).await, Seen::Again);
    assert_eq!(
        store.first_use(&[3; 32], until.plus_ms(9), until.plus_ms(1)).await,
        Seen::First,
        "room again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_away_a_replay_store_does_not_guess() {
    let mut server = Server::start().unwrap();
    let redis = Redis::new(&server.url(), "beem:", Duration::from_millis(100)).unwrap();
    let store = ReplayStore::in_redis(redis);
    server.kill();
    for key in [[1; 32], [2; 32], [1; 32], [1; 32], [1; 32]] {
        assert_eq!(store.first_use(&key, NOW.plus_ms(1000), NOW).await, Seen::StoreAway);
    }
}
