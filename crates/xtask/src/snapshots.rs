//! `cargo xtask snapshots`: writes what snapshot tests see now, for review. Runs the packages that have any.

use crate::command::{self, cargo, root};
use anyhow::{Result, bail};
use std::fs;

pub fn run() -> Result<()> {
    let packages = packages()?;
    if packages.is_empty() {
        bail!("no package has snapshot tests");
    }
    let mut test = cargo();
    test.arg("test").env("INSTA_UPDATE", "always");
    for package in packages {
        test.args(["-p", &package]);
    }
    command::run(&mut test)
}

/// The packages that depend on insta.
fn packages() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for group in ["crates", "services"] {
        for entry in fs::read_dir(root().join(group))? {
            let manifest = fs::read_to_string(entry?.path().join("Cargo.toml")).unwrap_or_default();
            let name = manifest.lines().find_map(|l| l.strip_prefix("name = \"")?.strip_suffix('"'));
            if let Some(name) = name
                && manifest.lines().any(|l| l.starts_with("insta"))
            {
                found.push(name.to_owned());
            }
        }
    }
    Ok(found)
}
