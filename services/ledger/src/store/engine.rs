//! Orders over the tables: lock what they touch, decide in the book, save what has changed. All in the caller's transaction:
//! a group of jobs each under its effect key, or one order inside a claim of its own.

use super::bulk;
use crate::domain::{Book, Changes, Order};
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_database::claims::effects::{self, Settled};
use beem_fault::{Code, Fault, Result};
use beem_ids::{HoldId, LedgerAccountId};
use std::collections::{BTreeSet, HashMap};

/// What is answered of a book in which the order was carried out.
pub type Answer = Box<dyn Fn(&Book) -> Result<Vec<u8>> + Send + Sync>;

/// One order under its effect key.
pub struct Job {
    /// Its own for ever: `PostBatches:<effect key>`.
    pub key: String,
    pub fingerprint: [u8; 32],
    pub order: Order,
    pub answer: Answer,
}

/// Carries the jobs out in their order and remembers each answer and refusal; those that were settled before get their
/// first one. What the book does not carry out touches nobody else; if it is no refusal, nothing is remembered of it. The
/// same key twice among them is carried out once.
///
/// # Errors
/// What the database says: then the whole transaction must be undone.
pub async fn settle(tx: &Tx<'_>, jobs: &[Job]) -> Result<Vec<Outcome>> {
    let keys: BTreeSet<&str> = jobs.iter().map(|job| job.key.as_str()).collect();
    let known = effects::known(tx, &keys.into_iter().collect::<Vec<_>>()).await?;
    let orders = jobs.iter().filter(|job| !known.contains_key(&job.key)).map(|job| &job.order);
    let mut book = open(tx, orders).await?;
    let mut fresh: HashMap<&str, (&Job, Result<Vec<u8>>)> = HashMap::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    for job in jobs {
        let outcome = if let Some(known) = known.get(&job.key) {
            known.answer(job.fingerprint)
        } else if let Some((first, result)) = fresh.get(job.key.as_str()) {
            repeated(first, job, result)
        } else {
            let result = match book.carry_out(&job.key, &job.order) {
                Ok(_) => Ok((job.answer)(&book)?),
                Err(fault) => Err(fault),
            };
            if result.as_ref().err().is_none_or(Fault::is_refusal) {
                fresh.insert(&job.key, (job, result.clone()));
            }
            Outcome { result, replayed: false }
        };
        outcomes.push(outcome);
    }
    save(tx, book).await?;
    let settled: Vec<_> = fresh
        .iter()
        .map(|(key, (job, result))| Settled { key, fingerprint: job.fingerprint, result })
        .collect();
    effects::remember(tx, &settled).await?;
    Ok(outcomes)
}

/// One order inside a transaction that does more; the book tells what came of it. Refused, nothing is written.
///
/// # Errors
/// As [`Book::carry_out`], and what the database says.
pub async fn carry_out(tx: &Tx<'_>, effect: &str, order: &Order) -> Result<Book> {
    let mut book = open(tx, std::iter::once(order)).await?;
    book.carry_out(effect, order)?;
    save(tx, book.clone()).await?;
    Ok(book)
}

/// The same key once more among the same jobs: as if the first one had been there already.
fn repeated(first: &Job, job: &Job, result: &Result<Vec<u8>>) -> Outcome {
    if first.fingerprint == job.fingerprint {
        Outcome { result: result.clone(), replayed: true }
    } else {
        let reused = Fault::new(Code::IdempotencyKeyReused, "this key was used for another request");
        Outcome { result: Err(reused), replayed: false }
    }
}

/// Locks what the orders touch: holds first, then balances, each in the order of their ids.
async fn open<'o>(tx: &Tx<'_>, orders: impl Iterator<Item = &'o Order> + Clone) -> Result<Book> {
    let store = bulk::of(tx);
    let holds: BTreeSet<HoldId> = orders.clone().flat_map(Order::holds).collect();
    let holds = match holds.is_empty() {
        true => Vec::new(),
        false => store.lock_holds(tx, &holds.into_iter().collect::<Vec<_>>()).await?,
    };
    let mut accounts: BTreeSet<LedgerAccountId> = orders.flat_map(Order::accounts).collect();
    accounts.extend(holds.iter().map(|hold| hold.new.account));
    let balances = match accounts.is_empty() {
        true => Vec::new(),
        false => store.lock_balances(tx, &accounts.into_iter().collect::<Vec<_>>()).await?,
    };
    Ok(Book::open(tx.clock().now(), balances, holds))
}

async fn save(tx: &Tx<'_>, book: Book) -> Result<()> {
    let changes = book.changes();
    if changes == Changes::default() { Ok(()) } else { bulk::of(tx).save(tx, &changes).await }
}
