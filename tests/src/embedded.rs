//! `beem serve` as a newcomer starts it: one process, one data directory, nothing else.

use beem_testkit::cluster::{free_addresses, http_status};
use beem_testkit::folder::RunFolder;
use beem_testkit::process::{Launch, Process};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(60);

/// A running embedded installation; stopped on drop.
#[derive(Debug)]
pub struct Embedded {
    // Declared first: the process has to stop before its folder goes.
    pub process: Process,
    launch: Launch,
    pub address: SocketAddr,
    folder: RunFolder,
}

impl Embedded {
    /// Starts on a fresh data directory and waits until it is ready. `{address}` in a setting becomes the address listened
    /// on. `ends_with_thread`: see [`Launch::on_death`].
    ///
    /// # Errors
    /// What the process wrote last, when it does not get ready.
    pub fn start(beem: &Path, envs: &[(String, String)], ends_with_thread: bool) -> Result<Self, String> {
        let folder = RunFolder::create()?;
        let address = *free_addresses(1)?.first().ok_or("no free port")?;
        let launch = Launch::new("beem", beem, folder.path())
            .args(["serve", "--listen", &address.to_string(), "--data-dir"])
            .arg(folder.path().join("data"))
            .on_death(ends_with_thread.then_some("KILL"));
        let launch = envs.iter().fold(launch, |launch, (key, value)| {
            launch.env(key, value.replace("{address}", &address.to_string()))
        });
        let process = launch.start()?;
        let mut embedded = Self { process, launch, address, folder };
        embedded.wait_until_ready()?;
        Ok(embedded)
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts it again on the same directory and address, after it was stopped or killed.
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub fn start_again(&mut self) -> Result<(), String> {
        self.process.kill();
        self.process = self.launch.start()?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let ready = beem_testkit::eventually("beem is ready", READY_LIMIT, || {
            if !self.process.is_running() {
                return Err("beem ended".into());
            }
            Ok((http_status(self.address, "/readyz") == Some(200)).then_some(()))
        });
        ready.map_err(|e| format!("{e}; its log ends with:\n{}", self.process.log_tail()))
    }
}
