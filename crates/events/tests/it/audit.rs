//! Audit rows: with the write or not at all, and pushed in order.

use crate::rig::{Rig, on_both};
use beem_database::Database;
use beem_events::audit::{self, NewAuditRow};
use beem_fault::Fault;
use beem_ids::AccountId;
use serde_json::json;
use uuid::Uuid;

on_both!(a_row_comes_back_whole_and_is_pushed_once, a_row_of_a_write_that_did_not_happen_is_gone);

fn row(target: &str) -> NewAuditRow {
    NewAuditRow {
        account_id: Some(AccountId(Uuid::from_u128(7))),
        actor: json!({ "principal": "p1", "kind": "client" }),
        action: "CreateClient".into(),
        target_type: "client".into(),
        target_id: target.into(),
        outcome: "done".into(),
        before: None,
        after: Some(json!({ "name": "tills" })),
        address: "192.0.2.7".into(),
        key_fingerprint: "ab12".into(),
        request_id: "r1".into(),
    }
}

async fn record(db: &Database, new: &NewAuditRow) -> Uuid {
    db.write(|tx| Box::pin(audit::record(tx, new.clone()))).await.unwrap()
}

async fn a_row_comes_back_whole_and_is_pushed_once(rig: Rig) {
    let db = rig.process().await;
    let anonymous = NewAuditRow { account_id: None, before: Some(json!([1])), ..row("first") };
    let mut ids = vec![record(&db, &anonymous).await];
    for n in 0..4 {
        rig.clock.advance_ms(1);
        ids.push(record(&db, &row(&format!("c{n}"))).await);
    }
    let unpushed = audit::unpushed(&db, 2).await.unwrap();
    assert_eq!(
        unpushed.iter().map(|r| r.id).collect::<Vec<_>>(),
        ids[..2],
        "oldest first, no more than asked"
    );
    assert_eq!(unpushed[0].row, anonymous);
    assert_eq!(unpushed[1].row, row("c0"));
    assert_eq!(unpushed[1].time, rig.clock.now().plus_ms(-3));
    audit::mark_pushed(&db, &ids[..2]).await.unwrap();
    audit::mark_pushed(&db, &ids[..2]).await.unwrap();
    audit::mark_pushed(&db, &[]).await.unwrap();
    let left = audit::unpushed(&db, 100).await.unwrap();
    assert_eq!(left.iter().map(|r| r.id).collect::<Vec<_>>(), ids[2..]);
}

async fn a_row_of_a_write_that_did_not_happen_is_gone(rig: Rig) {
    let db = rig.process().await;
    let undone = db.write(|tx| {
        Box::pin(async move {
            audit::record(tx, row("never")).await?;
            Err::<(), _>(Fault::not_found("reason"))
        })
    });
    undone.await.unwrap_err();
    assert!(audit::unpushed(&db, 100).await.unwrap().is_empty());
}
