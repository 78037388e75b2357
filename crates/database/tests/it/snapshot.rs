//! Several reads of one moment, while others write.

use crate::rig::{Rig, note, noted, on_both};
use beem_database::{Backend, Database, OrFault as _, Snapshot, Sql as _};
use beem_fault::{Code, Fault, Result};
use std::time::Duration;

on_both!(
    what_commits_between_two_reads_is_not_seen,
    a_snapshot_cannot_write,
    connections_come_back_whatever_happens,
);

async fn seen(at: &Snapshot<'_>, text: &str) -> Result<i64> {
    let row = at.row("SELECT count(*) AS n FROM notes WHERE text = $1", vec![text.into()]).await?;
    row.ok_or_else(|| Fault::internal("no count"))?.try_get("", "n").or_fault()
}

async fn write(db: &Database, text: &str) {
    db.write(|tx| Box::pin(note(tx, text))).await.unwrap();
}

async fn what_commits_between_two_reads_is_not_seen(rig: Rig) {
    let (db, other) = (&rig.process().await, &rig.process().await);
    write(db, "early").await;
    let counts = db.read_consistently(|at| {
        Box::pin(async move {
            let before = seen(at, "early").await?;
            // By another process, and by this one; neither waits for the reader.
            write(other, "early").await;
            write(db, "early").await;
            assert_eq!(noted(db, "early").await, 3, "they have committed");
            Ok((before, seen(at, "early").await?))
        })
    });
    assert_eq!(counts.await.unwrap(), (1, 1));
    assert_eq!(db.read_consistently(|at| Box::pin(seen(at, "early"))).await.unwrap(), 3);
}

async fn a_snapshot_cannot_write(rig: Rig) {
    let db = rig.process().await;
    let sql = "INSERT INTO notes (text) VALUES ('smuggled')";
    let refused = db.read_consistently(|at| Box::pin(async move { at.run(sql, vec![]).await }));
    let expected = match db.backend() {
        Backend::Postgres => Code::Internal,
        // The same as when the file's disk has become read-only.
        Backend::Sqlite => Code::Unavailable,
    };
    assert_eq!(refused.await.unwrap_err().code, expected);
    assert_eq!(noted(&db, "smuggled").await, 0);
}

async fn connections_come_back_whatever_happens(rig: Rig) {
    let db = rig.process().await;
    // More often than there are connections: a refusal, a failed statement, a caller who goes away in the middle.
    for _ in 0..8 {
        let refused = db.read_consistently(|at| {
            Box::pin(async move { seen(at, "x").await.and(Err::<(), _>(Fault::not_found("x"))) })
        });
        assert_eq!(refused.await.unwrap_err().code, Code::NotFound);
        let failed = db
            .read_consistently(|at| Box::pin(async move { at.rows("SELECT * FROM nowhere", vec![]).await }));
        assert_eq!(failed.await.unwrap_err().code, Code::Internal);
        let (reached, mut is_reached) = tokio::sync::mpsc::channel::<()>(1);
        let reached = &reached;
        let left = db.read_consistently(|at| {
            Box::pin(async move {
                seen(at, "x").await?;
                reached.send(()).await.map_err(Fault::internal)?;
                std::future::pending::<Result<()>>().await
            })
        });
        tokio::select! {
            _ = left => panic!("it never ends"),
            _ = is_reached.recv() => {}
        }
    }
    // Each of them as good as new: it reads what is there now, and on PostgreSQL it writes.
    for n in 1..=8 {
        write(&db, "after").await;
        let now = db.read_consistently(|at| Box::pin(seen(at, "after")));
        let now = tokio::time::timeout(Duration::from_secs(4), now).await.unwrap();
        assert_eq!((now.unwrap(), noted(&db, "after").await), (n, n));
    }
}
