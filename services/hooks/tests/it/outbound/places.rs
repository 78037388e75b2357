//! Where a sender must not be led: by its own URL, by a redirect, by what names resolve to.

use super::{Way, settings};
use crate::receiver::{Answer, Receiver};
use crate::rig::Said;
use beem_hooks::HooksSettings;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};

const NOWHERE: &str = "the host does not resolve to an address that may be reached";

const CLOSING: &[(&str, &str)] = &[("connection", "close")];

fn addresses(addresses: &[&str]) -> Said {
    Said::Addresses(addresses.iter().map(|address| address.parse::<IpAddr>().unwrap()).collect())
}

/// Whether nobody has knocked.
fn is_untouched(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    listener.accept().is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}

#[tokio::test]
async fn row_26_a_redirect_is_not_followed() {
    let secret = Receiver::start(Answer::ok()).await;
    let receiver = Receiver::start(Answer::ok()).await;
    let way = Way::new();
    for code in [301, 302, 303, 307, 308] {
        for place in
            [secret.url(), secret.url_at("localhost"), "http://169.254.169.254/".into(), "/other".into()]
        {
            receiver.answers(Answer::with(code, &[("location", place.as_str())], "over there"));
            let sent = way.send(&receiver.url()).await;
            assert_eq!(sent.finding.status_code, Some(u32::from(code)));
            assert_eq!(sent.finding.error.as_deref(), Some("a redirect is not followed"));
            assert_eq!(sent.answer.as_deref(), Some("over there"));
        }
    }
    assert_eq!(secret.connections(), 0);
    assert!(receiver.received().iter().all(|request| request.path == "/events"));
    assert_eq!(receiver.received().len(), 20);
}

#[tokio::test]
async fn row_26_the_checked_address_is_the_one_dialled_whatever_the_name_says_afterwards() {
    let receiver = Receiver::start(Answer::with(200, CLOSING, "")).await;
    // The same port at the address that the name has the next time it is asked for.
    let decoy = TcpListener::bind(("127.0.0.2", receiver.address.port())).unwrap();
    let way = Way::new();
    let url = receiver.url_at("rebind.localhost");
    way.resolver.then("rebind.localhost", addresses(&["127.0.0.1"]));
    way.resolver.always("rebind.localhost", addresses(&["127.0.0.2"]));
    assert!(way.send(&url).await.finding.is_acknowledged());
    assert_eq!(way.resolver.asked("rebind.localhost"), 1, "a second question could have another answer");
    assert!(is_untouched(&decoy));

    // A new connection is a new question, whose answer is judged as the first was.
    way.resolver.always("rebind.localhost", addresses(&["10.0.0.1"]));
    assert_eq!(way.failure(&url).await, NOWHERE);
    assert_eq!(way.resolver.asked("rebind.localhost"), 2);
    assert_eq!((receiver.connections(), receiver.received().len()), (1, 1));
}

#[tokio::test]
async fn row_26_one_refused_address_among_the_answers_refuses_all() {
    let receiver = Receiver::start(Answer::ok()).await;
    let way = Way::new();
    for said in [
        addresses(&["127.0.0.1", "10.0.0.1"]),
        addresses(&["169.254.169.254", "127.0.0.1"]),
        addresses(&["127.0.0.1", "::ffff:127.0.0.1"]),
        addresses(&["fd00:ec2::254"]),
        addresses(&[]),
        Said::Fails,
    ] {
        way.resolver.always("mixed.localhost", said.clone());
        // The same whether there is no such name or it leads inside: nobody finds out names of ours.
        assert_eq!(way.failure(&receiver.url_at("mixed.localhost")).await, NOWHERE, "{said:?}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_url_is_judged_again_when_it_is_called() {
    let receiver = Receiver::start(Answer::ok()).await;
    let way = Way::with(&HooksSettings { allow_loopback: false, ..settings() });
    let port = receiver.address.port();
    for (url, want) in [
        (format!("http://127.0.0.1:{port}/"), "the address is in a loopback network"),
        (format!("https://127.0.0.1:{port}/"), "the address is in a loopback network"),
        (format!("https://0x7f.1:{port}/"), "the address is in a loopback network"),
        (format!("https://[::1]:{port}/"), "the address is in a loopback network"),
        (format!("https://localhost:{port}/"), "the URL is not allowed: its host is this machine"),
        (format!("http://receiver.example:{port}/"), "the URL is not allowed: https only"),
        (
            "not a url".to_owned(),
            "the URL is not allowed: without spaces, control characters and backslashes",
        ),
    ] {
        assert_eq!(way.failure(&url).await, want, "{url}");
    }
    // A name that leads to this machine is found out when it is resolved.
    way.resolver.says("receiver.example", &["127.0.0.1"]);
    assert_eq!(way.resolver.asked("receiver.example"), 0);
    let named = format!("https://receiver.example:{port}/");
    assert_eq!(way.failure(&named).await, NOWHERE);
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn plain_http_does_not_leave_this_machine_even_in_development() {
    let way = Way::new();
    assert_eq!(
        way.failure("http://receiver.example/").await,
        "the URL is not allowed: https only; http to this machine only"
    );
    way.resolver.says("a.localhost", &["8.8.8.8"]);
    assert_eq!(way.failure("http://a.localhost/").await, NOWHERE);
}
