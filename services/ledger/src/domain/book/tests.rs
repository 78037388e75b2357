//! The book by itself: what each step does and refuses, and what holds whatever is asked of it.

#![allow(clippy::arithmetic_side_effects, reason = "small numbers; an overflow fails the test")]

use super::*;
use crate::domain::Cause;
use beem_clock::Entropy;
use proptest::prelude::*;
use uuid::Uuid;

const OWNER: AccountId = AccountId(Uuid::from_u128(1));
const OTHER: AccountId = AccountId(Uuid::from_u128(2));
/// Wallets of the owner; then one of another account, one in euros, one that may go below zero, one of fees.
const WALLETS: u128 = 3;
const FOREIGN: u128 = 3;
const EUROS: u128 = 4;
const SOURCE: u128 = 5;
const FEES: u128 = 6;

fn now() -> Moment {
    Moment::from_unix_s(1_700_000_000)
}

fn id(n: u128) -> LedgerAccountId {
    LedgerAccountId(Uuid::from_u128(0x10 + n))
}

fn amount(minor: i128) -> Amount {
    Amount::from_minor(minor)
}

/// Each wallet with 100.
fn book() -> Book {
    let balance = |n: u128| Balance {
        account: id(n),
        owner: match n {
            SOURCE | FEES => None,
            FOREIGN => Some(OTHER),
            _ => Some(OWNER),
        },
        currency: CurrencyCode::parse(if n == EUROS { "EUR" } else { "USD" }).unwrap(),
        total: amount(if n == SOURCE {
            -400
        } else if n == FEES || n == EUROS {
            0
        } else {
            100
        }),
        reserved: Amount::ZERO,
        floor: (n != SOURCE).then_some(Amount::ZERO),
        sequence: 7,
        hash: [u8::try_from(n).unwrap(); 32],
        time: now().plus_ms(-1000),
    };
    Book::open(now(), (0..=FEES).map(balance).collect(), Vec::new())
}

fn order(steps: Vec<Step>) -> Order {
    Order { owner: OWNER, steps }
}

fn cause() -> Cause {
    Cause { kind: "test".into(), id: "1".into() }
}

fn give(from: u128, to: u128, minor: i128) -> Step {
    Step::Transfer(NewTransfer {
        id: NewTransfer::draw_id(now(), &Entropy::System),
        debit: id(from),
        credit: id(to),
        currency: CurrencyCode::USD,
        amount: amount(minor),
        kind: Kind::Adjustment,
        reference: String::new(),
        cause: cause(),
        counterpart: None,
    })
}

fn hold(hold: u128, from: u128, minor: i128) -> NewHold {
    let (id, account, amount) = (HoldId(Uuid::from_u128(hold)), id(from), amount(minor));
    NewHold { id, account, amount, reference: String::new(), cause: cause(), expires: None }
}

fn reserve(id: u128, from: u128, minor: i128) -> Step {
    Step::Reserve(hold(id, from, minor))
}

fn end(hold: u128, end: HoldEnd) -> Step {
    Step::EndHold { hold: HoldId(Uuid::from_u128(hold)), end }
}

fn post(hold: u128, minor: Option<i128>, to: u128) -> Step {
    Step::PostHold {
        hold: HoldId(Uuid::from_u128(hold)),
        amount: minor.map(amount),
        transfer: NewTransfer::draw_id(now(), &Entropy::System),
        credit: id(to),
        kind: Kind::PaymentOut,
    }
}

/// What can be seen of a book.
fn seen(book: &Book) -> Changes {
    book.clone().changes()
}

fn refused(book: &mut Book, steps: Vec<Step>) -> Fault {
    let before = seen(book);
    let fault = book.carry_out("e", &order(steps)).unwrap_err();
    assert_eq!(seen(book), before, "a refusal leaves no trace");
    fault
}

fn of(book: &Book, n: u128) -> (i128, i128) {
    let balance = book.balance(id(n)).unwrap();
    (balance.total.minor(), balance.reserved.minor())
}

#[test]
fn a_transfer_makes_two_entries_that_go_on_where_the_chains_ended() {
    let mut book = book();
    let (first, second) = (book.balance(id(0)).unwrap().clone(), book.balance(id(1)).unwrap().clone());
    let range = book.carry_out("e", &order(vec![give(0, 1, 30)])).unwrap();
    assert_eq!(range, 0..2);
    let changes = book.changes();
    let transfer = &changes.transfers[0];
    assert_eq!((transfer.debit_sequence, transfer.credit_sequence), (8, 8));
    let (left, came) = (&changes.entries[0], &changes.entries[1]);
    assert_eq!((left.amount, came.amount), (amount(-30), amount(30)));
    assert_eq!((left.total, came.total), (amount(70), amount(130)));
    assert_eq!(left.hash, left.hash_after(&first.hash, &transfer.new.digest("e")));
    assert_eq!(came.hash, came.hash_after(&second.hash, &transfer.new.digest("e")));
    assert_eq!(changes.balances.iter().map(|row| row.was).collect::<Vec<_>>(), [7, 7]);
}

#[test]
fn every_wrong_transfer_is_told_from_the_others() {
    let mut book = book();
    let codes = [
        (give(0, 1, 101), Code::InsufficientFunds),
        (give(FEES, 0, 1), Code::InsufficientFunds),
        (give(0, 1, 0), Code::ValidationFailed),
        (give(0, 1, -1), Code::ValidationFailed),
        (give(0, 0, 1), Code::SameWallet),
        (give(0, EUROS, 1), Code::ValidationFailed),
        (give(0, FOREIGN, 1), Code::NotFound),
        (give(FOREIGN, 0, 1), Code::NotFound),
        (give(0, 99, 1), Code::NotFound),
        (give(0, 1, i128::MAX), Code::InsufficientFunds),
        (give(SOURCE, 0, i128::MAX), Code::Unavailable),
    ];
    for (step, code) in codes {
        assert_eq!(refused(&mut book, vec![step]).code, code);
    }
    assert_eq!(refused(&mut book, vec![give(0, EUROS, 1)]).fields[0].field, "currency");
    assert_eq!(refused(&mut book, Vec::new()).code, Code::Internal);
}

#[test]
fn linked_steps_stand_or_fall_together_and_the_next_order_goes_on() {
    let mut book = book();
    let fault = refused(&mut book, vec![give(0, 1, 60), reserve(1, 1, 160), give(1, 2, 1)]);
    assert_eq!(fault.code, Code::InsufficientFunds);
    assert_eq!(of(&book, 0), (100, 0));
    // What one step brings, the next may give away.
    book.carry_out("e", &order(vec![give(0, 1, 100), give(1, 2, 200), give(2, 0, 300)])).unwrap();
    assert_eq!((of(&book, 0), of(&book, 1), of(&book, 2)), ((300, 0), (0, 0), (0, 0)));
}

#[test]
fn what_is_held_cannot_be_spent_and_comes_back_once() {
    let mut book = book();
    book.carry_out("e", &order(vec![reserve(1, 0, 70)])).unwrap();
    assert_eq!(refused(&mut book, vec![give(0, 1, 31)]).code, Code::InsufficientFunds);
    assert_eq!(refused(&mut book, vec![reserve(2, 0, 31)]).code, Code::InsufficientFunds);
    for wrong in [Some(71), Some(0), Some(-1)] {
        assert_eq!(refused(&mut book, vec![post(1, wrong, 1)]).code, Code::ValidationFailed);
    }
    book.carry_out("e", &order(vec![post(1, Some(50), 1)])).unwrap();
    assert_eq!((of(&book, 0), of(&book, 1)), ((50, 0), (150, 0)));
    for late in [post(1, None, 1), end(1, HoldEnd::Voided), end(1, HoldEnd::Posted(amount(1)))] {
        assert_eq!(refused(&mut book, vec![late]).code, Code::HoldEnded);
    }
    // Expiry comes too late and does no harm; so does a second void.
    let before = seen(&book);
    book.carry_out("e", &order(vec![end(1, HoldEnd::Expired)])).unwrap();
    assert_eq!(seen(&book), before);
    book.carry_out("e", &order(vec![reserve(3, 0, 50), end(3, HoldEnd::Voided)])).unwrap();
    let before = seen(&book);
    book.carry_out("e", &order(vec![end(3, HoldEnd::Voided)])).unwrap();
    assert_eq!(seen(&book), before);
    assert_eq!(refused(&mut book, vec![post(3, None, 1)]).code, Code::HoldEnded);
}

#[test]
fn a_posted_hold_and_its_transfers_agree_to_the_last_unit() {
    let mut book = book();
    book.carry_out("e", &order(vec![reserve(1, 0, 70)])).unwrap();
    let ends = || end(1, HoldEnd::Posted(amount(60)));
    for wrong in [vec![ends()], vec![ends(), give(0, 1, 59)], vec![ends(), give(0, 1, 60), give(0, 2, 1)]] {
        assert_eq!(refused(&mut book, wrong).code, Code::Internal);
    }
    book.carry_out("e", &order(vec![ends(), give(0, 1, 40), give(0, 2, 20), give(2, 1, 120)])).unwrap();
    assert_eq!((of(&book, 0), of(&book, 1), of(&book, 2)), ((40, 0), (260, 0), (0, 0)));
    // What is given back without being posted is nobody's debt.
    book.carry_out("e", &order(vec![reserve(2, 0, 40), end(2, HoldEnd::Voided), give(0, 1, 40)])).unwrap();
    assert_eq!(of(&book, 0), (0, 0));
}

#[test]
fn a_hold_is_its_owners_and_ends_when_its_time_is_over() {
    let mut first = book();
    let in_time = |ms| Step::Reserve(NewHold { expires: Some(now().plus_ms(ms)), ..hold(1, 0, 10) });
    assert_eq!(refused(&mut first, vec![in_time(0)]).fields[0].field, "expiresAt");
    assert_eq!(refused(&mut first, vec![reserve(1, FOREIGN, 1)]).code, Code::NotFound);
    assert_eq!(refused(&mut first, vec![reserve(1, SOURCE, 1)]).code, Code::NotFound);
    first.carry_out("e", &order(vec![in_time(1)])).unwrap();
    let hold = first.hold(HoldId(Uuid::from_u128(1))).unwrap().clone();
    let balance = first.balance(id(0)).unwrap().clone();
    let mut later = Book::open(now().plus_ms(1), vec![balance], vec![hold]);
    let theirs = Order { owner: OTHER, steps: vec![end(1, HoldEnd::Voided)] };
    assert_eq!(later.carry_out("e", &theirs).unwrap_err().code, Code::NotFound);
    assert_eq!(refused(&mut later, vec![post(1, None, 1)]).code, Code::HoldEnded);
    later.carry_out("e", &order(vec![end(1, HoldEnd::Expired)])).unwrap();
    assert_eq!(of(&later, 0), (100, 0));
    let changes = later.changes();
    assert_eq!((changes.placed.len(), changes.ended.len()), (0, 1));
    assert_eq!(changes.ended[0].ended, Some((now().plus_ms(1), 9)));
}

#[test]
fn two_holds_never_share_an_id() {
    let mut book = book();
    book.carry_out("e", &order(vec![reserve(1, 0, 10)])).unwrap();
    assert_eq!(refused(&mut book, vec![reserve(1, 0, 10)]).code, Code::Internal);
    assert_eq!(refused(&mut book, vec![reserve(2, 1, 10), reserve(2, 2, 10)]).code, Code::Internal);
}

#[test]
fn time_in_the_books_never_goes_back() {
    let mut balance = book().balance(id(0)).unwrap().clone();
    balance.time = now().plus_ms(5);
    let others = (1..=FEES).map(|n| book().balance(id(n)).unwrap().clone());
    let mut book = Book::open(now(), others.chain([balance]).collect(), Vec::new());
    // Of one order: a clock that was ahead elsewhere does not move those who have nothing to do with it.
    book.carry_out("e", &order(vec![give(1, 2, 1)])).unwrap();
    assert_eq!(book.time(), now());
    book.carry_out("e", &order(vec![give(0, 1, 1)])).unwrap();
    assert_eq!(book.time(), now().plus_ms(5));
    assert!(book.entries().iter().all(|entry| entry.time <= book.time()));
}

#[test]
fn a_hold_whose_time_has_not_come_does_not_expire() {
    let mut book = book();
    let in_time = NewHold { expires: Some(now().plus_ms(1)), ..hold(1, 0, 10) };
    book.carry_out("e", &order(vec![Step::Reserve(in_time), reserve(2, 0, 10)])).unwrap();
    for n in [1, 2] {
        assert_eq!(refused(&mut book, vec![end(n, HoldEnd::Expired)]).code, Code::Unavailable);
    }
}

#[test]
fn a_wallet_has_nothing_less_than_nothing_whatever_its_row_says() {
    let mut balance = book().balance(id(0)).unwrap().clone();
    balance.floor = None;
    let mut book = Book::open(now(), vec![balance, book().balance(id(1)).unwrap().clone()], Vec::new());
    assert_eq!(refused(&mut book, vec![give(0, 1, 101)]).code, Code::InsufficientFunds);
}

/// Steps over these accounts and a few holds, sensible and not.
fn orders() -> impl Strategy<Value = Vec<Order>> {
    let money = || prop_oneof![6 => 1..120_i128, 1 => -1..2_i128, 1 => Just(i128::MAX)];
    let place = || prop_oneof![4 => 0..WALLETS, 1 => 0..FEES + 2];
    let ends = prop_oneof![
        Just(HoldEnd::Voided),
        Just(HoldEnd::Expired),
        money().prop_map(|minor| HoldEnd::Posted(amount(minor)))
    ];
    let step = prop_oneof![
        3 => (place(), place(), money()).prop_map(|(from, to, n)| give(from, to, n)),
        1 => (0..WALLETS, money()).prop_map(|(to, n)| give(SOURCE, to, n)),
        3 => (any::<u128>(), place(), money()).prop_map(|(hold, from, n)| reserve(hold, from, n)),
        2 => (0..6_u128, 0..WALLETS, money()).prop_map(|(hold, from, n)| reserve(hold, from, n)),
        3 => (0..6_u128, proptest::option::of(money()), place()).prop_map(|(h, n, to)| post(h, n, to)),
        2 => (0..6_u128, ends).prop_map(|(hold, how)| end(hold, how)),
    ];
    let order = proptest::collection::vec(step, 1..5).prop_map(order);
    proptest::collection::vec(order, 1..30)
}

/// The balances, the chains and the holds of what was entered, put together again from the entries alone.
fn adds_up(book: &Book) {
    let changes = seen(book);
    let sum = changes.entries.iter().map(|entry| entry.amount.minor()).sum::<i128>();
    assert_eq!(sum, 0, "every currency's entries cancel out");
    for row in &changes.balances {
        let start = self::book().balance(row.balance.account).unwrap().clone();
        let own = changes.entries.iter().filter(|entry| entry.account == row.balance.account);
        let mut at = (start.total.minor(), 0, start.sequence);
        let mut last = None;
        for entry in own {
            at = (at.0 + entry.amount.minor(), at.1 + entry.reserved_change.minor(), at.2 + 1);
            assert_eq!((entry.total.minor(), entry.reserved.minor(), entry.sequence), at);
            let falls = entry.amount.is_negative() || entry.reserved_change.is_positive();
            let fits = start.floor.is_none_or(|floor| at.0 - at.1 >= floor.minor());
            assert!(fits || !falls, "below its floor: {entry:?}");
            last = Some(entry);
        }
        let (last, balance) = (last.unwrap(), &row.balance);
        assert_eq!(
            (balance.total, balance.reserved, balance.sequence),
            (last.total, last.reserved, last.sequence)
        );
        assert_eq!((balance.hash, balance.time), (last.hash, last.time));
        let active = changes.placed.iter().filter(|hold| hold.new.account == balance.account);
        let active =
            active.filter(|hold| hold.state == HoldState::Active).map(|hold| hold.new.amount.minor());
        assert_eq!(
            active.sum::<i128>(),
            balance.reserved.minor(),
            "what is reserved is what active holds hold"
        );
    }
    for hold in &changes.placed {
        let ends = changes.entries.iter().filter(|e| e.subject == Subject::Hold(hold.new.id));
        let ends = ends.filter(|entry| entry.kind == EntryKind::Release).count();
        assert_eq!(ends, usize::from(hold.state != HoldState::Active), "a hold ends once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_asked_money_is_conserved_and_a_refusal_leaves_no_trace(orders in orders()) {
        let mut book = book();
        for order in &orders {
            let before = seen(&book);
            match book.carry_out("e", order) {
                Ok(range) => prop_assert_eq!(range.end, book.entries().len()),
                Err(fault) => {
                    prop_assert!(fault.is_refusal() || matches!(fault.code, Code::Internal | Code::Unavailable));
                    prop_assert_eq!(&seen(&book), &before);
                }
            }
        }
        adds_up(&book);
    }

    /// A group is its orders one by one: each in a book of its own that was opened with what the one before it saved.
    #[test]
    fn a_group_is_its_orders_one_by_one(orders in orders()) {
        let mut group = book();
        let (mut balances, mut holds) = (BTreeMap::new(), BTreeMap::new());
        for n in 0..=FEES {
            balances.insert(id(n), group.balance(id(n)).unwrap().clone());
        }
        let (mut entries, mut transfers) = (Vec::new(), Vec::new());
        for order in &orders {
            let together = group.carry_out("e", order).map(drop).map_err(|fault| fault.code);
            let mut alone = Book::open(now(), balances.values().cloned().collect(), holds.values().cloned().collect());
            let by_itself = alone.carry_out("e", order).map(drop).map_err(|fault| fault.code);
            prop_assert_eq!(together, by_itself);
            let changes = alone.changes();
            balances.extend(changes.balances.into_iter().map(|row| (row.balance.account, row.balance)));
            let changed = changes.placed.into_iter().chain(changes.ended);
            holds.extend(changed.map(|hold| (hold.new.id, hold)));
            entries.extend(changes.entries);
            transfers.extend(changes.transfers);
        }
        entries.sort_by_key(|entry| (entry.account, entry.sequence));
        let together = seen(&group);
        prop_assert_eq!(together.entries, entries);
        prop_assert_eq!(together.transfers, transfers);
        for row in together.balances {
            prop_assert_eq!(balances.get(&row.balance.account), Some(&row.balance));
        }
        for hold in together.placed {
            prop_assert_eq!(holds.get(&hold.new.id), Some(&hold));
        }
    }
}
