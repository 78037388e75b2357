//! Benchmarks: what `cargo xtask bench NAME` runs. They print what they measured beside the goals and assert nothing: a
//! busy machine is no failed test.
#![expect(clippy::print_stdout, reason = "a command line talks to who called it")]

mod cold;
mod gateway;
mod grpc_load;
mod http_load;
mod measure;
mod process;
mod report;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask bench NAME

  gateway    requests a second and CPU a request: gRPC directly, through the gateway (Ed25519, RSA, P-256; cold), embedded

BEEM_BENCH_ROUNDS (5) and BEEM_BENCH_ROUND_MS (2000): how often and how long everything is measured in turn";

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["gateway"] => run(gateway::run()),
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

/// One thread for all the load: what it takes of the machine is then the least, and the same for every variant.
fn run(bench: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(bench)
}
