//! One measurement: workers that send their next request as soon as the last was answered, watched for a while.

use crate::process::Measured;
use futures::TryStreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use std::cell::Cell;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Before a measurement counts: connections are opened, caches filled, what was left over ends.
const WARM_UP: Duration = Duration::from_millis(400);

/// Requests in flight.
pub const WORKERS: usize = 16;

/// What workers and watcher share.
#[derive(Debug, Default)]
pub struct Meter {
    answered: Cell<u64>,
    ended: Cell<bool>,
}

impl Meter {
    pub fn count(&self) {
        self.answered.set(self.answered.get() + 1);
    }

    pub fn goes_on(&self) -> bool {
        !self.ended.get()
    }
}

/// What one round of one variant came to.
#[derive(Clone, Debug)]
pub struct Sample {
    pub per_s: f64,
    /// CPU a request, microseconds, by process in the order asked for.
    pub cpu_us: Vec<f64>,
}

/// Lets the workers run for `lasting`, after a warm-up; they end when the meter says so.
pub async fn sample(
    meter: &Meter,
    workers: FuturesUnordered<LocalBoxFuture<'_, Result<(), String>>>,
    processes: &[Measured],
    lasting: Duration,
) -> Result<Sample, String> {
    let work = async { workers.try_collect::<Vec<()>>().await.map(drop) };
    let watch = async {
        sleep(WARM_UP).await;
        let (began, answered, spent) = (Instant::now(), meter.answered.get(), cpu_us(processes)?);
        sleep(lasting).await;
        let (seconds, answered) = (began.elapsed().as_secs_f64(), meter.answered.get() - answered);
        let spent = cpu_us(processes)?.into_iter().zip(spent).map(|(after, before)| after - before);
        meter.ended.set(true);
        if answered == 0 {
            return Err("no request was answered".to_owned());
        }
        let answered = as_f64(answered);
        let cpu_us = spent.map(|us| as_f64(us) / answered).collect();
        Ok(Sample { per_s: answered / seconds, cpu_us })
    };
    tokio::try_join!(watch, work).map(|(sample, ())| sample)
}

fn cpu_us(processes: &[Measured]) -> Result<Vec<u64>, String> {
    processes.iter().map(Measured::cpu_us).collect()
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts of seconds are far below 2^52"
)]
pub fn as_f64(n: u64) -> f64 {
    n as f64
}
