//! The command line. Each command is one file in `cli/`; this one says what there is.

mod admin;
mod call;
mod credentials;
mod doctor;
mod keygen;
mod serve;
mod sign;
mod verify;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// BEEM: a self-hosted back end for taking and sending money. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "beem", version)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub serve: serve::ServeArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Understood by every command.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Where the embedded shape keeps its files [default: .beem]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A settings file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What is logged, as tracing filters: info, beem_gateway=debug
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve: every service, or the ones named with --services
    Serve(serve::ServeArgs),
    /// Sign a request, send it, print the answer; exit 0 on 2xx
    Call(call::CallArgs),
    /// Make a key pair; or, with --cluster, the keys, certificates and settings of a whole cluster
    Keygen(keygen::KeygenArgs),
    /// Print the signature base and the headers of a request, without sending it
    Sign(sign::SignArgs),
    /// Compute the signature base of a signed request and judge its signature
    Verify(verify::VerifyArgs),
    /// Operate an installation: accounts
    Admin(admin::AdminArgs),
    /// Check an installation: settings, databases, Redis, clock, reachability, certificates
    Doctor,
}

/// Runs a command; what failed goes to stderr.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            None => serve::run(&cli.common, &cli.serve).await,
            Some(Command::Serve(args)) => serve::run(&cli.common, &args.or(&cli.serve)).await,
            Some(Command::Call(args)) => call::run(&cli.common, &args).await,
            Some(Command::Keygen(args)) => keygen::run(&args),
            Some(Command::Sign(args)) => sign::run(&cli.common, &args),
            Some(Command::Verify(args)) => verify::run(&args),
            Some(Command::Admin(args)) => admin::run(&cli.common, &args).await,
            Some(Command::Doctor) => doctor::run(&cli.common).await,
        }
    });
    outcome.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("beem: {error:#}");
    ExitCode::FAILURE
}

/// One line on stdout. A reader that went away is no failure of ours.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
