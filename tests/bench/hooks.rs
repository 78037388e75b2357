//! `cargo xtask bench hooks`: what delivering webhooks costs. A cluster's own hooks process takes events in from a producer of
//! this program's (the code that every producer has, on a PostgreSQL database of its own) and sends them to receivers here;
//! in turn with a bare loop over `reqwest` that posts bodies of the same size to the same receivers, as many at once, and
//! signs, keeps and retries nothing; and with one that signs, too, since no sender of this contract can do without.

mod bare;
mod house;
mod options;
mod producer;
mod receivers;

use crate::ledger::Range;
use crate::measure::as_f64;
use crate::process::Measured;
use bare::{Loop, bare};
use house::House;
use options::Options;
use receivers::{Receivers, Seen};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Deliveries a second, of the bare loop's requests, at least.
const GOAL: f64 = 0.5;
/// From commit to first attempt at half load, 99 of 100.
const GOAL_P99_MS: f64 = 250.0;
/// What a dead receiver among ten may add to that of the others.
const GOAL_GROWTH: f64 = 1.10;

/// Of a wallet's event.
const BODY_BYTES: usize = 520;

const WARM_UP: Duration = Duration::from_secs(2);

/// How many receivers events go to, each of them to all.
const DESTINATIONS: [usize; 3] = [1, 10, 100];

/// Of one variant, by round.
#[derive(Default)]
struct Row {
    bare: Vec<f64>,
    signing: Vec<f64>,
    delivered: Vec<f64>,
    cpu_ms: Vec<f64>,
    half_p50: Vec<f64>,
    half_p99: Vec<f64>,
}

pub async fn run(words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    let mut rows: Vec<(usize, Row)> = DESTINATIONS
        .into_iter()
        .filter(|n| options.destinations.is_none_or(|only| only == *n))
        .map(|n| (n, Row::default()))
        .collect();
    let (mut healthy, mut beside_dead) = (Vec::new(), Vec::new());
    let mut house = House::start().await?;
    for round in 1..=options.rounds {
        println!("round {round} of {}", options.rounds);
        for (destinations, row) in &mut rows {
            measure(&mut house, *destinations, row, &options).await?;
        }
        if let Some((_, row)) = rows.iter().find(|(n, _)| *n == 10) {
            let half = row.delivered.last().copied().unwrap_or_default() / 2.0;
            // Each goes first every other time.
            for dead in [round % 2 == 0, round % 2 != 0] {
                let p99 = among_ten(&mut house, dead, half, &options).await?;
                if dead { beside_dead.push(p99) } else { healthy.push(p99) }
            }
        }
    }
    print(&rows, &healthy, &beside_dead, &options);
    Ok(())
}

/// The bare loop, the engine as fast as it goes, and the engine at half of that.
async fn measure(house: &mut House, n: usize, row: &mut Row, options: &Options) -> Result<(), String> {
    let receivers = Receivers::start(n)?;
    let lasting = options.lasting();
    let posted = bare(&receivers, Loop::Posts, BODY_BYTES, lasting).await?;
    let signed = bare(&receivers, Loop::signing()?, BODY_BYTES, lasting).await?;
    house.send_to(&receivers.urls()).await?;
    let (rate, cpu_ms) = as_fast_as_it_goes(house, &receivers, lasting).await?;
    receivers.settled().await;
    let seen = at_a_rate(house, &receivers, rate / 2.0, lasting).await?;
    house.forget_hooks().await?;
    row.bare.push(posted);
    row.signing.push(signed);
    row.delivered.push(rate);
    row.cpu_ms.push(cpu_ms);
    row.half_p50.push(seen.percentile(50));
    row.half_p99.push(seen.percentile(99));
    println!(
        "  {n} destinations: bare {posted:.0}/s, signing {signed:.0}/s, delivered {rate:.0}/s, half load p50 {:.1} ms p99 {:.1} ms",
        seen.percentile(50),
        seen.percentile(99)
    );
    Ok(())
}

/// Deliveries a second while there is always something to deliver, and CPU of the hooks process for 1,000 of them, ms.
async fn as_fast_as_it_goes(
    house: &mut House,
    receivers: &Receivers,
    lasting: Duration,
) -> Result<(f64, f64), String> {
    let process = Measured { name: "hooks", pid: house.hooks_pid()? };
    let producer = house.producer();
    let n = receivers.count();
    let backlog = async {
        loop {
            // Events not yet delivered everywhere: enough to be busy with, little enough to be done with soon.
            let ahead = producer.made().saturating_sub(receivers.received() / n);
            if ahead < (4_000 / n).max(200) {
                producer.make(100).await?;
            } else {
                sleep(Duration::from_millis(2)).await;
            }
        }
        #[expect(unreachable_code, reason = "names the error")]
        Ok::<(), String>(())
    };
    producer.begin(receivers.received() / n);
    let watch = async {
        sleep(WARM_UP).await;
        let (began, before) = (Instant::now(), receivers.received());
        let spent = process.cpu_us()?;
        sleep(lasting).await;
        let delivered = receivers.received() - before;
        let spent = process.cpu_us()? - spent;
        let delivered = as_f64(u64::try_from(delivered).unwrap_or(u64::MAX));
        let spent = as_f64(spent);
        Ok::<_, String>((delivered / began.elapsed().as_secs_f64(), spent / delivered))
    };
    tokio::select! {
        failed = backlog => Err(failed.err().unwrap_or_default()),
        watched = watch => watched,
    }
}

/// First attempts at so many deliveries a second, from the commit of their events.
async fn at_a_rate(
    house: &House,
    receivers: &Receivers,
    per_s: f64,
    lasting: Duration,
) -> Result<Seen, String> {
    let producer = house.producer();
    let count = as_f64(u64::try_from(receivers.count()).unwrap_or(1));
    let every = Duration::from_secs_f64(count / per_s);
    let (began, mut made) = (Instant::now(), 0_u32);
    let until = began + WARM_UP + lasting;
    let mut counts = false;
    while Instant::now() < until {
        // Without a pause, which would be made up for by a burst.
        if !counts && began.elapsed() >= WARM_UP {
            receivers.take();
            counts = true;
        }
        // What is owed by now: one, or more when this is behind, each as if it had come in time.
        let due = u32::try_from(began.elapsed().as_nanos() / every.as_nanos().max(1)).unwrap_or(u32::MAX);
        let owed = due.saturating_sub(made).min(100);
        if owed == 0 {
            tokio::time::sleep_until(began + every * (made + 1)).await;
        } else {
            producer.make(owed).await?;
            made += owed;
        }
    }
    receivers.settled().await;
    Ok(receivers.take())
}

/// 99 of 100 first attempts at nine of ten receivers, the tenth being dead or not.
async fn among_ten(house: &mut House, dead: bool, per_s: f64, options: &Options) -> Result<f64, String> {
    let receivers = Receivers::start(9)?;
    let tenth = Receivers::start(1)?;
    let mut urls = receivers.urls();
    urls.extend(if dead { vec![tenth.dead_url()?] } else { tenth.urls() });
    house.send_to(&urls).await?;
    // Of ten, nine are counted.
    let seen = at_a_rate(house, &receivers, per_s * 0.9, options.lasting()).await?;
    house.forget_hooks().await?;
    println!(
        "  {}: p99 {:.1} ms",
        if dead { "one of ten dead" } else { "none of ten dead" },
        seen.percentile(99)
    );
    Ok(seen.percentile(99))
}

fn print(rows: &[(usize, Row)], healthy: &[f64], beside_dead: &[f64], options: &Options) {
    println!(
        "\nPostgreSQL, fsync on, one hooks process, {} rounds of {} s each; medians [least..most]\n",
        options.rounds, options.seconds
    );
    println!(
        "{:>12}  {:>24}  {:>24}  {:>24}  {:>18}  {:>18}  {:>12}  {:>24}  {:>24}",
        "destinations",
        "bare loop/s",
        "one that signs/s",
        "deliveries/s",
        "of the bare loop",
        "of that signing",
        "CPU ms/1,000",
        "half load p50 ms",
        "p99 ms"
    );
    for (n, row) in rows {
        let show = |values: &[f64], digits: usize| {
            let range = Range::of(values.iter().copied());
            format!("{:.digits$} [{:.digits$}..{:.digits$}]", range.median, range.least, range.most)
        };
        let shares =
            |of: &[f64]| row.delivered.iter().zip(of).map(|(one, of)| one / of).collect::<Vec<f64>>();
        println!(
            "{n:>12}  {:>24}  {:>24}  {:>24}  {:>18}  {:>18}  {:>12.0}  {:>24}  {:>24}",
            show(&row.bare, 0),
            show(&row.signing, 0),
            show(&row.delivered, 0),
            show(&shares(&row.bare), 2),
            show(&shares(&row.signing), 2),
            Range::of(row.cpu_ms.iter().copied()).median,
            show(&row.half_p50, 1),
            show(&row.half_p99, 1)
        );
    }
    println!(
        "\ngoals: at least {GOAL} of the bare loop; p99 from commit to first attempt below {GOAL_P99_MS:.0} ms at half load"
    );
    if !healthy.is_empty() {
        let growth = Range::of(beside_dead.iter().zip(healthy).map(|(dead, none)| dead / none));
        println!(
            "one dead receiver among ten: p99 of the others {:.2} times [{:.2}..{:.2}]   goal: at most {GOAL_GROWTH:.2}",
            growth.median, growth.least, growth.most
        );
    }
}
