//! Signers that strangers wrote, against both shapes: PyPI's `http-message-signatures`, npm's `http-message-sig`, and a
//! script written from BEEM's documented shape alone. `cargo xtask test` prepares what they need.

use beem_signing::{Algorithm, KeyKind};
use beem_tests::forge::{date_of, now_s, unique};
use beem_tests::{Answer, Client, Rig, Wire, on_both_shapes};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const ME: &str = "/platform/v1/me";
const CLIENTS: &str = "/platform/v1/clients";

/// Whose signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    Python,
    Node,
    /// From the documented shape: one style, no nonce, two algorithms.
    Documented,
}

/// How a foreign client signs.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub signer: Foreign,
    pub algorithm: Algorithm,
    /// `target-uri` or `authority-path-query`.
    pub style: &'static str,
}

/// All that the three can do.
pub fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for signer in [Foreign::Python, Foreign::Node] {
        for algorithm in Algorithm::ALL {
            ways.extend(["target-uri", "authority-path-query"].map(|style| Way { signer, algorithm, style }));
        }
    }
    let documented = [Algorithm::RsaV15Sha256, Algorithm::Ed25519];
    ways.extend(documented.map(|algorithm| Way {
        signer: Foreign::Documented,
        algorithm,
        style: "target-uri",
    }));
    ways
}

fn prepared() -> PathBuf {
    let folder = std::env::var_os("BEEM_FOREIGN").map(PathBuf::from).filter(|f| f.is_dir());
    folder.unwrap_or_else(|| {
        panic!("run `cargo xtask test`, which installs the foreign signers and names them in BEEM_FOREIGN")
    })
}

/// One of our scripts for Node, beside the modules that `foreign/package.json` lists.
pub fn node(script: &str) -> PathBuf {
    prepared().join("node").join(script)
}

/// The interpreter with what `foreign/requirements.txt` lists.
pub fn python() -> PathBuf {
    prepared().join("python/bin/python")
}

impl Foreign {
    fn command(self) -> Command {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign");
        let python = || Command::new(python());
        let mut command = match self {
            Self::Python | Self::Documented => python(),
            Self::Node => Command::new("node"),
        };
        command.arg(match self {
            Self::Python => ours.join("sign.py"),
            Self::Documented => ours.join("documented.py"),
            Self::Node => node("sign.mjs"),
        });
        command
    }

    /// The headers to send, as the stranger's code made them.
    async fn sign(self, job: &Value) -> Map<String, Value> {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|e| panic!("{self:?}: {e}; `cargo xtask test` prepares it"));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(job.to_string().as_bytes()).await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{self:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A request of a client that shares no code with the gateway: its headers are all the stranger's.
pub async fn request(
    client: &Client,
    way: Way,
    method: &str,
    target: &str,
    body: Option<&Value>,
    key: Option<&str>,
) -> Wire {
    let (created, mut headers) = (now_s(), json!({}));
    if way.signer != Foreign::Documented {
        headers["date"] = date_of(created).into();
    }
    if body.is_some() {
        headers["content-type"] = "application/json".into();
    }
    if let Some(key) = key {
        headers["idempotency-key"] = key.into();
    }
    let job = json!({
        "method": method,
        "url": format!("{}{target}", client.gateway.url),
        "headers": headers,
        "body": body.map(Value::to_string),
        "keyid": client.creds.client_id,
        "keyPem": client.creds.key.to_pkcs8_pem().unwrap(),
        "algorithm": way.algorithm.as_str(),
        "style": way.style,
        "created": created,
    });
    let signed = way.signer.sign(&job).await;
    let wire = Wire::new(client.gateway.address, method, target);
    let wire = signed.iter().fold(wire, |wire, (name, value)| wire.header(name, value.as_str().unwrap()));
    match body {
        Some(body) => wire.with_body(body.to_string()),
        None => wire,
    }
}

async fn send(client: &Client, way: Way, method: &str, target: &str, body: Option<&Value>) -> Answer {
    request(client, way, method, target, body, None).await.send().await
}

async fn foreign_signers_get_in(rig: &Rig) {
    let ways = ways();
    let all = ways.into_iter().map(|way| async move {
        let creds = rig
            .client()
            .new_client_of(way.algorithm.key_kind(), &json!({ "roles": ["client:operator"] }))
            .await;
        let client = rig.as_client(&creds.with_algorithm(way.algorithm));
        let profile = send(&client, way, "GET", ME, None).await;
        assert_eq!(profile.status, 200, "{way:?}: {}", profile.text());
        assert_eq!(profile.json()["username"], creds.client_id.as_str());
        let list = send(&client, way, "GET", "/platform/v1/clients?max=3&order=asc", None).await;
        assert_eq!(list.status, 200, "{way:?}: {}", list.text());
        let key = beem_tests::creds::new_key(KeyKind::Ed25519);
        let body = json!({ "name": format!("déjà {way:?}"), "publicKey": key.public().pem() });
        let (idempotency, target) = (unique(), CLIENTS);
        let made = request(&client, way, "POST", target, Some(&body), Some(&idempotency)).await;
        let answer = made.send().await;
        assert_eq!(answer.status, 201, "{way:?}: {}", answer.text());
        assert_eq!(answer.json()["name"], body["name"]);
        // The same request with one byte changed behind the stranger's back.
        let tampered = made.with_body(body.to_string().replace("déjà", "deja"));
        tampered.send().await.refused(401, "digest-mismatch");
    });
    futures::future::join_all(all).await;
}

async fn a_foreign_signature_of_another_key_is_refused(rig: &Rig) {
    for signer in [Foreign::Python, Foreign::Node, Foreign::Documented] {
        let way = Way { signer, algorithm: Algorithm::Ed25519, style: "target-uri" };
        let wrong = rig.main.with_key(&beem_tests::creds::new_key(KeyKind::Ed25519));
        send(&rig.as_client(&wrong), way, "GET", ME, None).await.refused(401, "signature-invalid");
    }
}

on_both_shapes!(foreign_signers_get_in, a_foreign_signature_of_another_key_is_refused);
