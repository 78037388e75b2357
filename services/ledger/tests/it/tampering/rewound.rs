//! What was done is said not to have been: a quote is pending again, a deposit is in suspense again, their rows are gone. What
//! their transfers and holds were carried out for says otherwise; and none of it can be done once more.

use super::{Books, change};
use crate::rig::Rig;
use beem_database::Sql as _;
use beem_proto::ledger::v1 as wire;

crate::on_both!(
    a_quote_that_is_pending_again,
    a_deposit_that_is_in_suspense_again,
    rows_that_are_gone,
    a_limit_that_was_moved,
);

async fn a_quote_that_is_pending_again(rig: Rig) {
    let books = Books::written(rig).await;
    let rig = &books.rig;
    let id = books.id("SELECT id FROM quotes WHERE executed_ms IS NOT NULL").await;
    let sql =
        "UPDATE quotes SET executed_ms = NULL, debit_transfer = NULL, credit_transfer = NULL WHERE id = $1";
    change(&rig.db, sql, vec![id.into()]).await;
    let named = ("quotes".to_owned(), id.to_string(), "changed".to_owned());
    assert_eq!(rig.found(&[]).await, [named]);
}

async fn a_deposit_that_is_in_suspense_again(rig: Rig) {
    let books = Books::written(rig).await;
    let rig = &books.rig;
    let id = books.id("SELECT id FROM settlements WHERE state = 'SETTLED'").await;
    let sql = "UPDATE settlements SET state = 'SUSPENDED', reason = 'no-rate', credited = NULL, rate = NULL,
        credit_transfer = NULL, settled_ms = NULL WHERE id = $1";
    change(&rig.db, sql, vec![id.into()]).await;
    change(&rig.db, "DELETE FROM effects WHERE effect_key = $1", vec!["Credit:d1".into()]).await;
    let named = ("settlements".to_owned(), id.to_string(), "changed".to_owned());
    assert_eq!(rig.found(&[]).await, std::slice::from_ref(&named));
    let again = wire::ReleaseInboundRequest { effect_key: "d1".into() };
    assert_eq!(rig.release_inbound(again).await.unwrap_err().code(), "internal");
    assert_eq!(rig.found(&[]).await, [named]);
}

async fn rows_that_are_gone(rig: Rig) {
    let books = Books::written(rig).await;
    let rig = &books.rig;
    let posted = books.id("SELECT hold_id AS id FROM outbounds WHERE posted_ms IS NOT NULL").await;
    let quote = books.id("SELECT id FROM quotes WHERE executed_ms IS NOT NULL").await;
    let gone = [
        ("outbounds", "hold_id", posted, posted.to_string()),
        ("quotes", "id", quote, quote.to_string()),
        (
            "settlements",
            "id",
            books.id("SELECT id FROM settlements WHERE state = 'SUSPENDED'").await,
            "d2".into(),
        ),
    ];
    let mut found = Vec::new();
    for (table, key, id, row) in gone {
        change(&rig.db, &format!("DELETE FROM {table} WHERE {key} = $1"), vec![id.into()]).await;
        found.push((table.to_owned(), row, "removed".to_owned()));
        let mut now = rig.found(&[]).await;
        now.sort();
        found.sort();
        assert_eq!(now, found);
    }
    // An order whose effect is gone could be carried out once more.
    let sql = "DELETE FROM effects WHERE effect_key = $1";
    change(&rig.db, sql, vec!["PostBatches:t2".into()]).await;
    let now = rig.found(&[]).await;
    assert!(now.iter().any(|(table, _, word)| table == "transfers" && word == "inserted"), "{now:?}");
}

async fn a_limit_that_was_moved(rig: Rig) {
    let books = Books::written(rig).await;
    let (rig, wallet) = (&books.rig, books.wallet);
    let fees = books.id("SELECT id FROM ledger_accounts WHERE purpose = 'FEES' AND currency = 'USDC'").await;
    change(&rig.db, "UPDATE balances SET floor = NULL WHERE ledger_account_id = $1", vec![fees.into()]).await;
    assert_eq!(rig.found(&[]).await, [("balances".to_owned(), fees.to_string(), "changed".to_owned())]);
    // A wallet's the database itself keeps.
    let sql = "UPDATE balances SET floor = NULL WHERE ledger_account_id = $1";
    let kept = rig.db.write(|tx| Box::pin(async move { tx.run(sql, vec![wallet.into()]).await })).await;
    assert!(kept.is_err());
}
