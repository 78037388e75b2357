//! Where the CPU time goes: PostgreSQL with all its processes, the ledger, and this program.

use std::fs;

/// Clock ticks a second in `/proc/<pid>/stat`: `USER_HZ`, 100 on every Linux there is.
const TICK_US: u64 = 10_000;

/// Whose CPU time is counted, in the order of [`Costs::spent_us`].
pub const PARTS: [&str; 3] = ["postgres", "ledger", "load"];

/// Processes under measurement; what is not there has spent nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Costs {
    pub postmaster: Option<u32>,
    pub ledger: Option<u32>,
}

impl Costs {
    /// The postmaster of the run's server: the first line of the lock file beside its socket.
    pub fn postmaster() -> Result<u32, String> {
        let folder = std::env::var(beem_testkit::postgres::SHARED_ENV).map_err(|e| e.to_string())?;
        let path = format!("{folder}/.s.PGSQL.5432.lock");
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        pid.ok_or_else(|| format!("{path} names no process"))
    }

    /// So far, microseconds.
    pub fn spent_us(&self) -> Result<[u64; 3], String> {
        let postgres = self.postmaster.map_or(Ok(0), family_us)?;
        let ledger = self.ledger.map_or(Ok(0), |pid| Ok::<_, String>(Spent::of(pid)?.own_us))?;
        Ok([postgres, ledger, Spent::of(std::process::id())?.own_us])
    }

    pub fn since(&self, before: [u64; 3]) -> Result<[u64; 3], String> {
        let mut now = self.spent_us()?;
        for (now, before) in now.iter_mut().zip(before) {
            *now = now.saturating_sub(before);
        }
        Ok(now)
    }
}

/// Of a process, microseconds (proc(5), /proc/PID/stat).
struct Spent {
    parent: u32,
    own_us: u64,
    /// Of children that have ended.
    ended_us: u64,
}

impl Spent {
    fn of(pid: u32) -> Result<Self, String> {
        let path = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        // The second field is a name in parentheses, which may hold anything.
        let fields: Vec<&str> = text.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
        let field = |n: usize| fields.get(n - 3).and_then(|field| field.parse::<u64>().ok());
        let spent = || {
            let parent = u32::try_from(field(4)?).ok()?;
            let own_us = (field(14)? + field(15)?) * TICK_US;
            Some(Self { parent, own_us, ended_us: (field(16)? + field(17)?) * TICK_US })
        };
        spent().ok_or_else(|| format!("{path}: {text}"))
    }
}

/// A process, its children, and those that have ended.
fn family_us(pid: u32) -> Result<u64, String> {
    let own = Spent::of(pid)?;
    let processes = fs::read_dir("/proc").map_err(|e| format!("/proc: {e}"))?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process may end while this looks.
    let children = pids.filter_map(|child| Spent::of(child).ok()).filter(|child| child.parent == pid);
    Ok(own.own_us + own.ended_us + children.map(|child| child.own_us).sum::<u64>())
}
