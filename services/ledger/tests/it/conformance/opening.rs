//! Opening the books: the environment, the system accounts and their limits, wallets.

use super::books::{Books, account_id, amount, balance, carry_out, fund, open_wallet, source, transfer, usd};
use super::on_both_books;
use beem_database::page::{Page, PageQuery};
use beem_database::{Database, Sql as _, kind_of};
use beem_fault::{Code, Result};
use beem_ids::{AccountId, LedgerAccountId};
use beem_ledger::LedgerSettings;
use beem_ledger::domain::{LedgerAccount, Order, Purpose, Step};
use beem_ledger::store::{accounts, installation};
use beem_money::{Amount, Currencies, CurrencyCode};
use beem_settings::Environment;

on_both_books!(
    an_installation_is_never_moved,
    books_of_nobody_knows_what_are_not_opened,
    system_accounts_are_opened_once,
    a_live_installation_has_limits,
    a_limit_that_is_raised_stops_at_what_is_there,
    wallets_are_their_owners,
    wallets_come_in_pages,
);

async fn open(db: &Database, overdraft: &str, environment: Environment) -> Result<()> {
    let overdraft = Some(overdraft).filter(|text| !text.is_empty()).map(|text| ("USD".into(), text.into()));
    let settings = LedgerSettings { overdraft: overdraft.into_iter().collect(), ..LedgerSettings::default() };
    accounts::open_system(db, &settings, &Currencies::built_in(), environment).await
}

async fn count(db: &Database) -> i64 {
    let row = db
        .read()
        .row("SELECT count(*) AS n FROM balances JOIN ledger_accounts ON id = ledger_account_id", vec![]);
    accounts::number(&row.await.unwrap().unwrap(), "n").unwrap()
}

async fn an_installation_is_never_moved(books: Books) {
    let (db, other) = (books.process().await, books.process().await);
    let both = futures::join!(
        installation::open(&db, Some(Environment::Live)),
        installation::open(&other, Some(Environment::Live))
    );
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (Environment::Live, Environment::Live));
    assert_eq!(installation::open(&db, None).await.unwrap(), Environment::Live);
    let fault = installation::open(&db, Some(Environment::Sandbox)).await.unwrap_err();
    assert!(fault.code == Code::Internal && kind_of(&fault).is_none());
    assert_eq!(installation::open(&db, None).await.unwrap(), Environment::Live);
}

/// Whoever takes the row out must not make a sandbox of live books.
async fn books_of_nobody_knows_what_are_not_opened(books: Books) {
    let db = books.process().await;
    installation::open(&db, Some(Environment::Live)).await.unwrap();
    open(&db, "", Environment::Live).await.unwrap();
    let gone = db.write(|tx| Box::pin(async move { tx.run("DELETE FROM installation", vec![]).await })).await;
    assert_eq!(gone.unwrap(), 1);
    for wanted in [None, Some(Environment::Sandbox), Some(Environment::Live)] {
        let fault = installation::open(&db, wanted).await.unwrap_err();
        assert!(fault.code == Code::Internal && kind_of(&fault).is_none(), "{fault:?}");
    }
    let rows = db.read().rows("SELECT environment FROM installation", vec![]).await.unwrap();
    assert!(rows.is_empty());
}

async fn system_accounts_are_opened_once(books: Books) {
    let (db, other) = (books.process().await, books.process().await);
    let both = futures::join!(open(&db, "", Environment::Sandbox), open(&other, "", Environment::Sandbox));
    both.0.unwrap();
    both.1.unwrap();
    let (before, source_before) = (count(&db).await, balance(&db, source()).await);
    let networks: usize = Currencies::built_in().iter().map(|currency| currency.networks.len()).sum();
    let expected = Currencies::built_in().iter().len() * (Purpose::OF_A_CURRENCY.len() + 1) + networks;
    assert_eq!(usize::try_from(before).unwrap(), expected);
    books.clock.advance_ms(1000);
    open(&db, "", Environment::Sandbox).await.unwrap();
    assert_eq!(count(&db).await, before);
    assert_eq!(balance(&db, source()).await, source_before);
    let row = accounts::accounts(db.read(), &[source()]).await.unwrap().remove(0);
    assert_eq!((row.purpose, row.owner), (Purpose::Sandbox, None));
    assert_eq!(row.genesis(), source_before.hash);
    for purpose in [Purpose::Liquidity, Purpose::Gas, Purpose::Sandbox] {
        assert_eq!(balance(&db, purpose.id(usd(), "")).await.floor, None);
    }
    for purpose in [Purpose::Fees, Purpose::Spread, Purpose::Rounding, Purpose::Suspense] {
        assert_eq!(balance(&db, purpose.id(usd(), "")).await.floor, Some(Amount::ZERO));
    }
}

async fn a_live_installation_has_limits(books: Books) {
    let db = books.process().await;
    open(&db, "5.00", Environment::Live).await.unwrap();
    let liquidity = Purpose::Liquidity.id(usd(), "");
    assert_eq!(balance(&db, liquidity).await.floor, Some(amount(-500)));
    let eth = CurrencyCode::parse("ETH").unwrap();
    let of_registry = Currencies::built_in().get(eth).unwrap().overdraft.checked_neg();
    assert_eq!(balance(&db, Purpose::Liquidity.id(eth, "")).await.floor, of_registry);
    assert_eq!(balance(&db, Purpose::Clearing.id(eth, "ethereum")).await.floor, None);
    let none = [source(), Purpose::Clearing.id(eth, "sandbox")];
    assert_eq!(accounts::accounts(db.read(), &none).await.unwrap(), []);
    for (wrong, code) in [("5.001", Code::ValidationFailed), ("-1", Code::ValidationFailed)] {
        let fault = open(&db, wrong, Environment::Live).await.unwrap_err();
        assert_eq!((fault.code, fault.fields[0].field.as_str()), (code, "overdraft.USD"));
    }
    let owner = account_id();
    let wallet = open_wallet(&db, owner, usd()).await;
    let give = |minor| Order { owner, steps: vec![Step::Transfer(transfer(liquidity, wallet, minor))] };
    carry_out(&db, &give(500)).await.unwrap();
    assert_eq!(carry_out(&db, &give(1)).await.unwrap_err().code, Code::InsufficientFunds);
}

async fn a_limit_that_is_raised_stops_at_what_is_there(books: Books) {
    let db = books.process().await;
    open(&db, "5.00", Environment::Live).await.unwrap();
    let liquidity = Purpose::Liquidity.id(usd(), "");
    let owner = account_id();
    let wallet = open_wallet(&db, owner, usd()).await;
    let order = |from, to, minor| Order { owner, steps: vec![Step::Transfer(transfer(from, to, minor))] };
    carry_out(&db, &order(liquidity, wallet, 300)).await.unwrap();
    open(&db, "1.00", Environment::Live).await.unwrap();
    assert_eq!(balance(&db, liquidity).await.floor, Some(amount(-300)));
    let code = carry_out(&db, &order(liquidity, wallet, 1)).await.unwrap_err().code;
    assert_eq!(code, Code::InsufficientFunds);
    // What comes in is never refused, and the next start moves the limit up.
    carry_out(&db, &order(wallet, liquidity, 250)).await.unwrap();
    open(&db, "1.00", Environment::Live).await.unwrap();
    assert_eq!(balance(&db, liquidity).await.floor, Some(amount(-100)));
    open(&db, "9.00", Environment::Live).await.unwrap();
    assert_eq!(balance(&db, liquidity).await.floor, Some(amount(-900)));
}

async fn wallets_are_their_owners(books: Books) {
    let db = books.sandbox().await;
    let owner = account_id();
    let id = open_wallet(&db, owner, usd()).await;
    fund(&db, owner, id, 7).await;
    let (account, read) = accounts::wallet(db.read(), owner, id).await.unwrap();
    assert_eq!((account.id, account.owner, account.purpose), (id, Some(owner), Purpose::Wallet));
    assert_eq!((account.name.as_str(), account.currency), ("a wallet", usd()));
    assert_eq!(read, balance(&db, id).await);
    let nobodys = LedgerAccountId(uuid::Uuid::nil());
    for (asks, of) in [(account_id(), id), (owner, nobodys), (owner, source())] {
        assert_eq!(accounts::wallet(db.read(), asks, of).await.unwrap_err().code, Code::NotFound);
    }
}

async fn wallets_come_in_pages(books: Books) {
    let db = books.sandbox().await;
    let (owner, other) = (account_id(), account_id());
    let mut opened = Vec::new();
    for n in 0..7 {
        opened.push(open_wallet(&db, owner, usd()).await);
        open_wallet(&db, other, usd()).await;
        books.clock.advance_ms(n % 2);
    }
    for order in ["asc", "desc"] {
        let mut by_creation = read_all(&db, owner, order).await;
        if order == "desc" {
            by_creation.reverse();
        }
        assert!(by_creation.is_sorted_by_key(|account| (account.created, account.id)));
        let mut ids: Vec<_> = by_creation.iter().map(|account| account.id).collect();
        ids.sort_unstable();
        opened.sort_unstable();
        assert_eq!(ids, opened);
    }
    let skipping = PageQuery { offset: Some(5), order: "asc", ..PageQuery::default() };
    let page = Page::parse(skipping, "L", b"").unwrap();
    assert_eq!(accounts::wallets(db.read(), owner, &page).await.unwrap().0.len(), 2);
}

async fn read_all(db: &Database, owner: AccountId, order: &str) -> Vec<LedgerAccount> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let query = PageQuery { max: Some(3), page_token: &token, order, ..PageQuery::default() };
        let page = Page::parse(query, "L", b"").unwrap();
        let (rows, next) = accounts::wallets(db.read(), owner, &page).await.unwrap();
        assert!(rows.len() == 3 || next.is_empty());
        all.extend(rows.into_iter().map(|(account, _)| account));
        token = next;
        if token.is_empty() {
            return all;
        }
    }
}
