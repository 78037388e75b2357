//! Benchmarks: what `cargo xtask bench NAME` runs. They print what they measured beside the goals and assert nothing: a
//! busy machine is no failed test.
#![expect(clippy::print_stdout, reason = "a command line talks to who called it")]

mod bulk;
mod cold;
mod distribution;
mod enumeration;
mod gateway;
mod grpc_load;
mod hooks;
mod http_load;
mod identity;
mod installation;
mod ledger;
mod measure;
mod process;
mod report;
mod scale;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask bench NAME

  gateway    requests a second and CPU a request: gRPC directly, through the gateway (Ed25519, RSA, P-256; cold), embedded
  identity   whether times tell which addresses exist; what 100,000 users and clients cost beside 100 (both: or one of
             `identity enumeration`, `identity scale`)
  ledger     transfers a second beside pgbench on the same PostgreSQL, on SQLite, and with ten million entries
  hooks      deliveries a second to 1, 10 and 100 receivers beside a bare loop, from commit to first attempt, one receiver dead

gateway: BEEM_BENCH_ROUNDS (5) and BEEM_BENCH_ROUND_MS (2000): how often and how long everything is measured in turn
identity: BEEM_BENCH_SAMPLES (300): how often everything is measured for its distribution; BEEM_BENCH_ROUNDS (6);
BEEM_BENCH_PRINCIPALS (100000): the large installation
ledger: --rounds N (5), --seconds N (5): how often and how long everything is measured in turn; --only pg|sqlite|scale;
--variant N: only that line of the table; --entries N (10000000): the large books
hooks: --rounds N (3), --seconds N (5), --destinations N: only that many receivers";

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["gateway"] => run(gateway::run()),
        ["identity"] => run(identity::run()),
        ["identity", "enumeration"] => run(enumeration::run()),
        ["identity", "scale"] => run(scale::run()),
        ["ledger", options @ ..] => run(ledger::run(options)),
        ["hooks", options @ ..] => run(hooks::run(options)),
        _ => Err(HELP.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// A number from the environment.
fn setting<T: std::str::FromStr>(name: &str, default: T) -> Result<T, String> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("{name}: {text} is no number")),
        Err(_) => Ok(default),
    }
}

/// One thread for all the load: what it takes of the machine is then the least, and the same for every variant.
fn run(bench: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(bench)
}
