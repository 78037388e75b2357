//! Random transfers and holds by several writers through two processes, while PostgreSQL is killed again and again:
//! afterwards every acknowledged write is there once, every other one whole or not at all, and the books are right.

use crate::calls::{cause, transfer, wallet_side};
use crate::rig::{Base, Ledger, Refusal, Reply, Rig};
use beem_clock::Entropy;
use beem_ledger::LedgerSettings;
use beem_proto::ledger::v1 as wire;
use beem_proto::to_timestamp;
use beem_testkit::postgres::Server;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::Instant;

/// Replays the choices of an earlier run.
const SEED_ENV: &str = "BEEM_CHAOS_SEED";
const WRITERS: u64 = 6;
const WALLETS: usize = 5;
const KILLS: u64 = 5;
/// Cents in every wallet at first.
const START: i128 = 100_000;
/// How long one attempt waits; impatient ones go away in the middle of a commit.
const WAIT: Duration = Duration::from_millis(1_500);
const IMPATIENT_MS: u64 = 60;
/// How long anything that is broken may stay so.
const PATIENCE: Duration = Duration::from_secs(60);

/// A sequence of choices; the same for the same seed.
struct Choices(Entropy);

impl Choices {
    fn below(&self, n: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes::<8>()) % n
    }

    fn index(&self, n: usize) -> usize {
        usize::try_from(self.below(u64::try_from(n).unwrap())).unwrap()
    }
}

/// A write as it can be sent again and again.
#[derive(Clone, Debug)]
enum Write {
    /// Linked transfers: from, to, cents.
    Post {
        key: String,
        moves: Vec<(usize, usize, i128)>,
    },
    Reserve {
        key: String,
        wallet: usize,
        cents: i128,
        expires: bool,
    },
    PostHold {
        key: String,
        hold: usize,
        to: usize,
        cents: i128,
    },
    Void {
        key: String,
        hold: usize,
    },
}

/// What it answered: ids of transfers or of the hold, or the code of a refusal.
type Told = Result<Vec<String>, String>;

/// A hold that a writer placed.
struct Placed {
    id: String,
    key: String,
    wallet: usize,
    cents: i128,
}

struct Scene {
    rig: Rig,
    other: Ledger,
    wallets: Vec<String>,
    acknowledged: AtomicU64,
    end: AtomicBool,
}

struct Writer {
    scene: Arc<Scene>,
    name: String,
    choices: Choices,
    count: u32,
    holds: Vec<Placed>,
    /// With what was told; None: given up on.
    written: Vec<(Write, Option<Told>)>,
}

fn text(cents: i128) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

impl Scene {
    fn process(&self, first: bool) -> &Ledger {
        if first { &self.rig.ledger } else { &self.other }
    }

    fn batches(&self, key: &str, moves: &[(usize, usize, i128)]) -> wire::PostBatchesRequest {
        let transfers = moves.iter().map(|(from, to, cents)| {
            let sides = (wallet_side(&self.wallets[*from]), wallet_side(&self.wallets[*to]));
            wire::Transfer {
                cause: Some(cause("chaos", key)),
                ..transfer(sides.0, sides.1, "USD", &text(*cents))
            }
        });
        wire::PostBatchesRequest { batches: vec![self.rig.batch(key, transfers.collect())] }
    }

    /// Everything that was committed, one transfer or hold a key: how many there are under each cause.
    async fn by_cause(&self, table: &str) -> BTreeMap<String, usize> {
        use beem_database::Sql as _;
        let sql = format!("SELECT cause_id FROM {table}");
        let mut found = BTreeMap::new();
        for row in self.rig.db.read().rows(&sql, vec![]).await.unwrap() {
            *found.entry(row.try_get::<String>("", "cause_id").unwrap()).or_default() += 1;
        }
        found
    }
}

impl Writer {
    async fn write(mut self) -> Self {
        while !self.scene.end.load(Ordering::Relaxed) {
            let write = self.choose();
            let (first, gives_up) = (self.choices.below(2) == 0, self.choices.below(3) == 0);
            let wait = match self.choices.below(3) {
                0 => Duration::from_millis(3 + self.choices.below(IMPATIENT_MS)),
                _ => WAIT,
            };
            let mut told = self.attempt(&write, first, wait).await;
            if told.is_none() && !gives_up {
                told = Some(self.persist(&write).await);
            }
            if let Some(told) = &told {
                self.scene.acknowledged.fetch_add(1, Ordering::Relaxed);
                if let (Write::Reserve { key, wallet, cents, .. }, Ok(ids)) = (&write, told) {
                    let (id, key) = (ids[0].clone(), key.clone());
                    if self.holds.iter().all(|placed| placed.key != key) {
                        self.holds.push(Placed { id, key, wallet: *wallet, cents: *cents });
                    }
                }
            }
            self.written.push((write, told));
            self.scene.rig.clock.advance_ms(3);
        }
        self
    }

    fn choose(&mut self) -> Write {
        self.count += 1;
        let (key, choices) = (format!("{}-{}", self.name, self.count), &self.choices);
        let cents = |most: u64| i128::from(1 + choices.below(most));
        let pair = || {
            let from = choices.index(WALLETS);
            (from, (from + 1 + choices.index(WALLETS - 1)) % WALLETS)
        };
        match choices.below(10) {
            4 | 5 => {
                let (wallet, expires) = (choices.index(WALLETS), choices.below(3) == 0);
                Write::Reserve { key, wallet, cents: cents(20_000), expires }
            }
            n @ 6..=8 if !self.holds.is_empty() => {
                // One of the newest, ended already at times.
                let hold = self.holds.len() - 1 - choices.index(self.holds.len().min(4));
                if n == 8 {
                    return Write::Void { key, hold };
                }
                let Placed { wallet, cents: most, .. } = &self.holds[hold];
                let to = (wallet + 1) % WALLETS;
                Write::PostHold { key, hold, to, cents: cents(u64::try_from(*most).unwrap()) }
            }
            // The same key as before, now and then: it has an answer already.
            9 if !self.written.is_empty() => self.written[choices.index(self.written.len())].0.clone(),
            n => {
                let moves = (0..=n % 3).map(|_| (pair(), cents(30_000)));
                Write::Post { key, moves: moves.map(|((from, to), cents)| (from, to, cents)).collect() }
            }
        }
    }

    /// None: it is not known what became of it.
    async fn attempt(&self, write: &Write, first: bool, wait: Duration) -> Option<Told> {
        let scene = &self.scene;
        let (rig, process) = (&scene.rig, scene.process(first));
        let at = (process, wait);
        match write {
            Write::Post { key, moves } => {
                let method = "/beem.ledger.v1.Postings/PostBatches";
                let reply: Reply<wire::PostBatchesResponse> =
                    ask(at, method, scene.batches(key, moves)).await;
                told(reply.map(|answer| answer.body)).map(|told| {
                    let outcome = told?.outcomes.remove(0);
                    if outcome.refused.is_empty() { Ok(outcome.transfer_ids) } else { Err(outcome.refused) }
                })
            }
            Write::Reserve { key, wallet, cents, expires } => {
                // The same for every attempt: an end that depends on now would be another request.
                let end_ms = 1_800_000_000_000 + i64::from(u32::try_from(*cents).unwrap());
                let asked = wire::ReserveRequest {
                    expires_at: expires.then(|| to_timestamp(end_ms)),
                    ..rig.reserving(key, &scene.wallets[*wallet], &text(*cents))
                };
                let method = "/beem.ledger.v1.Postings/Reserve";
                hold_told(ask(at, method, asked).await)
            }
            Write::PostHold { key, hold, to, cents } => {
                let asked = wire::PostHoldRequest {
                    amount: text(*cents),
                    credit: Some(wallet_side(&scene.wallets[*to])),
                    ..rig.posting(key, &self.holds[*hold].id)
                };
                hold_told(ask(at, "/beem.ledger.v1.Postings/PostHold", asked).await)
            }
            Write::Void { key, hold } => {
                let asked = rig.voiding(key, &self.holds[*hold].id);
                hold_told(ask(at, "/beem.ledger.v1.Postings/VoidHold", asked).await)
            }
        }
    }

    async fn persist(&self, write: &Write) -> Told {
        let began = Instant::now();
        for first in [true, false].into_iter().cycle() {
            if let Some(told) = self.attempt(write, first, WAIT).await {
                return told;
            }
            assert!(began.elapsed() < PATIENCE, "{write:?}: not known in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("it goes on until it is known")
    }
}

async fn ask<Q, A>((process, wait): (&Ledger, Duration), method: &'static str, asked: Q) -> Reply<A>
where
    Q: Message + Clone + 'static,
    A: Message + Default + 'static,
{
    process.impatient(&process.payments, method, asked, wait).await
}

/// Certain, or None. What fails for a reason of ours is a bug even while PostgreSQL is away.
fn told<A>(reply: Result<A, Refusal>) -> Option<Result<A, String>> {
    match reply {
        Ok(body) => Some(Ok(body)),
        Err(refused) if matches!(refused.code(), "unavailable" | "deadline") => None,
        Err(refused) => {
            assert_ne!(refused.code(), "internal", "{:?}", refused.fault);
            Some(Err(refused.code().to_owned()))
        }
    }
}

fn hold_told(reply: Reply<wire::Hold>) -> Option<Told> {
    told(reply.map(|answer| vec![answer.body.id]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_killed_under_transfers_and_holds() {
    let given = std::env::var(SEED_ENV).ok().map(|text| text.parse().unwrap());
    let seed = given.unwrap_or_else(|| u64::from(u32::from_le_bytes(Entropy::System.bytes())));
    println!("{SEED_ENV}={seed}");
    let mut server = block_in_place(|| Server::start().unwrap());
    let url = block_in_place(|| server.fresh_database().unwrap());
    let scene = scene(url).await;
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let writer = Writer {
            scene: Arc::clone(&scene),
            name: format!("w{n}"),
            choices: Choices(Entropy::seeded(seed.wrapping_mul(31).wrapping_add(n))),
            count: 0,
            holds: Vec::new(),
            written: Vec::new(),
        };
        writers.spawn(writer.write());
    }
    torment(&scene, &mut server, &Choices(Entropy::seeded(seed))).await;
    let writers = writers.join_all().await;
    as_told(&scene, &writers).await;
    scene.rig.assert_books().await;
    // Whoever was given up on asks once more, and is told what became of it, or has it done now.
    for writer in &writers {
        for (write, told) in &writer.written {
            let again = writer.persist(write).await;
            assert!(told.as_ref().is_none_or(|told| *told == again), "{write:?}: {told:?}, then {again:?}");
        }
    }
    scene.rig.assert_books().await;
    verified(&scene.rig).await;
}

async fn scene(url: String) -> Arc<Scene> {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start_at(Base::Postgres, url, folder, LedgerSettings::default(), None).await;
    let other = rig.another().await;
    let mut wallets = Vec::new();
    for _ in 0..WALLETS {
        wallets.push(rig.funded("USD", &text(START)).await);
    }
    rig.run_task("ledger-holds");
    other.run_task("ledger-holds");
    let (acknowledged, end) = (AtomicU64::new(0), AtomicBool::new(false));
    Arc::new(Scene { rig, other, wallets, acknowledged, end })
}

async fn torment(scene: &Scene, server: &mut Server, choices: &Choices) {
    for _ in 0..KILLS {
        goes_on(scene, 60 + choices.below(120)).await;
        // Anywhere within a write, not only behind one.
        tokio::time::sleep(Duration::from_millis(choices.below(20))).await;
        println!("kills PostgreSQL after {} writes", scene.acknowledged.load(Ordering::Relaxed));
        block_in_place(|| server.kill());
        tokio::time::sleep(Duration::from_millis(choices.below(400))).await;
        block_in_place(|| server.start_again().unwrap());
    }
    goes_on(scene, 60).await;
    scene.end.store(true, Ordering::Relaxed);
}

async fn goes_on(scene: &Scene, by: u64) {
    let (began, wanted) = (Instant::now(), scene.acknowledged.load(Ordering::Relaxed) + by);
    while scene.acknowledged.load(Ordering::Relaxed) < wanted {
        assert!(began.elapsed() < PATIENCE, "writes do not go on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What is there is what was told, and each wallet has what follows from it.
async fn as_told(scene: &Scene, writers: &[Writer]) {
    let (transfers, holds) = (scene.by_cause("transfers").await, scene.by_cause("holds").await);
    let mut wallets = vec![START; WALLETS];
    let (mut acknowledged, mut unknown) = (0, 0);
    for writer in writers {
        // A key is written once, however often it was sent; what was told last is what was told first.
        let mut keys: BTreeMap<&str, (&Write, Option<&Told>)> = BTreeMap::new();
        for (write, told) in &writer.written {
            let (_, known) = keys.entry(key(write)).or_insert((write, None));
            assert!(
                known.is_none() || told.is_none() || *known == told.as_ref(),
                "{write:?}: {known:?}, {told:?}"
            );
            *known = known.or(told.as_ref());
        }
        for (write, told) in keys.into_values() {
            acknowledged += usize::from(told.is_some());
            unknown += usize::from(told.is_none());
            match write {
                Write::Post { key, moves } => {
                    let there = transfers.get(key).copied().unwrap_or(0);
                    match told {
                        Some(Ok(ids)) => assert_eq!((there, ids.len()), (moves.len(), moves.len()), "{key}"),
                        Some(Err(_)) => assert_eq!(there, 0, "{key} was refused"),
                        None => {
                            assert!(there == 0 || there == moves.len(), "{key} is there in part: {there}")
                        }
                    }
                    if there > 0 {
                        for (from, to, cents) in moves {
                            wallets[*from] -= cents;
                            wallets[*to] += cents;
                        }
                    }
                }
                Write::Reserve { key, .. } => {
                    let there = holds.get(key).copied().unwrap_or(0);
                    match told {
                        Some(told) => assert_eq!(there, usize::from(told.is_ok()), "{key}"),
                        None => assert!(there <= 1, "{key} is there twice"),
                    }
                }
                Write::PostHold { hold, .. } | Write::Void { hold, .. } => {
                    let of = &writer.holds[*hold].key;
                    let state = if matches!(write, Write::Void { .. }) { "VOIDED" } else { "POSTED" };
                    if matches!(told, Some(Ok(_))) {
                        let sql = format!("holds WHERE cause_id = '{of}' AND state = '{state}'");
                        assert_eq!(scene.rig.count(&sql).await, 1, "{of} was {state}");
                    }
                }
            }
        }
        for hold in &writer.holds {
            wallets[hold.wallet] -= posted(scene, hold, &transfers).await;
            wallets[(hold.wallet + 1) % WALLETS] += posted(scene, hold, &transfers).await;
        }
    }
    println!("{acknowledged} writes acknowledged, {unknown} not");
    for (wallet, cents) in scene.wallets.iter().zip(wallets) {
        assert_eq!(scene.rig.balance(wallet).await[0], text(cents), "wallet {wallet}");
    }
}

/// What left the wallet of a hold, which its one transfer says as well.
async fn posted(scene: &Scene, hold: &Placed, transfers: &BTreeMap<String, usize>) -> i128 {
    let asked = wire::ReadHoldRequest { account_id: scene.rig.account(), hold_id: hold.id.clone() };
    let body = scene.rig.read_hold(asked).await.unwrap().body;
    let cents: i128 = body.posted.replace('.', "").parse().unwrap();
    assert!(cents <= hold.cents);
    let there = transfers.get(&hold.key).copied().unwrap_or(0);
    assert_eq!((there, cents > 0), (usize::from(body.state == "POSTED"), body.state == "POSTED"), "{body:?}");
    cents
}

const fn key(write: &Write) -> &str {
    match write {
        Write::Post { key, .. }
        | Write::Reserve { key, .. }
        | Write::PostHold { key, .. }
        | Write::Void { key, .. } => key.as_str(),
    }
}

/// The ledger proves its own books.
async fn verified(rig: &Rig) {
    let mut page_token = String::new();
    loop {
        let asked = wire::VerifyLedgerRequest { page_token, ..wire::VerifyLedgerRequest::default() };
        let page = rig.verify_ledger(asked).await.unwrap().body;
        assert_eq!(page.findings, vec![]);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return;
        }
    }
}
