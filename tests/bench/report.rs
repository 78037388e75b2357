//! What was measured, as a table with the goals beside it.

use crate::measure::Sample;
use crate::process::Measured;
use std::fmt::Write;

/// One variant's rounds.
#[derive(Debug)]
pub struct Row {
    pub label: &'static str,
    pub processes: Vec<Measured>,
    pub samples: Vec<Sample>,
}

/// The columns of processes; what is not among them counts under "all" alone.
const PROCESSES: [&str; 3] = ["gateway", "identity", "authz"];

/// The table. The first row is what the others are compared with, round by round.
pub fn table(rows: &[Row]) -> String {
    let first = rows.first().map(|row| row.samples.clone()).unwrap_or_default();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<34} {:>7} {:>16} {:>6}   CPU a request, µs:{:>8} {:>8} {:>8} {:>8}",
        "", "req/s", "[min..max]", "of (a)", "gateway", "identity", "authz", "all"
    );
    for row in rows {
        let rates: Vec<f64> = row.samples.iter().map(|s| s.per_s).collect();
        let ratios = rates.iter().zip(&first).map(|(rate, first)| rate / first.per_s).collect();
        let (least, most) =
            (rates.iter().copied().fold(f64::MAX, f64::min), rates.iter().copied().fold(0.0, f64::max));
        let range = format!("[{least:.0}..{most:.0}]");
        let _ = write!(
            text,
            "{:<34} {:>7.0} {range:>16} {:>6.2} {:>20}",
            row.label,
            median(rates),
            median(ratios),
            ""
        );
        for name in PROCESSES {
            let cell = row.cpu_us(name).map_or_else(|| "-".to_owned(), |us| format!("{us:.0}"));
            let _ = write!(text, " {cell:>8}");
        }
        let all = median(row.samples.iter().map(|s| s.cpu_us.iter().sum()).collect());
        let _ = writeln!(text, " {all:>8.0}");
    }
    text
}

impl Row {
    /// A process's CPU a request, microseconds: the median of the rounds.
    pub fn cpu_us(&self, process: &str) -> Option<f64> {
        self.cpu_us_by_round(process).map(median)
    }

    /// The same in the best round. CPU time grows with whatever else the machine does, as caches are shared: on a busy one
    /// this says more about the process than the median.
    pub fn least_cpu_us(&self, process: &str) -> Option<f64> {
        self.cpu_us_by_round(process)?.into_iter().min_by(f64::total_cmp)
    }

    fn cpu_us_by_round(&self, process: &str) -> Option<Vec<f64>> {
        let at = self.processes.iter().position(|p| p.name == process)?;
        Some(self.samples.iter().filter_map(|s| s.cpu_us.get(at).copied()).collect())
    }

    /// The median rate as a share of another's, round by round.
    pub fn share_of(&self, other: &Self) -> f64 {
        median(self.samples.iter().zip(&other.samples).map(|(one, other)| one.per_s / other.per_s).collect())
    }
}

/// The upper median; not a number of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
