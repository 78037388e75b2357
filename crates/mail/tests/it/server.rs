//! The mail server of the tests as a process, and certificates made for it.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A server that goes when this is dropped.
pub struct Server {
    pub port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Server {
    pub async fn start(options: &Json) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/smtp_server.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg(options.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; `cargo xtask test` prepares it", python().display()));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut server = Self { port: 0, lines, _child: child };
        server.port = u16::try_from(server.tells().await["port"].as_u64().unwrap()).unwrap();
        server
    }

    /// The next mail it was given.
    pub async fn tells(&mut self) -> Json {
        let line = tokio::time::timeout(Duration::from_secs(20), self.lines.next_line()).await;
        let line = line.expect("the server tells within 20 s").unwrap().expect("the server lives");
        serde_json::from_str(&line).unwrap()
    }
}

fn python() -> PathBuf {
    let folder = std::env::var_os("BEEM_FOREIGN").map(PathBuf::from).filter(|f| f.is_dir());
    let folder = folder.unwrap_or_else(|| {
        panic!("run `cargo xtask test`, which installs the mail server and names its place in BEEM_FOREIGN")
    });
    folder.join("python/bin/python")
}

/// An authority of our own and a server's certificate by it, as files.
pub struct Certificates {
    pub authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    pub fn make(folder: &Path, host: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        let write = |name: &str, pem: String| {
            let path = folder.join(name);
            std::fs::write(&path, pem).unwrap();
            path
        };
        Self {
            authority: write("authority.pem", authority.pem()),
            certificate: write("server.pem", certificate.pem()),
            key: write("server-key.pem", key.serialize_pem()),
        }
    }

    /// The server's options with these.
    pub fn options(&self, more: &Json) -> Json {
        let mut options = json!({ "certificate": self.certificate, "key": self.key });
        for (name, value) in more.as_object().unwrap() {
            options[name] = value.clone();
        }
        options
    }
}
