//! Two processes settle overlapping groups over a few hot accounts at once: none waits in a circle, nothing is lost or
//! made, nothing falls below zero.

use super::{again, job_of};
use crate::conformance::books::{
    Base, Books, account_id, amount, balance, balances, conserved, draw_transfer, fund, hold, open_wallet,
    source, summed, transfer, usd,
};
use crate::conformance::on_both_books;
use beem_database::{Database, Sql as _};
use beem_fault::Code;
use beem_ids::{AccountId, LedgerAccountId};
use beem_ledger::domain::{HoldEnd, Order, Step};
use beem_ledger::store::accounts;
use beem_ledger::store::engine;

on_both_books!(two_processes_over_hot_accounts, one_key_from_two_processes_is_one_effect);

/// Groups each writer settles, and orders in each.
const GROUPS: usize = 25;
const ORDERS: usize = 8;

async fn two_processes_over_hot_accounts(books: Books) {
    let (one, other) = (books.sandbox().await, books.process().await);
    let owner = account_id();
    let mut wallets = Vec::new();
    for _ in 0..6 {
        let wallet = open_wallet(&one, owner, usd()).await;
        fund(&one, owner, wallet, 1_000).await;
        wallets.push(wallet);
    }
    let writers = [(&one, 1), (&one, 2), (&other, 3), (&other, 5)];
    let done = writers.map(|(db, step)| writer(db, owner, &wallets, step));
    let moved: usize = futures::future::join_all(done).await.into_iter().sum();
    assert!(moved > GROUPS * ORDERS, "most orders have funds: {moved}");

    let mut total = 0;
    for balance in balances(&one, &wallets).await {
        assert!(balance.total.minor() >= 0 && balance.reserved.is_zero(), "{balance:?}");
        let expected = (balance.total.minor(), 0, balance.sequence);
        assert_eq!(summed(&one, balance.account).await, expected);
        total += balance.total.minor();
    }
    assert_eq!(total, 6_000);
    conserved(&one).await;
    if books.base == Base::Postgres {
        // Runs again would hide one.
        let sql = "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()";
        let row = one.read().row(sql, vec![]).await.unwrap().unwrap();
        assert_eq!(accounts::number(&row, "n").unwrap(), 0);
    }
}

/// Each order takes and gives in its own direction, with a hold in between; how many were carried out.
async fn writer(db: &Database, owner: AccountId, wallets: &[LedgerAccountId], step: usize) -> usize {
    let mut done = 0;
    for group in 0..GROUPS {
        let order = |n: usize| {
            let from = wallets[(group * step + n) % wallets.len()];
            let to = wallets[(group * step + n + step) % wallets.len()];
            let held = hold(from, 10);
            let mut steps = vec![
                Step::Reserve(held.clone()),
                Step::EndHold { hold: held.id, end: HoldEnd::Voided },
                Step::Transfer(transfer(from, to, 90)),
            ];
            if n.is_multiple_of(2) {
                steps.reverse();
                steps.truncate(1);
            }
            job_of(&draw_transfer().to_string(), Order { owner, steps })
        };
        let jobs = &(0..ORDERS).map(order).collect::<Vec<_>>();
        for outcome in db.write(|tx| Box::pin(engine::settle(tx, jobs))).await.unwrap() {
            match outcome.result {
                Ok(_) => done += 1,
                Err(fault) => assert_eq!(fault.code, Code::InsufficientFunds, "{fault:?}"),
            }
        }
    }
    done
}

async fn one_key_from_two_processes_is_one_effect(books: Books) {
    let (one, other) = (books.sandbox().await, books.process().await);
    let owner = account_id();
    let wallet = open_wallet(&one, owner, usd()).await;
    for n in 1..=20 {
        let key = &format!("key-{n}");
        let give = &transfer(source(), wallet, 5);
        let settle = |db: &Database| {
            let db = db.clone();
            async move {
                // The ids are drawn anew, as a repeated call would.
                let jobs = &[job_of(key, Order { owner, steps: vec![Step::Transfer(again(give))] })];
                db.write(|tx| Box::pin(engine::settle(tx, jobs))).await.unwrap().remove(0)
            }
        };
        let (a, b) = futures::join!(settle(&one), settle(&other));
        assert_eq!(a.result.unwrap(), b.result.unwrap());
        assert!(a.replayed != b.replayed, "one of them did it");
        assert_eq!(balance(&one, wallet).await.total, amount(5 * n));
    }
    conserved(&one).await;
}
