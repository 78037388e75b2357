//! Orders over the tables: lock what they touch, decide in the book, save what has changed. All in the caller's transaction:
//! a group of jobs each under its effect key, or one order inside a claim of its own.

use super::bulk;
use crate::domain::{Book, Entry, Hold, Order};
use beem_clock::Moment;
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_database::claims::effects::Settled;
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
/// same key twice among them is carried out once. What a repeat touches is locked, too: it is known for one only afterwards.
///
/// # Errors
/// What the database says: then the whole transaction must be undone.
pub async fn settle(tx: &Tx<'_>, jobs: &[Job]) -> Result<Vec<Outcome>> {
    let keys: BTreeSet<&str> = jobs.iter().map(|job| job.key.as_str()).collect();
    let (holds, accounts) = lock_holds(tx, jobs.iter().map(|job| &job.order)).await?;
    let keys: Vec<&str> = keys.into_iter().collect();
    let (known, balances) = bulk::of(tx).open(tx, &keys, &accounts).await?;
    let mut book = Book::open(tx.clock().now(), balances, holds);
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
    let settled: Vec<_> = fresh
        .iter()
        .map(|(key, (job, result))| Settled { key, fingerprint: job.fingerprint, result })
        .collect();
    // When all of them are repeats there is nothing to write.
    if !settled.is_empty() {
        bulk::of(tx).save(tx, &book.changes(), &settled).await?;
    }
    Ok(outcomes)
}

/// What an order entered, and when.
pub struct Entered {
    pub time: Moment,
    pub entries: Vec<Entry>,
}

/// One order inside a transaction that does more. Refused, nothing is written.
///
/// # Errors
/// As [`Book::carry_out`], and what the database says.
pub async fn carry_out(tx: &Tx<'_>, effect: &str, order: &Order) -> Result<Entered> {
    let (holds, accounts) = lock_holds(tx, std::iter::once(order)).await?;
    let balances = bulk::of(tx).lock_balances(tx, &accounts).await?;
    let mut book = Book::open(tx.clock().now(), balances, holds);
    book.carry_out(effect, order)?;
    let (time, changes) = (book.time(), book.changes());
    bulk::of(tx).save(tx, &changes, &[]).await?;
    Ok(Entered { time, entries: changes.entries })
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

/// Locks the holds that the orders end, which comes before locking balances, both in the order of their ids; and says which
/// balances are to be locked.
async fn lock_holds<'o>(
    tx: &Tx<'_>,
    orders: impl Iterator<Item = &'o Order> + Clone,
) -> Result<(Vec<Hold>, Vec<LedgerAccountId>)> {
    let holds: BTreeSet<HoldId> = orders.clone().flat_map(Order::holds).collect();
    let holds = match holds.is_empty() {
        true => Vec::new(),
        false => bulk::of(tx).lock_holds(tx, &holds.into_iter().collect::<Vec<_>>()).await?,
    };
    let mut accounts: BTreeSet<LedgerAccountId> = orders.flat_map(Order::accounts).collect();
    accounts.extend(holds.iter().map(|hold| hold.new.account));
    Ok((holds, accounts.into_iter().collect()))
}
