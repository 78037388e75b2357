//! `beem sign`: the headers of a signed request and the base they sign, to hold beside another signer's.

use super::credentials::{self, CredentialsArgs};
use super::{Common, say};
use anyhow::{Context, Result, bail};
use beem_clock::{Clock, Moment};
use beem_signing::{Origin, OutgoingRequest, Signer, Style};
use clap::Args;
use http::Method;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct SignArgs {
    /// GET, POST, …
    method: String,
    /// The whole URL: http://127.0.0.1:8080/platform/v1/me
    url: String,
    /// The body; `-` reads it from standard input
    body: Option<String>,
    #[command(flatten)]
    credentials: CredentialsArgs,
    /// A private key (PKCS#8 PEM) instead of credentials; with --keyid
    #[arg(long, value_name = "FILE", requires = "keyid")]
    key: Option<PathBuf>,
    /// The keyid to sign as
    #[arg(long)]
    keyid: Option<String>,
    /// ed25519, rsa-v1_5-sha256, rsa-pss-sha512 or ecdsa-p256-sha256
    #[arg(long)]
    algorithm: Option<String>,
    /// Cover @authority, @path and @query instead of @target-uri
    #[arg(long)]
    parts: bool,
    /// Unix seconds instead of now
    #[arg(long)]
    created: Option<i64>,
    #[arg(long)]
    nonce: Option<String>,
    #[arg(long)]
    idempotency_key: Option<String>,
}

pub fn run(common: &Common, args: &SignArgs) -> Result<ExitCode> {
    let mut signer = signer(common, args)?;
    if let Some(name) = &args.algorithm {
        signer.algorithm = credentials::algorithm(name, &signer)?;
    }
    if args.parts {
        signer.style = Style::Parts;
    }
    let method: Method = args.method.to_uppercase().parse().context("that is no method")?;
    let (origin, path, query) = split(&args.url)?;
    let body = match args.body.as_deref() {
        Some("-") => std::io::read_to_string(std::io::stdin())?,
        other => other.unwrap_or_default().to_owned(),
    };
    let signed = signer.sign(&OutgoingRequest {
        method: &method,
        origin: &origin,
        path,
        query,
        body: body.as_bytes(),
        idempotency_key: args.idempotency_key.as_deref(),
        nonce: args.nonce.as_deref(),
        now: args.created.map_or_else(|| Clock::System.now(), Moment::from_unix_s),
    })?;
    say("# signature base");
    say(&signed.base);
    say("# headers");
    for (name, value) in &signed.headers {
        say(format_args!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    }
    Ok(ExitCode::SUCCESS)
}

fn signer(common: &Common, args: &SignArgs) -> Result<Signer> {
    match (&args.key, &args.keyid) {
        (Some(file), Some(keyid)) => Ok(Signer::new(keyid.clone(), credentials::read_key(file)?)),
        _ => Ok(credentials::load(common, &args.credentials)?.signer),
    }
}

/// Origin, path and query of a URL.
pub fn split(url: &str) -> Result<(Origin, &str, Option<&str>)> {
    let rest =
        url.find("://").and_then(|i| url.get(i + 3..)).context("a whole URL is needed: http://host/path")?;
    let at = rest.find(['/', '?']).map_or(url.len(), |i| url.len() - rest.len() + i);
    let (origin, target) = url.split_at(at);
    if !target.starts_with('/') {
        bail!("the URL has no path");
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    Ok((Origin::parse(origin)?, path, query))
}
