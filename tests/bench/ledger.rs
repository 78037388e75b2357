//! `cargo xtask bench ledger`: what transfers cost. One `beem` process serves the ledger as in a cluster; this program calls
//! PostBatches as another service would. On PostgreSQL in turn with `pgbench` on the same server, so that whatever else the
//! machine does meets both alike; on SQLite; and on PostgreSQL with few and with many entries, in turn.

mod books;
mod costs;
mod load;
mod options;
mod orders;
mod pgbench;
mod server;
mod size;
mod table;

use costs::Costs;
use load::{Pace, Variant, closed, open};
use options::{Options, Part};
use orders::{Orders, Size, Spread};
use pgbench::Pgbench;
use server::{Kept, Ledger, Settings};
pub use table::Range;
use table::{Row, table};

/// Transfers a second for each of pgbench's transactions, at least.
const GOAL_100: f64 = 4.0;
const GOAL_1000: f64 = 5.0;
const GOAL_SINGLE: f64 = 2.0;
/// 99 of 100 calls at half load, milliseconds.
const GOAL_P99_MS: f64 = 100.0;

const HUNDRED: Size = Size { batches: 100, linked: 1 };
const THOUSAND: Size = Size { batches: 1_000, linked: 1 };
const SINGLE: Size = Size { batches: 1, linked: 1 };
const LINKED: Size = Size { batches: 1, linked: 100 };

/// Between any wallets.
const fn variant(label: &'static str, size: Size, callers: usize, goal: Option<f64>) -> Variant {
    Variant { label, size, callers, spread: Spread::Uniform, goal }
}

/// The same to ten wallets.
const fn hot(variant: Variant) -> Variant {
    Variant { label: "  to ten wallets", spread: Spread::ToHot, goal: None, ..variant }
}

const BY_100: Variant = variant("100 a call, 4 callers", HUNDRED, 4, Some(GOAL_100));
const BY_1000: Variant = variant("1,000 a call, 4 callers", THOUSAND, 4, Some(GOAL_1000));
const BY_ONE: Variant = variant("1 a call, 64 callers", SINGLE, 64, Some(GOAL_SINGLE));

const VARIANTS: [Variant; 9] = [
    BY_100,
    hot(BY_100),
    BY_1000,
    hot(BY_1000),
    BY_ONE,
    hot(BY_ONE),
    variant("100 a call, 2 callers", HUNDRED, 2, None),
    variant("1,000 a call, 2 callers", THOUSAND, 2, None),
    variant("100 linked under one key, 4 callers", LINKED, 4, None),
];

pub async fn run(words: &[&str]) -> Result<(), String> {
    let options = Options::parse(words)?;
    let settings = Settings::make()?;
    if options.includes(Part::Postgres) {
        postgres(&settings, &options).await?;
    }
    if options.includes(Part::Sqlite) {
        sqlite(&settings, &options).await?;
    }
    if options.includes(Part::Scale) {
        size::run(&settings, &options).await?;
    }
    Ok(())
}

/// A ledger with its wallets, each with something in it.
async fn funded(settings: &Settings, name: &str, kept: Kept) -> Result<(Ledger, Orders), String> {
    let mut ledger = Ledger::start(settings, name, kept).await?;
    let orders = Orders::new(ledger.books.open_wallets().await?);
    for call in orders.funding() {
        ledger.post(call).await?;
    }
    ledger.books.settle().await?;
    Ok((ledger, orders))
}

async fn postgres(settings: &Settings, options: &Options) -> Result<(), String> {
    println!("PostgreSQL: filling");
    let (mut ledger, orders) = funded(settings, "bench", Kept::Postgres).await?;
    let pgbench = Pgbench::fill().await?;
    let costs = Costs { postmaster: Some(Costs::postmaster()?), ledger: Some(ledger.pid()) };
    let mut rows = rows(options);
    let mut runs = Vec::new();
    for round in 1..=options.rounds {
        println!("PostgreSQL: round {round} of {}", options.rounds);
        // Before and after: what the machine is worth in this round.
        let before = pgbench.run(options.seconds, &costs).await?;
        measure(&ledger, &orders, &mut rows, &costs, options).await?;
        let after = pgbench.run(options.seconds, &costs).await?;
        let tps = f64::midpoint(before.tps, after.tps);
        rows.iter_mut().for_each(|row| row.yardstick.push(tps));
        runs.extend([before, after]);
    }
    ledger.check(0).await?;
    let tps = Range::of(runs.iter().map(|run| run.tps));
    println!(
        "\nPostgreSQL, fsync on, 10,000 wallets, {} rounds of {} s each; medians, ratios round by round\n",
        options.rounds, options.seconds
    );
    println!(
        "pgbench, {} clients, scale 10, prepared: {:.0} tps [{:.0}..{:.0}], PostgreSQL's CPU {:.0} ms for 1,000\n",
        pgbench::CLIENTS,
        tps.median,
        tps.least,
        tps.most,
        Range::of(runs.iter().map(|run| run.postgres)).median
    );
    println!("{}", table(&rows, "of pgbench"));
    goals(&rows);
    Ok(())
}

async fn sqlite(settings: &Settings, options: &Options) -> Result<(), String> {
    println!("SQLite: filling");
    let (mut ledger, orders) = funded(settings, "bench-sqlite", Kept::Sqlite).await?;
    let costs = Costs { postmaster: None, ledger: Some(ledger.pid()) };
    let mut rows = rows(options);
    for round in 1..=options.rounds {
        println!("SQLite: round {round} of {}", options.rounds);
        measure(&ledger, &orders, &mut rows, &costs, options).await?;
    }
    ledger.check(0).await?;
    println!("\nSQLite, 10,000 wallets, {} rounds of {} s each; medians\n", options.rounds, options.seconds);
    println!("{}", table(&rows, ""));
    compared(&rows);
    Ok(())
}

/// One round of all variants.
async fn measure(
    ledger: &Ledger,
    orders: &Orders,
    rows: &mut [Row],
    costs: &Costs,
    options: &Options,
) -> Result<(), String> {
    for row in rows {
        let sample = closed(ledger, orders, &row.variant, costs, options.lasting()).await?;
        if row.variant.goal.is_some() {
            let half = sample.transfers_per_s / 2.0;
            for (pace, times) in [(Pace::Even, &mut row.half), (Pace::Random, &mut row.half_random)] {
                times.push(open(ledger, orders, &row.variant, (half, pace), options.lasting()).await?);
            }
        }
        row.samples.push(sample);
    }
    Ok(())
}

fn rows(options: &Options) -> Vec<Row> {
    let wanted = VARIANTS.into_iter().zip(1..).filter(|(_, n)| options.variant.is_none_or(|only| only == *n));
    wanted.map(|(variant, _)| Row::new(variant)).collect()
}

fn goals(rows: &[Row]) {
    for row in rows {
        if let Some(goal) = row.variant.goal {
            let ratio = row.ratio();
            println!(
                "{:<40} {:>6.2} times pgbench [{:.2}..{:.2}]   goal: at least {goal}",
                row.variant.label, ratio.median, ratio.least, ratio.most
            );
        }
    }
    compared(rows);
}

/// What each variant is at half load, and beside the one that goes to ten wallets.
fn compared(rows: &[Row]) {
    for (n, row) in rows.iter().enumerate().filter(|(_, row)| row.variant.goal.is_some()) {
        let (p99, random) = (Row::time_of(&row.half, 99), Row::time_of(&row.half_random, 99));
        println!(
            "{:<40} {:>6.1} ms p99 at half load [{:.1}..{:.1}]   goal: below {GOAL_P99_MS:.0}; {:.1} when calls come at random",
            row.variant.label, p99.median, p99.least, p99.most, random.median
        );
        if let Some(hot) = rows.get(n + 1).filter(|next| next.variant.spread == Spread::ToHot) {
            let ratio = hot.ratio_to(row);
            println!(
                "{:<40} {:>6.2} times as fast to ten wallets [{:.2}..{:.2}]   goal: at least 1",
                row.variant.label, ratio.median, ratio.least, ratio.most
            );
        }
    }
    println!();
}
