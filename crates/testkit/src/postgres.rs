//! PostgreSQL from the installed binaries: a server in a tenth of a second, a database in a twentieth.
//!
//! `initdb` takes two seconds, so its result is kept in a cache folder per server version and copied. Not durable unless
//! asked: nothing here outlives a test.

use crate::folder::{self, RunFolder};
use crate::process::{self, Launch, Process, User};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Where the run's shared server has its socket: set by `cargo xtask test`.
pub const SHARED_ENV: &str = "BEEM_TEST_POSTGRES";

const PORT: u16 = 5432; // names the socket file only
const START_LIMIT: Duration = Duration::from_secs(60);
const INITDB_ARGS: [&str; 7] = ["-N", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C"];
/// Not `synchronous_commit=off`: a commit that was answered must outlive `kill -9` of the server, or tests of that lie.
/// Without fsync it costs a write into the page cache only.
const FAST: [&str; 3] = ["fsync=off", "full_page_writes=off", "autovacuum=off"];

/// How a server is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Writes reach the disk before a commit answers, as in production: for benches.
    pub durable: bool,
    /// It goes when the calling **thread** ends. Only from a main thread: see [`Launch::on_death`].
    pub ends_with_thread: bool,
}

/// A PostgreSQL server on a Unix socket, removed on drop.
#[derive(Debug)]
pub struct Server {
    // Declared first: it has to stop before its folder goes.
    process: Process,
    launch: Launch,
    socket: Socket,
    folder: RunFolder,
}

impl Server {
    /// A server that is as fast as it gets and loses everything in a crash of the machine (not of the server).
    ///
    /// # Errors
    /// When there are no binaries, or it does not start: with the end of its log.
    pub fn start() -> Result<Self, String> {
        Self::start_with(Options::default())
    }

    /// # Errors
    /// See [`Server::start`].
    pub fn start_with(options: Options) -> Result<Self, String> {
        let binaries = Binaries::find()?;
        let user = process::user_for("postgres")?;
        let seed = initialised(&binaries, user)?;
        let folder = RunFolder::create()?;
        own(folder.path(), user)?;
        let data = folder.path().join("data");
        Launch::new("copy", "cp", folder.path()).arg("-a").arg(&seed).arg(&data).run()?;
        let mut launch = Launch::new("postgres", binaries.program("postgres"), folder.path())
            .user(user)
            .stop_signal("INT")
            .on_death(options.ends_with_thread.then_some("QUIT"))
            .arg("-D")
            .arg(&data)
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "max_connections=300",
                "-c",
                "unix_socket_permissions=0777",
            ])
            .arg("-c")
            .arg(format!("port={PORT}"))
            .arg("-c")
            .arg(format!("unix_socket_directories={}", folder.path().display()));
        if !options.durable {
            launch = FAST.iter().fold(launch, |l, setting| l.arg("-c").arg(setting));
        }
        let socket = Socket { folder: folder.path().into(), psql: binaries.program("psql") };
        let process = launch_until_ready(&launch, &socket)?;
        Ok(Self { process, launch, socket, folder })
    }

    /// The folder of its socket: what [`SHARED_ENV`] carries.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.folder.path()
    }

    /// What makes databases on it, also elsewhere.
    #[must_use]
    pub fn socket(&self) -> Socket {
        self.socket.clone()
    }

    /// The URL of a database, as sqlx and psql take it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.socket.url(database)
    }

    /// A new, empty database with that name; its URL.
    ///
    /// # Errors
    /// When the server refuses, for example because there is one.
    pub fn create_database(&self, name: &str) -> Result<String, String> {
        self.socket.create_database(name)
    }

    /// A new, empty database; its URL.
    ///
    /// # Errors
    /// When the server is away.
    pub fn fresh_database(&self) -> Result<String, String> {
        self.socket.fresh_database()
    }

    /// Runs statements with psql; rows as lines, columns with `|`.
    ///
    /// # Errors
    /// What psql says.
    pub fn sql(&self, database: &str, statements: &str) -> Result<String, String> {
        self.socket.sql(database, statements)
    }

    /// `kill -9` of the server; its backends notice and go too.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same data, after [`Server::kill`]; recovers by itself.
    ///
    /// # Errors
    /// See [`Server::start`].
    pub fn start_again(&mut self) -> Result<(), String> {
        self.process.kill();
        self.process = launch_until_ready(&self.launch, &self.socket)?;
        Ok(())
    }
}

/// The run's shared server.
///
/// # Panics
/// Outside `cargo xtask test`.
#[must_use]
pub fn shared() -> Socket {
    let found = std::env::var_os(SHARED_ENV).map(PathBuf::from).filter(|f| f.is_dir());
    let Some(folder) = found else {
        #[expect(clippy::panic, reason = "for tests: there is nothing to go on with")]
        {
            panic!("run `cargo xtask test`, which starts PostgreSQL and Redis");
        }
    };
    let psql = Binaries::find().map_or_else(|_| PathBuf::from("psql"), |b| b.program("psql"));
    Socket { folder, psql }
}

/// A new, empty database on the run's shared server; its URL.
///
/// # Panics
/// Outside `cargo xtask test`, and when the server does not make one.
#[must_use]
pub fn fresh_database() -> String {
    let made = shared().fresh_database();
    #[expect(clippy::panic, reason = "for tests: there is nothing to go on with")]
    made.unwrap_or_else(|e| panic!("{e}"))
}

/// A running server, as its socket's folder.
#[derive(Clone, Debug)]
pub struct Socket {
    folder: PathBuf,
    psql: PathBuf,
}

impl Socket {
    /// The URL of a database, as sqlx and psql take it. The host in front is a placeholder: a URL with a user needs one.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost:{PORT}/{database}?host={}", self.folder.display())
    }

    /// A new, empty database with a name of its own; its URL.
    ///
    /// # Errors
    /// When the server is away.
    pub fn fresh_database(&self) -> Result<String, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        self.create_database(&format!("t_{}_{n}", std::process::id()))
    }

    /// A new, empty database with that name; its URL.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn create_database(&self, name: &str) -> Result<String, String> {
        // Copying files beats the log only without fsync, and the word exists from version 15 on.
        let choose = "SELECT current_setting('server_version_num')::int >= 150000 \
                      AND NOT current_setting('fsync')::bool AS by_file \\gset\n";
        let create = format!(
            "\\if :by_file\nCREATE DATABASE \"{name}\" STRATEGY FILE_COPY;\n\\else\nCREATE DATABASE \"{name}\";\n\\endif\n"
        );
        self.sql("postgres", &format!("{choose}{create}"))?;
        Ok(self.url(name))
    }

    /// Runs statements with psql; rows as lines, columns with `|`.
    ///
    /// # Errors
    /// What psql says.
    pub fn sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", self.psql.display());
        let mut child = Command::new(&self.psql)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .arg(self.url(database))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A psql that could not connect has closed its side already: its own words are the better error.
            let _ = stdin.write_all(statements.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        if !output.status.success() {
            return Err(format!("psql: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Where the server's programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// `PG_BIN`, then PATH, then the folders of Debian, Red Hat and Homebrew, the newest version first.
    ///
    /// # Errors
    /// When there are none.
    pub fn find() -> Result<Self, String> {
        if let Some(folder) = std::env::var_os("PG_BIN").map(PathBuf::from) {
            return has_server(&folder)
                .ok_or_else(|| format!("PG_BIN={}: no initdb there", folder.display()));
        }
        let in_path = process::find_in_path("initdb").and_then(|p| p.parent().and_then(has_server));
        let known = || {
            [
                "/usr/lib/postgresql/",
                "/usr/pgsql-",
                "/opt/homebrew/opt/postgresql@",
                "/usr/local/opt/postgresql@",
            ]
            .iter()
            .find_map(|prefix| newest(prefix))
        };
        in_path
            .or_else(known)
            .ok_or_else(|| "no PostgreSQL binaries (initdb, postgres); run `cargo xtask setup`".into())
    }

    /// The path of one of them.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let here = self.folder.join(name);
        if here.is_file() { here } else { process::find_in_path(name).unwrap_or(here) }
    }

    /// Its version as `postgres --version` writes it: `15.18`.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn version(&self) -> Result<String, String> {
        let output = Command::new(self.program("postgres")).arg("--version").output();
        let output = output.map_err(|e| format!("postgres --version: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_whitespace().nth(2).map(str::to_owned).ok_or(text)
    }
}

fn has_server(folder: &Path) -> Option<Binaries> {
    let all = ["initdb", "postgres"].iter().all(|p| folder.join(p).is_file());
    all.then(|| Binaries { folder: folder.into() })
}

/// `prefix` is a folder and the start of a name; behind it come a version and `/bin`.
fn newest(prefix: &str) -> Option<Binaries> {
    let (parent, start) = prefix.rsplit_once('/')?;
    let mut found: Vec<(u32, Binaries)> = fs::read_dir(parent)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(start)?.parse().ok()?;
            Some((version, has_server(&entry.path().join("bin"))?))
        })
        .collect();
    found.sort_by_key(|(version, _)| *version);
    found.pop().map(|(_, binaries)| binaries)
}

/// An initialised data folder of that version, made once per machine.
fn initialised(binaries: &Binaries, user: Option<User>) -> Result<PathBuf, String> {
    let base = folder::base()?;
    let seed = base.join(format!("postgres-{}", binaries.version()?));
    if seed.is_dir() {
        return Ok(seed);
    }
    let partial = RunFolder::create()?;
    own(partial.path(), user)?;
    let made = partial.path().join("data");
    let initdb = Launch::new("initdb", binaries.program("initdb"), partial.path()).user(user);
    initdb.args(INITDB_ARGS).arg("-D").arg(&made).run()?;
    // Two at once: one rename wins, and the other's folder goes with its run.
    if let Err(e) = fs::rename(&made, &seed)
        && !seed.is_dir()
    {
        return Err(format!("{}: {e}", seed.display()));
    }
    Ok(seed)
}

fn own(path: &Path, user: Option<User>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    user.map_or(Ok(()), |u| chown(path, Some(u.uid), Some(u.gid)).map_err(failed))
}

/// After a `kill -9` the backends of before hold the shared memory for a moment longer, and the server says so and goes.
fn launch_until_ready(launch: &Launch, socket: &Socket) -> Result<Process, String> {
    let mut process = launch.start()?;
    let ready = crate::eventually("PostgreSQL answers", START_LIMIT, || {
        if !process.is_running() {
            let log = process.log_tail();
            if !log.contains("pre-existing shared memory block") && !log.contains("lock file") {
                return Err(format!("PostgreSQL did not start:\n{log}"));
            }
            process = launch.start()?;
        }
        Ok(socket.sql("postgres", "SELECT 1;").ok())
    });
    ready.map_err(|e| format!("{e}\n{}", process.log_tail()))?;
    Ok(process)
}
