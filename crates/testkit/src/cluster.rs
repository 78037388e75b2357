//! A whole cluster on this machine: every service its own `beem` process, two gateways, real PostgreSQL and Redis.
//!
//! `beem keygen --cluster` writes the settings and certificates; each process is `beem serve --config DIR/<name>.toml`.
//! Each can be killed, stopped, paused and started again by its name: `gateway-1`, `gateway-2`, `identity`, `authz`,
//! `ledger`, `hooks`.

use crate::folder::RunFolder;
use crate::postgres::Socket;
use crate::process::{Launch, Process};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// The binary under test: set by `cargo xtask test`.
pub const BEEM_ENV: &str = "BEEM_BIN";

/// The services that have processes of their own; each has a database.
pub const SERVICES: [&str; 4] = ["identity", "authz", "ledger", "hooks"];

const READY_LIMIT: Duration = Duration::from_secs(60);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Below what systems hand to outgoing connections, so that a killed process finds its port free again.
const FIRST_PORT: u16 = 15_000;
const PORTS: u16 = 16_000;

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `beem` binary.
    pub beem: PathBuf,
    /// Where the databases are made.
    pub postgres: Socket,
    /// As the redis crate takes it.
    pub redis_url: String,
    pub gateways: u16,
    /// The environment of every process, `BEEM__SECTION__KEY` settings for example.
    pub envs: Vec<(String, String)>,
    /// Everything goes when the calling **thread** ends. Only from a main thread: see [`Launch::on_death`].
    pub ends_with_thread: bool,
}

impl Options {
    /// Two gateways, nothing special.
    #[must_use]
    pub fn new(beem: PathBuf, postgres: Socket, redis_url: String) -> Self {
        Self { beem, postgres, redis_url, gateways: 2, envs: Vec::new(), ends_with_thread: false }
    }
}

/// The binary that `cargo xtask test` built.
///
/// # Panics
/// Outside `cargo xtask test`.
#[must_use]
pub fn beem_bin() -> PathBuf {
    let found = std::env::var_os(BEEM_ENV).map(PathBuf::from).filter(|b| b.is_file());
    #[expect(clippy::panic, reason = "for tests: there is nothing to go on with")]
    found.unwrap_or_else(|| panic!("run `cargo xtask test`, which builds `beem` and names it in {BEEM_ENV}"))
}

/// A running cluster; its processes are stopped on drop.
#[derive(Debug)]
pub struct Cluster {
    // Declared first: the processes have to stop before their folder goes.
    members: Vec<Member>,
    beem: PathBuf,
    databases: Vec<(String, String)>,
    folder: RunFolder,
}

#[derive(Debug)]
struct Member {
    address: SocketAddr,
    /// `/healthz`, `/readyz`, `/metrics`.
    admin: SocketAddr,
    launch: Launch,
    process: Process,
}

impl Cluster {
    /// Makes the databases, settings and certificates, starts every process and waits until all are ready.
    ///
    /// # Errors
    /// What the first process that did not get ready wrote last.
    pub fn start(options: &Options) -> Result<Self, String> {
        let folder = RunFolder::create()?;
        let mut names: Vec<String> = SERVICES.iter().map(|s| (*s).to_owned()).collect();
        names.extend((1..=options.gateways).map(|n| format!("gateway-{n}")));
        let (addresses, admins) = (free_addresses(names.len())?, free_addresses(names.len())?);
        let databases = SERVICES
            .iter()
            .map(|s| Ok(((*s).to_owned(), options.postgres.fresh_database()?)))
            .collect::<Result<Vec<_>, String>>()?;
        let planned: Vec<Planned> = names.into_iter().zip(addresses.into_iter().zip(admins)).collect();
        keygen(options, folder.path(), &planned, &databases)?;
        let mut members = Vec::new();
        for (name, (address, admin)) in planned {
            let config = folder.path().join(format!("{name}.toml"));
            let launch = options.envs.iter().fold(
                Launch::new(&name, &options.beem, folder.path())
                    .args(["serve", "--config"])
                    .arg(config)
                    .on_death(options.ends_with_thread.then_some("KILL")),
                |launch, (key, value)| launch.env(key, value),
            );
            let process = launch.start()?;
            members.push(Member { address, admin, launch, process });
        }
        let mut cluster = Self { members, beem: options.beem.clone(), databases, folder };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// Where the settings, certificates and logs (`<name>.log`) are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The names of all processes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|m| m.process.name())
    }

    /// Where a process listens.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn address(&self, name: &str) -> Result<SocketAddr, String> {
        let found = self.members.iter().find(|m| m.process.name() == name);
        found.map(|m| m.address).ok_or_else(|| format!("no process {name} in the cluster"))
    }

    /// Where a process tells operators how it is.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn admin_address(&self, name: &str) -> Result<SocketAddr, String> {
        let found = self.members.iter().find(|m| m.process.name() == name);
        found.map(|m| m.admin).ok_or_else(|| format!("no process {name} in the cluster"))
    }

    /// `http://127.0.0.1:PORT` of every gateway, in order.
    #[must_use]
    pub fn gateways(&self) -> Vec<String> {
        let gateways = self.members.iter().filter(|m| m.process.name().starts_with("gateway"));
        gateways.map(|m| format!("http://{}", m.address)).collect()
    }

    /// The URL of a service's database.
    #[must_use]
    pub fn database(&self, service: &str) -> Option<&str> {
        self.databases.iter().find(|(s, _)| s == service).map(|(_, url)| url.as_str())
    }

    /// The process of that name: to signal, to read its id and its log.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn process(&mut self, name: &str) -> Result<&mut Process, String> {
        self.member(name).map(|m| &mut m.process)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn kill(&mut self, name: &str) -> Result<(), String> {
        self.process(name).map(Process::kill)
    }

    /// SIGTERM, and waits until it has drained; how it ended.
    ///
    /// # Errors
    /// When there is none of that name, or it does not go within 20 s.
    pub fn stop(&mut self, name: &str) -> Result<ExitStatus, String> {
        self.process(name)?.stop()
    }

    /// Starts it again on the same address after [`Cluster::kill`] or [`Cluster::stop`], and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_again(&mut self, name: &str) -> Result<(), String> {
        let member = self.member(name)?;
        member.start_again()?;
        member.wait_until_ready()
    }

    /// The same without waiting: for a process that cannot be ready yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_again_unready(&mut self, name: &str) -> Result<(), String> {
        self.member(name)?.start_again()
    }

    /// Waits until every process that runs is ready.
    ///
    /// # Errors
    /// What the first one that does not get ready wrote last.
    pub fn wait_until_ready(&mut self) -> Result<(), String> {
        self.members.iter_mut().try_for_each(Member::wait_until_ready)
    }

    /// Makes an account and a client with all roles. Its `client.json` and `client.pem` are put into the folder of that
    /// name below [`Cluster::folder`]; the folder's path.
    ///
    /// # Errors
    /// What `beem admin` said.
    pub fn create_account(&self, name: &str, credentials: &str) -> Result<PathBuf, String> {
        let folder = self.folder().join(credentials);
        let email = format!("owner@{credentials}.example");
        self.admin(&[
            "create-account",
            "--name",
            name,
            "--owner-email",
            &email,
            "--client-key-out",
            credentials,
        ])?;
        Ok(folder)
    }

    /// Runs `beem admin` with the operator's identity, in the cluster's folder; its stdout.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn admin(&self, args: &[&str]) -> Result<String, String> {
        let config = self.folder().join("admin.toml");
        Launch::new("admin", &self.beem, self.folder())
            .args(["admin", "--config"])
            .arg(config)
            .args(args)
            .run()
    }

    fn member(&mut self, name: &str) -> Result<&mut Member, String> {
        let found = self.members.iter_mut().find(|m| m.process.name() == name);
        found.ok_or_else(|| format!("no process {name} in the cluster"))
    }
}

impl Member {
    fn start_again(&mut self) -> Result<(), String> {
        self.process.kill();
        self.process = self.launch.start()?;
        Ok(())
    }

    /// As its admin port says.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let admin = self.admin;
        let what = format!("{} is ready", self.process.name());
        let ready = crate::eventually(&what, READY_LIMIT, || {
            if !self.process.is_running() {
                return Err(format!("{} ended", self.process.name()));
            }
            Ok((http_status(admin, "/readyz") == Some(200)).then_some(()))
        });
        ready.map_err(|e| format!("{e}; its log ends with:\n{}", self.process.log_tail()))
    }
}

/// A process to be: its name, where it listens, its admin port.
type Planned = (String, (SocketAddr, SocketAddr));

fn keygen(
    options: &Options,
    folder: &Path,
    planned: &[Planned],
    databases: &[(String, String)],
) -> Result<(), String> {
    let mut launch = Launch::new("keygen", &options.beem, folder).args(["keygen", "--cluster"]).arg(folder);
    for (name, (address, admin)) in planned {
        launch = launch.arg("--admin").arg(format!("{name}={admin}"));
        launch = if name.starts_with("gateway") {
            launch.arg("--gateway").arg(address.to_string())
        } else {
            launch.arg("--service").arg(format!("{name}={address}"))
        };
    }
    for (service, url) in databases {
        launch = launch.arg("--database").arg(format!("{service}={url}"));
    }
    launch.arg("--redis").arg(&options.redis_url).run().map(drop)
}

fn listens(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, ANSWER_LIMIT).is_ok()
}

/// The status of a GET, or nothing when there is no answer.
#[must_use]
pub fn http_status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).ok()?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    let _ = stream.take(64 * 1024).read_to_string(&mut answer);
    answer.split_whitespace().nth(1)?.parse().ok()
}

/// Loopback addresses nobody listens on. Processes begin at different places, so that two runs seldom meet.
///
/// # Errors
/// When so many are not to be had.
pub fn free_addresses(count: usize) -> Result<Vec<SocketAddr>, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(PORTS)).unwrap_or(0);
    let mut found = Vec::new();
    for _ in 0..PORTS {
        if found.len() == count {
            break;
        }
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + (start.wrapping_add(step) % PORTS);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // Asked by connecting: a listener of ours could live on for a moment in a child that another thread just forked.
        if !listens(address) {
            found.push(address);
        }
    }
    if found.len() < count { Err(format!("no {count} free ports from {FIRST_PORT} on")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn addresses_are_free_and_not_given_twice() {
        let (a, b) = (free_addresses(20).unwrap(), free_addresses(20).unwrap());
        assert!(a.iter().all(|x| !b.contains(x)));
        assert!(a.iter().chain(&b).all(|x| !listens(*x)));
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(listens(held.local_addr().unwrap()));
    }
}
