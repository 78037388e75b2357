//! `beem serve`: the whole system, or the services named, until SIGTERM or Ctrl-C.

use super::{Common, say};
use crate::running::{self, base_url};
use crate::settings::Settings;
use anyhow::{Context, Result};
use beem_telemetry::Telemetry;
use clap::Args;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// Only these services, each its own gRPC listener's: gateway, identity, authz, ledger, hooks
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub services: Vec<String>,
    /// The public listener [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// sandbox or live; fixed at the first start [default: sandbox]
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
}

impl ServeArgs {
    /// These, and where they are silent the others: flags may stand before or behind `serve`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            services: if self.services.is_empty() { other.services.clone() } else { self.services.clone() },
            listen: self.listen.clone().or_else(|| other.listen.clone()),
            environment: self.environment.clone().or_else(|| other.environment.clone()),
        }
    }
}

/// The settings of a process: file, environment, flags.
///
/// # Errors
/// A value that cannot be used, named by its key.
pub fn settings(common: &Common, args: &ServeArgs) -> Result<Settings> {
    let mut flags: Vec<(&str, String)> = Vec::new();
    let mut flag = |key, value: &Option<String>| flags.extend(value.clone().map(|v| (key, v)));
    flag("gateway.listen", &args.listen);
    flag("environment", &args.environment);
    flag("telemetry.log", &common.log);
    flag("data_dir", &common.data_dir.as_ref().map(|d| d.display().to_string()));
    let mut settings: Settings = beem_settings::load(common.config.as_deref(), &flags)?;
    if !args.services.is_empty() {
        settings.services.clone_from(&args.services);
    }
    Ok(settings)
}

pub async fn run(common: &Common, args: &ServeArgs) -> Result<ExitCode> {
    let settings = settings(common, args)?;
    let name = if settings.is_embedded() { "beem".to_owned() } else { settings.services.join("+") };
    let instance = std::process::id().to_string();
    let telemetry = Telemetry::start(&settings.telemetry, &name, &instance).context("telemetry")?;
    telemetry.install_subscriber();
    lift_open_files();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut stop = std::pin::pin!(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    });
    let running = tokio::select! {
        running = running::start(settings.clone(), telemetry) => running?,
        () = &mut stop => return Ok(ExitCode::SUCCESS),
    };
    announce(&settings, &running);
    stop.await;
    tracing::info!("draining");
    running.drain().await;
    Ok(ExitCode::SUCCESS)
}

/// As many open files as this process may have. Every connection is one, and the usual 1,024 is for programs that must be
/// asked before they take more.
fn lift_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let lifted = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, lifted) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

fn announce(settings: &Settings, running: &running::Running) {
    let Some(address) = running.address else {
        say(format_args!("beem is ready: {}", settings.services.join(", ")));
        return;
    };
    let url = base_url(settings, address);
    if settings.is_embedded() {
        let dir = settings.data_dir.display();
        say(format_args!("data       {dir}"));
        say(format_args!("client     {dir}/credentials/client.json (its key beside it: all 15 roles)"));
        match &running.owner_link {
            Some(link) => {
                say(format_args!("owner      {link} (good once, 72 hours; also in credentials/owner.json)"))
            }
            None => say(format_args!("owner      {dir}/credentials/owner.json")),
        }
        say(format_args!("reference  {url}/docs   {url}/openapi.json"));
        let beem = invocation(settings);
        say(format_args!("try        {beem} call GET /platform/v1/me"));
        say(format_args!("           {beem} call GET /platform/v1/roles"));
        say(format_args!("           {beem} call GET /platform/v1/clients"));
    }
    say(format_args!("beem is ready on {url}"));
}

/// How to call this very program about this very data directory.
fn invocation(settings: &Settings) -> String {
    let program = std::env::current_exe().map_or_else(|_| "beem".into(), |p| p.display().to_string());
    if settings.data_dir == Settings::default().data_dir {
        return program;
    }
    format!("{program} --data-dir {}", settings.data_dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_limited_by_what_the_system_allows_alone() {
        let before = getrlimit(Resource::Nofile);
        let few = rustix::process::Rlimit { current: Some(512), ..before };
        setrlimit(Resource::Nofile, few).unwrap();
        lift_open_files();
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    }
}
