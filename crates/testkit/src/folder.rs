//! Where servers of tests live, and the sweep of what dead runs left.
//!
//! The name of a run folder starts with the id of the process that made it. A folder whose maker is gone is stale: the
//! processes named by its `*.pid` files are killed, when they still work inside that folder, and it is removed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A Unix socket path has at most 107 bytes; this much of it is left for the temporary folder.
const TEMP_MAX_BYTES: usize = 50;

/// A folder of this run, mode 0755, removed on drop.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// A new folder; the first one of a process sweeps what dead processes left.
    ///
    /// # Errors
    /// When the temporary folder cannot be used.
    pub fn create() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEPT: OnceLock<()> = OnceLock::new();
        let runs = base()?.join("run");
        fs::create_dir_all(&runs).map_err(|e| format!("{}: {e}", runs.display()))?;
        SWEPT.get_or_init(|| sweep(&runs));
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = runs.join(format!("{}-{n}", std::process::id()));
        fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { path })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// `<temp>/beem-testkit-<uid>`: ours alone, and reachable for the `postgres` user (unlike a checkout under `/root`).
///
/// # Errors
/// When it cannot be made, or somebody else made it.
pub fn base() -> Result<PathBuf, String> {
    let uid = crate::process::own_uid()?;
    let temp = std::env::temp_dir();
    let temp = if temp.as_os_str().len() > TEMP_MAX_BYTES { PathBuf::from("/tmp") } else { temp };
    let base = temp.join(format!("beem-testkit-{uid}"));
    fs::create_dir_all(&base).map_err(|e| format!("{}: {e}", base.display()))?;
    let owner = fs::symlink_metadata(&base).map_err(|e| format!("{}: {e}", base.display()))?.uid();
    if owner != uid {
        return Err(format!("{} belongs to user {owner}, not to {uid}", base.display()));
    }
    Ok(base)
}

fn sweep(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|n| n.split('-').next()).and_then(|n| n.parse::<u32>().ok());
        if maker.is_some_and(|pid| !alive(pid)) {
            kill_left_over(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn kill_left_over(folder: &Path) {
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        if file.path().extension().is_none_or(|e| e != "pid") {
            continue;
        }
        let pid = fs::read_to_string(file.path()).ok().and_then(|t| t.trim().parse::<u32>().ok());
        if let Some(pid) = pid.filter(|p| works_in(*p, folder)) {
            crate::process::signal(pid, "KILL");
        }
    }
}

fn alive(pid: u32) -> bool {
    crate::process::signal(pid, "0")
}

/// Ids are used again: only a process that works in the folder, or names it on its command line, is the one meant.
fn works_in(pid: u32, folder: &Path) -> bool {
    if fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder)) {
        return true;
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok().or_else(|| {
        Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output().ok().map(|o| o.stdout)
    });
    let folder = folder.to_string_lossy();
    line.is_some_and(|l| String::from_utf8_lossy(&l).contains(&*folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Launch;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_sweep_ends_what_a_dead_process_left_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let mut short = Command::new("true").spawn().unwrap();
        let dead = short.id();
        short.wait().unwrap();
        let (stale, live) =
            (temp.path().join(format!("{dead}-0")), temp.path().join(format!("{}-9", std::process::id())));
        let mut sleepers = Vec::new();
        for folder in [&stale, &live] {
            fs::create_dir(folder).unwrap();
            sleepers.push(Launch::new("sleeper", "sleep", folder).arg("600").start().unwrap());
        }
        let stranger = Command::new("sleep").arg("600").current_dir("/").spawn().unwrap();
        fs::write(stale.join("reused.pid"), stranger.id().to_string()).unwrap();

        sweep(temp.path());

        assert!(!stale.exists() && live.exists());
        assert_eq!(sleepers[0].wait().unwrap().signal(), Some(9));
        assert!(sleepers[1].is_running());
        assert!(alive(stranger.id()), "a process that only has a reused id was killed");
        let mut stranger = stranger;
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
