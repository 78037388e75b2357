//! `cargo xtask fuzz`: each target for a minute, from its seeds, with cargo-fuzz and the stable compiler.

use crate::command::{self, cargo, root, target};
use anyhow::{Context, Result, bail};
use beem_testkit::process::find_in_path;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const SECONDS: u32 = 60;

pub fn run(args: &[String]) -> Result<()> {
    let (seconds, only) = parse(args)?;
    let tool = cargo_fuzz()?;
    let folder = root().join("tests/fuzz");
    let targets = targets(&fs::read_to_string(folder.join("Cargo.toml")).context("tests/fuzz/Cargo.toml")?);
    let chosen: Vec<&String> = targets.iter().filter(|t| only.as_ref().is_none_or(|o| o == *t)).collect();
    if chosen.is_empty() {
        bail!("no such fuzz target; there are: {}", targets.join(", "));
    }
    for target in chosen {
        let (corpus, seeds) = (folder.join("corpus").join(target), folder.join("seeds").join(target));
        fs::create_dir_all(&corpus)?;
        // The sanitizer is an unstable flag; so is what libFuzzer's counters need.
        let mut fuzz = Command::new(&tool);
        fuzz.current_dir(root()).env("RUSTC_BOOTSTRAP", "1").arg("fuzz");
        fuzz.args(["run", "--fuzz-dir"]).arg(&folder).arg(target).arg(corpus);
        if seeds.is_dir() {
            fuzz.arg(seeds);
        }
        command::run(fuzz.arg("--").arg(format!("-max_total_time={seconds}")))?;
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<(u32, Option<String>)> {
    let (mut seconds, mut only) = (SECONDS, None);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--seconds" {
            seconds = rest
                .next()
                .context("--seconds wants a number")?
                .parse()
                .context("--seconds wants a number")?;
        } else {
            only = Some(arg.clone());
        }
    }
    Ok((seconds, only))
}

/// cargo-fuzz from PATH, or our own copy under the target folder.
fn cargo_fuzz() -> Result<PathBuf> {
    if let Some(tool) = find_in_path("cargo-fuzz") {
        return Ok(tool);
    }
    let tools = target()?.join("tools");
    let tool = tools.join("bin/cargo-fuzz");
    if !tool.is_file() {
        command::run(cargo().args(["install", "cargo-fuzz", "--locked", "--root"]).arg(tools))?;
    }
    Ok(tool)
}

/// The names of a manifest's binaries.
fn targets(manifest: &str) -> Vec<String> {
    let binaries = manifest.split("[[bin]]").skip(1);
    let name = |table: &str| {
        let line = table.lines().find(|l| l.trim_start().starts_with("name"))?;
        line.split('"').nth(1).map(str::to_owned)
    };
    binaries.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_binaries() {
        let manifest =
            "[package]\nname = \"fuzz\"\n[[bin]]\nname = \"pem\"\n\n[[bin]]\npath = \"x\"\nname = \"cidr\"\n";
        assert_eq!(targets(manifest), ["pem", "cidr"]);
    }

    #[test]
    fn seconds_and_a_target_are_read() {
        let args = ["--seconds", "5", "pem"].map(str::to_owned);
        assert_eq!(parse(&args).unwrap(), (5, Some("pem".to_owned())));
        assert!(parse(&["--seconds".to_owned()]).is_err());
    }
}
