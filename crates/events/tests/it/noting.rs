//! A handler that notes what it is given.

use crate::rig::seen_so_far;
use beem_database::{Database, Sql as _, Tx};
use beem_events::{Event, Handler, Source, follow};
use beem_fault::{Code, Fault, Result};
use futures::future::BoxFuture;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Notes each event; those of the entity "bad" fail as often as told, and with that code (`internal`).
#[derive(Default)]
pub struct Noting {
    pub failures: AtomicU32,
    pub code: OnceLock<Code>,
    batches: Mutex<Vec<usize>>,
}

impl Noting {
    /// How many events each call was given.
    pub fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }
}

impl Handler for Noting {
    fn apply<'t>(&'t self, tx: &'t Tx<'_>, events: &'t [Event]) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            self.batches.lock().unwrap().push(events.len());
            let places: Vec<_> = (1..=events.len()).map(|n| format!("(${n})")).collect();
            let names = events.iter().map(|event| format!("{} {}", event.entity_id, event.sequence).into());
            let sql = format!("INSERT INTO seen (event) VALUES {}", places.join(", "));
            tx.run(&sql, names.collect()).await?;
            let fails = |_: &Event| {
                self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
            };
            if events.iter().filter(|event| event.entity_id == "bad").any(fails) {
                let code = self.code.get().copied().unwrap_or(Code::Internal);
                return Err(Fault::new(code, "cannot make sense of it"));
            }
            Ok(())
        })
    }
}

/// Follows until `n` events have been seen.
pub async fn follow_until(db: &Database, source: &dyn Source, handler: &dyn Handler, n: usize) {
    let cancel = CancellationToken::new();
    let watching = async {
        while seen_so_far(db).await < n {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(follow(db, "ledger", source, handler, cancel.clone()), watching).0 };
    tokio::time::timeout(Duration::from_secs(30), both).await.expect("it moves").unwrap();
}
