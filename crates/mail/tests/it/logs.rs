//! What is logged and counted of a mail: its id and its kind, and nothing of who it is for or what it says.

use crate::rig::{Answer, Kind, LATER, NEVER, Rig, Script, TOKEN, eventually, named_invitation, row_when};
use crate::server::Server;
use beem_mail::{MailSettings, NewMail, SmtpSettings, SmtpTls};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// While there is one subscriber only, `tracing` asks the thread that comes to an event first whether anyone listens,
    /// and keeps its answer for all threads. Tests beside this one have nobody listening; so there are two.
    fn start(&self) -> (DefaultGuard, Dispatch) {
        let subscriber = || {
            let writer = self.clone();
            let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
            builder.with_writer(move || writer.clone()).with_ansi(false).finish()
        };
        (tracing::subscriber::set_default(subscriber()), Dispatch::new(subscriber()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const NAME: &str = "Adalovelace";

fn assert_discreet(text: &str) {
    for private in [TOKEN, NAME, "example.com", "Welcome", "no, <"] {
        assert!(!text.contains(private), "{private} in {text}");
    }
}

#[tokio::test]
async fn the_log_names_a_mail_by_its_id_alone() {
    let log = Log::default();
    let _logged = log.start();
    let server = Server::start(&json!({})).await;
    let smtp = SmtpSettings {
        host: "127.0.0.1".into(),
        port: server.port,
        tls: SmtpTls::None,
        ..SmtpSettings::default()
    };
    let rig = Rig::new(Kind::Sqlite);
    let db = rig.process().await;
    let running = rig.mailer_as(&MailSettings { smtp: Some(smtp), ..MailSettings::default() }).await;
    for (address, said) in [
        ("ada@example.com", "a mail was sent"),
        ("rcpt-550@example.com", "a mail has failed"),
        ("data-451@example.com", "it is tried again"),
    ] {
        let mail = &named_invitation(address, NAME);
        let id = db.write(|tx| Box::pin(rig.queue.add(tx, mail))).await.unwrap();
        row_when(&db, id, said, |row| row.attempts == 1 && !row.leased).await;
        let line = eventually(said, || async {
            log.text().lines().find(|line| line.contains(said)).map(str::to_owned)
        });
        let line = line.await;
        assert!(line.contains(&id.to_string()) && line.contains("invitation"), "{line}");
    }
    // A template that quotes what it was given.
    let mail = &NewMail {
        to: "ada@example.com".into(),
        kind: "quotes",
        content: json!({ "name": NAME, "tok": TOKEN }),
    };
    let id = db.write(|tx| Box::pin(rig.queue.add(tx, mail))).await.unwrap();
    row_when(&db, id, "put off", |row| row.last_error.as_deref() == Some("render")).await;
    running.stop().await;
    let text = log.text();
    assert!(text.contains("ERROR") && text.contains("a mail cannot be made"), "{text}");
    assert_discreet(&text);
}

#[tokio::test]
async fn what_came_of_mails_is_counted() {
    let rig = Rig::new(Kind::Sqlite);
    let db = rig.process().await;
    let script = Script::new([LATER, NEVER].map(Answer::Refuse));
    let running = rig.mailer(script).await;
    for wanted in ["put off", "failed", "sent"] {
        let id = rig.invite(&db, "ada@example.com").await;
        row_when(&db, id, wanted, |row| row.attempts == 1 && !row.leased).await;
    }
    running.stop().await;
    let text = rig.telemetry.prometheus_text();
    let counted = |name: &str, stage: Option<&str>| {
        text.lines().any(|line| {
            line.starts_with(name)
                && line.contains("kind=\"invitation\"")
                && stage.is_none_or(|stage| line.contains(&format!("stage=\"{stage}\"")))
                && line.ends_with(" 1")
        })
    };
    assert!(counted("beem_mail_postponed_total", Some("connect")), "{text}");
    assert!(counted("beem_mail_failed_total", Some("recipient")), "{text}");
    assert!(counted("beem_mail_sent_total", None), "{text}");
    assert_discreet(&text);
}
