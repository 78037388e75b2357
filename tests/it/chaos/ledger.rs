//! `kill -9` of ledger processes and of PostgreSQL while money moves: two processes on one database. Afterwards every write
//! that was acknowledged is there once, none twice, each key has one outcome for ever, and the books prove themselves.

use super::kills::SEED_ENV;
use super::ledger_books::{Outcome, Sums, TwoLedgers, Wallets};
use super::ledger_workers::{Converter, Poster, persist};
use super::trying::within;
use super::writers::{Choices, Course};
use crate::ledger::books::{Inside, Purse, minor};
use beem_clock::Entropy;
use futures::StreamExt as _;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::{JoinSet, block_in_place};

const POSTERS: u64 = 8;
const CONVERTERS: u64 = 2;
/// Between two kills.
const PROGRESS: Duration = Duration::from_secs(30);

/// Two that are always the same and one that never is; or the one to be replayed.
fn seeds() -> Vec<u64> {
    match std::env::var(SEED_ENV).ok() {
        Some(text) => vec![text.parse().unwrap()],
        None => vec![1, 2, u64::from(u32::from_le_bytes(Entropy::System.bytes()))],
    }
}

async fn torment(ledgers: &mut TwoLedgers, choices: &Choices, course: &Course) {
    let mut victims = vec!["ledger", "ledger-2", "postgres", "both"];
    while !victims.is_empty() {
        let victim = victims.swap_remove(choices.index(victims.len()));
        let wanted = course.acknowledged.load(Ordering::Relaxed) + 25 + choices.below(50);
        within(PROGRESS, &format!("writes go on before {victim} is killed"), || async {
            (course.acknowledged.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
        // Anywhere within a write, not only behind one.
        tokio::time::sleep(Duration::from_millis(choices.below(20))).await;
        block_in_place(|| {
            println!("kills {victim} after {} writes", course.acknowledged.load(Ordering::Relaxed));
            ledgers.kill(victim);
        });
        tokio::time::sleep(Duration::from_millis(choices.below(200))).await;
        block_in_place(|| ledgers.start_again(victim));
    }
    let wanted = course.acknowledged.load(Ordering::Relaxed) + 30;
    within(PROGRESS, "writes go on after the last kill", || async {
        (course.acknowledged.load(Ordering::Relaxed) >= wanted).then_some(())
    })
    .await;
    course.end.store(true, Ordering::Relaxed);
}

/// What was left open is decided under its key, and every key has the outcome it had.
async fn look_after(posters: Vec<Poster>, payments: &[Inside; 2], sums: &mut Sums) {
    for poster in posters {
        let (mut done, open) = (poster.done, poster.open);
        println!("{} outcomes, {} left open", done.len(), open.len());
        for deed in open {
            let outcome = persist(&deed, payments).await;
            done.push((deed, outcome));
        }
        let again = futures::stream::iter(&done).map(|(deed, outcome)| async move {
            assert_eq!(&persist(deed, payments).await, outcome, "{deed:?}");
        });
        again.buffer_unordered(64).collect::<Vec<()>>().await;
        for (deed, _) in done.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Done(_))) {
            sums.add(deed);
        }
    }
}

/// The books say what everybody was told.
async fn compare(purse: &Purse, wallets: &Wallets, sums: &Sums) {
    for wallet in wallets.all() {
        let balance = purse.balance(wallet).await;
        let seen = (minor(&balance.total), minor(&balance.reserved));
        assert_eq!(seen, (sums.total[wallet], sums.reserved[wallet]), "{wallet}");
        assert_eq!(minor(&balance.available), seen.0 - seen.1);
        let rows = purse.export(wallet).await;
        assert_eq!(rows[1..].iter().map(|row| minor(&row[3])).sum::<i128>(), seen.0, "{wallet}");
        let mut moved: BTreeMap<(String, String), usize> = BTreeMap::new();
        // Reference of a transfer, or the quote that made it; charged holds and the first credit are not counted.
        for row in rows[1..].iter().filter(|row| row[2] != "PAYMENT_OUT" && row[10] != "credit") {
            let reference = if row[10] == "quote" { &row[11] } else { &row[9] };
            *moved.entry((wallet.clone(), reference.clone())).or_default() += 1;
        }
        let wanted: BTreeMap<_, _> =
            sums.moved.iter().filter(|((at, _), _)| at == wallet).map(|(k, v)| (k.clone(), *v)).collect();
        assert_eq!(moved, wanted, "each of them as often as it was told, in {wallet}");
    }
}

async fn kill_while_money_moves(ledgers: &mut TwoLedgers, seed: u64) {
    println!("{SEED_ENV}={seed}");
    let main = ledgers.installation.main.clone();
    let purses: Vec<Purse> = ledgers.installation.everywhere(&main).into_iter().map(Purse).collect();
    let (wallets, payments) = (Wallets::open(&purses[0]).await, ledgers.payments());
    let (choices, course) = (Choices::new(seed), Course::default());
    // The same seed may run twice on one installation.
    let run = beem_tests::forge::unique();
    let (mut posters, mut converters) = (JoinSet::new(), JoinSet::new());
    for n in 0..POSTERS {
        let poster = Poster::new(&format!("{run}:p{n}"), seed.wrapping_mul(31).wrapping_add(n), &wallets);
        posters.spawn(poster.work(payments.clone(), course.clone()));
    }
    for n in 0..CONVERTERS {
        let seed = seed.wrapping_mul(37).wrapping_add(n);
        let converter = Converter::new(&format!("{run}:c{n}"), seed, &wallets, &purses);
        converters.spawn(converter.work(course.clone()));
    }
    torment(ledgers, &choices, &course).await;
    let (posters, converters) = (posters.join_all().await, converters.join_all().await);
    ledgers.all_run();
    let mut sums = Sums::of(&wallets);
    look_after(posters, &payments, &mut sums).await;
    for mut converter in converters {
        converter.look_after(&mut sums).await;
    }
    compare(&purses[0], &wallets, &sums).await;
    let said = block_in_place(|| ledgers.installation.cluster.admin(&["verify-ledger"])).unwrap();
    assert!(said.contains(" 0 findings"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clustered_kill_9_of_ledgers_and_postgres_while_money_moves() {
    let mut ledgers = TwoLedgers::start();
    for seed in seeds() {
        kill_while_money_moves(&mut ledgers, seed).await;
    }
}
