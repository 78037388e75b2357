//! `cargo xtask snapshots`: writes what snapshot tests see now, for review. Runs the packages that have any.

use crate::command::{self, cargo, root};
use anyhow::{Result, bail};
use std::fs;

/// Told to the tests, which then write instead of comparing.
const UPDATE: &str = "BEEM_UPDATE_SNAPSHOTS";

pub fn run() -> Result<()> {
    let packages = packages()?;
    if packages.is_empty() {
        bail!("no package has snapshots");
    }
    let mut test = cargo();
    test.arg("test").env(UPDATE, "1");
    for package in packages {
        test.args(["-p", &package]);
    }
    test.args(["--", "as_reviewed"]);
    command::run(&mut test)
}

/// The packages with a folder of snapshots. Their tests are called `…_as_reviewed`.
fn packages() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for group in ["crates", "services"] {
        for entry in fs::read_dir(root().join(group))? {
            let folder = entry?.path();
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
            let name = manifest.lines().find_map(|l| l.strip_prefix("name = \"")?.strip_suffix('"'));
            if let Some(name) = name
                && folder.join("tests/snapshots").is_dir()
            {
                found.push(name.to_owned());
            }
        }
    }
    Ok(found)
}
