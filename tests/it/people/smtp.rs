//! Mail over SMTP, taken by a server that strangers wrote: PyPI's `aiosmtpd`.

use crate::foreign::python;
use beem_testkit::cluster::free_addresses;
use beem_tests::people::{RESETS, USERS, new_user};
use beem_tests::{Mailbox, Person, Rig, eventually};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Addresses the server does not know.
const REFUSED: &str = "@refused.example";

/// Ends on drop.
struct Server(Child);

impl Server {
    fn start(folder: &Path, port: u16) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign/smtp.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg(folder)
            .args([REFUSED, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_invitation_arrives_at_a_real_server_also_when_it_was_away() {
    let folder = tempfile::tempdir().unwrap();
    let mailbox = Mailbox { folder: folder.path().to_owned() };
    let port = free_addresses(1).unwrap()[0].port();
    let rig = Rig::start_embedded(&[
        ("BEEM__MAIL__SMTP__HOST", "127.0.0.1"),
        ("BEEM__MAIL__SMTP__PORT", &port.to_string()),
        ("BEEM__MAIL__SMTP__TLS", "none"),
        ("BEEM__MAIL__FROM", "\"Beem Größe\" <beem@house.example>"),
    ]);
    // Nobody takes mail yet: the invitation is answered all the same, and waits.
    let made = rig
        .client()
        .post(USERS, &new_user(&json!({ "firstName": "Zoë", "lastName": "日本" })))
        .await
        .expect(201);
    let email = made["email"].as_str().unwrap();
    let server = Server::start(folder.path(), port);
    let letter = eventually("the invitation", || async { mailbox.to(email).pop() }).await;
    assert!(letter.header("from").contains("beem@house.example"), "{letter:?}");
    assert!(!letter.header("message-id").is_empty() && !letter.header("subject").is_empty());
    assert!(letter.text.contains("Zoë") && letter.html.contains(&letter.token()), "{letter:?}");
    let person = Person::activate(&rig.visitor(), email, &letter.token()).await;
    // An address that is not to be had stops nobody else's mail.
    let lost = new_user(&json!({ "email": format!("lost{REFUSED}") }));
    rig.client().post(USERS, &lost).await.expect(201);
    rig.visitor().post(RESETS, &json!({ "email": person.email })).await.expect(200);
    eventually("the next mail", || async { (mailbox.to(email).len() == 2).then_some(()) }).await;
    assert!(mailbox.to(REFUSED).is_empty());
    let _: Value = rig.client().get(USERS).await.expect(200);
    drop(server);
}
