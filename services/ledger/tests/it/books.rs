//! What the tables say, without the ledger's own words for it: the invariants that must hold after whatever happened.

use crate::rig::Ledger;
use beem_database::Sql as _;
use std::collections::BTreeMap;

/// Sums of one ledger account.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    total: i128,
    reserved: i128,
    entries: i64,
}

impl Ledger {
    /// One number: `count("entries WHERE kind = 'FEE'")`.
    pub async fn count(&self, of: &str) -> i64 {
        let sql = format!("SELECT count(*) AS n FROM {of}");
        let row = self.db.read().row(&sql, vec![]).await.unwrap().unwrap();
        row.try_get("", "n").unwrap()
    }

    /// Runs a statement as nobody of ours would; the rows it touched.
    pub async fn tamper(&self, sql: &str) -> u64 {
        self.db.write(|tx| Box::pin(async move { tx.run(sql, vec![]).await })).await.unwrap()
    }

    /// Asserts that balances are what their entries sum up to, that debits are credits in every currency, that no wallet
    /// is below zero, that reserved is what active holds say, and that every transfer has its two entries.
    pub async fn assert_books(&self) {
        let by_entries = self.sums("entries", "amount", "reserved_change").await;
        let mut by_currency: BTreeMap<String, i128> = BTreeMap::new();
        let sql = "SELECT CAST(ledger_account_id AS TEXT) AS id, currency, CAST(total AS TEXT) AS total,
                CAST(reserved AS TEXT) AS reserved, sequence, CASE WHEN owner IS NULL THEN 0 ELSE 1 END AS owned
            FROM balances";
        let sql = self.hexed(sql, "ledger_account_id");
        for row in self.db.read().rows(&sql, vec![]).await.unwrap() {
            let text = |column: &str| row.try_get::<String>("", column).unwrap();
            let amount = |column: &str| text(column).parse::<i128>().unwrap();
            let (id, total, reserved) = (text("id"), amount("total"), amount("reserved"));
            let stored = Sums { total, reserved, entries: row.try_get("", "sequence").unwrap() };
            let nothing = Sums::default();
            assert_eq!(by_entries.get(&id).unwrap_or(&nothing), &stored, "balance and entries of {id}");
            let owned = row.try_get::<i32>("", "owned").unwrap() == 1;
            assert!(!owned || (total >= reserved && reserved >= 0), "wallet {id} has {stored:?}");
            *by_currency.entry(text("currency")).or_default() += total;
        }
        for (currency, sum) in by_currency {
            assert_eq!(sum, 0, "debits and credits in {currency}");
        }
        let by_holds = self.sums("holds WHERE state = 'ACTIVE'", "amount", "amount").await;
        for (id, sums) in &by_entries {
            let held = by_holds.get(id).map_or(0, |held| held.reserved);
            assert_eq!(held, sums.reserved, "active holds of {id}");
        }
        let (moved, transfers) = (
            self.count("entries WHERE kind NOT IN ('HOLD', 'RELEASE')").await,
            self.count("transfers").await,
        );
        assert_eq!(moved, 2 * transfers, "entries of transfers");
    }

    async fn sums(&self, from: &str, total: &str, reserved: &str) -> BTreeMap<String, Sums> {
        let sql = format!(
            "SELECT CAST(ledger_account_id AS TEXT) AS id, CAST({total} AS TEXT) AS t, CAST({reserved} AS TEXT) AS r FROM {from}"
        );
        let sql = self.hexed(&sql, "ledger_account_id");
        let mut all: BTreeMap<String, Sums> = BTreeMap::new();
        for row in self.db.read().rows(&sql, vec![]).await.unwrap() {
            let text = |column: &str| row.try_get::<String>("", column).unwrap();
            let sums = all.entry(text("id")).or_default();
            sums.total += text("t").parse::<i128>().unwrap();
            sums.reserved += text("r").parse::<i128>().unwrap();
            sums.entries += 1;
        }
        all
    }

    /// An id as text: on SQLite it is bytes.
    fn hexed(&self, sql: &str, column: &str) -> String {
        match self.db.backend() {
            beem_database::Backend::Postgres => sql.to_owned(),
            beem_database::Backend::Sqlite => {
                sql.replace(&format!("CAST({column} AS TEXT)"), &format!("hex({column})"))
            }
        }
    }
}
