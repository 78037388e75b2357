//! PostgreSQL's own benchmark on the same server: what a transfer costs that is one plain transaction (tpcb-like).

use super::costs::Costs;
use beem_testkit::postgres::{self, Binaries};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;

const SCALE: &str = "10";
pub const CLIENTS: &str = "8";
const THREADS: &str = "2";

/// A database of its own, filled.
pub struct Pgbench {
    program: PathBuf,
    url: String,
}

/// What one run came to.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub tps: f64,
    /// CPU of PostgreSQL, milliseconds for 1,000 transactions.
    pub postgres: f64,
}

impl Pgbench {
    pub async fn fill() -> Result<Self, String> {
        let program = Binaries::find()?.program("pgbench");
        let pgbench = Self { program, url: postgres::shared().fresh_database()? };
        pgbench.output(&["-i", "-q", "-s", SCALE]).await?;
        Ok(pgbench)
    }

    pub async fn run(&self, seconds: u32, costs: &Costs) -> Result<Run, String> {
        let (seconds_text, before) = (seconds.to_string(), costs.spent_us()?);
        let arguments = ["-M", "prepared", "-c", CLIENTS, "-j", THREADS, "-T", &seconds_text];
        let text = self.output(&arguments).await?;
        let [postgres, ..] = costs.since(before)?;
        let tps =
            text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
        let tps = tps.ok_or_else(|| format!("pgbench says no tps:\n{text}"))?;
        let postgres_us = f64::from(u32::try_from(postgres).unwrap_or(u32::MAX));
        Ok(Run { tps, postgres: postgres_us / (tps * f64::from(seconds)) })
    }

    async fn output(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg(&self.url).stdin(Stdio::null());
        let output = command.output().await.map_err(|e| format!("{}: {e}", self.program.display()))?;
        if !output.status.success() {
            return Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
