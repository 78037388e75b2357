//! Redis from the installed binary, on a Unix socket, keeping nothing on disk.

use crate::folder::RunFolder;
use crate::process::{self, Launch, Process};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the run's shared server has its socket: set by `cargo xtask test`.
pub const SHARED_ENV: &str = "BEEM_TEST_REDIS";

/// Numbered databases of a server: [`fresh_database`] goes round them.
const DATABASES: u32 = 4096;
const START_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How a server is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// It goes when the calling **thread** ends. Only from a main thread: see [`Launch::on_death`].
    pub ends_with_thread: bool,
}

/// A Redis server of one's own, gone on drop.
#[derive(Debug)]
pub struct Server {
    // Declared first: it has to stop before its folder goes.
    process: Process,
    launch: Launch,
    folder: RunFolder,
}

impl Server {
    /// # Errors
    /// When there is no `redis-server`, or it does not start.
    pub fn start() -> Result<Self, String> {
        Self::start_with(Options::default())
    }

    /// # Errors
    /// See [`Server::start`].
    pub fn start_with(options: Options) -> Result<Self, String> {
        let program = process::find_in_path("redis-server");
        let program = program.ok_or("no redis-server in PATH; run `cargo xtask setup`")?;
        let folder = RunFolder::create()?;
        let launch = Launch::new("redis", program, folder.path())
            .on_death(options.ends_with_thread.then_some("KILL"))
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--databases", &DATABASES.to_string(), "--loglevel", "warning"])
            .arg("--dir")
            .arg(folder.path())
            .arg("--unixsocket")
            .arg(folder.path().join("redis.sock"));
        let process = launch_until_ready(&launch, &folder.path().join("redis.sock"))?;
        Ok(Self { process, launch, folder })
    }

    /// Its socket: what [`SHARED_ENV`] carries.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// The URL of its database 0, as the redis crate takes it.
    #[must_use]
    pub fn url(&self) -> String {
        url(&self.socket(), 0)
    }

    /// Forgets everything, as `FLUSHALL` does.
    ///
    /// # Errors
    /// When it is away.
    pub fn flush(&self) -> Result<(), String> {
        command(&self.socket(), "FLUSHALL").map(drop)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Answers nobody until [`Server::resume`], while connections stay open: a machine that hangs.
    pub fn pause(&mut self) {
        self.process.signal("STOP");
    }

    /// Ends [`Server::pause`].
    pub fn resume(&mut self) {
        self.process.signal("CONT");
    }

    /// Starts it again, empty.
    ///
    /// # Errors
    /// See [`Server::start`].
    pub fn start_again(&mut self) -> Result<(), String> {
        self.process.kill();
        self.process = launch_until_ready(&self.launch, &self.socket())?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing in it is worth a shutdown, and a paused one would not hear of it.
        self.process.kill();
    }
}

/// The URL of an empty database on the run's shared server. Tests that flush, kill or restart take a [`Server`].
///
/// # Panics
/// Outside `cargo xtask test`, and when the server is away.
#[must_use]
pub fn fresh_database() -> String {
    let found = std::env::var_os(SHARED_ENV).map(PathBuf::from).filter(|s| s.exists());
    #[expect(clippy::panic, reason = "for tests: there is nothing to go on with")]
    let Some(socket) = found else { panic!("run `cargo xtask test`, which starts PostgreSQL and Redis") };
    #[expect(clippy::panic, reason = "for tests: there is nothing to go on with")]
    take_database(&socket).unwrap_or_else(|e| panic!("{e}"))
}

/// Numbers are given out by database 0, so that processes of one run do not meet.
fn take_database(socket: &Path) -> Result<String, String> {
    let answer = command(socket, "INCR beem-testkit:databases")?;
    let n: u32 = answer.trim_start_matches(':').parse().map_err(|_| answer)?;
    let number = n.rem_euclid(DATABASES.saturating_sub(1)).saturating_add(1);
    Ok(url(socket, number))
}

fn url(socket: &Path, database: u32) -> String {
    format!("redis+unix://{}?db={database}", socket.display())
}

/// One command in Redis' inline form; the first line of its answer.
fn command(socket: &Path, line: &str) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", socket.display());
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).map_err(failed)?;
    stream.write_all(format!("{line}\r\n").as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(failed)?;
    let answer = answer.trim_end().to_owned();
    if answer.starts_with('-') || answer.is_empty() { Err(answer) } else { Ok(answer) }
}

fn launch_until_ready(launch: &Launch, socket: &Path) -> Result<Process, String> {
    let _ = std::fs::remove_file(socket);
    let mut process = launch.start()?;
    crate::eventually("Redis answers", START_LIMIT, || {
        if !process.is_running() {
            return Err(format!("Redis did not start:\n{}", process.log_tail()));
        }
        Ok(command(socket, "PING").ok())
    })?;
    Ok(process)
}
