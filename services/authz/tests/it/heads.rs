//! Signed heads, counted refusals, and what the keeper of both does in time.

use crate::on_both_shapes;
use crate::rig::{Place, Rig, Shape, cache, signing_key, told, until};
use beem_clock::{Clock, Moment};
use beem_proto::authz::v1::{
    AuditHead, ListAuditHeadsRequest, RefusalCount, ReportRefusalsRequest, VerifyAuditRequest,
};
use ed25519_dalek::Signature;
use prost::Message as _;

on_both_shapes![
    heads_are_listed_in_pages_and_anybody_can_check_them,
    a_report_counts_once,
    a_report_that_makes_no_sense_counts_nothing,
];

impl Rig {
    /// The newest head of every chain.
    pub async fn heads(&self, max: u32) -> Vec<AuditHead> {
        let mut request = ListAuditHeadsRequest { max, page_token: String::new() };
        let mut heads = Vec::new();
        loop {
            let page = told(self.audit().list_audit_heads(request).await).unwrap();
            heads.extend(page.heads);
            if page.next_page_token.is_empty() {
                return heads;
            }
            request = ListAuditHeadsRequest { max, page_token: page.next_page_token };
        }
    }
}

async fn heads_are_listed_in_pages_and_anybody_can_check_them(rig: Rig) {
    let accounts: Vec<_> = (0..5).map(|_| rig.new_account()).collect();
    for account in &accounts {
        rig.push(&rig.rows(*account, 3)).await.unwrap();
    }
    until("every chain has a head soon", async || rig.heads(0).await.len() == 5).await;
    let heads = rig.heads(2).await;
    assert_eq!(heads, rig.heads(0).await);
    let mut expected: Vec<_> = accounts.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(heads.iter().map(|head| head.account_id.clone()).collect::<Vec<_>>(), expected);
    for head in &heads {
        assert_eq!((head.sequence, head.hash.len()), (3, 32));
        let unsigned = AuditHead { signature: vec![], ..head.clone() };
        let bytes = [b"beem.authz.v1.AuditHead\n".as_slice(), &unsigned.encode_to_vec()].concat();
        let signature = Signature::from_slice(&head.signature).unwrap();
        signing_key().verifying_key().verify_strict(&bytes, &signature).unwrap();
    }
    assert_eq!(rig.verify(0, heads).await, (vec![], 15));
    let request = VerifyAuditRequest { max_rows: 10_001, ..Default::default() };
    let refused = told(rig.audit().verify_audit(request).await).unwrap_err();
    assert_eq!(refused.fields[0].field, "maxRows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_grows_is_signed_once_an_hour() {
    for shape in [Shape::Embedded, Shape::Clustered] {
        let clock = Clock::manual(Moment::from_unix_s(1_700_000_000));
        let rig = Rig::build(Place::at(shape, clock.clone()).await, cache(shape)).await.with_tasks();
        let [growing, resting] = [rig.new_account(), rig.new_account()];
        let signed = async |account: beem_ids::AccountId| {
            let heads = rig.heads(0).await;
            heads.into_iter().find(|head| head.account_id == account.to_string()).map(|head| head.sequence)
        };
        rig.push(&rig.rows(growing, 2)).await.unwrap();
        rig.push(&rig.rows(resting, 1)).await.unwrap();
        until("both have their first", async || rig.heads(0).await.len() == 2).await;
        // Within the hour it is not signed again, whatever else wakes the keeper.
        clock.advance_ms(3_599_000);
        rig.push(&rig.rows(growing, 5)).await.unwrap();
        let waker = rig.new_account();
        rig.push(&rig.rows(waker, 1)).await.unwrap();
        until("the waker has its first", async || signed(waker).await.is_some()).await;
        assert_eq!(signed(growing).await, Some(2));
        clock.advance_ms(1_000);
        rig.push(&rig.rows(rig.new_account(), 1)).await.unwrap();
        until("the hour is over", async || signed(growing).await == Some(7)).await;
        assert_eq!(signed(resting).await, Some(1));
        assert_eq!(rig.count("SELECT COUNT(*) FROM audit_heads").await, 5);
        assert_eq!(rig.verify(0, rig.heads(0).await).await, (vec![], 10));
    }
}

fn refusals(address: &str, minute_s: i64, count: u64) -> RefusalCount {
    RefusalCount { address: address.into(), minute_s, code: "signature-invalid".into(), count }
}

async fn report(rig: &Rig, id: &str, counts: Vec<RefusalCount>) -> Result<(), beem_fault::Fault> {
    let request = ReportRefusalsRequest { report_id: id.into(), counts };
    told(rig.audit().report_refusals(request).await).map(drop)
}

const SUM: &str = "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM refusal_counts";

async fn a_report_counts_once(rig: Rig) {
    let minute = rig.place.clock.now().unix_ms() / 60_000 * 60;
    let [one, two] = [rig.new_id().to_string(), rig.new_id().to_string()];
    let counts = || {
        vec![
            refusals("192.0.2.7", minute, 3),
            refusals("", minute, 4),
            refusals("192.0.2.7", minute, 10),
            refusals("192.0.2.7", minute - 60, 100),
        ]
    };
    for id in [&one, &one, &two] {
        report(&rig, id, counts()).await.unwrap();
    }
    assert_eq!(rig.count(SUM).await, 2 * 117);
    assert_eq!(rig.count("SELECT COUNT(*) FROM refusal_counts").await, 3);
    // Many at once, over the same rows in any order.
    let reports = (0..10).map(async |n| {
        let mut counts = counts();
        counts.rotate_left(n % 4);
        report(&rig, &rig.new_id().to_string(), counts).await.unwrap();
    });
    futures::future::join_all(reports).await;
    assert_eq!(rig.count(SUM).await, 12 * 117);
}

async fn a_report_that_makes_no_sense_counts_nothing(rig: Rig) {
    let id = rig.new_id().to_string();
    for (field, counts) in [
        ("counts[1].minuteS", vec![refusals("a", 60, 1), refusals("a", 61, 1)]),
        ("counts[0].count", vec![refusals("a", 60, 0)]),
        ("counts[0].count", vec![refusals("a", 60, u64::MAX)]),
        ("counts[0].address", vec![refusals(&"a".repeat(65), 60, 1)]),
        ("counts", vec![refusals("a", 60, 1); 1001]),
    ] {
        assert_eq!(report(&rig, &id, counts).await.unwrap_err().fields[0].field, field);
    }
    assert_eq!(report(&rig, "7", vec![]).await.unwrap_err().fields[0].field, "reportId");
    assert_eq!(rig.count(SUM).await, 0);
    report(&rig, &id, vec![refusals("a", 60, 1)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_forgotten_after_thirty_days() {
    for shape in [Shape::Embedded, Shape::Clustered] {
        let rig = Rig::build(Place::new(shape).await, cache(shape)).await;
        let minute = rig.place.clock.now().unix_ms() / 60_000 * 60;
        let day = 24 * 3600;
        let counts = vec![
            refusals("a", minute - 31 * day, 1),
            refusals("a", minute - 29 * day, 10),
            refusals("a", minute, 100),
        ];
        report(&rig, &rig.new_id().to_string(), counts).await.unwrap();
        let rig = rig.with_tasks();
        until("the oldest is gone", async || rig.count(SUM).await == 110).await;
        assert_eq!(rig.count("SELECT COUNT(*) FROM refusal_reports").await, 1);
    }
}
