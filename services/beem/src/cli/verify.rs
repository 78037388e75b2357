//! `beem verify`: what the gateway would make of a signed request: the base it computes, and the verdict of each rule
//! that needs no server.

use super::say;
use super::sign::split;
use anyhow::{Context, Result};
use beem_clock::{Clock, Moment};
use beem_signing::{Candidates, Judgement, PublicKey, RequestView, TimeRules};
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// GET, POST, …
    method: String,
    /// The whole URL as the gateway's public origin has it
    url: String,
    /// The body; `-` reads it from standard input
    body: Option<String>,
    /// A header as it was sent: 'signature: sig=:…:'; repeat for each
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The signer's public key (PEM)
    #[arg(long, value_name = "FILE")]
    public_key: PathBuf,
    /// Unix seconds to judge the time rules at, instead of now
    #[arg(long)]
    at: Option<i64>,
}

pub fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let pem = std::fs::read_to_string(&args.public_key)
        .with_context(|| format!("cannot read {}", args.public_key.display()))?;
    let key = PublicKey::parse_pem(&pem)?;
    let method: Method = args.method.to_uppercase().parse().context("that is no method")?;
    let (origin, path, query) = split(&args.url)?;
    let headers: HeaderMap = args.headers.iter().cloned().collect();
    let body = match args.body.as_deref() {
        Some("-") => std::io::read_to_string(std::io::stdin())?,
        other => other.unwrap_or_default().to_owned(),
    };
    let request = RequestView { method: &method, origin: &origin, path, query, headers: &headers };
    let candidates = match Candidates::parse(&headers) {
        Ok(candidates) => candidates,
        Err(error) => {
            say(format_args!("refused: {}: {}", error.code(), error.detail));
            return Ok(ExitCode::FAILURE);
        }
    };
    let now = args.at.map_or_else(|| Clock::System.now(), Moment::from_unix_s);
    let against = Judgement { request, body: body.as_bytes(), now, rules: &TimeRules::default() };
    let mut accepted = false;
    for candidate in candidates.iter() {
        say(format_args!("# label {} keyid {}", candidate.label(), candidate.keyid().unwrap_or("(none)")));
        match candidate.base(&request) {
            Ok(base) => say(base),
            Err(error) => say(format_args!("(no base: {})", error.detail)),
        }
        match candidate.judge(&key, &against) {
            Ok(verified) => {
                accepted = true;
                say(format_args!("accepted: {}", verified.algorithm.as_str()));
            }
            Err(error) => say(format_args!("refused: {}: {}", error.code(), error.detail)),
        }
    }
    Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is NAME: VALUE")?;
    let name = HeaderName::try_from(name.trim()).map_err(|e| e.to_string())?;
    Ok((name, HeaderValue::try_from(value.trim()).map_err(|e| e.to_string())?))
}
