//! Receivers that answer well, badly, for ever or not at all.

use super::{BODY, NOW, Way, hasty, settings};
use crate::receiver::{Answer, Receiver};
use crate::rig::until;
use beem_hooks::HooksSettings;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_request_is_what_receivers_expect_and_its_connection_is_used_again() {
    let receiver = Receiver::start(Answer::with(200, &[("set-cookie", "a=b")], "thanks\r\n\0")).await;
    let way = Way::new();
    for _ in 0..2 {
        let sent = way.send(&receiver.url_at("hook.localhost")).await;
        assert_eq!((sent.finding.status_code, &sent.finding.error), (Some(200), &None));
        assert_eq!(sent.answer.as_deref(), Some("thanks\n"));
    }
    let received = receiver.received();
    let request = &received[1];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/events"));
    assert_eq!(request.body, BODY.as_bytes());
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("webhook-id"), "an-id");
    assert!(request.header("user-agent").starts_with("BEEM-Hooks/"));
    for absent in ["cookie", "referer", "accept-encoding", "authorization", "traceparent"] {
        assert_eq!(request.header(absent), "", "{absent}");
    }
    assert_eq!((received.len(), receiver.connections()), (2, 1));
    assert_eq!(way.resolver.asked("hook.localhost"), 1);
}

#[tokio::test]
async fn any_2xx_acknowledges_and_everything_else_says_what_it_was() {
    let receiver = Receiver::start(Answer::ok()).await;
    let way = Way::new();
    for code in [200, 201, 202, 226, 299] {
        receiver.answers(Answer::status(code));
        let sent = way.send(&receiver.url()).await;
        assert!(sent.finding.is_acknowledged() && sent.finding.error.is_none(), "{code}");
        assert_eq!(sent.answer, None);
    }
    for code in [400, 401, 404, 410, 429, 500, 503, 599, 999] {
        receiver.answers(Answer::with(code, &[], "no"));
        let sent = way.send(&receiver.url()).await;
        assert_eq!(sent.finding.status_code, Some(u32::from(code)));
        assert_eq!(sent.finding.error, Some(format!("answered {code}")));
        assert_eq!(sent.answer.as_deref(), Some("no"));
    }
}

#[tokio::test]
async fn a_receiver_may_ask_for_time_unless_it_acknowledges() {
    let receiver = Receiver::start(Answer::retry_after("7")).await;
    let way = Way::new();
    let mut asked = Vec::new();
    for answer in [
        Answer::retry_after("7"),
        Answer::retry_after("Thu, 15 Jan 2099 08:00:00 GMT"),
        Answer::retry_after("later"),
        Answer::with(200, &[("retry-after", "7")], ""),
    ] {
        receiver.answers(answer);
        asked.push(way.send(&receiver.url()).await.finding.retry_after_s);
    }
    assert_eq!(asked, [Some(7), Some(86_400), None, None]);
    // A date is compared with the time that is told, and that goes on while the answer is waited for.
    let date = NOW.plus_ms(600_000);
    assert_eq!(date.rfc3339(), "2027-01-15T08:10:00Z");
    receiver.answers(Answer::retry_after("Fri, 15 Jan 2027 08:10:00 GMT"));
    let seconds = way.send(&receiver.url()).await.finding.retry_after_s.unwrap();
    assert!((590..=600).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_receiver_that_hangs_or_drips_its_head_has_had_its_time() {
    let way = Way::with(&hasty());
    for answer in [Answer::Hang, Answer::DripHead, Answer::Deaf] {
        let receiver = Receiver::start(answer.clone()).await;
        let sent = way.send(&receiver.url()).await;
        assert_eq!(sent.finding.error.as_deref(), Some("no answer within 1 s"), "{answer:?}");
        assert_eq!((sent.finding.status_code, sent.answer), (None, None));
        // The connection is not kept for something that might still come.
        until("the sender to be gone", async || receiver.under_way() == 0).await;
    }
}

#[tokio::test]
async fn interim_answers_are_none() {
    let way = Way::with(&hasty());
    let (sent, ()) = way
        .against("http", async |mut stream: TcpStream| {
            while stream.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    assert_eq!(sent.finding.error.as_deref(), Some("no answer within 1 s"));
    let switched =
        Way::new().against_bytes("http", b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n").await;
    assert!(!switched.finding.is_acknowledged(), "{switched:?}");
}

#[tokio::test]
async fn once_the_status_is_known_the_body_changes_nothing() {
    let way = Way::new();
    for (answer, begins) in
        [(Answer::DripBody, "aaa"), (Answer::CloseMidBody, "the beginning"), (Answer::Huge(1 << 20), "xxx")]
    {
        let receiver = Receiver::start(answer.clone()).await;
        let sent = way.send(&receiver.url()).await;
        assert!(sent.finding.is_acknowledged() && sent.finding.error.is_none(), "{answer:?} {sent:?}");
        assert!(sent.answer.as_ref().is_some_and(|text| text.starts_with(begins)), "{answer:?} {sent:?}");
        until("the sender to be gone", async || receiver.under_way() == 0).await;
    }
}

#[tokio::test]
async fn of_an_answer_of_a_gigabyte_four_kib_are_kept_and_little_more_is_read() {
    let way = Way::new();
    for head in ["content-length: 1073741824", "transfer-encoding: chunked", "connection: close"] {
        let (sent, written) = way
            .against("http", async |mut stream: TcpStream| {
                stream.write_all(format!("HTTP/1.1 500 No\r\n{head}\r\n\r\n").as_bytes()).await.unwrap();
                let filler = "x".repeat(0x10000);
                let chunk = if head.ends_with("chunked") { format!("10000\r\n{filler}\r\n") } else { filler };
                let mut written = 0;
                while written < 1 << 30 && stream.write_all(chunk.as_bytes()).await.is_ok() {
                    written += chunk.len();
                }
                written
            })
            .await;
        assert_eq!(sent.finding.status_code, Some(500), "{head}");
        assert_eq!(sent.answer.unwrap().chars().count(), 4_096, "{head}");
        // The rest was in buffers of the system.
        assert!(written < 1 << 26, "{head}: {written}");
    }
}

#[tokio::test]
async fn what_is_no_answer_says_why() {
    let way = Way::new();
    let (closed, not_http) = ("the connection was closed before an answer", "the answer was not HTTP");
    for (answer, want) in [
        (Answer::CloseEarly, closed),
        (Answer::Garbage, not_http),
        (Answer::HugeHead, "the answer's headers are too large"),
    ] {
        let receiver = Receiver::start(answer).await;
        assert_eq!(way.failure(&receiver.url()).await, want);
    }
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (bytes, want) in [
        ("HTTP/1.1 200 OK\r\ncontent-le", closed),
        ("HTTP/1.1 200", closed),
        ("HTTP/1.1 OK 200\r\n\r\n", not_http),
        ("HTTP/2.0 200 OK\r\n\r\n", not_http),
        ("<html>welcome</html>", not_http),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!", not_http),
        ("HTTP/1.1 200 OK\r\nno header\r\n\r\n", not_http),
        (&format!("HTTP/1.1 200 OK\r\n{many}\r\n"), "the answer's headers are too large"),
    ] {
        let sent = way.against_bytes("http", bytes.as_bytes()).await;
        assert_eq!(sent.finding.error.as_deref(), Some(want), "{bytes:?}");
        assert_eq!((sent.finding.status_code, sent.answer), (None, None), "{bytes:?}");
    }
}

#[tokio::test]
async fn compressed_answers_are_kept_as_they_came() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\n\x1f\x8bab\n";
    let sent = Way::new().against_bytes("http", bytes).await;
    assert!(sent.finding.is_acknowledged());
    assert_eq!(sent.answer.as_deref(), Some("\u{fffd}\u{fffd}ab\n"));
}

#[tokio::test]
async fn where_nobody_listens_nothing_connects() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    assert_eq!(Way::new().failure(&format!("http://{gone}/")).await, "could not connect");
}

/// Nothing but timers: the name server never answers.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_resolved_for_ever_is_given_up_in_time() {
    for (answer_within_s, want) in [(15, "no connection within 5 s"), (1, "no answer within 1 s")] {
        let way = Way::with(&HooksSettings { answer_within_s, ..settings() });
        way.resolver.always("slow.example", crate::rig::Said::Hangs);
        assert_eq!(way.failure("https://slow.example/").await, want);
    }
}
