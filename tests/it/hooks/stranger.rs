//! Receivers that strangers wrote: processes of `foreign/receive.py` and `foreign/receive.mjs`, which verify whatever they are
//! sent with `standardwebhooks` of PyPI and npm and with their own platform's cryptography, and say what they saw.

use crate::foreign::{node, python};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Longer than an event takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    Python,
    Node,
}

/// One that runs.
pub struct Receiving {
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    pub url: String,
    _process: Child,
}

/// What a receiver has to know to verify: any of each will do. Hooks as the API shows them, secrets apart.
pub fn keys(hooks: &[(&Value, &str)], schemas: &Value) -> Value {
    let all = |name: &str| hooks.iter().map(|(hook, _)| hook[name].clone()).collect::<Vec<_>>();
    json!({
        "secrets": hooks.iter().map(|(_, secret)| *secret).collect::<Vec<_>>(),
        "publicKeys": all("publicKeyPem"),
        "signingPublicKeys": all("signingPublicKey"),
        "schemas": schemas,
    })
}

impl Receiving {
    /// Listens; nothing verifies before it knows the first keys.
    pub async fn start(stranger: Stranger) -> Self {
        let mut command = match stranger {
            Stranger::Python => {
                let mut command = Command::new(python());
                command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign/receive.py"));
                command
            }
            Stranger::Node => {
                let mut command = Command::new("node");
                command.arg(node("receive.mjs"));
                command
            }
        };
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = piped.spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let stdin = process.stdin.take().unwrap();
        let mut receiving = Self { stdin, said, url: String::new(), _process: process };
        receiving.say(&keys(&[], &json!({}))).await;
        let port = receiving.hear().await["port"].as_u64().unwrap();
        receiving.url = format!("http://127.0.0.1:{port}/events");
        receiving
    }

    /// Replaces its keys.
    pub async fn knows(&mut self, keys: &Value) {
        self.say(keys).await;
        let known = self.hear().await;
        assert_eq!(known["keys"], keys["secrets"].as_array().unwrap().len(), "{known}");
    }

    /// What it says of the next event: (type, event id).
    pub async fn verified(&mut self) -> (String, String) {
        let heard = self.hear().await;
        assert_eq!(heard["verified"], true, "{heard}");
        let text = |name: &str| heard[name].as_str().unwrap().to_owned();
        (text("event"), text("eventId"))
    }

    /// Why it did not take the next event.
    pub async fn refused(&mut self) -> String {
        let heard = self.hear().await;
        assert_eq!(heard["verified"], false, "{heard}");
        heard["why"].as_str().unwrap().to_owned()
    }

    async fn say(&mut self, line: &Value) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        self.stdin.flush().await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = timeout(PATIENCE, self.said.next_line()).await.expect("it says nothing").unwrap();
        serde_json::from_str(&line.expect("it ended")).unwrap()
    }
}
