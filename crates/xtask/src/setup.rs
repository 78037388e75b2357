//! What the tests need beside Rust: looked for, and installed where we may. Nothing is skipped because it is missing.

use crate::command::{self, succeeds};
use anyhow::{Result, bail};
use beem_testkit::{postgres, process};
use std::process::Command;

/// One thing that has to be there.
struct Need {
    what: &'static str,
    /// What Debian and Ubuntu call it.
    packages: &'static [&'static str],
    there: fn() -> bool,
}

const NEEDS: [Need; 6] = [
    Need { what: "PostgreSQL 13 or newer", packages: &["postgresql"], there: has_postgres },
    Need { what: "Redis 6 or newer", packages: &["redis-server"], there: has_redis },
    Need {
        what: "Python 3 with venv (foreign signers and receivers)",
        packages: &["python3-venv", "python3-pip"],
        there: || succeeds("python3", &["-c", "import venv, ensurepip"]),
    },
    Need {
        what: "Node.js with npm (foreign signers and receivers)",
        packages: &["nodejs", "npm"],
        there: || succeeds("node", &["--version"]) && succeeds("npm", &["--version"]),
    },
    Need {
        what: "OpenSSL's command line (a foreign verifier)",
        packages: &["openssl"],
        there: || succeeds("openssl", &["version"]),
    },
    Need {
        what: "setpriv of util-linux (servers end with the run)",
        packages: &["util-linux"],
        there: || !cfg!(target_os = "linux") || process::find_in_path("setpriv").is_some(),
    },
];

/// Makes sure that everything is there.
pub fn ensure() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|n| n.packages).copied().collect();
    let names: Vec<&str> = missing.iter().map(|n| n.what).collect();
    let is_root = process::own_uid().is_ok_and(|uid| uid == 0);
    if !is_root || process::find_in_path("apt-get").is_none() {
        bail!(
            "missing: {}\ninstall it, on Debian or Ubuntu with:\n  sudo apt-get install {}",
            names.join(", "),
            packages.join(" ")
        );
    }
    println!("xtask: installing what is missing: {}", names.join(", "));
    command::run(apt().arg("update"))?;
    command::run(apt().args(["install", "-y", "--no-install-recommends"]).args(&packages))?;
    let still: Vec<&str> = self::missing().iter().map(|n| n.what).collect();
    if !still.is_empty() {
        bail!("still missing after installing {}: {}", packages.join(" "), still.join(", "));
    }
    Ok(())
}

/// The command: the same, and says so.
pub fn run() -> Result<()> {
    ensure()?;
    println!("xtask: everything that the tests need is there");
    Ok(())
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|n| !(n.there)()).collect()
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn has_postgres() -> bool {
    let version = postgres::Binaries::find().and_then(|b| b.version());
    version.is_ok_and(|v| major(&v) >= 13) && process::user_for("postgres").is_ok()
}

fn has_redis() -> bool {
    let output = Command::new("redis-server").arg("--version").output();
    output.is_ok_and(|o| {
        let text = String::from_utf8_lossy(&o.stdout).into_owned();
        text.split_whitespace().find_map(|word| word.strip_prefix("v=")).is_some_and(|v| major(v) >= 6)
    })
}

fn major(version: &str) -> u32 {
    version.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions_are_read_as_their_programs_write_them() {
        assert_eq!(major("15.18"), 15);
        assert_eq!(major("18beta1"), 18);
        assert_eq!(major("7.0.15"), 7);
        assert_eq!(major("none"), 0);
    }
}
