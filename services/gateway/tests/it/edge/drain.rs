//! The end: what has come is answered, what is idle is closed, nothing is lost.

use super::rig::{Rig, soon};
use beem_gateway::edge::{Drained, EdgeSettings};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_request_in_flight_is_answered_and_told_to_close() {
    let mut rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    raw.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    soon(rig.echo.waiting.acquire()).await.unwrap().forget();
    rig.drain.cancel();
    rig.echo.permits.add_permits(1);
    let answer = raw.answer().await;
    assert_eq!((answer.text(), answer.header("connection")), ("GET a /wait ", Some("close")));
    assert!(raw.ended().await);
    assert_eq!(rig.drained().await, Drained { cut_off: 0 });
    assert!(TcpStream::connect(rig.address).await.is_err());
}

#[tokio::test]
async fn messages_that_have_begun_are_served() {
    let mut rig = Rig::start(EdgeSettings::default()).await;
    let (mut head, mut body, mut pipelined) = (rig.raw().await, rig.raw().await, rig.raw().await);
    head.send("GET /head HT").await;
    body.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab").await;
    pipelined.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n").await;
    soon(rig.echo.waiting.acquire()).await.unwrap().forget();
    rig.drain.cancel();
    rig.echo.permits.add_permits(1);
    assert_eq!(pipelined.answer().await.text(), "GET a /wait ");
    let last = pipelined.answer().await;
    assert_eq!((last.text(), last.header("connection")), ("GET a /behind ", Some("close")));
    head.send("TP/1.1\r\nHost: a\r\n\r\n").await;
    body.send("cd").await;
    assert_eq!(head.answer().await.text(), "GET a /head ");
    assert_eq!(body.answer().await.text(), "POST a /body abcd");
    assert_eq!(rig.drained().await, Drained { cut_off: 0 });
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let mut rig = Rig::start(EdgeSettings { drain_idle_ms: 10, ..EdgeSettings::default() }).await;
    let mut silent = rig.raw().await;
    let mut served = rig.raw().await;
    served.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(served.answer().await.text(), "GET a /x ");
    rig.drain.cancel();
    assert!(silent.ended().await && served.ended().await);
    drop((silent, served));
    assert_eq!(rig.drained().await, Drained { cut_off: 0 });
}

#[tokio::test]
async fn what_does_not_end_is_cut_off() {
    let mut rig = Rig::start(EdgeSettings { drain_ms: 50, ..EdgeSettings::default() }).await;
    let mut raw = rig.raw().await;
    raw.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    soon(rig.echo.waiting.acquire()).await.unwrap().forget();
    rig.drain.cancel();
    assert_eq!(rig.drained().await, Drained { cut_off: 1 });
}

/// Clients that ask on kept connections, one request after the other, and go away when told to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_request_fails_under_load() {
    let mut rig = Rig::start(EdgeSettings::default()).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for client in 0..50 {
        let (mut raw, answered) = (rig.raw().await, Arc::clone(&answered));
        clients.spawn(async move {
            for n in 0.. {
                raw.send(format!("PUT /{client}/{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
                    .await;
                let answer = raw.answer_to("PUT").await.expect("every request is answered");
                assert_eq!(answer.text(), format!("PUT a /{client}/{n} abc"));
                answered.fetch_add(1, Ordering::Relaxed);
                if answer.header("connection") == Some("close") {
                    assert!(raw.ended().await);
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    while answered.load(Ordering::Relaxed) < 500 {
        tokio::task::yield_now().await;
    }
    rig.drain.cancel();
    while let Some(client) = soon(clients.join_next()).await {
        client.unwrap();
    }
    assert_eq!(rig.drained().await, Drained { cut_off: 0 });
    assert_eq!(rig.echo.seen().len(), answered.load(Ordering::Relaxed));
}
