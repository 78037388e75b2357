//! Load on a ledger: callers that call again as soon as they were answered, and calls that come when they come.

use super::costs::Costs;
use super::orders::{Orders, Size, Spread};
use super::server::Ledger;
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Before a measurement counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// How the ledger is called.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    pub label: &'static str,
    pub size: Size,
    pub callers: usize,
    pub spread: Spread,
    /// Transfers a second for each of pgbench's transactions, at least. With a goal it is also measured at half of the
    /// rate that it came to.
    pub goal: Option<f64>,
}

/// What one round of one variant came to.
#[derive(Clone, Debug)]
pub struct Sample {
    pub transfers_per_s: f64,
    pub times: Times,
    /// CPU of each part, milliseconds for 1,000 transfers.
    pub cpu: [f64; 3],
}

/// What calls took, milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<f64>);

impl Times {
    fn add(&mut self, since: Instant) {
        self.0.push(since.elapsed().as_secs_f64() * 1e3);
    }

    /// The time that so many hundredths of the calls did not exceed.
    pub fn percentile(&self, hundredths: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// Every caller calls again as soon as it was answered.
pub async fn closed(
    ledger: &Ledger,
    orders: &Orders,
    variant: &Variant,
    costs: &Costs,
    lasting: Duration,
) -> Result<Sample, String> {
    let (goes_on, counts) = (Cell::new(true), Cell::new(false));
    let (answered, times) = (Cell::new(0_u64), RefCell::new(Times::default()));
    let caller = async || {
        while goes_on.get() {
            let message = orders.call(variant.size, variant.spread);
            let began = Instant::now();
            ledger.post(message).await?;
            if counts.get() {
                answered.set(answered.get() + 1);
                times.borrow_mut().add(began);
            }
        }
        Ok::<_, String>(())
    };
    let callers: FuturesUnordered<_> = (0..variant.callers).map(|_| caller()).collect();
    let work = async { callers.try_collect::<Vec<()>>().await.map(drop) };
    let watch = async {
        sleep(WARM_UP).await;
        counts.set(true);
        let (began, spent) = (Instant::now(), costs.spent_us()?);
        sleep(lasting).await;
        counts.set(false);
        let (seconds, spent) = (began.elapsed().as_secs_f64(), costs.since(spent)?);
        goes_on.set(false);
        Ok((seconds, spent))
    };
    let ((seconds, spent), ()) = tokio::try_join!(watch, work)?;
    let transfers = as_f64(answered.get()) * as_f64(u64::try_from(variant.size.transfers()).unwrap_or(0));
    if transfers == 0.0 {
        return Err(format!("{}: no call was answered", variant.label));
    }
    // Microseconds for one are milliseconds for 1,000.
    Ok(Sample {
        transfers_per_s: transfers / seconds,
        times: times.into_inner(),
        cpu: spent.map(|us| as_f64(us) / transfers),
    })
}

/// When calls come that do not wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One after the other at the same distance.
    Even,
    /// Independently of each other: a Poisson process, so that some come together.
    Random,
}

/// Calls come at that rate on average, whether earlier ones were answered or not. A call's time counts from when it came,
/// however busy this side is.
pub async fn open(
    ledger: &Ledger,
    orders: &Orders,
    variant: &Variant,
    (transfers_per_s, pace): (f64, Pace),
    lasting: Duration,
) -> Result<Times, String> {
    let calls_per_s = transfers_per_s / as_f64(u64::try_from(variant.size.transfers()).unwrap_or(1));
    let (mut times, began) = (Times::default(), Instant::now());
    let (counted, end) = (began + WARM_UP, began + WARM_UP + lasting);
    let mut running = FuturesUnordered::new();
    let mut next = began;
    loop {
        tokio::select! {
            () = sleep_until(next), if next < end => {
                let came = next;
                running.push(async move {
                    ledger.post(orders.call(variant.size, variant.spread)).await.map(|()| came)
                });
                let pause = match pace {
                    Pace::Even => 1.0,
                    Pace::Random => -orders.chance().ln(),
                };
                next += Duration::from_secs_f64(pause / calls_per_s);
            }
            Some(came) = running.next(), if !running.is_empty() => {
                let came = came?;
                if came >= counted {
                    times.add(came);
                }
            }
            else => return Ok(times),
        }
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts of seconds are far below 2^52"
)]
fn as_f64(n: u64) -> f64 {
    n as f64
}
