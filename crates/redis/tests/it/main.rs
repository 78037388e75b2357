//! The connection on a real Redis that is killed, hangs and comes back.

use beem_redis::{FAILURES_TO_OPEN, Redis};
use beem_testkit::redis::Server;
use std::time::Duration;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_millis(100);

async fn until_it_answers(redis: &Redis) {
    let end = Instant::now() + Duration::from_secs(20);
    while redis.ping().await.is_err() {
        assert!(Instant::now() < end, "redis was not found again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn open_the_breaker(redis: &Redis) {
    for _ in 0..FAILURES_TO_OPEN {
        assert!(redis.ping().await.is_err());
    }
    assert!(redis.is_away());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_and_restarted_redis_is_found_again() {
    let mut server = Server::start().unwrap();
    let redis = Redis::new(&server.url(), "beem:", LIMIT).unwrap();
    until_it_answers(&redis).await;
    server.kill();
    open_the_breaker(&redis).await;
    server.start_again().unwrap();
    until_it_answers(&redis).await;
    assert!(!redis.is_away());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_redis_costs_nobody_more_than_the_limit_and_then_nothing() {
    let mut server = Server::start().unwrap();
    let redis = Redis::new(&server.url(), "beem:", LIMIT).unwrap();
    until_it_answers(&redis).await;
    server.pause();
    open_the_breaker(&redis).await;
    let begin = Instant::now();
    for _ in 0..100 {
        redis.ping().await.unwrap_err();
    }
    assert!(begin.elapsed() < LIMIT, "an open breaker made callers wait {:?}", begin.elapsed());
    server.resume();
    until_it_answers(&redis).await;
}

#[tokio::test]
async fn one_that_was_never_there_is_found_when_it_comes() {
    let mut server = Server::start().unwrap();
    server.kill();
    let redis = Redis::new(&server.url(), "beem:", LIMIT).unwrap();
    open_the_breaker(&redis).await;
    server.start_again().unwrap();
    until_it_answers(&redis).await;
}

#[test]
fn a_bad_url_is_refused_without_its_password() {
    let error = Redis::new("http://me:hunter2@host", "", LIMIT).unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
    let fine = Redis::new("redis://me:hunter2@host:6379/1", "", LIMIT).unwrap();
    assert!(!format!("{fine:?}").contains("hunter2"));
}
