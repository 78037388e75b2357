//! What an account of 100,000 users and clients costs beside one of 100: the same requests, one at a time, to two
//! installations of one shape in turn, so that whatever else the machine does meets both alike.

use crate::distribution::Distribution;
use crate::installation::{Installation, Operation, PEOPLE};
use crate::setting;
use argon2::{Algorithm, Argon2, Params, Version};
use beem_tests::Rig;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SMALL: usize = 100;

/// Requests of one kind to each installation in a round: no more than the small one has users in bulk, so that none of
/// them comes twice while it is warm.
const REQUESTS: usize = 34;

/// Requests of one kind before those that count, where a cache is to be warm.
const WARM_UP: usize = 2;

/// Sign-ins at each installation in a round.
const SIGN_INS: usize = PEOPLE / 2;

/// First steps of each of them: fewer than make the next one wait.
const PASSWORDS: usize = 3;

/// Longer than anything is cached.
const CACHED: Duration = Duration::from_millis(1_100);

const SETTINGS: [(&str, &str); 3] = [
    ("BEEM__GATEWAY__TRUSTED_PROXIES", "[\"127.0.0.1/32\"]"),
    // What is cold has to become cold again: nothing is cached for longer than a second.
    ("BEEM__GATEWAY__CREDENTIALS_KEPT_S", "1"),
    ("BEEM__AUTHZ__ENTRY_LIFE_S", "1"),
];

/// What was measured of one kind of request, microseconds by round.
struct Row {
    label: &'static str,
    small: Vec<Vec<f64>>,
    large: Vec<Vec<f64>>,
}

pub async fn run() -> Result<(), String> {
    pair("embedded, SQLite", || Rig::start_embedded(&SETTINGS)).await?;
    pair("clustered, PostgreSQL", || Rig::start_clustered(&SETTINGS)).await
}

async fn pair(shape: &str, start: impl Fn() -> Rig) -> Result<(), String> {
    let rounds: usize = setting("BEEM_BENCH_ROUNDS", 6)?;
    let most: usize = setting("BEEM_BENCH_PRINCIPALS", 100_000)?;
    println!("{shape}: filling {SMALL} and {most}");
    let sessions = rounds * REQUESTS;
    let (small, large) = (start(), start());
    let mut large = Installation::fill(large, most, sessions).await?;
    let mut small = Installation::fill(small, SMALL, sessions).await?;
    let operations: Vec<Operation> = Operation::ALL.into_iter().filter(|o| small.serves(*o)).collect();
    let mut rows: Vec<Row> = operations.iter().map(|o| Row::new(o.label())).collect();
    let mut steps = ["SignIn", "SignIn less one argon2", "PassSecondFactor"].map(Row::new);
    let mut argon2_us = Vec::new();
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        for (operation, row) in operations.iter().zip(&mut rows) {
            row.measure(*operation, &mut small, &mut large).await?;
        }
        argon2_us.push(sign_ins(&mut steps, &mut small, &mut large).await?);
    }
    rows.extend(steps);
    println!(
        "\n{shape}: {SMALL} and {most} users and clients in one account, one request at a time, {rounds} rounds\n"
    );
    println!("{}", table(&rows, most));
    println!(
        "one argon2id of 19 MiB, on this side: {:.3} ms\n",
        Distribution::of(argon2_us).median() / 1000.0
    );
    Ok(())
}

/// A round of sign-ins, and of argon2 beside them: its median, microseconds.
async fn sign_ins(
    [sign_in, less, pass]: &mut [Row; 3],
    small: &mut Installation,
    large: &mut Installation,
) -> Result<f64, String> {
    let (mut first, mut second) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let mut argon2 = Vec::new();
    for _ in 0..SIGN_INS {
        for _ in 0..PASSWORDS {
            push(&mut first, [small.time_password().await?, large.time_password().await?]);
            argon2.push(one_argon2()?);
        }
        push(&mut second, [small.time_second_factor().await?, large.time_second_factor().await?]);
    }
    let argon2 = Distribution::of(argon2).median();
    less.add(first.clone().map(|times| times.into_iter().map(|us| us - argon2).collect()));
    sign_in.add(first);
    pass.add(second);
    Ok(argon2)
}

fn push(to: &mut [Vec<f64>; 2], times: [f64; 2]) {
    to.iter_mut().zip(times).for_each(|(to, us)| to.push(us));
}

/// What a sign-in computes, whoever it is: argon2id, 19,456 KiB, two passes, one lane. Microseconds.
fn one_argon2() -> Result<f64, String> {
    let params = Params::new(19_456, 2, 1, None).map_err(|e| e.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let began = Instant::now();
    let mut hash = [0; 32];
    argon2.hash_password_into(b"correct horse battery", &[7; 16], &mut hash).map_err(|e| e.to_string())?;
    Ok(began.elapsed().as_secs_f64() * 1e6)
}

impl Row {
    fn new(label: &'static str) -> Self {
        Self { label, small: Vec::new(), large: Vec::new() }
    }

    /// One round.
    async fn measure(
        &mut self,
        operation: Operation,
        small: &mut Installation,
        large: &mut Installation,
    ) -> Result<(), String> {
        if operation.is_cold() {
            sleep(CACHED).await;
        } else {
            for _ in 0..WARM_UP {
                small.time(operation).await?;
                large.time(operation).await?;
            }
        }
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..REQUESTS {
            push(&mut times, [small.time(operation).await?, large.time(operation).await?]);
        }
        self.add(times);
        Ok(())
    }

    /// A round of both.
    fn add(&mut self, [small, large]: [Vec<f64>; 2]) {
        self.small.push(small);
        self.large.push(large);
    }

    /// The medians of the large installation as multiples of the small one's, round by round.
    fn ratios(&self) -> Distribution {
        let median = |values: &Vec<f64>| Distribution::of(values.clone()).median();
        let pairs = self.small.iter().zip(&self.large);
        Distribution::of(pairs.map(|(small, large)| median(large) / median(small)).collect())
    }
}

fn table(rows: &[Row], most: usize) -> String {
    let mut text = format!(
        "{:<32} {:>20} {:>20} {:>16} {:>16} {:>14}\n",
        "ms",
        format!("{SMALL}: p50, p95"),
        format!("{most}: p50, p95"),
        "ratio of p50",
        "[min..max]",
        "difference"
    );
    for row in rows {
        let [small, large] = [&row.small, &row.large].map(|rounds| Distribution::of(rounds.concat()));
        let ratios = row.ratios();
        let shown =
            |d: &Distribution| format!("{:.3} {:>8.3}", d.median() / 1000.0, d.percentile(95) / 1000.0);
        let range = format!("[{:.2}..{:.2}]", ratios.percentile(0), ratios.percentile(100));
        let _ = writeln!(
            text,
            "{:<32} {:>20} {:>20} {:>16.2} {range:>16} {:>+14.3}",
            row.label,
            shown(&small),
            shown(&large),
            ratios.median(),
            (large.median() - small.median()) / 1000.0
        );
    }
    text
}
