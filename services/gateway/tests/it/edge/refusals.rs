//! What is refused: with which status and code, as a whole problem, after which the connection closes, and without the
//! handler having seen anything of it.

use super::rig::Rig;
use beem_gateway::edge::EdgeSettings;

async fn refused(cases: &[(&str, u16, &str)]) {
    let rig = Rig::start(EdgeSettings::default()).await;
    for (request, status, code) in cases {
        let shown = &request[..request.len().min(200)];
        let mut raw = rig.raw().await;
        raw.send(request).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.refusal().as_str()), (*status, *code), "{shown:?}");
        assert!(raw.ended().await, "{shown:?}");
        assert_eq!(rig.echo.seen(), Vec::<String>::new(), "{shown:?}");
    }
    assert_eq!(rig.meter.refusals(), u64::try_from(cases.len()).unwrap());
}

#[tokio::test]
async fn hosts() {
    refused(&[
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.0\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a@a\r\n\r\n", 400, "bad-request"),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("GET http://a@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 421, "misdirected"),
        ("GET / HTTP/1.1\r\nHost: a:81\r\n\r\n", 421, "misdirected"),
    ])
    .await;
}

#[tokio::test]
async fn lines_and_targets() {
    refused(&[
        ("GET / HTTP/1.1\nHost: a\n\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400, "bad-request"),
        ("GET /\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("PRI * HTTP/2.0\r\n\r\nXX", 400, "bad-request"),
        ("\x16\x03\x01\x02\0\x01", 400, "bad-request"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request"),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405, "method-not-allowed"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method-not-allowed"),
    ])
    .await;
}

#[tokio::test]
async fn sizes() {
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(8192));
    let no_end = format!("GET /{}", "x".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100));
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    let large_in_parts =
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", format!("X: {}\r\n", "y".repeat(1000)).repeat(99));
    refused(&[
        (&long_target, 414, "target-too-long"),
        (&no_end, 414, "target-too-long"),
        (&many, 431, "headers-too-large"),
        (&large, 431, "headers-too-large"),
        (&large_in_parts, 431, "headers-too-large"),
    ])
    .await;
}

/// Ways to make two programs see different ends of a message; each carries a second request that must not be seen.
#[tokio::test]
async fn smuggling() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let with =
        |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{hidden}");
    let cases = [
        with("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG"),
        with("Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\n"),
        with("Content-Length: 0\r\nContent-Length: 44", ""),
        with("Content-Length: 0, 44", ""),
        with("Content-Length: +0", ""),
        with("Content-Length: 0x0", ""),
        with("Content-Length: 0 0", ""),
        with("Content-Length: -1", ""),
        with("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        with("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        with("Transfer-Encoding: identity, chunked", "0\r\n\r\n"),
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"),
        with("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
        with("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
        with("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
        with("X: y\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        with("X: y\rTransfer-Encoding: chunked", "0\r\n\r\n"),
        with("Transfer-Encoding: chunked", "0x0\r\n\r\n"),
        with("Transfer-Encoding: chunked", "+0\r\n\r\n"),
        with("Transfer-Encoding: chunked", "-1\r\n\r\n"),
        with("Transfer-Encoding: chunked", " 0\r\n\r\n"),
        with("Transfer-Encoding: chunked", "0 \r\n\r\n"),
        with("Transfer-Encoding: chunked", "0\n\n"),
        with("Transfer-Encoding: chunked", "0\r\n\n"),
        with("Transfer-Encoding: chunked", "0;a\n0\r\n\r\n"),
        with("Transfer-Encoding: chunked", "1\r\nxx\r\n0\r\n\r\n"),
        with("Transfer-Encoding: chunked", "3\r\nx\r\n0\r\n\r\n"),
        with("Transfer-Encoding: chunked", "00000000000000000\r\n\r\n"),
        with("Transfer-Encoding: chunked", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        with("Transfer-Encoding: chunked", "0\r\n folded: x\r\n\r\n"),
    ];
    let cases: Vec<_> = cases.iter().map(|case| (case.as_str(), 400, "bad-request")).collect();
    refused(&cases).await;
    let http10 = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(&[(http10, 400, "bad-request")]).await;
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let declared = |length: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let whole = declared("2097152") + &"x".repeat(2 * 1024 * 1024);
    let continued = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n";
    let chunked =
        |body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let in_chunks = chunked(&format!("8000\r\n{}\r\n", "x".repeat(32 * 1024)).repeat(64));
    refused(&[
        // At once, without waiting for a byte of the body.
        (&declared("1048577"), 413, "body-too-large"),
        (&declared("99999999999999999999999999"), 413, "body-too-large"),
        (continued, 413, "body-too-large"),
        (&whole, 413, "body-too-large"),
        (&in_chunks, 413, "body-too-large"),
        (&chunked("FFFFFFFFFFFFFFFF\r\n"), 413, "body-too-large"),
        (&chunked("100001\r\n"), 413, "body-too-large"),
    ])
    .await;
}

/// More than the buffers between the two hold: the edge must go on reading after its answer, or the peer's writing fails.
#[tokio::test]
async fn a_peer_that_writes_everything_before_it_reads_gets_its_answer() {
    let rig = Rig::start(EdgeSettings { linger_ms: 15_000, ..EdgeSettings::default() }).await;
    let mut raw = rig.raw().await;
    raw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 33554432\r\n\r\n").await;
    raw.send(vec![b'x'; 32 * 1024 * 1024]).await;
    assert_eq!(raw.answer().await.refusal(), "body-too-large");
    assert!(raw.ended().await);
}

#[tokio::test]
async fn a_refusal_waits_for_the_answers_before_it() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let mut raw = rig.raw().await;
    raw.send(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
        GET /3 HTTP/1.1\nHost: a\n\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n",
    )
    .await;
    assert_eq!(raw.answer().await.text(), "GET a /1 ");
    assert_eq!(raw.answer().await.text(), "POST a /2 hi");
    assert_eq!(raw.answer().await.refusal(), "bad-request");
    assert!(raw.ended().await);
    assert_eq!(rig.echo.seen().len(), 2);
}

#[tokio::test]
async fn a_method_that_is_not_served_is_answered_with_those_that_are() {
    let rig = Rig::start(EdgeSettings::default()).await;
    let answer = rig.ask("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
}
