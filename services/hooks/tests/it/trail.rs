//! Audit rows wait for authz as long as it is away, and each gets there once.

use crate::on_both;
use crate::rig::{Rig, until};
use beem_events::audit::unpushed;

on_both!(rows_wait_while_authz_is_away);

async fn rows_wait_while_authz_is_away(mut rig: Rig) {
    rig.trail.close();
    rig.hook("https://a.example", &["*"]).await;
    rig.run_task("hooks-audit");
    until("authz was asked", async || !rig.trail.calls().is_empty()).await;
    rig.hook("https://b.example", &["*"]).await;
    assert_eq!(unpushed(&rig.db, 10).await.unwrap().len(), 2);

    rig.restart().await;
    rig.trail.open();
    rig.run_task("hooks-audit");
    until("authz took the rows", async || unpushed(&rig.db, 10).await.unwrap().is_empty()).await;
    let pushed = rig.trail.calls();
    assert_eq!(pushed.last().map(String::as_str), Some("PushAuditRows"), "{pushed:?}");
}
