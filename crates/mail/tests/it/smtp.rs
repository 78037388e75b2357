//! To a real SMTP server: what arrives there as somebody else reads it, and what its refusals mean.

use crate::rig::{Kind, Rig, TOKEN, named_invitation, row_when};
use crate::server::{Certificates, Server};
use beem_database::Database;
use beem_mail::{MailSettings, SmtpSettings, SmtpTls};
use serde_json::{Value as Json, json};
use uuid::Uuid;

fn settings(server: &Server, tls: SmtpTls) -> SmtpSettings {
    SmtpSettings {
        host: "localhost".into(),
        port: server.port,
        tls,
        timeout_s: 10,
        ..SmtpSettings::default()
    }
}

fn to(smtp: SmtpSettings) -> MailSettings {
    let from = "Zahlungen für BEEM <beem@pay.example>".into();
    MailSettings { from, smtp: Some(smtp), ..MailSettings::default() }
}

async fn queue(rig: &Rig, db: &Database, address: &str, name: &str) -> Uuid {
    let mail = &named_invitation(address, name);
    db.write(|tx| Box::pin(rig.queue.add(tx, mail))).await.unwrap()
}

/// What the server got of one invitation.
async fn deliver(server: &mut Server, smtp: SmtpSettings, name: &str) -> (Uuid, Json) {
    let rig = Rig::new(Kind::Sqlite);
    let db = rig.process().await;
    let running = rig.mailer_as(&to(smtp)).await;
    let id = queue(&rig, &db, "ada@example.com", name).await;
    let got = server.tells().await;
    row_when(&db, id, "sent", |row| row.sent).await;
    running.stop().await;
    (id, got)
}

/// The error and whether it was for ever, of a mail that is not taken.
async fn not_taken(smtp: SmtpSettings, from: &str, address: &str) -> (String, bool) {
    let rig = Rig::new(Kind::Sqlite);
    let db = rig.process().await;
    let running = rig.mailer_as(&MailSettings { from: from.into(), ..to(smtp) }).await;
    let id = queue(&rig, &db, address, "Ada").await;
    let row = row_when(&db, id, "not taken", |row| row.failed || (row.attempts > 0 && !row.leased)).await;
    assert_eq!(row.payload.is_none(), row.failed);
    running.stop().await;
    (row.last_error.unwrap(), row.failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_else_reads_both_parts_and_every_header() {
    let mut server = Server::start(&json!({})).await;
    let name = "Zoë Łukasz 山田 \"the boss\"";
    let smtp = settings(&server, SmtpTls::None);
    let (id, got) = deliver(&mut server, smtp, name).await;
    assert_eq!((&got["from"], &got["to"]), (&json!("beem@pay.example"), &json!(["ada@example.com"])));
    assert_eq!(got["recipients"], json!([[name, "ada@example.com"]]));
    let header = |name: &str| {
        let all = got["headers"].as_array().unwrap().iter().filter(|h| h[0] == name);
        all.map(|h| h[1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(header("From"), ["Zahlungen für BEEM <beem@pay.example>"]);
    assert_eq!(header("Subject"), [format!("Welcome to BEEM, {name}")]);
    assert_eq!(header("Message-ID"), [format!("<{id}@pay.example>")]);
    assert_eq!(header("Date"), ["Tue, 14 Nov 2023 22:13:20 +0000"]);
    assert_eq!(header("Auto-Submitted"), ["auto-generated"]);
    assert_eq!(got["type"], "multipart/alternative");
    let text = got["parts"]["text/plain"].as_str().unwrap();
    assert!(text.contains(&format!("Hello {name}, you are invited.\n")), "{text}");
    assert!(text.contains(&format!("Activate:\nhttps://pay.example/activate?token={TOKEN}\n")), "{text}");
    let html = got["parts"]["text/html"].as_str().unwrap();
    assert!(html.contains("Hello Zoë Łukasz 山田 &quot;the boss&quot;, you are invited."), "{html}");
    assert!(html.contains(&format!("href=\"https://pay.example/activate?token={TOKEN}\"")), "{html}");
    assert_eq!(got["charsets"], json!(["utf-8", "utf-8"]));
    assert_eq!((&got["defects"], &got["bare_newlines"]), (&json!([]), &json!(0)));
    assert!(got["longest_line"].as_u64().unwrap() <= 998, "RFC 5322, section 2.1.1");
    assert_eq!(
        (&got["tls"], &got["user"], &got["hello"]),
        (&json!(false), &json!(null), &json!("pay.example"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_name_is_a_name_and_nothing_else() {
    let mut server = Server::start(&json!({})).await;
    let name =
        "<img src=x onerror=alert(1)>\r\nBcc: mallory@example.com\r\n\r\n.\r\nRCPT TO:<mallory@example.com>";
    let smtp = settings(&server, SmtpTls::None);
    let (_, got) = deliver(&mut server, smtp, name).await;
    assert_eq!(got["to"], json!(["ada@example.com"]));
    assert_eq!(got["recipients"].as_array().unwrap().len(), 1);
    let headers: Vec<_> = got["headers"].as_array().unwrap().iter().map(|h| h[0].as_str().unwrap()).collect();
    let ours =
        ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"];
    assert_eq!(headers, ours);
    let html = got["parts"]["text/html"].as_str().unwrap();
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;") && !html.contains("<img"), "{html}");
    assert_eq!(got["defects"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_signs_in_by_whatever_the_server_offers() {
    for mechanism in ["PLAIN", "LOGIN"] {
        let options = json!({ "user": "beem", "password": "pass wörd", "mechanism": mechanism });
        let mut server = Server::start(&options).await;
        let smtp = SmtpSettings {
            username: Some("beem".into()),
            password: Some("pass wörd".to_owned().into()),
            ..settings(&server, SmtpTls::None)
        };
        let (_, got) = deliver(&mut server, smtp, "Ada").await;
        assert_eq!(got["user"], "beem", "{mechanism}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_speaks_tls_as_asked_and_only_with_whom_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path(), "localhost");
    let ways = [
        (SmtpTls::Starttls, json!({ "require_tls": true, "user": "beem", "password": "p" })),
        (SmtpTls::Tls, json!({ "wrapped": true, "user": "beem", "password": "p" })),
    ];
    for (tls, options) in ways {
        let mut server = Server::start(&certificates.options(&options)).await;
        let trusting = SmtpSettings {
            ca_file: Some(certificates.authority.clone()),
            username: Some("beem".into()),
            password: Some("p".to_owned().into()),
            ..settings(&server, tls)
        };
        let (_, got) = deliver(&mut server, trusting.clone(), "Ada").await;
        assert_eq!((&got["tls"], &got["user"]), (&json!(true), &json!("beem")), "{tls:?}");
        // Without the authority, and with a name that the certificate does not carry.
        let strange = [
            SmtpSettings { ca_file: None, ..trusting.clone() },
            SmtpSettings { host: "127.0.0.1".into(), ..trusting.clone() },
        ];
        for smtp in strange {
            let (error, for_ever) = not_taken(smtp, "beem@pay.example", "ada@example.com").await;
            assert!(["tls", "connect"].contains(&error.as_str()), "{tls:?}: {error}");
            assert!(!for_ever);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_said_in_the_clear_when_the_server_has_no_starttls() {
    let server = Server::start(&json!({})).await;
    let smtp = settings(&server, SmtpTls::Starttls);
    let (error, for_ever) = not_taken(smtp, "beem@pay.example", "ada@example.com").await;
    assert_eq!((error.as_str(), for_ever), ("tls", false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_refusal_of_this_mail_is_for_ever() {
    let server = Server::start(&json!({})).await;
    for (from, address, error, for_ever) in [
        ("beem@pay.example", "rcpt-550@example.com", "recipient 550", true),
        ("beem@pay.example", "rcpt-450@example.com", "recipient 450", false),
        ("beem@pay.example", "rcpt-530@example.com", "recipient 530", false),
        ("beem@pay.example", "data-554@example.com", "content 554", true),
        ("beem@pay.example", "data-451@example.com", "content 451", false),
        ("nobody@pay.example", "ada@example.com", "sender 550", false),
    ] {
        let outcome = not_taken(settings(&server, SmtpTls::None), from, address).await;
        assert_eq!(outcome, (error.to_owned(), for_ever), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_us_or_is_away_keeps_mail_waiting() {
    let server = Server::start(&json!({ "user": "beem", "password": "right" })).await;
    let wrong = SmtpSettings {
        username: Some("beem".into()),
        password: Some("wrong".to_owned().into()),
        ..settings(&server, SmtpTls::None)
    };
    let without = settings(&server, SmtpTls::None);
    let port = server.port;
    for (smtp, error) in [(wrong, "auth 535"), (without, "sender 530")] {
        let outcome = not_taken(smtp, "beem@pay.example", "ada@example.com").await;
        assert_eq!(outcome, (error.to_owned(), false));
    }
    drop(server);
    let away = SmtpSettings { host: "localhost".into(), port, tls: SmtpTls::None, ..SmtpSettings::default() };
    let outcome = not_taken(away, "beem@pay.example", "ada@example.com").await;
    assert_eq!(outcome, ("connect".to_owned(), false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_does_not_hold_us() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let smtp = SmtpSettings {
        host: "127.0.0.1".into(),
        port: silent.local_addr().unwrap().port(),
        tls: SmtpTls::None,
        timeout_s: 1,
        ..SmtpSettings::default()
    };
    let outcome = not_taken(smtp, "beem@pay.example", "ada@example.com").await;
    assert_eq!(outcome, ("timeout".to_owned(), false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_file_that_is_none_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "hello").unwrap();
    let rig = Rig::new(Kind::Sqlite);
    for ca_file in [path, "/nowhere/ca.pem".into()] {
        let smtp =
            SmtpSettings { host: "localhost".into(), ca_file: Some(ca_file), ..SmtpSettings::default() };
        let db = rig.process().await;
        let telemetry = beem_telemetry::Telemetry::off();
        let mailer = beem_mail::Mailer::new(db, rig.queue.clone(), &to(smtp), crate::rig::render, telemetry);
        assert_eq!(mailer.err().unwrap().fields[0].field, "smtp.ca_file");
    }
}
