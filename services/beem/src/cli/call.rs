//! `beem call METHOD PATH [JSON]`: the quickest way to use the public API by hand.

use super::credentials::{self, CredentialsArgs};
use super::{Common, say};
use anyhow::{Context, Result, bail};
use beem_clock::{Clock, Entropy};
use beem_signing::{Origin, OutgoingRequest};
use clap::Args;
use http::Method;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct CallArgs {
    /// GET, POST, PATCH, PUT or DELETE
    method: String,
    /// Path and query: /platform/v1/clients?max=5
    path: String,
    /// The body; `-` reads it from standard input
    json: Option<String>,
    #[command(flatten)]
    credentials: CredentialsArgs,
    /// The Idempotency-Key of a write
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print the status line and the headers, too
    #[arg(short, long)]
    include: bool,
}

/// A body of an answer that is JSON is printed readable, up to this; anything else as it is.
const PRETTY_MAX: usize = 1024 * 1024;

pub async fn run(common: &Common, args: &CallArgs) -> Result<ExitCode> {
    let credentials = credentials::load(common, &args.credentials)?;
    let method: Method = args.method.to_uppercase().parse().context("that is no method")?;
    if !args.path.starts_with('/') {
        bail!("a path begins with /");
    }
    let body = match args.json.as_deref() {
        Some("-") => std::io::read_to_string(std::io::stdin())?,
        other => other.unwrap_or_default().to_owned(),
    };
    let origin = Origin::parse(&credentials.client.base_url)?;
    let (path, query) = match args.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (args.path.as_str(), None),
    };
    // Two equal writes in one second are two signatures only with a nonce.
    let nonce = hex::encode(Entropy::System.bytes::<16>());
    let signed = credentials.signer.sign(&OutgoingRequest {
        method: &method,
        origin: &origin,
        path,
        query,
        body: body.as_bytes(),
        idempotency_key: args.idempotency_key.as_deref(),
        nonce: Some(&nonce),
        now: Clock::System.now(),
    })?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
    let url = format!("{}{}", origin.url(), args.path);
    let mut request = client.request(method, url).headers(signed.headers);
    if !body.is_empty() {
        request = request.header("content-type", "application/json").body(body);
    }
    let answer = request.send().await.context("no answer")?;
    if args.include {
        say(format_args!("{:?} {}", answer.version(), answer.status()));
        for (name, value) in answer.headers() {
            say(format_args!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        say("");
    }
    let success = answer.status().is_success();
    print(&answer.bytes().await.context("the answer broke off")?);
    Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(body: &[u8]) {
    match pretty(body) {
        Some(text) => say(text),
        None if body.is_empty() => {}
        None => {
            use std::io::Write;
            let _ = std::io::stdout().write_all(body);
        }
    }
}

/// The same JSON, its members in the order in which they came; None when it is not JSON or too long to be read.
fn pretty(body: &[u8]) -> Option<String> {
    if body.len() > PRETTY_MAX {
        return None;
    }
    let mut text = Vec::new();
    let mut from = serde_json::Deserializer::from_slice(body);
    serde_transcode::transcode(&mut from, &mut serde_json::Serializer::pretty(&mut text)).ok()?;
    from.end().ok()?;
    String::from_utf8(text).ok()
}
