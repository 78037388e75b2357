//! Signed heads of the books: when there is one, what it holds, who can check it, and that the audit trail tells of it.

use crate::calls::{system, transfer, wallet_side};
use crate::rig::{LEDGER_KEY, Rig};
use beem_database::Sql as _;
use beem_proto::ledger::v1::{LedgerHead, ListLedgerHeadsRequest, VerifyLedgerRequest};
use ed25519_dalek::{Signature, SigningKey};
use prost::Message as _;
use std::time::Duration;

crate::on_both!(
    a_head_an_interval_while_something_is_entered,
    heads_are_listed_in_pages_and_anybody_can_check_them,
    two_processes_make_no_head_twice,
);

impl Rig {
    /// All heads, newest first.
    pub async fn heads(&self, max: u32) -> Vec<LedgerHead> {
        let mut request = ListLedgerHeadsRequest { max, page_token: String::new() };
        let mut heads = Vec::new();
        loop {
            let page = self.list_ledger_heads(request).await.unwrap().body;
            heads.extend(page.heads);
            if page.next_page_token.is_empty() {
                return heads;
            }
            request = ListLedgerHeadsRequest { max, page_token: page.next_page_token };
        }
    }

    /// Lets an interval pass and waits until this many heads are there. The task looks at once when it starts.
    pub async fn sign(&self, heads: i64) {
        self.clock.advance_ms(3_600_000);
        let process = self.another().await;
        process.run_task("ledger-heads");
        self.until_heads(heads).await;
        process.drain().await;
    }

    async fn until_heads(&self, heads: i64) {
        tokio::time::timeout(Duration::from_secs(30), async {
            while self.count("heads").await < heads {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("the books are signed");
    }
}

async fn a_head_an_interval_while_something_is_entered(rig: Rig) {
    // The first of all is due at once; without entries there is none.
    let wallet = rig.wallet("USD").await;
    let process = rig.another().await;
    process.run_task("ledger-heads");
    assert!(process.drain().await);
    assert_eq!(rig.count("heads").await, 0);
    rig.credit(&wallet, "10").await;
    let process = rig.another().await;
    process.run_task("ledger-heads");
    rig.until_heads(1).await;
    process.drain().await;
    assert_eq!(rig.count("head_entries").await, 2, "the wallet and the sandbox's account");
    // Not within the interval, restarts or not; nor after it, when nothing was entered.
    rig.credit(&wallet, "10").await;
    rig.clock.advance_ms(3_599_999);
    let process = rig.another().await;
    process.run_task("ledger-heads");
    process.drain().await;
    assert_eq!(rig.count("heads").await, 1);
    rig.clock.advance_ms(1);
    rig.sign(2).await;
    rig.sign(2).await;
    rig.post("one", vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "1")]).await;
    rig.sign(3).await;
    assert_eq!(rig.count("head_entries WHERE number = 3").await, 2, "what has changed");
    // The trail has them, under no account.
    let sql =
        "SELECT after, actor FROM audit_rows WHERE action = 'LedgerHead' AND account_id IS NULL ORDER BY id";
    let rows = rig.db.read().rows(sql, vec![]).await.unwrap();
    let heads = rig.heads(0).await;
    assert_eq!((rows.len(), heads.len()), (3, 3));
    for (row, head) in rows.iter().zip(heads.iter().rev()) {
        let after: serde_json::Value =
            serde_json::from_str(&row.try_get::<String>("", "after").unwrap()).unwrap();
        let digest: String = head.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(after, serde_json::json!({ "number": head.number, "digest": digest }));
        assert!(row.try_get::<String>("", "actor").unwrap().contains("INSTALLATION"));
    }
}

async fn heads_are_listed_in_pages_and_anybody_can_check_them(rig: Rig) {
    let wallet = rig.wallet("USD").await;
    for n in 1..=5 {
        rig.credit(&wallet, "1").await;
        rig.sign(n).await;
    }
    let heads = rig.heads(0).await;
    assert_eq!(heads, rig.heads(2).await);
    assert_eq!(heads.iter().map(|head| head.number).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    for head in &heads {
        let unsigned = LedgerHead { signature: vec![], ..head.clone() };
        let bytes = [b"beem.ledger.v1.LedgerHead\n".as_slice(), &unsigned.encode_to_vec()].concat();
        let signature = Signature::from_slice(&head.signature).unwrap();
        SigningKey::from_bytes(&LEDGER_KEY).verifying_key().verify_strict(&bytes, &signature).unwrap();
    }
    let request = VerifyLedgerRequest { kept_heads: heads, ..Default::default() };
    assert_eq!(rig.verify_ledger(request).await.unwrap().body.findings, []);
    let wrong = ListLedgerHeadsRequest { max: 501, page_token: String::new() };
    assert_eq!(rig.list_ledger_heads(wrong).await.unwrap_err().fields(), ["max"]);
    let wrong = ListLedgerHeadsRequest { max: 1, page_token: "x".into() };
    assert_eq!(rig.list_ledger_heads(wrong).await.unwrap_err().fields(), ["pageToken"]);
}

async fn two_processes_make_no_head_twice(rig: Rig) {
    let wallet = rig.wallet("USD").await;
    for n in 1..=4 {
        rig.credit(&wallet, "1").await;
        rig.clock.advance_ms(3_600_000);
        let processes = [rig.another().await, rig.another().await, rig.another().await];
        processes.iter().for_each(|process| process.run_task("ledger-heads"));
        rig.until_heads(n).await;
        for process in &processes {
            process.drain().await;
        }
        assert_eq!(rig.count("heads").await, n);
    }
    assert_eq!(rig.verify_ledger(VerifyLedgerRequest::default()).await.unwrap().body.findings, []);
}
