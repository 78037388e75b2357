//! One child process: its user, its log, its end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a process may take to go after it was asked to.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A user to run as; only root can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// What to start, and how it ends.
#[derive(Clone, Debug)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    folder: PathBuf,
    user: Option<User>,
    on_death: Option<&'static str>,
    stop_signal: &'static str,
}

impl Launch {
    /// `program` working in `folder`, where it gets `<name>.log` (stdout and stderr, appended) and `<name>.pid`.
    #[must_use]
    pub fn new(name: &str, program: impl Into<PathBuf>, folder: &Path) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            envs: Vec::new(),
            folder: folder.into(),
            user: None,
            on_death: None,
            stop_signal: "TERM",
        }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.envs.push((key.into(), value.into()));
        self
    }

    /// Runs as another user, without its groups. For root only.
    #[must_use]
    pub fn user(mut self, user: Option<User>) -> Self {
        self.user = user;
        self
    }

    /// The signal that Linux sends when the **thread** that started the process ends (`PR_SET_PDEATHSIG`), so that
    /// nothing outlives a killed run. Set it only from a main thread, as xtask does: a test's thread ends with its test.
    #[must_use]
    pub fn on_death(mut self, signal: Option<&'static str>) -> Self {
        self.on_death = signal;
        self
    }

    /// What asks it to go: `TERM` unless told.
    #[must_use]
    pub fn stop_signal(mut self, signal: &'static str) -> Self {
        self.stop_signal = signal;
        self
    }

    /// Starts it in a process group of its own, so that a Ctrl-C reaches only us.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> Result<Process, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", self.program.display());
        let log = self.folder.join(format!("{}.log", self.name));
        let out = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let child = self
            .command()
            .args(&self.args)
            .envs(self.envs.iter().map(|(k, v)| (k, v)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(failed)?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let pid_file = self.folder.join(format!("{}.pid", self.name));
        fs::write(&pid_file, child.id().to_string()).map_err(failed)?;
        Ok(Process { name: self.name.clone(), child, log, pid_file, stop_signal: self.stop_signal })
    }

    /// The same once, to its end, with its output as the error's text.
    ///
    /// # Errors
    /// When it cannot be started or does not end well.
    pub fn run(&self) -> Result<String, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", self.program.display());
        let output = self
            .command()
            .args(&self.args)
            .envs(self.envs.iter().map(|(k, v)| (k, v)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        Err(format!("{}: {}\n{text}{}", self.name, output.status, String::from_utf8_lossy(&output.stderr)))
    }

    /// `setpriv` from util-linux changes user and sets the death signal, then becomes the program: the id stays.
    fn command(&self) -> Command {
        let Some(setpriv) =
            find_in_path("setpriv").filter(|_| self.user.is_some() || self.on_death.is_some())
        else {
            let mut command = Command::new(&self.program);
            if let Some(user) = self.user {
                command.uid(user.uid).gid(user.gid);
            }
            return command;
        };
        let mut command = Command::new(setpriv);
        if let Some(user) = self.user {
            command
                .arg(format!("--reuid={}", user.uid))
                .arg(format!("--regid={}", user.gid))
                .arg("--clear-groups");
        }
        if let Some(signal) = self.on_death {
            command.arg("--pdeathsig").arg(signal);
        }
        command.arg("--").arg(&self.program);
        command
    }
}

/// A running child; asked to stop on drop, then killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    pid_file: PathBuf,
    stop_signal: &'static str,
}

impl Process {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its stdout and stderr go.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log, for errors.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).map(|t| String::from_utf8_lossy(&t).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(20)).fold(String::new(), |all, l| all + l + "\n")
    }

    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by name (`TERM`, `INT`, `STOP`, `CONT`); false when it is gone.
    pub fn signal(&mut self, name: &str) -> bool {
        self.is_running() && signal(self.pid(), name)
    }

    /// `kill -9`, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.wait();
    }

    /// Asks it to stop and waits.
    ///
    /// # Errors
    /// When it had not gone after 20 s; then it was killed.
    pub fn stop(&mut self) -> Result<ExitStatus, String> {
        self.signal(self.stop_signal);
        let what = format!("{} stops", self.name);
        let gone = crate::eventually(&what, STOP_LIMIT, || self.child.try_wait().map_err(|e| e.to_string()));
        gone.inspect(|_| {
            let _ = fs::remove_file(&self.pid_file);
        })
        .inspect_err(|_| self.kill())
    }

    /// Waits for its end, however long.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn wait(&mut self) -> Result<ExitStatus, String> {
        let status = self.child.wait().map_err(|e| format!("{}: {e}", self.name))?;
        let _ = fs::remove_file(&self.pid_file);
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = self.stop();
        }
    }
}

/// Sends a signal by name, `0` only asks; false when there is no such process of ours. Through the shell, because std
/// has nothing but KILL and a `kill` program is not everywhere.
pub fn signal(pid: u32, name: &str) -> bool {
    let done = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid} 2>/dev/null")).status();
    done.is_ok_and(|s| s.success())
}

/// The id of the user who runs this.
///
/// # Errors
/// When `id` cannot be run.
pub fn own_uid() -> Result<u32, String> {
    id_of(&["-u"])
}

/// Whom a server that refuses to be root runs as: `name` when we are root, else us.
///
/// # Errors
/// When we are root and there is no such user.
pub fn user_for(name: &str) -> Result<Option<User>, String> {
    if own_uid()? != 0 {
        return Ok(None);
    }
    Ok(Some(User { uid: id_of(&["-u", name])?, gid: id_of(&["-g", name])? }))
}

fn id_of(args: &[&str]) -> Result<u32, String> {
    let output = Command::new("id").args(args).output().map_err(|e| format!("id: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| format!("id {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)))
}

/// The full path of a program in PATH.
#[must_use]
pub fn find_in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
