//! One suite over both ways of saving in bulk: what is saved is what is read, exactly; what another has changed meanwhile
//! is noticed; and PostgreSQL says no by itself to what the domain should never have allowed.

pub mod books;
mod opening;

use beem_clock::{Entropy, Moment};
use beem_database::claims::effects::Settled;
use beem_database::{Database, ErrorKind, Sql as _, kind_of};
use beem_fault::{Code, Fault, Result};
use beem_ids::{HoldId, LedgerAccountId, TransferId};
use beem_ledger::domain::{
    Balance, Book, Changes, Counterpart, Entry, EntryKind, Hold, HoldEnd, HoldState, Kind, NewTransfer,
    Order, Step, Subject, Transfer,
};
use beem_ledger::store::{accounts, bulk, engine};
use beem_money::{Amount, CurrencyCode, Rate};
use books::{
    Base, Books, account_id, amount, balance, balances, carry_out, conserved, draw_transfer, fund, hold,
    open_wallet, source, summed, transfer, usd,
};
use std::collections::BTreeSet;

/// Each test once on SQLite and once on PostgreSQL.
macro_rules! on_both_books {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::conformance::books::Books::new($crate::conformance::books::Base::Sqlite)).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::conformance::books::Books::new($crate::conformance::books::Base::Postgres)).await;
            })+
        }
    };
}
pub(crate) use on_both_books;

on_both_books!(
    what_is_saved_is_what_is_read,
    amounts_of_any_size_are_exact,
    a_thousand_transfers_between_two_thousand_accounts,
    a_balance_that_has_moved_on_undoes_everything,
    a_hold_ends_once_whoever_saves_it,
    what_the_domain_refuses_leaves_no_row,
    a_refused_order_does_not_use_up_a_transfer,
    what_is_known_comes_with_the_balances,
);

async fn save(db: &Database, changes: &Changes) -> Result<()> {
    db.write(|tx| Box::pin(async move { bulk::of(tx).save(tx, changes, &[]).await })).await
}

async fn holds(db: &Database, ids: &[HoldId]) -> Vec<Hold> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let ids = &ids;
    db.write(|tx| Box::pin(async move { bulk::of(tx).lock_holds(tx, ids).await })).await.unwrap()
}

/// Every entry there is, by account and number.
async fn entries(db: &Database) -> Vec<Entry> {
    let sql = "SELECT ledger_account_id, time_ms, sequence, kind, subject_id, CAST(amount AS TEXT) AS amount,
        CAST(reserved_change AS TEXT) AS reserved_change, CAST(total AS TEXT) AS total,
        CAST(reserved AS TEXT) AS reserved, hash FROM entries ORDER BY ledger_account_id, sequence";
    let read = |row| -> Result<Entry> {
        let kind = EntryKind::parse(&accounts::text(row, "kind")?).unwrap();
        let subject = accounts::id(row, "subject_id")?;
        Ok(Entry {
            account: LedgerAccountId(accounts::id(row, "ledger_account_id")?),
            sequence: accounts::number(row, "sequence")?,
            time: accounts::moment(row, "time_ms")?,
            kind,
            subject: match kind {
                EntryKind::Moved(_) => Subject::Transfer(TransferId(subject)),
                EntryKind::Hold | EntryKind::Release => Subject::Hold(HoldId(subject)),
            },
            amount: accounts::amount(row, "amount")?,
            reserved_change: accounts::amount(row, "reserved_change")?,
            total: accounts::amount(row, "total")?,
            reserved: accounts::amount(row, "reserved")?,
            hash: accounts::hash(row, "hash")?,
        })
    };
    db.read().rows(sql, vec![]).await.unwrap().iter().map(read).collect::<Result<_>>().unwrap()
}

/// Every transfer there is, by id.
async fn transfers(db: &Database) -> Vec<Transfer> {
    let sql = "SELECT id, debit_id, debit_sequence, credit_id, credit_sequence, currency, CAST(amount AS TEXT) AS amount,
        kind, reference, cause_type, cause_id, counter_currency, CAST(counter_amount AS TEXT) AS counter_amount, rate,
        time_ms, effect_key FROM transfers ORDER BY id";
    let read = |row| -> Result<Transfer> {
        let counter = accounts::currency_or_none(row, "counter_currency")?;
        let counter_amount = accounts::amount_or_none(row, "counter_amount")?;
        let rate = accounts::text_or_none(row, "rate")?;
        let counterpart = counter.zip(counter_amount).zip(rate).map(|((currency, amount), rate)| {
            Counterpart { currency, amount, rate: Rate::parse(&rate).unwrap() }
        });
        Ok(Transfer {
            new: NewTransfer {
                id: TransferId(accounts::id(row, "id")?),
                debit: LedgerAccountId(accounts::id(row, "debit_id")?),
                credit: LedgerAccountId(accounts::id(row, "credit_id")?),
                currency: accounts::currency(row, "currency")?,
                amount: accounts::amount(row, "amount")?,
                kind: Kind::parse(&accounts::text(row, "kind")?).unwrap(),
                reference: accounts::text(row, "reference")?,
                cause: beem_ledger::domain::Cause {
                    kind: accounts::text(row, "cause_type")?,
                    id: accounts::text(row, "cause_id")?,
                },
                counterpart,
            },
            effect: accounts::text(row, "effect_key")?,
            debit_sequence: accounts::number(row, "debit_sequence")?,
            credit_sequence: accounts::number(row, "credit_sequence")?,
            time: accounts::moment(row, "time_ms")?,
        })
    };
    db.read().rows(sql, vec![]).await.unwrap().iter().map(read).collect::<Result<_>>().unwrap()
}

/// Carries these out over what is in the database, without saving.
async fn decided(db: &Database, books: &Books, accounts: &[LedgerAccountId], orders: &[Order]) -> Book {
    let held: BTreeSet<_> = orders.iter().flat_map(Order::holds).collect();
    let held = holds(db, &held.into_iter().collect::<Vec<_>>()).await;
    let mut book = Book::open(books.clock.now(), balances(db, accounts).await, held);
    for order in orders {
        book.carry_out("test", order).unwrap();
    }
    book
}

async fn what_is_saved_is_what_is_read(books: Books) {
    let db = books.sandbox().await;
    let owner = account_id();
    let (a, b) = (open_wallet(&db, owner, usd()).await, open_wallet(&db, owner, usd()).await);
    let counterpart = Counterpart {
        currency: CurrencyCode::parse("ETH").unwrap(),
        amount: amount(123_456_789_012_345_678_901_234_567_890),
        rate: Rate::parse("0.000412345678901234").unwrap(),
    };
    let converted = NewTransfer { counterpart: Some(counterpart), ..transfer(source(), a, 10_000) };
    let (kept, posted, voided) = (hold(a, 10), hold(a, 500), hold(a, 20));
    let kept = beem_ledger::domain::NewHold { expires: Some(Moment::from_unix_s(1_800_000_000)), ..kept };
    let post = Step::PostHold {
        hold: posted.id,
        amount: Some(amount(450)),
        transfer: draw_transfer(),
        credit: b,
        kind: Kind::PaymentOut,
    };
    let end = |hold, end| Step::EndHold { hold, end };
    let first = [
        Order { owner, steps: vec![Step::Transfer(converted), Step::Transfer(transfer(a, b, 1))] },
        Order { owner, steps: [&kept, &posted, &voided].map(|new| Step::Reserve(new.clone())).to_vec() },
        // Placed and ended in one group.
        Order { owner, steps: vec![end(voided.id, HoldEnd::Voided)] },
    ];
    let ids = [source(), a, b];
    let book = decided(&db, &books, &ids, &first).await;
    let written = book.clone().changes();
    assert_eq!((written.transfers.len(), written.placed.len(), written.ended.len()), (2, 3, 0));
    save(&db, &written).await.unwrap();
    books.clock.advance_ms(5);
    let then = decided(&db, &books, &ids, &[Order { owner, steps: vec![post] }]).await;
    let written_then = then.clone().changes();
    assert_eq!((written_then.placed.len(), written_then.ended.len()), (0, 1));
    save(&db, &written_then).await.unwrap();

    for read in balances(&db, &ids).await {
        assert_eq!(Some(&read), then.balance(read.account));
    }
    let read = holds(&db, &[kept.id, posted.id, voided.id]).await;
    assert_eq!(read.len(), 3);
    for read in read {
        let book = if read.new.id == posted.id { &then } else { &book };
        assert_eq!(Some(&read), book.hold(read.new.id));
    }
    let mut all = [written.entries, written_then.entries].concat();
    all.sort_by_key(|entry| (entry.account, entry.sequence));
    assert_eq!(entries(&db).await, all);
    let mut all = [written.transfers, written_then.transfers].concat();
    all.sort_by_key(|transfer| transfer.new.id);
    assert_eq!(transfers(&db).await, all);
    conserved(&db).await;
}

async fn amounts_of_any_size_are_exact(books: Books) {
    let db = books.sandbox().await;
    let owner = account_id();
    let wallet = open_wallet(&db, owner, usd()).await;
    let thirty_digits = 123_456_789_012_345_678_901_234_567_890;
    fund(&db, owner, wallet, thirty_digits).await;
    assert_eq!(balance(&db, wallet).await.total, amount(thirty_digits));
    fund(&db, owner, wallet, i128::MAX - thirty_digits).await;
    assert_eq!(balance(&db, wallet).await.total, Amount::MAX);
    assert_eq!(balance(&db, source()).await.total, amount(-i128::MAX));
    let one_more = Order { owner, steps: vec![Step::Transfer(transfer(source(), wallet, 1))] };
    let fault = carry_out(&db, &one_more).await.unwrap_err();
    assert_eq!((fault.code, fault.fields[0].field.as_str()), (Code::ValidationFailed, "amount"));
    assert_eq!(summed(&db, wallet).await, (i128::MAX, 0, 2));
    conserved(&db).await;
}

async fn a_thousand_transfers_between_two_thousand_accounts(books: Books) {
    let db = books.sandbox().await;
    let owner = account_id();
    let mut wallets = Vec::new();
    for _ in 0..20 {
        let opened = (0..100).map(|_| open_wallet(&db, owner, usd()));
        wallets.extend(futures::future::join_all(opened).await);
    }
    let (from, to) = wallets.split_at(1000);
    let steps =
        |pairs: Vec<NewTransfer>| Order { owner, steps: pairs.into_iter().map(Step::Transfer).collect() };
    carry_out(&db, &steps(from.iter().map(|wallet| transfer(source(), *wallet, 7)).collect())).await.unwrap();
    let pairs = from.iter().zip(to).map(|(from, to)| transfer(*from, *to, 5)).collect();
    carry_out(&db, &steps(pairs)).await.unwrap();
    let read = balances(&db, &wallets).await;
    assert_eq!(read.len(), 2000);
    let order: Vec<_> = read.iter().map(|balance| balance.account).collect();
    assert!(order.is_sorted(), "in the order of their ids");
    let right = |b: &Balance| b.total == amount(if from.contains(&b.account) { 2 } else { 5 });
    assert!(read.iter().all(right));
    assert_eq!(summed(&db, source()).await, (-7000, 0, 1000));
    assert_eq!(transfers(&db).await.len(), 2000);
    conserved(&db).await;
}

async fn a_balance_that_has_moved_on_undoes_everything(books: Books) {
    let db = books.sandbox().await;
    let owner = account_id();
    let wallet = open_wallet(&db, owner, usd()).await;
    let order = |minor| [Order { owner, steps: vec![Step::Transfer(transfer(source(), wallet, minor))] }];
    let late = decided(&db, &books, &[source(), wallet], &order(5)).await.changes();
    fund(&db, owner, wallet, 9).await;
    // Its entries have numbers that are taken; without them, only the balances can tell.
    let fault = save(&db, &late).await.unwrap_err();
    assert!(matches!(kind_of(&fault), Some(ErrorKind::Unique { .. } | ErrorKind::Conflict)), "{fault:?}");
    let fault = save(&db, &Changes { entries: Vec::new(), ..late }).await.unwrap_err();
    assert_eq!(kind_of(&fault), Some(&ErrorKind::Conflict));
    assert_eq!(fault.code, Code::Unavailable);
    assert_eq!(balance(&db, wallet).await.total, amount(9));
    assert_eq!(transfers(&db).await.len(), 1);
}

async fn a_hold_ends_once_whoever_saves_it(books: Books) {
    let db = books.sandbox().await;
    let owner = account_id();
    let wallet = open_wallet(&db, owner, usd()).await;
    fund(&db, owner, wallet, 100).await;
    let new = hold(wallet, 60);
    carry_out(&db, &Order { owner, steps: vec![Step::Reserve(new.clone())] }).await.unwrap();
    let end = Order { owner, steps: vec![Step::EndHold { hold: new.id, end: HoldEnd::Voided }] };
    let late = decided(&db, &books, &[wallet], std::slice::from_ref(&end)).await.changes();
    carry_out(&db, &end).await.unwrap();
    let only_the_hold = Changes { ended: late.ended, ..Changes::default() };
    let fault = save(&db, &only_the_hold).await.unwrap_err();
    assert_eq!(kind_of(&fault), Some(&ErrorKind::Conflict));
    let read = holds(&db, &[new.id]).await.remove(0);
    assert_eq!((read.state, read.posted), (HoldState::Voided, Amount::ZERO));
    assert_eq!(balance(&db, wallet).await.reserved, Amount::ZERO);
    assert_eq!(summed(&db, wallet).await, (100, 0, 3));
}

/// The last line of defence is PostgreSQL's; SQLite, whose amounts are texts, has the domain only.
async fn what_the_domain_refuses_leaves_no_row(books: Books) {
    let db = books.sandbox().await;
    let owner = account_id();
    let wallet = open_wallet(&db, owner, usd()).await;
    fund(&db, owner, wallet, 100).await;
    let order = Order { owner, steps: vec![Step::Transfer(transfer(wallet, source(), 101))] };
    assert_eq!(carry_out(&db, &order).await.unwrap_err().code, Code::InsufficientFunds);
    if books.base == Base::Postgres {
        let fits = Order { owner, steps: vec![Step::Transfer(transfer(wallet, source(), 100))] };
        let changes = decided(&db, &books, &[source(), wallet], &[fits]).await.changes();
        let wrong = |change: &dyn Fn(&mut Changes)| {
            let mut changes = changes.clone();
            change(&mut changes);
            changes
        };
        let of_wallet = |c: &mut Changes, total, reserved| {
            let row = c.balances.iter_mut().find(|row| row.balance.account == wallet).unwrap();
            (row.balance.total, row.balance.reserved) = (amount(total), amount(reserved));
        };
        let all = [
            wrong(&|c| of_wallet(c, -1, 0)),
            wrong(&|c| of_wallet(c, 5, 6)),
            wrong(&|c| of_wallet(c, 5, -1)),
            wrong(&|c| c.transfers[0].new.amount = Amount::ZERO),
            wrong(&|c| c.transfers[0].new.credit = wallet),
        ];
        for changes in all {
            let fault = save(&db, &changes).await.unwrap_err();
            assert!(matches!(kind_of(&fault), Some(ErrorKind::Check { .. })), "{fault:?}");
            assert_eq!(fault.code, Code::Internal);
        }
    }
    assert_eq!(balance(&db, wallet).await.total, amount(100));
    assert_eq!((entries(&db).await.len(), transfers(&db).await.len()), (2, 1));
}

async fn a_refused_order_does_not_use_up_a_transfer(books: Books) {
    let db = books.sandbox().await;
    let owner = account_id();
    let wallet = open_wallet(&db, owner, usd()).await;
    let give = NewTransfer {
        id: NewTransfer::draw_id(db.clock().now(), &Entropy::System),
        ..transfer(wallet, source(), 5)
    };
    let order = Order { owner, steps: vec![Step::Transfer(give)] };
    assert_eq!(carry_out(&db, &order).await.unwrap_err().code, Code::InsufficientFunds);
    fund(&db, owner, wallet, 5).await;
    carry_out(&db, &order).await.unwrap();
    // The same transfer twice is a bug of ours, which the key of the table tells.
    fund(&db, owner, wallet, 5).await;
    assert_eq!(carry_out(&db, &order).await.unwrap_err().code, Code::Internal);
    assert_eq!(balance(&db, wallet).await.total, amount(5));
}

async fn what_is_known_comes_with_the_balances(books: Books) {
    let db = books.sandbox().await;
    let owner = account_id();
    let (wallet, nobody) = (open_wallet(&db, owner, usd()).await, LedgerAccountId(draw_transfer().0));
    fund(&db, owner, wallet, 9).await;
    let refusal = Err(Fault::not_found("wallet"));
    let settled = ["refused", "done"].into_iter().zip([refusal, Ok(b"answer".to_vec())]).collect::<Vec<_>>();
    let settled: Vec<_> =
        settled.iter().map(|(key, result)| Settled { key, fingerprint: [1; 32], result }).collect();
    let settled = &settled;
    db.write(|tx| Box::pin(async move { bulk::of(tx).save(tx, &Changes::default(), settled).await }))
        .await
        .unwrap();

    let mut ids = vec![wallet, source(), nobody];
    ids.sort_unstable();
    let ids = &ids;
    let open = |keys: &'static [&'static str], ids: &'static [LedgerAccountId]| {
        let db = db.clone();
        async move { db.write(|tx| Box::pin(bulk::of(tx).open(tx, keys, ids))).await.unwrap() }
    };
    let ids: &'static [LedgerAccountId] = ids.clone().leak();
    let (known, mut opened) = open(&["done", "free", "refused"], ids).await;
    opened.sort_by_key(|balance| balance.account);
    assert_eq!(opened, balances(&db, &[wallet, source()]).await);
    assert_eq!(known.len(), 2);
    let done = known["done"].answer([1; 32]);
    assert_eq!((done.result.unwrap(), done.replayed), (b"answer".to_vec(), true));
    let refused = known["refused"].answer([1; 32]);
    assert_eq!((refused.result.unwrap_err().code, refused.replayed), (Code::NotFound, true));
    assert_eq!(known["done"].answer([2; 32]).result.unwrap_err().code, Code::IdempotencyKeyReused);

    let (known, opened) = open(&[], ids).await;
    assert_eq!((known.len(), opened.len()), (0, 2));
    let (known, opened) = open(&["done"], &[]).await;
    assert_eq!((known.len(), opened.len()), (1, 0));
}

/// How long it waits for locks is the caller's to say; only what is remembered has a patience of its own. SQLite has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_without_keys_leaves_the_patience_of_its_transaction() {
    let db = Books::new(Base::Postgres).sandbox().await;
    let owner = account_id();
    let wallet = open_wallet(&db, owner, usd()).await;
    let order = &Order { owner, steps: vec![Step::Transfer(transfer(source(), wallet, 1))] };
    let patience = db.write(|tx| {
        Box::pin(async move {
            tx.run("SELECT set_config('lock_timeout', '9s', true)", vec![]).await?;
            engine::carry_out(tx, "test", order).await?;
            let row = tx.row("SELECT current_setting('lock_timeout') AS patience", vec![]).await?;
            accounts::text(&row.unwrap(), "patience")
        })
    });
    assert_eq!(patience.await.unwrap(), "9s");
}
