//! What others hold on PostgreSQL must not stop the writer: transactions that wait for a row, a key that another transaction
//! does not let go of, disputes lost again and again.

use crate::calls::{system, transfer, wallet_side};
use crate::rig::{Base, Ledger, Rig};
use beem_ledger::domain::Purpose;
use beem_proto::ledger::v1 as wire;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Sooner than anybody's deadline.
const SOON: Duration = Duration::from_secs(8);
const WAITING: &str = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Until so many transactions wait for a lock.
async fn stuck(watcher: &Ledger, transactions: i64) {
    let there = async {
        while watcher.count(WAITING).await < transactions {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, there).await.unwrap_or_else(|_| panic!("fewer than {transactions} wait"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversions_that_wait_for_liquidity_leave_the_writer_its_connections() {
    let rig = Arc::new(Rig::start(Base::Postgres).await);
    let other = rig.another().await;
    let (usd, eur) = (rig.funded("USD", "100.00").await, rig.wallet("EUR").await);
    let (from, to) = (rig.funded("JPY", "100").await, rig.wallet("JPY").await);
    let quotes = join_all((0..20).map(|_| async {
        let asked = wire::CreateQuoteRequest {
            from_wallet_id: usd.clone(),
            to_wallet_id: eur.clone(),
            amount_in: "1.00".into(),
            ..wire::CreateQuoteRequest::default()
        };
        rig.create_quote(&rig.owner, &rig.key(), asked).await.unwrap().body.id
    }))
    .await;
    let liquidity = Purpose::Liquidity.id("EUR".parse().unwrap(), "");
    let locked = other
        .holding(format!("SELECT 1 FROM balances WHERE ledger_account_id = '{liquidity}' FOR UPDATE"))
        .await;
    let accepted: Vec<_> = quotes
        .into_iter()
        .map(|id| {
            let rig = Arc::clone(&rig);
            beem_runtime::spawn(async move {
                rig.execute_quote(&rig.owner, &rig.key(), wire::ExecuteQuoteRequest { id }).await
            })
        })
        .collect();
    stuck(&other, 6).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(other.count(WAITING).await, 6, "as many as the setting says");
    for n in 0..20 {
        let moved = vec![transfer(wallet_side(&from), wallet_side(&to), "JPY", "1")];
        let posted =
            timeout(SOON, rig.post(&format!("k{n}"), moved)).await.expect("the writer is not held up");
        assert_eq!(posted.refused, "");
    }
    assert_eq!(rig.balance(&to).await[0], "20");
    // Whoever finds no turn in time is told so, and nothing was done.
    let asked = wire::LockRateRequest {
        effect_key: "late".into(),
        from: "USD".into(),
        to: "EUR".into(),
        side: "SELL".into(),
        time_to_live_s: 60,
    };
    let method = "/beem.ledger.v1.Rates/LockRate";
    let late = rig.impatient(&rig.payments, method, asked.clone(), Duration::from_millis(200)).await;
    let late: Result<crate::rig::Answer<wire::RateLock>, _> = late;
    assert!(matches!(late.unwrap_err().code(), "unavailable" | "deadline"));
    locked.let_go().await;
    for reply in accepted {
        assert_eq!(reply.await.unwrap().unwrap().body.status, "EXECUTED");
    }
    assert!(!rig.lock_rate(asked).await.unwrap().replayed);
    rig.assert_books().await;
}

/// Each waits for its key alone, and no longer than the writer can afford; the others of its group are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_held_holds_up_nobody_else() {
    let rig = Rig::start(Base::Postgres).await;
    let other = rig.another().await;
    let wallet = rig.funded("USD", "10.00").await;
    let sql = "INSERT INTO effects (effect_key, fingerprint, outcome, created_ms)
        VALUES ('PostBatches:a', '', '', 0), ('PostBatches:b', '', '', 0)";
    let locked = other.holding(sql).await;
    let spend = |key: &str| {
        let batch = rig.batch(key, vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "1.00")]);
        rig.post_batches(wire::PostBatchesRequest { batches: vec![batch] })
    };
    let (first, rest) = tokio::join!(spend("a"), async {
        stuck(&other, 1).await;
        tokio::join!(spend("b"), spend("c"), spend("d"))
    });
    assert_eq!(first.unwrap_err().code(), "unavailable");
    assert_eq!(rest.0.unwrap_err().code(), "unavailable");
    for served in [rest.1, rest.2] {
        assert_eq!(served.unwrap().body.outcomes[0].refused, "");
    }
    locked.let_go().await;
    for key in ["a", "b"] {
        let outcome = spend(key).await.unwrap().body.outcomes.remove(0);
        assert_eq!((outcome.refused.as_str(), outcome.replayed), ("", false));
    }
    assert_eq!(rig.balance(&wallet).await[0], "6.00");
    rig.assert_books().await;
}

/// Five runs of a transaction may all lose; then the group is handed in once more, and only then are its callers told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_lost_every_dispute_is_handed_in_once_more() {
    let rig = Rig::start(Base::Postgres).await;
    let wallet = rig.funded("USD", "10.00").await;
    for sql in [
        "CREATE SEQUENCE runs MINVALUE -1000 START WITH 1",
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('runs') <= 7 THEN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END IF;
             RETURN NULL;
         END $$",
        "CREATE TRIGGER lose AFTER INSERT ON effects FOR EACH STATEMENT EXECUTE FUNCTION lose()",
    ] {
        rig.tamper(sql).await;
    }
    let spend = |key: &str| {
        let batch = rig.batch(key, vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "1.00")]);
        rig.post_batches(wire::PostBatchesRequest { batches: vec![batch] })
    };
    let outcome = spend("a").await.unwrap().body.outcomes.remove(0);
    assert_eq!((outcome.refused.as_str(), outcome.replayed), ("", false));
    rig.tamper("ALTER SEQUENCE runs RESTART WITH -1000").await;
    assert_eq!(spend("b").await.unwrap_err().code(), "unavailable");
    rig.tamper("ALTER SEQUENCE runs RESTART WITH 100").await;
    assert!(!spend("b").await.unwrap().body.outcomes.remove(0).replayed);
    assert_eq!(rig.balance(&wallet).await[0], "8.00");
    rig.assert_books().await;
}

/// Both looked the key up before either had it, and waited for the same wallet: whoever comes second finds the key taken when
/// it writes, undoes everything, and gives the first one's outcome.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_04_a_key_that_two_processes_carry_out_at_once_is_one_effect() {
    let rig = Rig::start(Base::Postgres).await;
    let (other, watcher) = (rig.another().await, rig.another().await);
    let wallet = rig.funded("USD", "10.00").await;
    for (key, amount, refused, left) in
        [("a", "4.00", "", "6.00"), ("b", "7.00", "insufficient-funds", "6.00")]
    {
        let row = format!("SELECT 1 FROM balances WHERE ledger_account_id = '{wallet}' FOR UPDATE");
        let locked = watcher.holding(row).await;
        let batch = rig.batch(key, vec![transfer(wallet_side(&wallet), system("FEES"), "USD", amount)]);
        let asked = wire::PostBatchesRequest { batches: vec![batch] };
        let (one, two, ()) =
            tokio::join!(rig.post_batches(asked.clone()), other.post_batches(asked), async {
                stuck(&watcher, 2).await;
                locked.let_go().await;
            });
        let (one, two) = (one.unwrap().body.outcomes.remove(0), two.unwrap().body.outcomes.remove(0));
        assert_eq!((one.refused.as_str(), two.refused.as_str()), (refused, refused));
        assert_eq!(one.transfer_ids, two.transfer_ids);
        assert_ne!(one.replayed, two.replayed, "one of them was first");
        assert_eq!(rig.balance(&wallet).await[0], left);
    }
    rig.assert_books().await;
}
