//! `cargo xtask cluster`: the clustered shape on one machine, to try things on.

use crate::command::{self, cargo, target};
use crate::servers::Servers;
use crate::setup;
use anyhow::{Result, anyhow, bail};
use beem_testkit::cluster::{Cluster, Options};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Ctrl-C ends it: servers and services end with this process, and the next run removes their folder.
pub fn run(args: &[String]) -> Result<()> {
    let release = args.iter().any(|a| a == "--release");
    setup::ensure()?;
    let mut build = cargo();
    build.args(["build", "-p", "beem", "--bin", "beem"]);
    if release {
        build.arg("--release");
    }
    command::run(&mut build)?;
    let beem = target()?.join(if release { "release/beem" } else { "debug/beem" });
    let servers = Servers::start(false)?;
    let mut options = Options::new(beem, servers.postgres.socket(), servers.redis.url());
    options.ends_with_thread = true;
    let mut cluster = Cluster::start(&options).map_err(|e| anyhow!(e))?;
    cluster.create_account("Example", "credentials").map_err(|e| anyhow!(e))?;
    show(&options, &cluster);
    let names: Vec<String> = cluster.names().map(str::to_owned).collect();
    loop {
        std::thread::sleep(LOOK_EVERY);
        for name in &names {
            let process = cluster.process(name).map_err(|e| anyhow!(e))?;
            if !process.is_running() {
                bail!("{name} ended; its log ends with:\n{}", process.log_tail());
            }
        }
    }
}

fn show(options: &Options, cluster: &Cluster) {
    let folder = cluster.folder().display();
    println!("\nthe cluster is ready; settings, certificates and logs are in {folder}");
    for name in cluster.names() {
        if let Ok(address) = cluster.address(name) {
            println!("  {name:<12} {address}");
        }
    }
    let call = format!("{} call --credentials {folder}/credentials/client.json", options.beem.display());
    println!("\ntry:");
    println!("  {call} GET /platform/v1/me");
    println!("  {call} GET /platform/v1/clients");
    println!("  tail -f {folder}/gateway-1.log");
    println!("\nCtrl-C stops everything");
}
