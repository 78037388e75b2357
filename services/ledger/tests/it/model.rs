//! Random orders in random groups against the real tables, and beside them a plain ledger in memory: outcomes, balances,
//! holds and entries agree, on both databases. Then two processes at once over the same few accounts.

mod at_once;
mod plain;

use crate::conformance::books::{
    Base, Books, account_id, amount, balances, cause, conserved, draw_transfer, hold, open_wallet, source,
    summed, transfer, usd,
};
use crate::conformance::on_both_books;
use beem_clock::Moment;
use beem_database::Database;
use beem_database::claims::Outcome;
use beem_fault::Result;
use beem_ids::{AccountId, HoldId, LedgerAccountId};
use beem_ledger::domain::{HoldEnd, Kind, NewHold, NewTransfer, Order, Purpose, Step};
use beem_ledger::store::bulk;
use beem_ledger::store::engine::{self, Job};
use beem_money::CurrencyCode;
use plain::{Plain, Purse, Told};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A seed to run again, as the test prints it: 64 hexadecimal digits.
const SEED_ENV: &str = "BEEM_MODEL_SEED";
/// Stories told on each database.
const STORIES: u32 = 12;

on_both_books!(random_orders_agree_with_a_plain_ledger);

/// Where money goes, as an index into the accounts of a story; the last ones are traps.
type Place = usize;
/// Wallets of ours in one currency; then come the others, see [`Story::start`].
const WALLETS: Place = 4;
const PLACES: Place = WALLETS + 6;

/// What is asked for, before it has ids.
#[derive(Clone, Debug)]
enum Ask {
    Move(Place, Place, i128),
    Reserve(Place, i128, Option<i64>),
    /// Holds by their number among those ever asked for.
    Post(usize, Option<i128>, Place),
    /// Ends a hold with two transfers of the order.
    PostLinked(usize, i128, i128, Place),
    Void(usize),
    Expire(usize),
}

#[derive(Clone, Debug)]
enum Request {
    New(Vec<Ask>),
    /// Once more, word for word.
    Again(usize),
    /// Another request under that one's key.
    Other(usize, Vec<Ask>),
}

/// Orders in groups, and the milliseconds that pass before each.
type Script = Vec<(i64, Vec<Request>)>;

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    // Mostly among wallets, at times elsewhere; mostly sensible amounts, at times not.
    let place = || prop_oneof![4 => 0..WALLETS, 1 => 0..PLACES];
    let money = || prop_oneof![8 => 1..400_i128, 1 => -1..2_i128, 1 => Just(i128::MAX)];
    let ask = prop_oneof![
        3 => (Just(WALLETS), 0..WALLETS, 1..1_000_i128).prop_map(|(from, to, n)| Ask::Move(from, to, n)),
        5 => (place(), place(), money()).prop_map(|(from, to, n)| Ask::Move(from, to, n)),
        4 => (place(), money(), proptest::option::of(-2..40_i64)).prop_map(|(at, n, ms)| Ask::Reserve(at, n, ms)),
        4 => (any::<usize>(), proptest::option::of(money()), place()).prop_map(|(h, n, to)| Ask::Post(h, n, to)),
        1 => (any::<usize>(), 1..50_i128, 1..50_i128, place()).prop_map(|(h, a, b, to)| Ask::PostLinked(h, a, b, to)),
        2 => any::<usize>().prop_map(Ask::Void),
        1 => any::<usize>().prop_map(Ask::Expire),
    ];
    proptest::collection::vec(ask, 1..4)
}

fn script() -> impl Strategy<Value = Script> {
    let request = prop_oneof![
        8 => asks().prop_map(Request::New),
        2 => any::<usize>().prop_map(Request::Again),
        1 => (any::<usize>(), asks()).prop_map(|(n, asks)| Request::Other(n, asks)),
    ];
    let group = (0..20_i64, proptest::collection::vec(request, 1..14));
    proptest::collection::vec(group, 1..12)
}

fn runner(base: Base) -> TestRunner {
    let drawn = || [account_id().0.into_bytes(), draw_transfer().0.into_bytes()].concat();
    let given = std::env::var(SEED_ENV).ok();
    let seed = given.map_or_else(drawn, |text| (0..32).map(|n| byte(&text, n)).collect());
    println!("{base:?}: {SEED_ENV}={}", seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

fn byte(text: &str, n: usize) -> u8 {
    u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()
}

async fn random_orders_agree_with_a_plain_ledger(books: Books) {
    let db = books.sandbox().await;
    let mut runner = runner(books.base);
    for _ in 0..STORIES {
        let script = script().new_tree(&mut runner).unwrap().current();
        let mut story = Story::start(&db).await;
        for (ms, requests) in &script {
            books.clock.advance_ms(*ms);
            story.group(&db, books.clock.now(), requests).await;
            story.agrees(&db).await;
        }
    }
    conserved(&db).await;
}

struct Story {
    owner: AccountId,
    places: [LedgerAccountId; PLACES],
    plain: Plain,
    /// Keys and the requests that came under them.
    told: Vec<(String, Ordered)>,
    holds: Vec<NewHold>,
}

#[derive(Clone)]
struct Ordered {
    order: Order,
    print: [u8; 32],
}

impl Story {
    /// Four wallets; then what money comes from, fees (which never fall below zero), liquidity, a wallet in another
    /// currency, another account's wallet, and an account that is not there.
    async fn start(db: &Database) -> Self {
        let (owner, eur) = (account_id(), CurrencyCode::parse("EUR").unwrap());
        let mut places = [source(); PLACES];
        for place in places.iter_mut().take(WALLETS) {
            *place = open_wallet(db, owner, usd()).await;
        }
        let fees = Purpose::Fees.id(usd(), "");
        let liquidity = Purpose::Liquidity.id(usd(), "");
        let elsewhere = [open_wallet(db, owner, eur).await, open_wallet(db, account_id(), usd()).await];
        let rest =
            [source(), fees, liquidity, elsewhere[0], elsewhere[1], LedgerAccountId(draw_transfer().0)];
        places[WALLETS..].copy_from_slice(&rest);
        let purse = |balance: beem_ledger::domain::Balance| {
            let (total, reserved) = (balance.total.minor(), balance.reserved.minor());
            let floor = balance.floor.map(beem_money::Amount::minor);
            let (owner, currency, entries) = (balance.owner, balance.currency, balance.sequence);
            (balance.account, Purse { owner, currency, floor, total, reserved, entries })
        };
        let purses = balances(db, &places).await.into_iter().map(purse).collect();
        let plain = Plain::new(purses);
        Self { owner, places, plain, told: Vec::new(), holds: Vec::new() }
    }

    async fn group(&mut self, db: &Database, now: Moment, requests: &[Request]) {
        let requests: Vec<_> = requests.iter().map(|request| self.request(now, request)).collect();
        let watched = self.places[0];
        let jobs: Vec<_> = requests.iter().map(|(key, ordered)| job(key, ordered, watched)).collect();
        let jobs = &jobs;
        let outcomes = db.write(|tx| Box::pin(engine::settle(tx, jobs))).await.unwrap();
        assert_eq!(outcomes.len(), requests.len());
        for ((key, ordered), outcome) in requests.iter().zip(outcomes) {
            let told = self.plain.settle(key, ordered.print, &ordered.order, watched, now);
            same(&told, &outcome, &ordered.order);
        }
    }

    fn request(&mut self, now: Moment, request: &Request) -> (String, Ordered) {
        let known = |n: usize| self.told.get(n.checked_rem(self.told.len())?).cloned();
        match request {
            Request::Again(n) if let Some(again) = known(*n) => again,
            Request::Other(n, asks) if let Some((key, _)) = known(*n) => (key, self.ordered(now, asks)),
            Request::New(asks) | Request::Other(_, asks) => {
                let new = (draw_transfer().to_string(), self.ordered(now, asks));
                self.told.push(new.clone());
                new
            }
            Request::Again(_) => {
                let asks = [Ask::Move(WALLETS, 0, 500)];
                (draw_transfer().to_string(), self.ordered(now, &asks))
            }
        }
    }

    fn ordered(&mut self, now: Moment, asks: &[Ask]) -> Ordered {
        let steps: Vec<_> = asks.iter().flat_map(|ask| self.steps(now, ask)).collect();
        let print = [draw_transfer().0.into_bytes(), draw_transfer().0.into_bytes()].concat();
        Ordered { order: Order { owner: self.owner, steps }, print: print.try_into().unwrap() }
    }

    fn steps(&mut self, now: Moment, ask: &Ask) -> Vec<Step> {
        let end = |hold, end| Step::EndHold { hold, end };
        match *ask {
            Ask::Move(from, to, n) => vec![Step::Transfer(transfer(self.places[from], self.places[to], n))],
            Ask::Reserve(at, n, ms) => {
                let expires = ms.map(|ms| now.plus_ms(ms));
                let new = NewHold { expires, ..hold(self.places[at], n) };
                self.holds.push(new.clone());
                vec![Step::Reserve(new)]
            }
            Ask::Post(n, minor, to) => vec![Step::PostHold {
                hold: self.held(n).0,
                amount: minor.map(amount),
                transfer: draw_transfer(),
                credit: self.places[to],
                kind: Kind::PaymentOut,
            }],
            Ask::PostLinked(n, a, b, to) => {
                let (id, wallet) = self.held(n);
                let part = |n| Step::Transfer(transfer(wallet, self.places[to], n));
                vec![end(id, HoldEnd::Posted(amount(a + b))), part(a), part(b)]
            }
            Ask::Void(n) => vec![end(self.held(n).0, HoldEnd::Voided)],
            Ask::Expire(n) => vec![end(self.held(n).0, HoldEnd::Expired)],
        }
    }

    /// The hold of that number and its wallet; before there is any, one that nobody has.
    fn held(&self, n: usize) -> (HoldId, LedgerAccountId) {
        let found = n.checked_rem(self.holds.len()).map(|n| &self.holds[n]);
        found.map_or_else(|| (HoldId(draw_transfer().0), self.places[0]), |held| (held.id, held.account))
    }

    async fn agrees(&self, db: &Database) {
        let there = balances(db, &self.places).await;
        assert_eq!(there.len(), PLACES - 1);
        for balance in there {
            let plain = &self.plain.purses[&balance.account];
            let expected = (plain.total, plain.reserved, plain.entries);
            assert_eq!((balance.total.minor(), balance.reserved.minor(), balance.sequence), expected);
            assert_eq!(summed(db, balance.account).await, expected);
        }
        let mut ids: Vec<_> = self.holds.iter().map(|held| held.id).collect();
        ids.sort_unstable();
        let ids = &ids;
        let holds =
            db.write(|tx| Box::pin(async move { bulk::of(tx).lock_holds(tx, ids).await })).await.unwrap();
        assert_eq!(holds.len(), self.plain.holds.len());
        for hold in holds {
            let plain = &self.plain.holds[&hold.new.id];
            assert_eq!((&hold.new, hold.owner, hold.state), (&plain.new, plain.owner, plain.state));
            assert_eq!(hold.posted.minor(), plain.posted);
            assert_eq!(hold.ended.is_some(), plain.state != beem_ledger::domain::HoldState::Active);
        }
    }
}

fn job(key: &str, ordered: &Ordered, watched: LedgerAccountId) -> Job {
    let answer = move |book: &beem_ledger::domain::Book| -> Result<Vec<u8>> {
        // An order that does not touch the watched account has not read it.
        Ok(book.balance(watched).map_or_else(Vec::new, |b| b.total.to_string().into_bytes()))
    };
    let (key, fingerprint, order) = (key.to_owned(), ordered.print, ordered.order.clone());
    Job { key, fingerprint, order, answer: Box::new(answer) }
}

fn same(told: &Told, outcome: &Outcome, order: &Order) {
    assert_eq!(told.replayed, outcome.replayed, "{order:?}");
    match (&told.result, &outcome.result) {
        (Ok(total), Ok(answer)) => {
            let answer = std::str::from_utf8(answer).unwrap();
            assert!(answer.is_empty() || answer == total.to_string(), "{answer} {total} {order:?}");
        }
        (Err(code), Err(fault)) => assert_eq!(*code, fault.code, "{fault:?} {order:?}"),
        (told, done) => panic!("{told:?} expected, {done:?} done: {order:?}"),
    }
}

/// For the other half: a transfer with an id of its own.
fn again(new: &NewTransfer) -> NewTransfer {
    NewTransfer { id: draw_transfer(), cause: cause(), ..new.clone() }
}

/// The same request whatever the order says in detail.
fn job_of(key: &str, order: Order) -> Job {
    let watched = order.accounts().next().unwrap();
    job(key, &Ordered { order, print: [7; 32] }, watched)
}
