//! Whether books with many entries are slower than books with few: both on the same PostgreSQL, in turn. The few are made
//! anew in each round, as the load itself would soon make them many.

use super::costs::Costs;
use super::load::{Variant, closed};
use super::options::Options;
use super::orders::Orders;
use super::server::{Kept, Ledger, Settings};
use super::table::{Row, table};
use super::{BY_100, BY_1000, BY_ONE, funded};
use tokio::time::Instant;

const FEW: u64 = 100_000;
/// Of the rate with few entries, at least.
const GOAL: f64 = 0.8;

/// The same with few entries and with many.
const fn pair(few: &'static str, variant: Variant) -> [Variant; 2] {
    [
        Variant { label: few, goal: None, ..variant },
        Variant { label: "  many entries", goal: None, ..variant },
    ]
}

const VARIANTS: [[Variant; 2]; 3] = [
    pair("100 a call, 4 callers, few entries", BY_100),
    pair("1,000 a call, 4 callers, few entries", BY_1000),
    pair("1 a call, 64 callers, few entries", BY_ONE),
];

/// A ledger with a history.
struct Grown {
    ledger: Ledger,
    orders: Orders,
    /// Transfers of the history.
    seeded: u64,
    costs: Costs,
}

pub async fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    println!("scale: filling {} entries", options.entries);
    let began = Instant::now();
    let mut many = Grown::make(settings, "bench-many", options.entries).await?;
    println!("  in {} s", began.elapsed().as_secs());
    let mut rows: [[Row; 2]; 3] = VARIANTS.map(|pair| pair.map(Row::new));
    for round in 1..=options.rounds {
        println!("scale: round {round} of {}", options.rounds);
        let mut few = Grown::make(settings, &format!("bench-few-{round}"), FEW).await?;
        for (n, [of_few, of_many]) in rows.iter_mut().enumerate() {
            // Each goes first every other time.
            if (round + n).is_multiple_of(2) {
                few.measure(of_few, options).await?;
                many.measure(of_many, options).await?;
            } else {
                many.measure(of_many, options).await?;
                few.measure(of_few, options).await?;
            }
            let rate = of_few.samples.last().map_or(f64::NAN, |sample| sample.transfers_per_s);
            of_many.yardstick.push(rate);
        }
        few.ledger.check(few.seeded).await?;
    }
    many.ledger.check(many.seeded).await?;
    let entries = many.ledger.books.entries().await?;
    println!(
        "\nPostgreSQL, {FEW} entries (anew in each round) and {} ({entries} in the end), {} rounds of {} s each; medians\n",
        options.entries, options.rounds, options.seconds
    );
    println!("{}", table(&rows.into_iter().flatten().collect::<Vec<_>>(), "of few"));
    println!("many entries as a share of few   goal: at least {GOAL}\n");
    Ok(())
}

impl Grown {
    async fn make(settings: &Settings, name: &str, entries: u64) -> Result<Self, String> {
        let (mut ledger, orders) = funded(settings, name, Kept::Postgres).await?;
        let seeded = ledger.books.grow(entries).await?;
        let costs = Costs { postmaster: Some(Costs::postmaster()?), ledger: Some(ledger.pid()) };
        Ok(Self { ledger, orders, seeded, costs })
    }

    async fn measure(&self, row: &mut Row, options: &Options) -> Result<(), String> {
        let lasting = options.lasting();
        row.samples.push(closed(&self.ledger, &self.orders, &row.variant, &self.costs, lasting).await?);
        Ok(())
    }
}
