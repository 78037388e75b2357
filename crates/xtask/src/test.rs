//! `cargo xtask test`: prepares everything, then every test of the workspace.

use crate::command::{self, cargo, target};
use crate::servers::Servers;
use crate::{foreign, setup};
use anyhow::Result;
use beem_testkit::cluster;

pub fn run(args: &[String]) -> Result<()> {
    setup::ensure()?;
    let foreign = foreign::prepare()?;
    // One build for the binary and the tests: apart, cargo would choose other features and compile most things twice.
    command::run(cargo().args(["build", "--workspace", "--bin", "beem", "--tests"]))?;
    let servers = Servers::start(false)?;
    let mut test = cargo();
    test.arg("test");
    if !args.iter().any(|a| a == "-p" || a.starts_with("--package") || a == "--workspace") {
        test.arg("--workspace");
    }
    test.args(args).env(cluster::BEEM_ENV, target()?.join("debug/beem"));
    if let Some(folder) = foreign {
        test.env(foreign::FOREIGN_ENV, folder);
    }
    servers.export(&mut test);
    command::run(&mut test)
}
