//! A transaction that stands in everybody's way until it is let go.

use beem_database::{Database, Sql as _};
use beem_fault::Fault;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A transaction that holds up others on the database, until it is let go.
pub struct Locked {
    release: Arc<Notify>,
    held: JoinHandle<()>,
}

impl Locked {
    /// Ends it; it was never there.
    pub async fn let_go(self) {
        self.release.notify_one();
        self.held.await.unwrap();
    }
}

/// A transaction that has run the statement and stays open until it is let go; then it is undone.
pub async fn holding(db: &Database, sql: impl Into<String>) -> Locked {
    let (taken, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (db, told, until, sql) = (db.clone(), taken.clone(), release.clone(), sql.into());
    let held = beem_runtime::spawn(async move {
        let (told, until, sql) = (&told, &until, &sql);
        let held = db.write(|tx| {
            Box::pin(async move {
                tx.run(sql, vec![]).await?;
                told.notify_one();
                until.notified().await;
                Err::<(), _>(Fault::internal("let go"))
            })
        });
        assert_eq!(held.await.unwrap_err().detail, Fault::internal("let go").detail);
    });
    taken.notified().await;
    Locked { release, held }
}
