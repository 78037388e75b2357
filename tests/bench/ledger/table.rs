//! What was measured, as a table.

use super::costs::PARTS;
use super::load::{Sample, Times, Variant};
use std::fmt::Write as _;

/// One variant's rounds.
pub struct Row {
    pub variant: Variant,
    pub samples: Vec<Sample>,
    /// What the rate of each round is compared with.
    pub yardstick: Vec<f64>,
    /// At half of each round's rate, calls at the same distance.
    pub half: Vec<Times>,
    /// The same, calls at random.
    pub half_random: Vec<Times>,
}

/// Median, least and most.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Range {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
        Self { median: at(values.len() / 2), least: at(0), most: at(values.len().saturating_sub(1)) }
    }
}

impl Row {
    pub const fn new(variant: Variant) -> Self {
        Self {
            variant,
            samples: Vec::new(),
            yardstick: Vec::new(),
            half: Vec::new(),
            half_random: Vec::new(),
        }
    }

    pub fn rate(&self) -> Range {
        Range::of(self.samples.iter().map(|sample| sample.transfers_per_s))
    }

    /// Of the yardstick, round by round.
    pub fn ratio(&self) -> Range {
        Range::of(self.samples.iter().zip(&self.yardstick).map(|(one, of)| one.transfers_per_s / of))
    }

    /// Of another variant's rate, round by round.
    pub fn ratio_to(&self, other: &Self) -> Range {
        let rounds = self.samples.iter().zip(&other.samples);
        Range::of(rounds.map(|(one, other)| one.transfers_per_s / other.transfers_per_s))
    }

    /// Of a call under full load, milliseconds.
    pub fn time(&self, hundredths: usize) -> Range {
        Range::of(self.samples.iter().map(|sample| sample.times.percentile(hundredths)))
    }

    /// The same of rounds under half of it.
    pub fn time_of(rounds: &[Times], hundredths: usize) -> Range {
        Range::of(rounds.iter().map(|times| times.percentile(hundredths)))
    }

    fn cpu(&self, part: usize) -> f64 {
        Range::of(self.samples.iter().filter_map(|sample| sample.cpu.get(part).copied())).median
    }
}

/// The table; `against` is what the ratios are of, if of anything.
pub fn table(rows: &[Row], against: &str) -> String {
    let mut text = String::new();
    let [postgres, ledger, load] = PARTS;
    let _ = writeln!(
        text,
        "{:<40} {:>11} {:>16} {against:>10} {:>14}   {:>8} {:>8}   {:>17}   CPU ms/1,000: {postgres:>8} {ledger:>7} {load:>7}",
        "", "transfers/s", "[min..max]", "[min..max]", "p50 ms", "p99 ms", "half load p50 p99"
    );
    for row in rows {
        let rate = row.rate();
        let _ = write!(
            text,
            "{:<40} {:>11.0} {:>16}",
            row.variant.label,
            rate.median,
            format!("[{:.0}..{:.0}]", rate.least, rate.most)
        );
        if row.yardstick.is_empty() {
            let _ = write!(text, " {:>10} {:>14}", "", "");
        } else {
            let ratio = row.ratio();
            let range = format!("[{:.2}..{:.2}]", ratio.least, ratio.most);
            let _ = write!(text, " {:>10.2} {range:>14}", ratio.median);
        }
        let _ = write!(text, "   {:>8.1} {:>8.1}", row.time(50).median, row.time(99).median);
        if row.half.is_empty() {
            let _ = write!(text, "   {:>17}", "");
        } else {
            let half = format!(
                "{:.1} {:.1}",
                Row::time_of(&row.half, 50).median,
                Row::time_of(&row.half, 99).median
            );
            let _ = write!(text, "   {half:>17}");
        }
        let [postgres, ledger, load] = [row.cpu(0), row.cpu(1), row.cpu(2)];
        let _ = writeln!(text, "   {:>13} {postgres:>8.0} {ledger:>7.0} {load:>7.0}", "");
    }
    text
}
