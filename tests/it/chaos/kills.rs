//! `kill -9` of any process while several writers write: afterwards every acknowledged write is there exactly once, every
//! other one is whole or absent, every saga has ended, and the services agree.

use super::installation::{House, Installation};
use super::trying::within;
use super::writers::{Choices, Course, Writer, there_before, verify};
use beem_clock::Entropy;
use beem_tests::Rig;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::{JoinSet, block_in_place};

/// Replays the choices of an earlier run.
pub const SEED_ENV: &str = "BEEM_CHAOS_SEED";
const WRITERS: u64 = 4;
/// Writes between two kills go on for as long as a killed identity's leases last.
const PROGRESS: Duration = Duration::from_secs(60);

pub fn seed() -> u64 {
    let given = std::env::var(SEED_ENV).ok().map(|text| text.parse().unwrap());
    given.unwrap_or_else(|| u64::from(u32::from_le_bytes(Entropy::System.bytes())))
}

/// Kills every victim once, in an order and at moments that the seed chooses, while somebody writes.
pub async fn torment(house: &mut House, mut victims: Vec<&'static str>, choices: &Choices, course: &Course) {
    while !victims.is_empty() {
        let victim = victims.swap_remove(choices.index(victims.len()));
        let so_far = course.acknowledged.load(Ordering::Relaxed);
        let wanted = so_far + 8 + choices.below(16);
        within(PROGRESS, &format!("writes go on before {victim} is killed"), || async {
            (course.acknowledged.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
        // Anywhere within a write, not only behind one.
        tokio::time::sleep(Duration::from_millis(choices.below(20))).await;
        block_in_place(|| {
            println!("kills {victim} after {} writes", course.acknowledged.load(Ordering::Relaxed));
            house.kill(victim);
        });
        tokio::time::sleep(Duration::from_millis(choices.below(500))).await;
        block_in_place(|| house.start_again(victim));
    }
    let wanted = course.acknowledged.load(Ordering::Relaxed) + 8;
    within(PROGRESS, "writes go on after the last kill", || async {
        (course.acknowledged.load(Ordering::Relaxed) >= wanted).then_some(())
    })
    .await;
    course.end.store(true, Ordering::Relaxed);
}

async fn kill_each(mut house: House) {
    let seed = seed();
    println!("{SEED_ENV}={seed}");
    let (choices, course) = (Choices::new(seed), Course::default());
    let before = there_before(&house).await;
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let writer = Writer::new(&house, &format!("w{n}"), seed.wrapping_mul(31).wrapping_add(n));
        writers.spawn(writer.write(course.clone()));
    }
    let victims = house.victims();
    torment(&mut house, victims, &choices, &course).await;
    let writers = writers.join_all().await;
    house.all_run();
    verify(&house, writers, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clustered_kill_9_of_any_process_during_writes() {
    kill_each(House::Clustered(Box::new(Installation::start(&[])))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_kill_9_during_writes() {
    kill_each(House::Embedded(Box::new(Rig::start_embedded(&[])))).await;
}
