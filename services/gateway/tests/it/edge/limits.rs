//! Times and crowds. Limits are short here; what is asserted is the answer, not how long it took.

use super::rig::{Rig, soon};
use beem_gateway::edge::EdgeSettings;

#[tokio::test]
async fn a_slow_head_is_answered_408() {
    let rig = Rig::start(EdgeSettings { head_ms: 100, ..EdgeSettings::default() }).await;
    for start in ["G", "PRI * HT", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: y"] {
        let mut raw = rig.raw().await;
        raw.send(start).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.refusal().as_str()), (408, "request-timeout"), "{start:?}");
        assert!(raw.ended().await);
    }
    // Also the second of a connection, whose first was in time.
    let mut raw = rig.raw().await;
    raw.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2").await;
    assert_eq!(raw.answer().await.text(), "GET a /1 ");
    assert_eq!(raw.answer().await.refusal(), "request-timeout");
}

#[tokio::test]
async fn a_head_that_drips_does_not_win_time() {
    let rig = Rig::start(EdgeSettings { head_ms: 200, ..EdgeSettings::default() }).await;
    let mut raw = rig.raw().await;
    raw.send("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
    let mut dripped = 0;
    let answer = loop {
        tokio::select! {
            answer = raw.answer_to("GET") => break answer.unwrap(),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
        raw.send("y").await;
        dripped += 1;
        assert!(dripped < 900, "a dripping head goes on for ever");
    };
    assert_eq!(answer.refusal(), "request-timeout");
}

#[tokio::test]
async fn a_slow_body_is_answered_408() {
    let rig = Rig::start(EdgeSettings { body_ms: 100, ..EdgeSettings::default() }).await;
    for start in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n",
    ] {
        let mut raw = rig.raw().await;
        raw.send(start).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.refusal().as_str()), (408, "request-timeout"), "{start:?}");
        assert!(raw.ended().await);
    }
    assert_eq!(rig.echo.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn bodies_have_a_bound_in_all_and_give_it_back() {
    let rig = Rig::start(EdgeSettings { bodies_bytes: 8, ..EdgeSettings::default() }).await;
    let mut holding = rig.raw().await;
    holding.send("POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nabcde").await;
    // Somebody else's body does not fit beside it, and one that fits is taken: the held bytes are five.
    let refused = loop {
        let mut other = rig.raw().await;
        other.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd").await;
        let answer = other.answer().await;
        // The first connection's bytes may not have been read yet.
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, refused.refusal().as_str()), (503, "unavailable"));
    holding.send("fg").await;
    assert_eq!(holding.answer().await.status, 200);
    let mut after = rig.raw().await;
    after.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nabcdefgh").await;
    assert_eq!(after.answer().await.status, 200, "what was held is given back");
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let rig = Rig::start(EdgeSettings { idle_ms: 100, ..EdgeSettings::default() }).await;
    let mut silent = rig.raw().await;
    assert!(silent.ended().await);
    let mut served = rig.raw().await;
    served.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(served.answer().await.text(), "GET a /x ");
    assert!(served.ended().await);
}

#[tokio::test]
async fn a_request_that_takes_longer_than_the_idle_time_is_answered() {
    let rig =
        Rig::start(EdgeSettings { idle_ms: 50, head_ms: 50, body_ms: 50, ..EdgeSettings::default() }).await;
    let mut raw = rig.raw().await;
    raw.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    soon(rig.echo.waiting.acquire()).await.unwrap().forget();
    // Another connection that is closed as idle shows that the time has passed.
    assert!(rig.raw().await.ended().await);
    rig.echo.permits.add_permits(1);
    assert_eq!(raw.answer().await.text(), "GET a /wait ");
}

#[tokio::test]
async fn others_are_served_beside_500_idle_connections() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut idle = Vec::new();
    for n in 0..500 {
        let mut raw = rig.raw().await;
        // Some silent, some within a head, some within a body, some between requests.
        match n % 4 {
            1 => raw.send("GET / HT").await,
            2 => raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc").await,
            3 => {
                raw.send("GET /idle HTTP/1.1\r\nHost: a\r\n\r\n").await;
                assert_eq!(raw.answer().await.text(), "GET a /idle ");
            }
            _ => {}
        }
        idle.push(raw);
    }
    for n in 0..50 {
        let answer = rig.ask(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(answer.text(), format!("GET a /{n} "));
    }
    // And those that waited within a message go on.
    for raw in idle.iter_mut().skip(2).step_by(4) {
        raw.send("de").await;
        assert_eq!(raw.answer().await.text(), "POST a / abcde");
    }
}

#[tokio::test]
async fn a_connection_too_many_is_closed_at_once() {
    let rig = Rig::start(EdgeSettings { connections_per_address: 2, ..EdgeSettings::default() }).await;
    let (mut first, second) = (rig.raw().await, rig.raw().await);
    let mut third = rig.raw().await;
    assert!(third.answer_to("GET").await.is_none());
    assert_eq!(rig.meter.turned_away(), 1);
    first.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(first.answer().await.text(), "GET a /x ");
    drop(second);
    // The place is free as soon as the edge has noticed.
    loop {
        let mut next = rig.raw().await;
        next.send("GET /y HTTP/1.1\r\nHost: a\r\n\r\n").await;
        if let Some(answer) = next.answer_to("GET").await {
            assert_eq!(answer.text(), "GET a /y ");
            break;
        }
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_off() {
    let rig = Rig::start(EdgeSettings { write_stall_ms: 100, ..EdgeSettings::default() }).await;
    let mut raw = rig.raw().await;
    raw.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
    soon(rig.echo.endless_ended.cancelled()).await;
}
