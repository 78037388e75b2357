//! Honest books have no finding at any moment, however many processes write meanwhile.

use crate::calls::{system, transfer, wallet_side};
use crate::rig::{Ledger, Rig};
use beem_proto::ledger::v1 as wire;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

crate::on_both!(nothing_is_found_while_two_processes_write);

/// Transfers, holds and conversions over hot accounts, until told to stop; how many writes were done.
async fn write(rig: &Rig, ledger: &Ledger, name: &str, wallets: &[String; 2], stop: &AtomicBool) -> u64 {
    let writes = AtomicU64::new(0);
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        rig.clock.advance_ms(1);
        let key = format!("{name}-{n}");
        let batches = (0..5).map(|m| {
            let moved = transfer(wallet_side(&wallets[0]), system("FEES"), "USDC", "0.01");
            rig.batch(&format!("{key}-{m}"), vec![moved.clone(), moved])
        });
        ledger.post_batches(wire::PostBatchesRequest { batches: batches.collect() }).await.unwrap();
        let hold = ledger.reserve(rig.reserving(&key, &wallets[0], "0.5")).await.unwrap().body.id;
        match n % 3 {
            0 => drop(ledger.post_hold(rig.posting(&format!("p{key}"), &hold)).await.unwrap()),
            1 => drop(ledger.void_hold(rig.voiding(&format!("v{key}"), &hold)).await.unwrap()),
            _ => {}
        }
        let asked = wire::CreateQuoteRequest {
            from_wallet_id: wallets[0].clone(),
            to_wallet_id: wallets[1].clone(),
            amount_in: "1".into(),
            amount_out: String::new(),
            reference: String::new(),
        };
        let quote = ledger.create_quote(&rig.owner, &format!("q{key}"), asked).await.unwrap().body.id;
        let asked = wire::ExecuteQuoteRequest { id: quote };
        match ledger.execute_quote(&rig.owner, &format!("e{key}"), asked).await {
            Ok(_) => {}
            // The clock went on by an hour in between, for a head.
            Err(refusal) => assert_eq!(refusal.code(), "quote-expired"),
        }
        writes.fetch_add(1, Ordering::Relaxed);
    }
    writes.into_inner()
}

async fn nothing_is_found_while_two_processes_write(rig: Rig) {
    let wallets = [rig.funded("USDC", "100000").await, rig.funded("EUR", "100").await];
    let other = rig.another().await;
    let stop = AtomicBool::new(false);
    let verify = async {
        let (mut entries, mut rounds) = (0, 0);
        // Until enough has been written to go through many stretches, in whole and in short ones.
        while entries < 1_500 || rounds < 6 {
            if rounds == 2 {
                rig.sign(1).await;
            }
            let max_rows = if rounds % 2 == 0 { 0 } else { 97 };
            let mut request = wire::VerifyLedgerRequest { max_rows, ..Default::default() };
            entries = 0;
            loop {
                let page = rig.verify_ledger(request).await.unwrap().body;
                assert_eq!(page.findings, [], "round {rounds}");
                entries += page.entries;
                if page.next_page_token.is_empty() {
                    break;
                }
                let page_token = page.next_page_token;
                request = wire::VerifyLedgerRequest { max_rows, page_token, ..Default::default() };
            }
            rounds += 1;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (one, two, ()) = tokio::join!(
        write(&rig, &rig.ledger, "one", &wallets, &stop),
        write(&rig, &other, "two", &wallets, &stop),
        verify
    );
    assert!(one > 0 && two > 0);
    rig.assert_books().await;
}
