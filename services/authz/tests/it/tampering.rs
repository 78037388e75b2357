//! Somebody who can write to authz's database changes the trail: each way is found, and named where it was done.

use crate::on_both_shapes;
use crate::rig::{Rig, Shape, signing_key, until};
use beem_authz::verify_audit;
use beem_database::{OrFault as _, Sql as _};
use beem_ids::AccountId;
use beem_proto::authz::v1::{AuditFinding, AuditHead, AuditRow};
use ed25519_dalek::{Signer as _, SigningKey};
use prost::Message as _;
use sea_orm::Value;

on_both_shapes![
    a_changed_row,
    a_changed_row_with_its_hash,
    a_removed_row,
    a_removed_row_and_the_rest_renumbered,
    an_inserted_row,
    a_row_put_behind_the_last,
    a_cut_tail,
    a_cut_tail_with_its_end_moved,
    a_tail_that_was_cut_with_its_heads_is_missed_by_a_kept_head,
    a_chain_that_is_gone_altogether,
    a_trail_written_anew_with_all_its_hashes,
    a_forged_head,
    a_removed_head,
    a_forgotten_end,
    two_chains_are_judged_apart,
    a_database_at_rest_is_judged_alike,
];

const ROWS: i64 = 12;

impl Rig {
    /// A chain of twelve rows with a head, beside another one that nobody touches.
    async fn chained(&self) -> AccountId {
        let beside = self.new_account();
        self.push(&self.rows(beside, 3)).await.unwrap();
        self.push(&self.rows(self.account, ROWS)).await.unwrap();
        until("both are signed", async || self.heads(0).await.len() == 2).await;
        assert_eq!(self.verify(0, vec![]).await, (vec![], 15));
        self.account
    }

    /// `$1` is the account.
    async fn tamper(&self, account: AccountId, sql: &str) {
        let sql = &sql;
        let write = self
            .place
            .database
            .write(|tx| Box::pin(async move { tx.run(sql, vec![Value::from(account.0)]).await }));
        assert!(write.await.unwrap() > 0, "{sql}");
    }

    /// The one finding, the same however short the stretches are.
    async fn found(&self, kept: Vec<AuditHead>) -> (u64, String) {
        let (findings, _) = self.verify(0, kept.clone()).await;
        for max_rows in [1, 5] {
            assert_eq!(self.verify(max_rows, kept.clone()).await.0, findings);
        }
        let [AuditFinding { account_id, sequence, detail, .. }] = findings.as_slice() else {
            panic!("{findings:?}")
        };
        assert_eq!(*account_id, self.account.to_string());
        (*sequence, detail.split(':').next().unwrap().to_owned())
    }

    async fn hash_at(&self, account: AccountId, sequence: i64) -> Vec<u8> {
        let sql = "SELECT hash FROM audit_events WHERE account_id = $1 AND sequence = $2";
        let row = self.place.database.read().row(sql, vec![account.0.into(), sequence.into()]).await.unwrap();
        row.unwrap().try_get("", "hash").or_fault().unwrap()
    }
}

fn at(sequence: u64, what: &str) -> (u64, String) {
    (sequence, what.to_owned())
}

async fn a_changed_row(rig: Rig) {
    let account = rig.chained().await;
    rig.tamper(account, "UPDATE audit_events SET outcome = 'x' WHERE account_id = $1 AND sequence = 5").await;
    assert_eq!(rig.found(vec![]).await, at(5, "changed"));
    let row = rig.verify(0, vec![]).await.0[0].row_id.clone();
    assert!(row.parse::<uuid::Uuid>().is_ok(), "{row}");
}

async fn a_changed_row_with_its_hash(rig: Rig) {
    let account = rig.chained().await;
    // A hash that somebody made for it; any other than the one that was there shows at the next row as well.
    let same = "UPDATE audit_events SET hash = (SELECT hash FROM audit_events WHERE account_id = $1 AND sequence = 2)
        WHERE account_id = $1 AND sequence = 5";
    rig.tamper(account, same).await;
    assert_eq!(rig.found(vec![]).await, at(5, "changed"));
}

/// PostgreSQL takes no such values.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_values_are_of_no_type() {
    for (column, value) in [
        ("outcome", "CAST(x'ff' AS TEXT)"),
        // Where nothing was.
        ("key_fingerprint", "CAST(x'ff' AS TEXT)"),
        ("id", "x'00'"),
        ("hash", "x''"),
    ] {
        let rig = Rig::start(Shape::Embedded).await;
        let account = rig.chained().await;
        let sql =
            format!("UPDATE audit_events SET {column} = {value} WHERE account_id = $1 AND sequence = 5");
        rig.tamper(account, &sql).await;
        assert_eq!(rig.found(vec![]).await, at(5, "changed"), "{column}");
        // Beside one that is moved away, and at the place of a head.
        let sql = "UPDATE audit_events SET account_id = x'00' WHERE account_id = $1 AND sequence = 3";
        rig.tamper(account, sql).await;
        assert_eq!(rig.found(vec![]).await, at(3, "removed"), "{column}");
        let sql =
            format!("UPDATE audit_events SET {column} = {value} WHERE account_id = $1 AND sequence = 12");
        if column != "id" {
            rig.tamper(account, &sql).await;
        }
        assert_eq!(rig.found(vec![]).await, at(3, "removed"), "{column}");
    }
}

async fn a_removed_row(rig: Rig) {
    let account = rig.chained().await;
    rig.tamper(account, "DELETE FROM audit_events WHERE account_id = $1 AND sequence IN (5, 6)").await;
    assert_eq!(rig.found(vec![]).await, at(5, "removed"));
    rig.tamper(account, "DELETE FROM audit_events WHERE account_id = $1 AND sequence = 1").await;
    assert_eq!(rig.found(vec![]).await, at(1, "removed"), "the first place is told");
}

async fn a_removed_row_and_the_rest_renumbered(rig: Rig) {
    let account = rig.chained().await;
    rig.tamper(account, "DELETE FROM audit_events WHERE account_id = $1 AND sequence = 5").await;
    for row in 6..=ROWS {
        let sql = format!(
            "UPDATE audit_events SET sequence = sequence - 1 WHERE account_id = $1 AND sequence = {row}"
        );
        rig.tamper(account, &sql).await;
    }
    rig.tamper(account, "UPDATE audit_chains SET sequence = 11 WHERE account_id = $1").await;
    assert_eq!(rig.found(vec![]).await, at(5, "removed"));
}

async fn an_inserted_row(rig: Rig) {
    let account = rig.chained().await;
    for row in (5..=ROWS).rev() {
        let sql = format!(
            "UPDATE audit_events SET sequence = sequence + 1 WHERE account_id = $1 AND sequence = {row}"
        );
        rig.tamper(account, &sql).await;
    }
    copy_row(&rig, account, 4, 5).await;
    rig.tamper(account, "UPDATE audit_chains SET sequence = 13 WHERE account_id = $1").await;
    assert_eq!(rig.found(vec![]).await, at(5, "inserted"));
}

/// What a row says, once more at another place.
async fn copy_row(rig: &Rig, account: AccountId, from: i64, to: i64) {
    let columns = "actor_id, actor_kind, actor_name, action, target_type, target_id, outcome, before, after, address, \
         key_fingerprint, request_id, hash";
    let sql = &format!(
        "INSERT INTO audit_events (account_id, sequence, id, time_ms, {columns})
         SELECT account_id, $2, $3, time_ms, {columns} FROM audit_events WHERE account_id = $1 AND sequence = $4"
    );
    let id = rig.new_id().0;
    let write = rig.place.database.write(|tx| {
        Box::pin(async move { tx.run(sql, vec![account.0.into(), to.into(), id.into(), from.into()]).await })
    });
    assert_eq!(write.await.unwrap(), 1);
}

async fn a_row_put_behind_the_last(rig: Rig) {
    let account = rig.chained().await;
    copy_row(&rig, account, ROWS, ROWS + 1).await;
    assert_eq!(rig.found(vec![]).await, at(13, "changed"), "its hash does not fit");
    // A row that fits, which the chain knows nothing of.
    let sql = "DELETE FROM audit_events WHERE account_id = $1 AND sequence = 13";
    rig.tamper(account, sql).await;
    rig.push(&rig.rows(account, 1)).await.unwrap();
    let hash = rig.hash_at(account, ROWS).await;
    set_end(&rig, account, ROWS, hash).await;
    assert_eq!(rig.found(vec![]).await, at(13, "inserted"));
}

async fn set_end(rig: &Rig, account: AccountId, sequence: i64, hash: Vec<u8>) {
    let sql = "UPDATE audit_chains SET sequence = $2, hash = $3 WHERE account_id = $1";
    let values = &vec![Value::from(account.0), sequence.into(), hash.into()];
    let write = rig.place.database.write(|tx| Box::pin(async move { tx.run(sql, values.clone()).await }));
    assert_eq!(write.await.unwrap(), 1);
}

async fn a_cut_tail(rig: Rig) {
    let account = rig.chained().await;
    rig.tamper(account, "DELETE FROM audit_events WHERE account_id = $1 AND sequence > 8").await;
    assert_eq!(rig.found(vec![]).await, at(9, "cut"));
}

/// Cuts the tail behind row 8 so that the chain looks as if it had always ended there.
async fn cut_with_end(rig: &Rig, account: AccountId) {
    rig.tamper(account, "DELETE FROM audit_events WHERE account_id = $1 AND sequence > 8").await;
    let hash = rig.hash_at(account, 8).await;
    set_end(rig, account, 8, hash).await;
}

async fn a_cut_tail_with_its_end_moved(rig: Rig) {
    let account = rig.chained().await;
    cut_with_end(&rig, account).await;
    assert_eq!(rig.found(vec![]).await, at(12, "cut"), "the head is at 12");
}

async fn a_tail_that_was_cut_with_its_heads_is_missed_by_a_kept_head(rig: Rig) {
    let account = rig.chained().await;
    let kept = rig.heads(0).await;
    cut_with_end(&rig, account).await;
    rig.tamper(account, "DELETE FROM audit_heads WHERE account_id = $1").await;
    rig.tamper(account, "UPDATE audit_chains SET signed_sequence = 0 WHERE account_id = $1").await;
    assert_eq!(rig.verify(0, vec![]).await.0, [], "nothing here tells");
    assert_eq!(rig.found(kept.clone()).await, at(12, "cut"));
    // Nor can other rows take their place.
    rig.push(&rig.rows(account, 6)).await.unwrap();
    assert_eq!(rig.found(kept).await, at(12, "changed"));
}

async fn a_chain_that_is_gone_altogether(rig: Rig) {
    let account = rig.chained().await;
    let kept = rig.heads(0).await;
    rig.tamper(account, "DELETE FROM audit_events WHERE account_id = $1").await;
    rig.tamper(account, "DELETE FROM audit_chains WHERE account_id = $1").await;
    assert_eq!(rig.found(vec![]).await, at(12, "cut"));
    rig.tamper(account, "DELETE FROM audit_heads WHERE account_id = $1").await;
    assert_eq!(rig.found(kept).await, at(12, "cut"));
}

async fn a_trail_written_anew_with_all_its_hashes(rig: Rig) {
    let account = rig.chained().await;
    rig.tamper(account, "DELETE FROM audit_events WHERE account_id = $1").await;
    rig.tamper(account, "UPDATE audit_chains SET sequence = 0 WHERE account_id = $1").await;
    set_end(&rig, account, 0, vec![0; 32]).await;
    let mut rows = rig.rows(account, ROWS);
    rows[4] = AuditRow { outcome: "role-missing".into(), ..rows[4].clone() };
    rig.push(&rows).await.unwrap();
    assert_eq!(rig.found(vec![]).await, at(12, "changed"));
}

async fn a_forged_head(rig: Rig) {
    let account = rig.chained().await;
    let head = rig.heads(0).await.into_iter().find(|head| head.account_id == account.to_string()).unwrap();
    // Over other rows than it was signed for.
    rig.tamper(
        account,
        "UPDATE audit_heads SET hash = (SELECT hash FROM audit_events WHERE account_id = $1 AND sequence = 3)
         WHERE account_id = $1",
    )
    .await;
    assert_eq!(rig.found(vec![]).await, at(12, "head-forged"));
    // By another key, over the rows as they are.
    let unsigned = AuditHead { signature: vec![], ..head.clone() };
    let bytes = [b"beem.authz.v1.AuditHead\n".as_slice(), &unsigned.encode_to_vec()].concat();
    let signature = SigningKey::from_bytes(&[66; 32]).sign(&bytes).to_bytes().to_vec();
    let forged = AuditHead { signature: signature.clone(), ..head.clone() };
    let sql = "UPDATE audit_heads SET hash = $2, signature = $3 WHERE account_id = $1";
    let values = &vec![Value::from(account.0), head.hash.clone().into(), signature.into()];
    let write = rig.place.database.write(|tx| Box::pin(async move { tx.run(sql, values.clone()).await }));
    assert_eq!(write.await.unwrap(), 1);
    assert_eq!(rig.found(vec![]).await, at(12, "head-forged"));
    let (findings, _) = rig.verify(0, vec![forged]).await;
    assert_eq!(findings.len(), 2, "the one given as well as the one stored");
    assert!(findings.iter().all(|finding| finding.detail.starts_with("head-forged")));
    // A chain that is changed and whose head is forged: both are told.
    rig.tamper(account, "UPDATE audit_events SET outcome = 'x' WHERE account_id = $1 AND sequence = 5").await;
    let details: Vec<_> = rig.verify(0, vec![]).await.0.into_iter().map(|f| (f.sequence, f.detail)).collect();
    assert!(
        matches!(details.as_slice(), [(5, one), (12, two)]
        if one.starts_with("changed") && two.starts_with("head-forged")),
        "{details:?}"
    );
}

async fn a_removed_head(rig: Rig) {
    let account = rig.chained().await;
    rig.tamper(account, "DELETE FROM audit_heads WHERE account_id = $1").await;
    assert_eq!(rig.found(vec![]).await, at(12, "removed"));
}

async fn a_forgotten_end(rig: Rig) {
    let account = rig.chained().await;
    rig.tamper(account, "DELETE FROM audit_chains WHERE account_id = $1").await;
    assert_eq!(rig.found(vec![]).await, at(12, "removed"));
}

async fn two_chains_are_judged_apart(rig: Rig) {
    let account = rig.chained().await;
    let other = rig.new_account();
    rig.push(&rig.rows(other, 4)).await.unwrap();
    rig.tamper(other, "DELETE FROM audit_events WHERE account_id = $1 AND sequence = 2").await;
    rig.tamper(account, "UPDATE audit_events SET after = '' WHERE account_id = $1 AND sequence = 9").await;
    // A row that moves from one chain to the other fits to neither.
    let mut found: Vec<_> =
        rig.verify(3, vec![]).await.0.into_iter().map(|f| (f.account_id, f.sequence)).collect();
    let mut expected = vec![(account.to_string(), 9), (other.to_string(), 2)];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

async fn a_database_at_rest_is_judged_alike(rig: Rig) {
    let account = rig.chained().await;
    let kept = rig.heads(0).await;
    let keys = [signing_key().verifying_key()];
    let place = rig.kill().await;
    let mut findings = Vec::new();
    let counts = verify_audit(&place.database, &keys, &kept, |f| findings.push(f)).await.unwrap();
    assert_eq!((counts, findings.len()), ((15, 2), 0));
    let sql = "DELETE FROM audit_events WHERE account_id = $1 AND sequence = 7";
    let write = place.database.write(|tx| Box::pin(async move { tx.run(sql, vec![account.0.into()]).await }));
    assert_eq!(write.await.unwrap(), 1);
    verify_audit(&place.database, &keys, &kept, |f| findings.push(f)).await.unwrap();
    assert_eq!(findings.iter().map(|f| f.sequence).collect::<Vec<_>>(), [7]);
    // With other keys no head is believed.
    findings.clear();
    let others = [SigningKey::from_bytes(&[66; 32]).verifying_key()];
    verify_audit(&place.database, &others, &[], |f| findings.push(f)).await.unwrap();
    assert_eq!(findings.iter().filter(|f| f.detail.starts_with("head-forged")).count(), 2);
}
