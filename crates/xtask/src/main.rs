//! `cargo xtask`: everything that is done to this repository beyond `cargo build`, so that nobody needs another tool or a
//! page of notes. Only anyhow and the testkit, so that it compiles in a moment.

#![expect(clippy::print_stdout, reason = "a command line talks to who called it")]

mod bench;
mod cluster;
mod command;
mod foreign;
mod fuzz;
mod servers;
mod setup;
mod snapshots;
mod test;

use anyhow::{Result, bail};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  setup                 check for what the tests need (PostgreSQL, Redis, Python, Node); as root on Debian, install it
  test [ARGS]           every test, embedded and clustered, on real PostgreSQL and Redis;
                        ARGS go to `cargo test`: a filter, `-p CRATE`, `-- --nocapture`
  bench NAME            a benchmark of tests/bench (gateway, identity, ledger, hooks), built for release, on durable servers
  cluster               a whole cluster on this machine, until Ctrl-C: PostgreSQL, Redis, every service, two gateways
  fuzz [--seconds N] [TARGET]
                        each fuzz target of tests/fuzz for N seconds (60)
  snapshots             accept what snapshot tests see now; the difference is for review
  help                  this
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = args.split_first().map_or(("help", &[][..]), |(c, rest)| (c.as_str(), rest));
    match command {
        "setup" => setup::run(),
        "test" => test::run(rest),
        "bench" => bench::run(rest),
        "cluster" => cluster::run(rest),
        "fuzz" => fuzz::run(rest),
        "snapshots" => snapshots::run(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("no command {other}\n\n{HELP}"),
    }
}
