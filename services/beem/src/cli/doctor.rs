//! `beem doctor`: looks at an installation from outside and says, line by line, what is well and what is not. It changes
//! nothing. Exit 0 only when nothing is wrong.

use super::{Common, say, serve};
use crate::bootstrap::read_base_url;
use crate::keys::Keys;
use crate::settings::{GrpcSettings, Settings};
use beem_clock::{Clock, Entropy};
use beem_database::{Database, DatabaseSettings};
use beem_redis::Redis;
use std::process::ExitCode;
use std::time::Duration;

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(5);

/// Clocks further apart than this refuse signatures of honest clients.
const CLOCK_APART_MAX_S: i64 = 30;

/// What was found so far.
#[derive(Default)]
struct Findings {
    wrong: usize,
}

impl Findings {
    fn note(&mut self, what: &str, outcome: Result<String, String>) {
        match outcome {
            Ok(detail) => say(format_args!("ok     {what}: {detail}")),
            Err(detail) => {
                self.wrong += 1;
                say(format_args!("WRONG  {what}: {detail}"));
            }
        }
    }
}

pub async fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let mut findings = Findings::default();
    let settings = match serve::settings(common, &serve::ServeArgs::default()) {
        Ok(settings) => settings,
        Err(error) => {
            findings.note("settings", Err(format!("{error:#}")));
            return Ok(ExitCode::FAILURE);
        }
    };
    findings.note("settings", settings.running().map(|services| services.join(", ")));
    if !settings.keys.service.is_empty() {
        let keys = Keys::from_settings(&settings, &Clock::System);
        findings.note("keys", keys.map(|_| "they parse".into()).map_err(|e| e.to_string()));
    }
    if let Some(grpc) = &settings.grpc {
        certificates(&mut findings, grpc);
    }
    databases(&mut findings, &settings).await;
    if let Some(redis) = &settings.redis {
        let looked = match Redis::new(redis.url.expose(), &redis.key_prefix, LOOK) {
            Ok(redis) => redis.ping().await.map(|()| "it answers".into()).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        findings.note("redis", looked);
    }
    for (name, url) in &settings.peers {
        findings.note(&format!("peer {name}"), reach(url).await);
    }
    // A process of a cluster that is no gateway does not know where one is.
    if settings.services.is_empty() || settings.services.iter().any(|s| s == "gateway") {
        gateway(&mut findings, &settings).await;
    }
    Ok(if findings.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn certificates(findings: &mut Findings, grpc: &GrpcSettings) {
    let Some(tls) = &grpc.tls else {
        findings.note("tls", Ok("none between services: the network must protect them".into()));
        return;
    };
    let files = beem_link::TlsFiles {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        authority: tls.authority.clone(),
    };
    let target = beem_link::RemoteTarget {
        url: "https://localhost:1".into(),
        name: "doctor".into(),
        tls: Some(files),
    };
    findings.note(
        "tls",
        beem_link::connect(&target).map(|_| "certificates load".into()).map_err(|e| e.to_string()),
    );
}

async fn databases(findings: &mut Findings, settings: &Settings) {
    for name in settings.running().unwrap_or_default().into_iter().filter(|name| *name != "gateway") {
        let database = match settings.database.get(name) {
            Some(database) => database.settings(),
            None => {
                let file = settings.data_dir.join(format!("{name}.sqlite"));
                if !file.is_file() {
                    findings.note(
                        &format!("database {name}"),
                        Ok("not made yet: the first start makes it".into()),
                    );
                    continue;
                }
                DatabaseSettings::at(format!("sqlite:{}", file.display()))
            }
        };
        let connect = Database::connect(&database, Clock::System, Entropy::System);
        let looked = match tokio::time::timeout(LOOK, connect).await {
            Ok(Ok(database)) => match database.migrations().await {
                Ok(names) => {
                    Ok(format!("{} migrations, the last {}", names.len(), names.last().map_or("none", |n| n)))
                }
                Err(fault) => Err(format!("{fault:?}")),
            },
            Ok(Err(fault)) => Err(format!("{fault:?}")),
            Err(_) => Err("it does not answer".into()),
        };
        findings.note(&format!("database {name}"), looked);
    }
}

async fn reach(url: &str) -> Result<String, String> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    match tokio::time::timeout(LOOK, tokio::net::TcpStream::connect(authority)).await {
        Ok(Ok(_)) => Ok(format!("{authority} takes connections")),
        Ok(Err(error)) => Err(format!("{authority}: {error}")),
        Err(_) => Err(format!("{authority} does not answer")),
    }
}

/// The gateway, and by its answer's date the clock.
async fn gateway(findings: &mut Findings, settings: &Settings) {
    let configured = settings.gateway.public_origins.first().cloned();
    let base = configured.or_else(|| read_base_url(&settings.data_dir));
    let base = base.unwrap_or_else(|| format!("http://{}", settings.gateway.listen));
    let client = match reqwest::Client::builder().timeout(LOOK).build() {
        Ok(client) => client,
        Err(error) => return findings.note("gateway", Err(error.to_string())),
    };
    match client.get(format!("{base}/readyz")).send().await {
        Err(error) => findings.note("gateway", Err(format!("{base}: {error}"))),
        Ok(answer) => {
            let status = answer.status();
            let date = answer.headers().get("date").and_then(|v| v.to_str().ok()).map(str::to_owned);
            let text = answer.text().await.unwrap_or_default();
            let well = if status.is_success() {
                Ok(format!("{base} is ready"))
            } else {
                Err(text.trim().to_owned())
            };
            findings.note("gateway", well);
            if let Some(there) = date.and_then(|d| beem_signing::parse_http_date(&d)) {
                let apart = Clock::System.now().ms_since(there).abs() / 1000;
                let detail = format!("{apart} s apart from the gateway's");
                findings.note("clock", if apart <= CLOCK_APART_MAX_S { Ok(detail) } else { Err(detail) });
            }
        }
    }
}
