//! `cargo xtask bench NAME`: the benchmark program of `tests`, on servers that write to disk as in production.

use crate::command::{self, cargo, target};
use crate::servers::Servers;
use crate::setup;
use anyhow::Result;
use beem_testkit::cluster;

pub fn run(args: &[String]) -> Result<()> {
    setup::ensure()?;
    let build = ["build", "--release", "-p", "beem", "-p", "beem-tests", "--bin", "beem", "--bin", "bench"];
    command::run(cargo().args(build))?;
    let servers = Servers::start(true)?;
    let release = target()?.join("release");
    let mut bench = std::process::Command::new(release.join("bench"));
    bench.args(args).current_dir(command::root()).env(cluster::BEEM_ENV, release.join("beem"));
    servers.export(&mut bench);
    command::run(&mut bench)
}
