//! Times of many alike requests: their quantiles, and whether two lots of them tell apart what was asked.

use std::fmt;

/// What a two-sample Kolmogorov–Smirnov test exceeds by chance in one of a hundred comparisons, before it is scaled by the
/// sizes of the samples: sqrt(-ln(0.01 / 2) / 2).
const ONE_PERCENT: f64 = 1.628;

/// At least one value, sorted.
#[derive(Clone, Debug)]
pub struct Distribution(Vec<f64>);

impl Distribution {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value below which `percent` of all are; not a number of nothing.
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = self.0.len().saturating_sub(1) * percent / 100;
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The largest difference between the shares of both that are below any one value: 0 for the same, 1 for two that do
    /// not meet.
    pub fn distance(&self, other: &Self) -> f64 {
        let share = |values: &[f64], limit: f64| {
            as_f64(values.partition_point(|v| *v <= limit)) / as_f64(values.len().max(1))
        };
        let limits = self.0.iter().chain(&other.0);
        limits.map(|limit| (share(&self.0, *limit) - share(&other.0, *limit)).abs()).fold(0.0, f64::max)
    }

    /// What [`Distribution::distance`] exceeds in one of a hundred comparisons of samples of the same.
    pub fn threshold(&self, other: &Self) -> f64 {
        let (n, m) = (as_f64(self.count()), as_f64(other.count()));
        ONE_PERCENT * ((n + m) / (n * m)).sqrt()
    }
}

/// In milliseconds, given in microseconds.
impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5}", self.count())?;
        [5, 25, 50, 75, 95].iter().try_for_each(|p| write!(f, " {:>8.3}", self.percentile(*p) / 1000.0))
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts of samples are far below 2^52"
)]
fn as_f64(n: usize) -> f64 {
    n as f64
}
