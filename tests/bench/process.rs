//! What the kernel knows of a process: its CPU time and its memory.

use std::collections::BTreeMap;
use std::fs;

/// Clock ticks a second in `/proc/<pid>/stat`: `USER_HZ`, 100 on every Linux there is.
const TICK_US: u64 = 10_000;

/// A process under measurement.
#[derive(Clone, Debug)]
pub struct Measured {
    /// As the table calls it.
    pub name: &'static str,
    pub pid: u32,
}

impl Measured {
    /// User and system time of all its threads so far, microseconds (proc(5): fields 14 and 15).
    pub fn cpu_us(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/stat", self.pid);
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        // The second field is a name in parentheses, which may hold anything.
        let after_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks = |field: usize| after_name.split(' ').nth(field - 3).and_then(|t| t.parse::<u64>().ok());
        let both = ticks(14).zip(ticks(15)).map(|(user, system)| (user + system) * TICK_US);
        both.ok_or_else(|| format!("{path}: {text}"))
    }

    /// CPU time of each thread so far, nanoseconds (`/proc/<pid>/task/<tid>/schedstat`): for what is too short for ticks.
    /// None where the kernel does not count it.
    pub fn thread_cpu(&self) -> Option<ThreadCpu> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).ok()?;
        let mut threads = BTreeMap::new();
        for task in tasks.flatten() {
            // A thread may end at any time.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let spent_ns = text.split(' ').next()?.parse().ok()?;
            threads.insert(task.file_name().to_str()?.parse().ok()?, spent_ns);
        }
        (!threads.is_empty()).then_some(ThreadCpu(threads))
    }

    /// Resident memory, kilobytes of 1024.
    pub fn resident_kb(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.pid);
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let value = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        value.ok_or_else(|| format!("{path} has no VmRSS"))
    }
}

/// CPU time by thread.
#[derive(Clone, Debug)]
pub struct ThreadCpu(BTreeMap<u32, u64>);

impl ThreadCpu {
    /// What was spent since, microseconds, threads that ended meanwhile left out.
    pub fn us_since(&self, earlier: &Self) -> f64 {
        let spent = |(tid, ns): (&u32, &u64)| ns.saturating_sub(earlier.0.get(tid).copied().unwrap_or(0));
        let spent: u64 = self.0.iter().map(spent).sum();
        std::time::Duration::from_nanos(spent).as_secs_f64() * 1e6
    }
}
