//! `beem`: see `beem help`, or the README.

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Two TLS providers in one binary make rustls panic at its first use; ours is named before anything can ask.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    beem::cli::run(beem::cli::Cli::parse())
}
