//! What is let through, however it is written.

use super::rig::Rig;
use beem_gateway::edge::EdgeSettings;
use tokio::io::AsyncWriteExt;

const CHUNKED: &str = "POST /c?q=%20x HTTP/1.1\r\nHost: A:80\r\nTransfer-Encoding: Chunked\r\n\r\n\
    3;x=\"y\"\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    for n in 0..5 {
        raw.send(format!("PUT /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.text()), (200, format!("PUT a /{n} abc").as_str()));
        assert_eq!(answer.header("connection"), None);
        assert!(answer.header("x-request-id").unwrap().parse::<beem_ids::RequestId>().is_ok());
    }
    assert_eq!(rig.meter.accepted(), 1);
}

#[tokio::test]
async fn three_requests_in_one_packet() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    raw.send(format!("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n{CHUNKED}GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    for expected in ["GET a /1 ", "POST a /c?q=%20x abc0123456789", "GET a /3 "] {
        assert_eq!(raw.answer().await.text(), expected);
    }
}

#[tokio::test]
async fn byte_by_byte() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    raw.socket.set_nodelay(true).unwrap();
    for byte in format!("{CHUNKED}{CHUNKED}").bytes() {
        raw.send([byte]).await;
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        assert_eq!(raw.answer().await.text(), "POST a /c?q=%20x abc0123456789");
    }
}

#[tokio::test]
async fn the_largest_body_that_is_taken() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let body = "x".repeat(1024 * 1024);
    let sized = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n{body}");
    assert_eq!(rig.ask(sized).await.text(), "POST a / 1048576 bytes");
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n{body}\r\n0\r\n\r\n"
    );
    assert_eq!(rig.ask(chunked).await.text(), "POST a / 1048576 bytes");
}

#[tokio::test]
async fn the_largest_head_that_is_taken() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let fields = format!("Host: a\r\n{}", "X: y\r\n".repeat(98));
    let rest = "z".repeat(16 * 1024 - fields.len() - "L: \r\n".len());
    let target = format!("/{}", "t".repeat(8191));
    let answer = rig.ask(format!("GET {target} HTTP/1.1\r\n{fields}L: {rest}\r\n\r\n")).await;
    assert_eq!((answer.status, answer.text()), (200, format!("GET a {target} ").as_str()));
}

#[tokio::test]
async fn an_expectation_is_met_before_the_body() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 100);
    raw.send("hi").await;
    assert_eq!(raw.answer().await.text(), "POST a / hi");
}

#[tokio::test]
async fn absolute_form_is_its_path() {
    let rig = Rig::start(EdgeSettings::default()).await;
    for (target, told) in
        [("http://A/x?y", "/x?y"), ("HTTP://a:80/", "/"), ("http://a", "/"), ("http://a?b", "/?b")]
    {
        let answer = rig.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!((answer.status, answer.text()), (200, format!("GET a {told} ").as_str()), "{target}");
    }
}

#[tokio::test]
async fn methods_pass_and_head_has_no_body() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    raw.send("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = raw.answer_to("HEAD").await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    assert_eq!(raw.answer().await.text(), "OPTIONS a /x ");
}

#[tokio::test]
async fn an_offer_to_upgrade_is_not_taken_up() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    for _ in 0..2 {
        raw.send("GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n")
            .await;
        assert_eq!(raw.answer().await.text(), "GET a /x ");
    }
}

#[tokio::test]
async fn http_1_0_with_a_host_is_served_and_closed() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    raw.send("GET /x HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert_eq!(raw.answer().await.text(), "GET a /x ");
    assert!(raw.ended().await);
}

#[tokio::test]
async fn a_peer_that_ended_its_sending_is_answered() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    raw.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    raw.socket.shutdown().await.unwrap();
    assert_eq!(raw.answer().await.text(), "GET a /x ");
    assert!(raw.ended().await);
}

#[tokio::test]
async fn a_message_that_ends_early_is_refused() {
    let rig = Rig::start(EdgeSettings::default()).await;
    for part in [
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ] {
        let mut raw = rig.raw().await;
        raw.send(part).await;
        raw.socket.shutdown().await.unwrap();
        assert_eq!(raw.answer().await.refusal(), "bad-request", "{part:?}");
    }
    assert_eq!(rig.echo.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_panic_is_answered_and_the_connection_goes_on() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    raw.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = raw.answer().await;
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &problem["code"]), (500, &"internal".into()));
    assert_eq!(raw.answer().await.text(), "GET a /x ");
}

#[tokio::test]
async fn a_streamed_answer_is_whole() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let answer = rig.ask("GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (200, "one,two,three"));
}
