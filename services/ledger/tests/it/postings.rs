//! PostBatches: what is posted is posted once, whole, and for whom it belongs to; what is refused stays refused.

use crate::calls::{clearing, system, transfer, wallet_side};
use crate::rig::{Base, Rig};
use beem_proto::ledger::v1 as wire;
use futures::future::join_all;
use std::collections::BTreeSet;
use std::time::Duration;

crate::on_both!(
    a_batch_moves_money_and_shows_in_both_accounts,
    row_02_posted_twice_under_one_key_moves_once,
    row_03_a_key_of_another_batch_is_refused,
    row_04_twenty_first_uses_of_one_key_at_once_have_one_effect,
    row_05_the_same_key_twice_in_one_batch,
    row_06_refused_for_funds_stays_refused_under_its_key,
    row_07_an_internal_error_does_not_burn_the_key,
    row_08_an_order_that_broke_off_leaves_nothing,
    row_18_amounts_are_exact_or_refused,
    row_20_what_was_answered_is_there_at_once_and_everywhere,
    twenty_clients_spend_one_wallet_at_once,
    a_refused_batch_does_not_refuse_its_neighbours,
    a_malformed_batch_is_refused_by_itself,
    a_call_that_is_too_large_does_nothing,
    linked_transfers_are_all_or_nothing,
    only_channels_say_what_a_chain_holds,
    wallets_of_others_and_the_sandbox_do_not_exist,
    row_23_two_processes_over_hot_accounts,
);

async fn a_batch_moves_money_and_shows_in_both_accounts(rig: Rig) {
    let (from, to) = (rig.funded("USD", "100.00").await, rig.wallet("USD").await);
    let linked = vec![
        transfer(wallet_side(&from), wallet_side(&to), "USD", "30.25"),
        transfer(wallet_side(&to), system("FEES"), "USD", "0.25"),
        transfer(system("LIQUIDITY"), wallet_side(&to), "USD", "5"),
    ];
    let posted = rig.post("a", linked).await;
    assert_eq!((posted.refused.as_str(), posted.transfer_ids.len(), posted.replayed), ("", 3, false));
    assert_eq!(rig.balance(&from).await, ["69.75", "0.00", "69.75"]);
    assert_eq!(rig.balance(&to).await, ["35.00", "0.00", "35.00"]);
    let coin = rig.wallet("BTC").await;
    let deposit = vec![transfer(clearing("bitcoin"), wallet_side(&coin), "BTC", "0.00000001")];
    assert_eq!(rig.post_from_chain("b", deposit).await.refused, "");
    assert_eq!(rig.balance(&coin).await[0], "0.00000001");
    rig.assert_books().await;
}

async fn row_02_posted_twice_under_one_key_moves_once(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let batch = vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "4.00")];
    let first = rig.post("a", batch.clone()).await;
    let again = rig.post("a", batch.clone()).await;
    assert_eq!(first.transfer_ids, again.transfer_ids);
    assert_eq!((first.replayed, again.replayed), (false, true));
    let mut rig = rig;
    rig.restart().await;
    let after = rig.post("a", batch).await;
    assert_eq!((after.transfer_ids, after.replayed), (first.transfer_ids, true));
    assert_eq!(rig.balance(&wallet).await[0], "6.00");
    rig.assert_books().await;
}

async fn row_03_a_key_of_another_batch_is_refused(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let of = |amount| vec![transfer(wallet_side(&wallet), system("FEES"), "USD", amount)];
    assert_eq!(rig.post("a", of("1.00")).await.refused, "");
    let other = rig.post("a", of("2.00")).await;
    assert_eq!((other.refused.as_str(), other.replayed), ("idempotency-key-reused", false));
    // The key is still the first one's.
    assert!(rig.post("a", of("1.00")).await.replayed);
    assert_eq!(rig.balance(&wallet).await[0], "9.00");
}

async fn row_04_twenty_first_uses_of_one_key_at_once_have_one_effect(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let other = rig.another().await;
    let batch = rig.batch("a", vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "7.00")]);
    let asked = wire::PostBatchesRequest { batches: vec![batch] };
    let answers = join_all((0..20).map(|i| {
        let process = if i % 2 == 0 { &rig.ledger } else { &other };
        process.post_batches(asked.clone())
    }))
    .await;
    let outcomes: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().body.outcomes[0].clone()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.replayed).count(), 1);
    let ids: BTreeSet<_> = outcomes.iter().map(|outcome| outcome.transfer_ids.clone()).collect();
    assert_eq!((ids.len(), rig.balance(&wallet).await[0].as_str()), (1, "93.00"));
    rig.assert_books().await;
}

async fn row_05_the_same_key_twice_in_one_batch(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let of = |amount| rig.batch("a", vec![transfer(wallet_side(&wallet), system("FEES"), "USD", amount)]);
    let batches = vec![of("4.00"), of("4.00"), of("5.00")];
    let answer = rig.post_batches(wire::PostBatchesRequest { batches }).await.unwrap().body.outcomes;
    assert_eq!((answer[0].refused.as_str(), answer[0].replayed), ("", false));
    assert_eq!((&answer[1].transfer_ids, answer[1].replayed), (&answer[0].transfer_ids, true));
    assert_eq!(answer[2].refused, "idempotency-key-reused");
    assert_eq!(rig.balance(&wallet).await[0], "6.00");
    rig.assert_books().await;
}

async fn row_06_refused_for_funds_stays_refused_under_its_key(rig: Rig) {
    let wallet = rig.wallet("USD").await;
    let batch = vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "5.00")];
    let refused = rig.post("a", batch.clone()).await;
    assert_eq!((refused.refused.as_str(), refused.replayed), ("insufficient-funds", false));
    rig.credit(&wallet, "100.00").await;
    let late = rig.post("a", batch.clone()).await;
    assert_eq!(
        (late.refused.as_str(), late.replayed, late.transfer_ids.len()),
        ("insufficient-funds", true, 0)
    );
    assert_eq!(late.detail, refused.detail);
    assert_eq!(rig.balance(&wallet).await[0], "100.00");
    assert_eq!(rig.post("b", batch).await.refused, "");
    assert_eq!(rig.balance(&wallet).await[0], "95.00");
}

async fn row_07_an_internal_error_does_not_burn_the_key(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let batch = rig.batch("a", vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "4.00")]);
    let asked = wire::PostBatchesRequest { batches: vec![batch] };
    rig.refuse_changes(&wallet, true).await;
    assert_eq!(rig.post_batches(asked.clone()).await.unwrap_err().code(), "internal");
    assert_eq!(rig.balance(&wallet).await[0], "10.00");
    rig.refuse_changes(&wallet, false).await;
    let outcome = rig.post_batches(asked).await.unwrap().body.outcomes[0].clone();
    assert_eq!((outcome.refused.as_str(), outcome.replayed), ("", false));
    assert_eq!(rig.balance(&wallet).await[0], "6.00");
    rig.assert_books().await;
}

/// The balance is the last that is written of an order, behind its transfers and entries.
async fn row_08_an_order_that_broke_off_leaves_nothing(rig: Rig) {
    let (from, to) = (rig.funded("USD", "10.00").await, rig.wallet("USD").await);
    let batch = rig.batch("a", vec![transfer(wallet_side(&from), wallet_side(&to), "USD", "3.00"); 3]);
    let tables = ["transfers", "entries", "effects", "balances WHERE sequence > 0"];
    let before = join_all(tables.map(|table| rig.count(table))).await;
    rig.refuse_changes(&to, true).await;
    let broken = rig.post_batches(wire::PostBatchesRequest { batches: vec![batch] }).await;
    assert_eq!(broken.unwrap_err().code(), "internal");
    let mut rig = rig;
    rig.restart().await;
    assert_eq!(join_all(tables.map(|table| rig.count(table))).await, before);
    rig.assert_books().await;
}

async fn row_18_amounts_are_exact_or_refused(rig: Rig) {
    let coin = rig.wallet("ETH").await;
    let into = |currency, amount| vec![transfer(system("LIQUIDITY"), wallet_side(&coin), currency, amount)];
    let wrong = ["", "0", "0.000", "-1", "+1", "1e3", "NaN", "Infinity", "1,5", " 1", "0x10", ".5", "1."];
    let (fine, long) = ("0.0000000000000000001", "9".repeat(60));
    for (i, text) in wrong.into_iter().chain([fine, &long]).enumerate() {
        let outcome = rig.post(&format!("wrong-{i}"), into("ETH", text)).await;
        assert_eq!(outcome.refused, "validation-failed", "{text:?}");
        assert!(outcome.detail.starts_with("batches[0].transfers[0].amount"), "{}", outcome.detail);
    }
    // 30 digits, the last of them a wei.
    let digits = "123456789012.345678901234567891";
    assert_eq!(rig.post("digits", into("ETH", digits)).await.refused, "");
    assert_eq!(rig.balance(&coin).await[0], digits);
    // All of an i128 is one too much beside that.
    let most = "170141183460469231731.687303715884105727";
    for _ in 0..2 {
        let into = vec![transfer(system("GAS"), wallet_side(&coin), "ETH", most)];
        let outcome = rig.post("most", into).await;
        assert_eq!(
            (outcome.refused.as_str(), rig.balance(&coin).await[0].as_str()),
            ("validation-failed", digits)
        );
    }
    let currency = rig.post("currency", into("USD", "1.00")).await;
    assert_eq!(currency.refused, "validation-failed", "{}", currency.detail);
    rig.assert_books().await;
}

async fn row_20_what_was_answered_is_there_at_once_and_everywhere(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let other = rig.another().await;
    for i in 0..20 {
        let batch = vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "1.00")];
        assert_eq!(rig.post(&format!("a{i}"), batch).await.refused, "");
        let asked = wire::ReadWalletRequest { account_id: rig.account(), wallet_id: wallet.clone() };
        let read = other.read_wallet(asked).await.unwrap().body.balance.unwrap();
        assert_eq!(read.total, format!("{}.00", 99 - i));
    }
}

async fn twenty_clients_spend_one_wallet_at_once(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let other = rig.another().await;
    let answers = join_all((0..20).map(|i| {
        let key = format!("spend-{i}");
        let batch = rig.batch(&key, vec![transfer(wallet_side(&wallet), system("FEES"), "USD", "9.00")]);
        let process = if i % 2 == 0 { &rig.ledger } else { &other };
        process.post_batches(wire::PostBatchesRequest { batches: vec![batch] })
    }))
    .await;
    let refused: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().body.outcomes[0].refused.clone()).collect();
    assert_eq!(refused.iter().filter(|code| code.is_empty()).count(), 11);
    assert_eq!(refused.iter().filter(|code| *code == "insufficient-funds").count(), 9);
    assert_eq!(rig.balance(&wallet).await[0], "1.00");
    rig.assert_books().await;
}

async fn a_refused_batch_does_not_refuse_its_neighbours(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let of = |key: &str, amount| {
        rig.batch(key, vec![transfer(wallet_side(&wallet), system("FEES"), "USD", amount)])
    };
    let gone = rig.batch("gone", vec![transfer(wallet_side(&rig.account()), system("FEES"), "USD", "1.00")]);
    let batches = vec![of("a", "4.00"), of("b", "7.00"), of("c", "0"), gone, of("d", "6.00")];
    let answer = rig.post_batches(wire::PostBatchesRequest { batches }).await.unwrap().body.outcomes;
    let refused: Vec<_> = answer.iter().map(|outcome| outcome.refused.as_str()).collect();
    assert_eq!(refused, ["", "insufficient-funds", "validation-failed", "not-found", ""]);
    assert_eq!(rig.balance(&wallet).await[0], "0.00");
    rig.assert_books().await;
}

async fn a_malformed_batch_is_refused_by_itself(rig: Rig) {
    let wallet = rig.funded("USD", "10.00").await;
    let good = || transfer(wallet_side(&wallet), system("FEES"), "USD", "1.00");
    let mut both = wallet_side(&wallet);
    both.system = "FEES".into();
    let wrong: Vec<(&str, wire::Transfer)> = vec![
        ("debit", wire::Transfer { debit: None, ..good() }),
        ("debit", wire::Transfer { debit: Some(wire::Side::default()), ..good() }),
        ("debit", wire::Transfer { debit: Some(both), ..good() }),
        ("credit.system", wire::Transfer { credit: Some(system("SANDBOX")), ..good() }),
        ("credit.system", wire::Transfer { credit: Some(system("WALLET")), ..good() }),
        ("credit.system", wire::Transfer { credit: Some(system("SUSPENSE")), ..good() }),
        ("debit.system", wire::Transfer { debit: Some(system("SUSPENSE")), ..good() }),
        ("credit.network", wire::Transfer { credit: Some(clearing("bitcoin")), ..good() }),
        ("credit.network", wire::Transfer { credit: Some(system("CLEARING")), ..good() }),
        ("currency", wire::Transfer { currency: "XXX".into(), ..good() }),
        ("amount", wire::Transfer { amount: "1.001".into(), ..good() }),
        ("kind", wire::Transfer { kind: "SPREAD".into(), ..good() }),
        ("kind", wire::Transfer { kind: "CONVERSION_IN".into(), ..good() }),
        ("kind", wire::Transfer { kind: "CONVERSION_OUT".into(), ..good() }),
        ("kind", wire::Transfer { kind: String::new(), ..good() }),
        ("reference", wire::Transfer { reference: "x".repeat(201), ..good() }),
        ("reference", wire::Transfer { reference: "a\nb".into(), ..good() }),
        ("reference", wire::Transfer { reference: "a\u{202e}b".into(), ..good() }),
        ("cause", wire::Transfer { cause: None, ..good() }),
        ("cause.id", wire::Transfer { cause: Some(crate::calls::cause("x", "")), ..good() }),
    ];
    for (field, transfer) in wrong {
        let batches = vec![rig.batch("ok", vec![good()]), rig.batch("wrong", vec![good(), transfer.clone()])];
        let answer = rig.post_batches(wire::PostBatchesRequest { batches }).await.unwrap().body.outcomes;
        assert_eq!((answer[0].refused.as_str(), answer[1].refused.as_str()), ("", "validation-failed"));
        let at = format!("batches[1].transfers[1].{field}:");
        assert!(answer[1].detail.starts_with(&at), "{at} {}", answer[1].detail);
    }
    let nobody = wire::Batch { account_id: "nobody".into(), ..rig.batch("wrong", vec![good()]) };
    for (batch, at) in
        [(nobody, "batches[0].accountId:"), (rig.batch("wrong", vec![]), "batches[0].transfers:")]
    {
        let answer = rig.post_batches(wire::PostBatchesRequest { batches: vec![batch] }).await.unwrap().body;
        assert!(answer.outcomes[0].detail.starts_with(at), "{}", answer.outcomes[0].detail);
    }
    // Nothing was remembered of any of them.
    assert_eq!(rig.post("wrong", vec![good()]).await.refused, "");
    assert_eq!(rig.balance(&wallet).await[0], "8.00");
}

async fn only_channels_say_what_a_chain_holds(rig: Rig) {
    let coin = rig.wallet("BTC").await;
    let into = || transfer(clearing("bitcoin"), wallet_side(&coin), "BTC", "2");
    let refused = rig.post("a", vec![into()]).await;
    assert_eq!(refused.refused, "validation-failed");
    assert!(refused.detail.starts_with("batches[0].transfers[0].debit.system:"), "{}", refused.detail);
    assert_eq!(rig.balance(&coin).await[0], "0.00000000");
    assert_eq!(rig.post_from_chain("a", vec![into()]).await.refused, "");
    // What is given back to a chain is nobody's gain.
    let back = transfer(wallet_side(&coin), clearing("bitcoin"), "BTC", "0.5");
    assert_eq!(rig.post("b", vec![back]).await.refused, "");
    assert_eq!(rig.balance(&coin).await[0], "1.50000000");
    let hold = rig.reserve(rig.reserving("c", &coin, "1")).await.unwrap().body.id;
    let asked = wire::PostHoldRequest { credit: Some(system("SUSPENSE")), ..rig.posting("d", &hold) };
    assert_eq!(rig.post_hold(asked).await.unwrap_err().fields(), ["credit.system"]);
    rig.assert_books().await;
}

async fn a_call_that_is_too_large_does_nothing(rig: Rig) {
    let wallet = rig.funded("USD", "100.00").await;
    let one = || transfer(wallet_side(&wallet), system("FEES"), "USD", "0.01");
    let refused = async |batches: Vec<wire::Batch>| {
        let refused = rig.post_batches(wire::PostBatchesRequest { batches }).await.unwrap_err();
        (refused.code(), refused.fault.fields[0].field.clone())
    };
    let many = |n: usize, size: usize| {
        (0..n).map(|i| rig.batch(&format!("k{i}"), vec![one(); size])).collect::<Vec<_>>()
    };
    for batches in [vec![], many(1001, 1), many(2, 501)] {
        assert_eq!(refused(batches).await, ("validation-failed", "batches".to_owned()));
    }
    let mut wrong = many(3, 1);
    wrong[2].effect_key = "a key".into();
    assert_eq!(refused(wrong).await, ("validation-failed", "batches[2].effectKey".to_owned()));
    assert_eq!(rig.balance(&wallet).await[0], "100.00");
    // The largest there may be.
    let answer = rig.post_batches(wire::PostBatchesRequest { batches: many(1000, 1) }).await.unwrap();
    assert!(answer.body.outcomes.iter().all(|outcome| outcome.refused.is_empty()));
    let whole = rig.batch("whole", vec![one(); 1000]);
    let answer = rig.post_batches(wire::PostBatchesRequest { batches: vec![whole] }).await.unwrap();
    assert_eq!(answer.body.outcomes[0].transfer_ids.len(), 1000);
    assert_eq!(rig.balance(&wallet).await[0], "80.00");
    rig.assert_books().await;
}

async fn linked_transfers_are_all_or_nothing(rig: Rig) {
    let (a, b) = (rig.funded("USD", "10.00").await, rig.wallet("USD").await);
    let through = |back| {
        vec![
            transfer(wallet_side(&a), wallet_side(&b), "USD", "10.00"),
            transfer(wallet_side(&b), wallet_side(&a), "USD", back),
        ]
    };
    let entries = rig.count("entries").await;
    assert_eq!(rig.post("much", through("10.01")).await.refused, "insufficient-funds");
    assert_eq!(rig.count("entries").await, entries);
    assert_eq!(rig.balance(&a).await[0], "10.00");
    // What the first one brings, the second one may take.
    assert_eq!(rig.post("enough", through("10.00")).await.refused, "");
    assert_eq!((rig.count("entries").await, rig.balance(&a).await[0].as_str()), (entries + 4, "10.00"));
    let same = vec![transfer(wallet_side(&a), wallet_side(&a), "USD", "1.00")];
    assert_eq!(rig.post("same", same).await.refused, "validation-failed");
    rig.assert_books().await;
}

async fn wallets_of_others_and_the_sandbox_do_not_exist(rig: Rig) {
    let stranger = rig.stranger();
    let theirs = rig.wallet_of(&stranger, "USD").await;
    rig.credit_of(&stranger, &theirs, "10.00").await;
    let mine = rig.funded("USD", "10.00").await;
    let take = vec![transfer(wallet_side(&theirs), wallet_side(&mine), "USD", "1.00")];
    let give = vec![transfer(wallet_side(&mine), wallet_side(&theirs), "USD", "1.00")];
    assert_eq!(rig.post("take", take).await.refused, "not-found");
    assert_eq!(rig.post("give", give).await.refused, "not-found");
    let asked = wire::ReadWalletRequest { account_id: rig.account(), wallet_id: theirs.clone() };
    assert_eq!(rig.read_wallet(asked).await.unwrap_err().code(), "not-found");
    // Nor does the id of a system account stand for a wallet.
    let sandbox = vec![transfer(system("SANDBOX"), wallet_side(&mine), "USD", "1.00")];
    assert_eq!(rig.post("sandbox", sandbox).await.refused, "validation-failed");
    assert_eq!(rig.balance(&mine).await[0], "10.00");
}

/// Two processes, each with several callers whose batches lock the same few wallets in every order.
async fn row_23_two_processes_over_hot_accounts(rig: Rig) {
    let mut wallets = Vec::new();
    for _ in 0..4 {
        wallets.push(rig.funded("USD", "1000.00").await);
    }
    let other = rig.another().await;
    let calls = join_all((0..8_usize).map(|caller| {
        let (rig, wallets, process) = (&rig, &wallets, if caller % 2 == 0 { &rig.ledger } else { &other });
        async move {
            for round in 0..6_usize {
                let batches = (0..20_usize).map(|i| {
                    let (from, by) = ((caller + round + i) % 4, 1 + (caller + i) % 3);
                    let sides = (wallet_side(&wallets[from]), wallet_side(&wallets[(from + by) % 4]));
                    let key = format!("hot-{caller}-{round}-{i}");
                    rig.batch(&key, vec![transfer(sides.0, sides.1, "USD", "0.50")])
                });
                let asked = wire::PostBatchesRequest { batches: batches.collect() };
                let answer = process.post_batches(asked).await.unwrap().body.outcomes;
                assert!(answer.iter().all(|outcome| outcome.refused.is_empty()), "{answer:?}");
            }
        }
    }));
    tokio::time::timeout(Duration::from_secs(60), calls).await.expect("nobody waits in a circle");
    assert_eq!(rig.count("transfers").await, 4 + 8 * 6 * 20);
    rig.assert_books().await;
    if rig.base == Base::Postgres {
        let sql = "pg_stat_database WHERE datname = current_database() AND deadlocks > 0";
        assert_eq!(rig.count(sql).await, 0, "a deadlock");
    }
}
