//! Books without a service around them: the tables, a few wallets, orders written by hand.

pub use beem_servicetest::Base;

use beem_clock::{Clock, Entropy, Moment};
use beem_database::{Database, DatabaseSettings, Sql as _};
use beem_fault::Result;
use beem_ids::{AccountId, HoldId, LedgerAccountId, TransferId};
use beem_ledger::LedgerSettings;
use beem_ledger::domain::{Balance, Cause, Kind, LedgerAccount, NewHold, NewTransfer, Order, Purpose, Step};
use beem_ledger::store::{accounts, bulk, engine};
use beem_money::{Amount, Currencies, CurrencyCode};
use beem_settings::Environment;

pub struct Books {
    pub base: Base,
    url: String,
    pub clock: Clock,
    _folder: tempfile::TempDir,
}

impl Books {
    pub fn new(base: Base) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = base.fresh(folder.path(), "ledger");
        Self { base, url, clock: Clock::manual(Moment::from_unix_s(1_700_000_000)), _folder: folder }
    }

    /// One more process on these books.
    pub async fn process(&self) -> Database {
        let settings = DatabaseSettings { max_connections: 4, ..DatabaseSettings::at(&self.url) };
        let db = Database::connect(&settings, self.clock.clone(), Entropy::System).await.unwrap();
        db.migrate(&beem_ledger::migrations()).await.unwrap();
        db
    }

    /// The first process, with the system accounts of a sandbox.
    pub async fn sandbox(&self) -> Database {
        let db = self.process().await;
        let settings = LedgerSettings::default();
        accounts::open_system(&db, &settings, &Currencies::built_in(), Environment::Sandbox).await.unwrap();
        db
    }
}

pub fn usd() -> CurrencyCode {
    CurrencyCode::USD
}

pub fn amount(minor: i128) -> Amount {
    Amount::from_minor(minor)
}

pub fn account_id() -> AccountId {
    AccountId::draw(Moment::from_unix_s(1), &Entropy::System)
}

pub fn draw_transfer() -> TransferId {
    NewTransfer::draw_id(Moment::from_unix_s(1), &Entropy::System)
}

pub fn cause() -> Cause {
    Cause { kind: "test".into(), id: "1".into() }
}

pub fn transfer(debit: LedgerAccountId, credit: LedgerAccountId, minor: i128) -> NewTransfer {
    NewTransfer {
        id: draw_transfer(),
        debit,
        credit,
        currency: usd(),
        amount: amount(minor),
        kind: Kind::Adjustment,
        reference: "it's \"quoted\", {braced}, \\ and naïve".into(),
        cause: cause(),
        counterpart: None,
    }
}

pub fn hold(wallet: LedgerAccountId, minor: i128) -> NewHold {
    NewHold {
        id: HoldId::draw(Moment::from_unix_s(1), &Entropy::System),
        account: wallet,
        amount: amount(minor),
        reference: "held".into(),
        cause: cause(),
        expires: None,
    }
}

/// Where a sandbox's money comes from.
pub fn source() -> LedgerAccountId {
    Purpose::Sandbox.id(usd(), "")
}

pub async fn open_wallet(db: &Database, owner: AccountId, currency: CurrencyCode) -> LedgerAccountId {
    let opened = &db
        .write(|tx| {
            Box::pin(async move {
                let account = LedgerAccount {
                    id: LedgerAccountId::draw(tx.now(), tx.entropy()),
                    owner: Some(owner),
                    purpose: Purpose::Wallet,
                    currency,
                    network: String::new(),
                    name: "a wallet".into(),
                    created: tx.now(),
                };
                accounts::open_wallet(tx, &account).await?;
                Ok(account)
            })
        })
        .await
        .unwrap();
    opened.id
}

pub async fn carry_out(db: &Database, order: &Order) -> Result<()> {
    db.write(|tx| Box::pin(async move { engine::carry_out(tx, "test", order).await.map(drop) })).await
}

pub async fn fund(db: &Database, owner: AccountId, wallet: LedgerAccountId, minor: i128) {
    let steps = vec![Step::Transfer(transfer(source(), wallet, minor))];
    carry_out(db, &Order { owner, steps }).await.unwrap();
}

pub async fn balances(db: &Database, ids: &[LedgerAccountId]) -> Vec<Balance> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let ids = &ids;
    db.write(|tx| Box::pin(async move { bulk::of(tx).lock_balances(tx, ids).await })).await.unwrap()
}

pub async fn balance(db: &Database, id: LedgerAccountId) -> Balance {
    balances(db, &[id]).await.remove(0)
}

/// What the entries of an account sum up to (total, reserved), and how many they are: their numbers have no gap.
pub async fn summed(db: &Database, account: LedgerAccountId) -> (i128, i128, i64) {
    let sql = "SELECT CAST(amount AS TEXT) AS amount, CAST(reserved_change AS TEXT) AS reserved_change,
        CAST(total AS TEXT) AS total, CAST(reserved AS TEXT) AS reserved, sequence
        FROM entries WHERE ledger_account_id = $1 ORDER BY time_ms, sequence";
    let rows = db.read().rows(sql, vec![account.0.into()]).await.unwrap();
    rows.iter().fold((0, 0, 0), |(total, reserved, sequence), row| {
        let read = |column| accounts::amount(row, column).unwrap().minor();
        let after = (total + read("amount"), reserved + read("reserved_change"), sequence + 1);
        assert_eq!(after, (read("total"), read("reserved"), accounts::number(row, "sequence").unwrap()));
        after
    })
}

/// Of every ledger account together, by currency: nothing comes from nowhere.
pub async fn conserved(db: &Database) {
    let sql = "SELECT currency, CAST(total AS TEXT) AS total FROM balances";
    let rows = db.read().rows(sql, vec![]).await.unwrap();
    let mut sums = std::collections::BTreeMap::<CurrencyCode, i128>::new();
    for row in &rows {
        let currency = accounts::currency(row, "currency").unwrap();
        // Totals as large as amounts can be pass the limit on the way; the sum of all comes back from there.
        let sum = sums.entry(currency).or_default();
        *sum = sum.wrapping_add(accounts::amount(row, "total").unwrap().minor());
    }
    assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
}
