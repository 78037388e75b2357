//! Somebody who can write to the ledger's database changes the books: each way is found and named where it was done, and
//! nothing else is. Honest books have no finding, whatever goes on meanwhile.

mod honest;
mod rewound;
mod structure;

use crate::calls::{cause, system, transfer, wallet_side};
use crate::rig::{LEDGER_KEY, Rig};
use beem_database::{Backend, Database, OrFault as _, Sql as _};
use beem_ledger::verify_ledger;
use beem_proto::ledger::v1 as wire;
use beem_proto::to_timestamp;
use ed25519_dalek::SigningKey;
use sea_orm::Value;
use std::collections::HashSet;
use uuid::Uuid;

crate::on_both!(
    every_column_of_an_entry,
    every_column_of_an_account,
    every_column_of_a_balance,
    every_column_of_a_transfer,
    every_column_of_a_hold,
    every_column_of_quotes,
    every_column_of_a_promised_rate,
    every_column_of_a_deposit,
    every_column_of_a_payout,
    every_column_of_heads,
);

/// (table, row, first word of the detail).
pub type Found = Vec<(String, String, String)>;

impl Rig {
    /// All findings, the same however short the stretches are, here and as on a stopped directory.
    pub async fn found(&self, kept: &[wire::LedgerHead]) -> Found {
        let whole = self.pages(0, kept).await;
        assert_eq!(self.pages(7, kept).await, whole);
        let keys = [SigningKey::from_bytes(&LEDGER_KEY).verifying_key()];
        let mut offline = Vec::new();
        verify_ledger(&self.db, &keys, kept, |finding| offline.push(short(finding))).await.unwrap();
        assert_eq!(offline, whole);
        whole
    }

    async fn pages(&self, max_rows: u32, kept: &[wire::LedgerHead]) -> Found {
        let mut request =
            wire::VerifyLedgerRequest { max_rows, kept_heads: kept.to_vec(), ..Default::default() };
        let (mut findings, mut told) = (Vec::new(), HashSet::new());
        loop {
            let page = self.verify_ledger(request).await.unwrap().body;
            let new = page
                .findings
                .into_iter()
                .map(short)
                .filter(|one| told.insert((one.0.clone(), one.1.clone())));
            findings.extend(new);
            if page.next_page_token.is_empty() {
                return findings;
            }
            request = wire::VerifyLedgerRequest {
                max_rows,
                page_token: page.next_page_token,
                ..Default::default()
            };
        }
    }

    /// `$1` is the id.
    async fn tamper_with(&self, id: Uuid, sql: &str) {
        change(&self.db, sql, vec![id.into()]).await;
    }
}

fn short(finding: wire::LedgerFinding) -> (String, String, String) {
    let word = finding.detail.split([':', ',', ' ']).next().unwrap().to_owned();
    (finding.table, finding.row, word)
}

async fn change(db: &Database, sql: &str, values: Vec<Value>) {
    let (sql, values) = (&sql, &values);
    let rows = db.write(|tx| Box::pin(async move { tx.run(sql, values.clone()).await })).await;
    assert!(rows.unwrap() > 0, "{sql}");
}

/// Books with something of everything.
struct Books {
    rig: Rig,
    wallet: Uuid,
    other: Uuid,
}

fn uuid(text: &str) -> Uuid {
    text.parse().unwrap()
}

/// Two deposits, one of them kept, and two payouts, one of them paid.
async fn chains(rig: &Rig, wallet: &str, other: &str) {
    for (key, keep) in [("d1", false), ("d2", true)] {
        let deposit = wire::SettleInboundRequest {
            effect_key: key.into(),
            account_id: rig.account(),
            wallet_id: other.to_owned(),
            network: "ethereum".into(),
            currency: "USDC".into(),
            amount: "100".into(),
            kind: "DEPOSIT".into(),
            reference: "a deposit".into(),
            cause: Some(cause("deposit", key)),
            keep,
            rate_lock_id: String::new(),
            seen_at: Some(to_timestamp(rig.clock.now().unix_ms())),
        };
        rig.settle_inbound(deposit).await.unwrap();
    }
    for (key, fee) in [("o1", Some("1")), ("o2", None)] {
        let money = |currency: &str, amount: &str| {
            Some(wire::Money { currency: currency.into(), amount: amount.into() })
        };
        let payout = wire::ReserveOutboundRequest {
            effect_key: key.into(),
            account_id: rig.account(),
            wallet_id: wallet.to_owned(),
            network: "ethereum".into(),
            pay: money("USDC", "40"),
            fee_cap: money("USDC", "5"),
            fee_payer: "MERCHANT".into(),
            base_currency: "EUR".into(),
            reference: "a payout".into(),
            cause: Some(cause("payment", key)),
            rate_lock_id: String::new(),
        };
        let hold_id = rig.reserve_outbound(payout).await.unwrap().body.hold_id;
        rig.clock.advance_ms(10);
        if let Some(fee) = fee {
            let (effect_key, account_id, fee) = (format!("post-{key}"), rig.account(), fee.to_owned());
            let asked = wire::PostOutboundRequest { effect_key, account_id, hold_id, fee };
            rig.post_outbound(asked).await.unwrap();
        }
    }
}

impl Books {
    async fn written(rig: Rig) -> Self {
        let (wallet, other) = (rig.funded("USDC", "1000").await, rig.funded("EUR", "50").await);
        for n in 1..=4 {
            rig.clock.advance_ms(10);
            rig.post(&format!("t{n}"), vec![transfer(wallet_side(&wallet), system("FEES"), "USDC", "1")])
                .await;
        }
        rig.clock.advance_ms(10);
        for (key, end) in [("h1", "post"), ("h2", "void"), ("h3", "")] {
            let hold = rig.reserve(rig.reserving(key, &wallet, "10")).await.unwrap().body.id;
            rig.clock.advance_ms(10);
            match end {
                "post" => drop(rig.post_hold(rig.posting("p", &hold)).await.unwrap()),
                "void" => drop(rig.void_hold(rig.voiding("v", &hold)).await.unwrap()),
                _ => {}
            }
        }
        let asked = |amount: &str| wire::CreateQuoteRequest {
            from_wallet_id: wallet.clone(),
            to_wallet_id: other.clone(),
            amount_in: amount.into(),
            amount_out: String::new(),
            reference: "a conversion".into(),
        };
        let used = rig.create_quote(&rig.owner, &rig.key(), asked("20")).await.unwrap().body.id;
        rig.create_quote(&rig.owner, &rig.key(), asked("30")).await.unwrap();
        rig.execute_quote(&rig.owner, &rig.key(), wire::ExecuteQuoteRequest { id: used }).await.unwrap();
        let lock = wire::LockRateRequest {
            effect_key: "lock".into(),
            from: "USDC".into(),
            to: "EUR".into(),
            side: "SELL".into(),
            time_to_live_s: 60,
        };
        rig.lock_rate(lock).await.unwrap();
        chains(&rig, &wallet, &other).await;
        rig.sign(1).await;
        rig.credit(&wallet, "1").await;
        rig.sign(2).await;
        let (wallet, other) = (uuid(&wallet), uuid(&other));
        let books = Self { rig, wallet, other };
        assert_eq!(books.rig.found(&books.rig.heads(0).await).await, []);
        books
    }

    fn is_postgres(&self) -> bool {
        self.rig.db.backend() == Backend::Postgres
    }

    /// The one row of a table that this says.
    async fn id(&self, sql: &str) -> Uuid {
        let row = self.rig.db.read().row(sql, vec![]).await.unwrap();
        row.unwrap_or_else(|| panic!("{sql}")).try_get("", "id").or_fault().unwrap()
    }

    /// The column as it could have been otherwise, in SQL.
    fn otherwise(&self, column: &str, how: How) -> (String, Option<Value>) {
        let sum = |n: i64| match self.is_postgres() {
            true => format!("{column} + ({n})"),
            false => format!("CAST(CAST({column} AS INTEGER) + ({n}) AS TEXT)"),
        };
        match how {
            More(n) => (sum(n), None),
            Plus(n) => (format!("{column} + ({n})"), None),
            Longer => (format!("{column} || 'x'"), None),
            Id => ("$2".into(), Some(Uuid::from_u128(77).into())),
            Hash => ("$2".into(), Some(vec![7_u8; 32].into())),
            As(sql) => (sql.into(), None),
        }
    }

    async fn set(&self, table: &str, column: &str, how: How, place: &str, id: Value) {
        let (value, parameter) = self.otherwise(column, how);
        let values = std::iter::once(id).chain(parameter).collect();
        change(&self.rig.db, &format!("UPDATE {table} SET {column} = {value} WHERE {place}"), values).await;
    }

    /// Changes one column of a row, sees that row named and no other, and puts it back.
    async fn each_column(
        &self,
        table: &str,
        key: &str,
        id: impl Into<Value>,
        columns: &[(&str, How)],
        named: (&str, String),
    ) {
        let (db, id) = (&self.rig.db, id.into());
        self.rig.tamper(&format!("CREATE TABLE kept AS SELECT * FROM {table}")).await;
        for (column, how) in columns {
            self.set(table, column, *how, &format!("{key} = $1"), id.clone()).await;
            let found = self.rig.found(&[]).await;
            let rows: Vec<_> = found.iter().map(|(table, row, _)| (table.as_str(), row.clone())).collect();
            assert_eq!(rows.as_slice(), std::slice::from_ref(&named), "{table}.{column}: {found:?}");
            let kept = format!("(SELECT kept.{column} FROM kept WHERE kept.{key} = $1)");
            change(db, &format!("UPDATE {table} SET {column} = {kept} WHERE {key} = $1"), vec![id.clone()])
                .await;
        }
        assert_eq!(self.rig.found(&[]).await, [], "all put back");
        self.rig.tamper("DROP TABLE kept").await;
    }

    /// The same for an entry.
    async fn each_of_entry(&self, account: Uuid, sequence: i64, columns: &[(&str, How)]) {
        self.rig.tamper("CREATE TABLE kept AS SELECT * FROM entries").await;
        for (column, how) in columns {
            let place = format!("ledger_account_id = $1 AND sequence = {sequence}");
            self.set("entries", column, *how, &place, account.into()).await;
            let found = self.rig.found(&[]).await;
            assert_eq!(found, [at(account, sequence, "changed")], "{column} {how:?}");
            self.rig.tamper("DELETE FROM entries").await;
            self.rig.tamper("INSERT INTO entries SELECT * FROM kept").await;
        }
        assert_eq!(self.rig.found(&[]).await, []);
        self.rig.tamper("DROP TABLE kept").await;
    }

    async fn end_of(&self, account: Uuid) -> i64 {
        let sql = "SELECT sequence FROM balances WHERE ledger_account_id = $1";
        let row = self.rig.db.read().row(sql, vec![account.into()]).await.unwrap().unwrap();
        row.try_get("", "sequence").unwrap()
    }

    /// Makes an account end at an entry, as if nothing had come after it.
    async fn put_back(&self, account: Uuid, sequence: i64) {
        let of = |column: &str| {
            format!("(SELECT {column} FROM entries WHERE ledger_account_id = $1 AND sequence = {sequence})")
        };
        let sql = "DELETE FROM entries WHERE ledger_account_id = $1 AND sequence > ";
        self.rig.tamper_with(account, &format!("{sql}{sequence}")).await;
        let set: Vec<_> = ["total", "reserved", "hash", "time_ms"]
            .iter()
            .map(|column| format!("{column} = {}", of(column)))
            .collect();
        let sql = format!(
            "UPDATE balances SET sequence = {sequence}, {} WHERE ledger_account_id = $1",
            set.join(", ")
        );
        self.rig.tamper_with(account, &sql).await;
    }
}

/// In what way a column is changed.
#[derive(Clone, Copy, Debug)]
enum How {
    /// An amount, by so much.
    More(i64),
    /// A number or a time.
    Plus(i64),
    Longer,
    Id,
    Hash,
    As(&'static str),
}
use How::{As, Hash, Id, Longer, More, Plus};

fn at(account: Uuid, sequence: i64, word: &str) -> (String, String, String) {
    ("entries".into(), format!("{account} {sequence}"), word.into())
}

const FEES_OF_USDC: &str = "SELECT id FROM ledger_accounts WHERE purpose = 'FEES' AND currency = 'USDC'";

async fn every_column_of_an_entry(rig: Rig) {
    let books = Books::written(rig).await;
    let moved = [
        ("time_ms", Plus(1)),
        ("time_ms", Plus(25)),
        ("time_ms", Plus(-15)),
        ("sequence", Plus(100)),
        ("kind", As("'ADJUSTMENTS'")),
        ("kind", As("'FEE'")),
        ("kind", As("'HOLD'")),
        ("subject_id", Id),
        ("subject_id", As("(SELECT id FROM transfers WHERE kind = 'SETTLEMENT' ORDER BY id LIMIT 1)")),
        ("amount", More(-1)),
        ("reserved_change", More(1)),
        ("total", More(1)),
        ("reserved", More(1)),
        ("hash", Hash),
    ];
    books.each_of_entry(books.wallet, 3, &moved).await;
    // The first one has no room before it, and the newest none behind.
    books.each_of_entry(books.wallet, 1, &moved[3..]).await;
    let newest = books.end_of(books.wallet).await;
    books.each_of_entry(books.wallet, newest, &moved).await;
    let sql = "SELECT created_sequence AS a, ended_sequence AS b FROM holds WHERE state = 'VOIDED'";
    let row = books.rig.db.read().row(sql, vec![]).await.unwrap().unwrap();
    for (column, not) in [("a", "'HOLD'"), ("b", "")] {
        let moved: Vec<_> =
            moved.iter().copied().filter(|(_, how)| !matches!(how, As(sql) if *sql == not)).collect();
        books.each_of_entry(books.wallet, row.try_get("", column).unwrap(), &moved).await;
    }
}

async fn every_column_of_an_account(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = [
        ("owner", Id),
        ("currency", As("'EUR'")),
        ("network", Longer),
        ("name", Longer),
        ("created_ms", Plus(-1)),
    ];
    let id = books.wallet;
    books.each_column("ledger_accounts", "id", id, &columns, ("ledger_accounts", id.to_string())).await;
    let id = books.id(FEES_OF_USDC).await;
    books.each_column("ledger_accounts", "id", id, &columns[1..], ("ledger_accounts", id.to_string())).await;
    // One that nothing has come to.
    let empty = uuid(&books.rig.wallet("USD").await);
    books
        .each_column("ledger_accounts", "id", empty, &columns[2..], ("ledger_accounts", empty.to_string()))
        .await;
}

async fn every_column_of_a_balance(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = [
        ("owner", Id),
        ("currency", As("'EUR'")),
        ("total", More(1)),
        ("reserved", More(1)),
        ("sequence", Plus(1)),
        ("sequence", Plus(-1)),
        ("hash", Hash),
        ("time_ms", Plus(1)),
    ];
    let id = books.wallet;
    books.each_column("balances", "ledger_account_id", id, &columns, ("balances", id.to_string())).await;
    let id = books.id(FEES_OF_USDC).await;
    books.each_column("balances", "ledger_account_id", id, &columns[1..], ("balances", id.to_string())).await;
    books.rig.tamper_with(id, "DELETE FROM balances WHERE ledger_account_id = $1").await;
    assert_eq!(books.rig.found(&[]).await, [("balances".into(), id.to_string(), "removed".into())]);
}

async fn every_column_of_a_transfer(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = [
        ("effect_key", Longer),
        ("debit_id", Id),
        ("debit_id", As("(SELECT id FROM ledger_accounts WHERE purpose = 'GAS' AND currency = 'USDC')")),
        ("debit_sequence", Plus(1)),
        ("debit_sequence", Plus(1000)),
        ("credit_id", Id),
        ("credit_sequence", Plus(1)),
        ("currency", As("'EUR'")),
        ("amount", More(1)),
        ("kind", As("'REFUND'")),
        ("kind", As("'x'")),
        ("reference", Longer),
        ("cause_type", Longer),
        ("cause_id", Longer),
        ("counter_currency", As("'EUR'")),
        ("rate", As("'1'")),
        ("time_ms", Plus(1)),
    ];
    let id = books.id("SELECT id FROM transfers WHERE kind = 'ADJUSTMENT' AND reference = 'a transfer' ORDER BY id LIMIT 1").await;
    books.each_column("transfers", "id", id, &columns, ("transfers", id.to_string())).await;
    // One that a quote names, and one that a deposit names.
    let id = books.id("SELECT id FROM transfers WHERE kind = 'CONVERSION_OUT'").await;
    let columns =
        [("amount", More(1)), ("cause_id", Longer), ("counter_amount", More(1)), ("rate", As("'2'"))];
    books.each_column("transfers", "id", id, &columns, ("transfers", id.to_string())).await;
    let id = books.id("SELECT credit_transfer AS id FROM settlements WHERE state = 'SETTLED'").await;
    books.each_column("transfers", "id", id, &columns, ("transfers", id.to_string())).await;
}

async fn every_column_of_a_hold(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = [
        ("effect_key", Longer),
        ("owner", Id),
        ("currency", As("'EUR'")),
        ("amount", More(1)),
        ("reference", Longer),
        ("cause_type", Longer),
        ("cause_id", Longer),
        ("created_ms", Plus(1)),
        ("created_sequence", Plus(1)),
        ("expires_ms", As("1")),
    ];
    let ended =
        [("posted", More(-1)), ("ended_ms", Plus(1)), ("ended_sequence", Plus(1)), ("state", As("'VOIDED'"))];
    for (of, more) in [
        ("state = 'ACTIVE' AND reference = 'a hold'", &[][..]),
        ("state = 'ACTIVE' AND reference = 'a payout'", &[]),
        ("state = 'VOIDED'", &ended[1..3]),
        ("state = 'POSTED' AND reference = 'a hold'", &ended[..3]),
        ("state = 'POSTED' AND reference = 'a payout'", &ended[..3]),
    ] {
        let id = books.id(&format!("SELECT id FROM holds WHERE {of}")).await;
        let columns = [columns.as_slice(), more].concat();
        books.each_column("holds", "id", id, &columns, ("holds", id.to_string())).await;
    }
    // Made active again, and ended without an entry.
    let id = books.id("SELECT id FROM holds WHERE state = 'VOIDED'").await;
    books.rig.tamper_with(id, "UPDATE holds SET state = 'EXPIRED' WHERE id = $1").await;
    assert_eq!(books.rig.found(&[]).await, [("holds".into(), id.to_string(), "changed".into())]);
    let again = "UPDATE holds SET state = 'ACTIVE', ended_ms = NULL, ended_sequence = NULL WHERE id = $1";
    books.rig.tamper_with(id, again).await;
    assert_eq!(books.rig.found(&[]).await, [("holds".into(), id.to_string(), "changed".into())]);
    let back = "UPDATE holds SET state = 'VOIDED', ended_ms = created_ms, ended_sequence = created_sequence WHERE id = $1";
    books.rig.tamper_with(id, back).await;
    assert_eq!(books.rig.found(&[]).await, [("holds".into(), id.to_string(), "changed".into())]);
}

async fn every_column_of_quotes(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = [
        ("owner", Id),
        ("from_id", Id),
        ("to_id", Id),
        ("currency_in", As("'BTC'")),
        ("amount_in", More(1)),
        ("fee", More(1)),
        ("currency_out", As("'BTC'")),
        ("amount_out", More(1)),
        ("spread", More(1)),
        ("remainder", More(1)),
        ("rate", As("'7'")),
        ("mid", As("'7'")),
        ("reference", Longer),
        ("created_by", Id),
        ("created_ms", Plus(1)),
        ("expires_ms", Plus(1)),
        ("digest", Hash),
    ];
    let executed =
        [("executed_ms", Plus(1)), ("debit_transfer", Id), ("credit_transfer", As("debit_transfer"))];
    for (is, more) in [("NULL", &[][..]), ("NOT NULL", &executed)] {
        let id = books.id(&format!("SELECT id FROM quotes WHERE executed_ms IS {is}")).await;
        let columns = [columns.as_slice(), more].concat();
        books.each_column("quotes", "id", id, &columns, ("quotes", id.to_string())).await;
    }
}

async fn every_column_of_a_promised_rate(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = [
        ("from_currency", As("'BTC'")),
        ("to_currency", As("'BTC'")),
        ("side", As("'BUY'")),
        ("mid", As("'7'")),
        ("spread_millionths", Plus(1)),
        ("created_ms", Plus(1)),
        ("expires_ms", Plus(1)),
        ("digest", Hash),
    ];
    let id = books.id("SELECT id FROM rate_locks").await;
    books.each_column("rate_locks", "id", id, &columns, ("rate_locks", id.to_string())).await;
}

async fn every_column_of_a_deposit(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = [
        ("effect_key", Longer),
        ("owner", Id),
        ("wallet_id", Id),
        ("wallet_currency", As("'BTC'")),
        ("network", Longer),
        ("currency", As("'BTC'")),
        ("amount", More(1)),
        ("kind", As("'PAYMENT_IN'")),
        ("reference", Longer),
        ("cause_type", Longer),
        ("cause_id", Longer),
        ("rate_lock_id", Id),
        ("suspense_transfer", Id),
        ("created_ms", Plus(1)),
        ("digest", Hash),
    ];
    let settled =
        [("credited", More(1)), ("rate", As("'7'")), ("credit_transfer", Id), ("settled_ms", Plus(1))];
    for (state, more) in [("SUSPENDED", &[][..]), ("SETTLED", &settled)] {
        let id = books.id(&format!("SELECT id FROM settlements WHERE state = '{state}'")).await;
        let columns = [columns.as_slice(), more].concat();
        books.each_column("settlements", "id", id, &columns, ("settlements", id.to_string())).await;
    }
}

async fn every_column_of_a_payout(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = [
        ("owner", Id),
        ("wallet_id", Id),
        ("network", Longer),
        ("wallet_currency", As("'BTC'")),
        ("wallet_amount", More(1)),
        ("pay_currency", As("'BTC'")),
        ("pay_amount", More(1)),
        ("fee_currency", As("'BTC'")),
        ("fee_cap", More(1)),
        ("fee_payer", As("'RECIPIENT'")),
        ("plan", Longer),
        ("base_currency", As("'BTC'")),
        ("base_amount", More(1)),
        ("created_ms", Plus(1)),
        ("digest", Hash),
    ];
    let posted = [("fee", More(1)), ("fee", As("'0'")), ("debited", More(1)), ("posted_ms", Plus(1))];
    let posted = posted.map(|(column, how)| match how {
        As(_) if books.is_postgres() => (column, As("0")),
        how => (column, how),
    });
    for (is, more) in [("NULL", &[][..]), ("NOT NULL", &posted)] {
        let id = books.id(&format!("SELECT hold_id AS id FROM outbounds WHERE posted_ms IS {is}")).await;
        let columns = [columns.as_slice(), more].concat();
        books.each_column("outbounds", "hold_id", id, &columns, ("outbounds", id.to_string())).await;
    }
}

async fn every_column_of_heads(rig: Rig) {
    let books = Books::written(rig).await;
    let columns = [("time_ms", Plus(1)), ("digest", Hash), ("signature", Hash)];
    for number in [1_i64, 2] {
        books.each_column("heads", "number", number, &columns, ("heads", number.to_string())).await;
    }
    // What they were signed over.
    let columns = [
        ("sequence", Plus(1)),
        ("sequence", Plus(-1)),
        ("sequence", Plus(100)),
        ("hash", Hash),
        ("ledger_account_id", Id),
    ];
    books.rig.tamper("CREATE TABLE kept AS SELECT * FROM head_entries").await;
    for (column, how) in columns {
        let place = "number = 2 AND ledger_account_id = $1";
        books.set("head_entries", column, how, place, books.wallet.into()).await;
        assert_eq!(books.rig.found(&[]).await, [("heads".into(), "2".into(), "changed".into())], "{column}");
        books.rig.tamper("DELETE FROM head_entries").await;
        books.rig.tamper("INSERT INTO head_entries SELECT * FROM kept").await;
    }
    // A head that is gone.
    books.rig.tamper("DELETE FROM head_entries WHERE number = 1").await;
    books.rig.tamper("DELETE FROM heads WHERE number = 1").await;
    assert_eq!(books.rig.found(&[]).await, [("heads".into(), "1".into(), "removed".into())]);
}
