//! The system accounts: opened at the start for every currency of the registry, with how far each may go below zero.

use super::{BALANCE_COLUMNS, id_list, read_balance};
use crate::domain::{Balance, LedgerAccount, Purpose};
use crate::settings::LedgerSettings;
use crate::store::bulk;
use beem_database::{Backend, Database, Sql as _, Tx, array};
use beem_fault::{Code, Fault, Result};
use beem_ids::LedgerAccountId;
use beem_money::{Amount, Currencies, Currency, CurrencyCode};
use beem_settings::Environment;
use sea_orm::Value;
use std::collections::{BTreeMap, BTreeSet};

const OPEN_POSTGRES: &str = "
    WITH opened AS (
        INSERT INTO ledger_accounts (id, owner, purpose, currency, network, name, created_ms)
        SELECT id, NULL, purpose, currency, network, '', $6
        FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[]) AS a (id, purpose, currency, network) ORDER BY id
        ON CONFLICT (id) DO NOTHING RETURNING id, currency)
    INSERT INTO balances (ledger_account_id, owner, currency, total, reserved, floor, sequence, hash, time_ms)
    SELECT id, NULL, currency, 0, 0, NULL, 0, hash, $6
    FROM opened JOIN UNNEST($1::uuid[], $5::bytea[]) AS g (of, hash) ON of = id";
const OPEN_SQLITE: &str = "
    INSERT INTO ledger_accounts (id, owner, purpose, currency, network, name, created_ms)
    SELECT unhex(value ->> 0), NULL, value ->> 1, value ->> 2, value ->> 3, '', $2 FROM json_each($1)";
const OPEN_BALANCES_SQLITE: &str = "
    INSERT INTO balances (ledger_account_id, owner, currency, total, reserved, floor, sequence, hash, time_ms)
    SELECT unhex(value ->> 0), NULL, value ->> 2, '0', '0', NULL, 0, unhex(value ->> 4), $2 FROM json_each($1)";
const FLOOR_POSTGRES: &str = "
    UPDATE balances SET floor = f.floor FROM UNNEST($1::uuid[], $2::numeric[]) AS f (id, floor)
    WHERE ledger_account_id = f.id";
const FLOOR_SQLITE: &str = "
    UPDATE balances SET floor = f.value ->> 1 FROM json_each($1) AS f WHERE ledger_account_id = unhex(f.value ->> 0)";

/// A system account that is to be there, and its limit.
struct Wanted {
    purpose: Purpose,
    currency: CurrencyCode,
    network: String,
    /// None for no limit.
    floor: Option<Amount>,
}

/// Opens those system accounts of the registry that are not there, and sets the limits: fees, spreads, remainders and
/// deposits in suspense never fall below zero; liquidity goes down to the overdraft in a live installation, and without limit
/// in a sandbox; clearing has none, since what a chain has done is a fact that no limit of ours may leave unbooked. A limit that is raised stops at what is available now. Processes that start at the same
/// time open each account once.
///
/// # Errors
/// `validation-failed` naming `overdraft`; `unavailable` when the database is away.
pub async fn open_system(
    db: &Database,
    settings: &LedgerSettings,
    currencies: &Currencies,
    environment: Environment,
) -> Result<()> {
    let overdrafts = overdrafts(settings, currencies)?;
    let of = |currency| wanted(currency, overdrafts.get(&currency.code).copied(), environment);
    let wanted: BTreeMap<_, _> = currencies.iter().flat_map(of).map(|w| (w.id(), w)).collect();
    let wanted = &wanted;
    db.write(|tx| {
        Box::pin(async move {
            open_missing(tx, wanted).await?;
            set_floors(tx, wanted).await
        })
    })
    .await
}

impl Wanted {
    fn id(&self) -> LedgerAccountId {
        self.purpose.id(self.currency, &self.network)
    }
}

/// What the settings say in place of the registry.
fn overdrafts(settings: &LedgerSettings, currencies: &Currencies) -> Result<BTreeMap<CurrencyCode, Amount>> {
    let read = |(code, text): (&String, &String)| {
        let field = format!("overdraft.{code}");
        let known = CurrencyCode::parse(code).ok().and_then(|code| currencies.get(code));
        let Some(currency) = known else {
            return Err(Fault::field_as(Code::CurrencyUnknown, field, "a code of the registry"));
        };
        let amount = currency.parse(text).map_err(|e| Fault::field(field, e.to_string()))?;
        Ok((currency.code, amount))
    };
    settings.overdraft.iter().map(read).collect()
}

/// The system accounts of one currency.
fn wanted(currency: &Currency, overdraft: Option<Amount>, environment: Environment) -> Vec<Wanted> {
    let live = environment == Environment::Live;
    let overdraft = overdraft.unwrap_or(currency.overdraft).checked_neg().filter(|_| live);
    let floor = |purpose| match purpose {
        Purpose::Liquidity => overdraft,
        Purpose::Clearing | Purpose::Gas | Purpose::Sandbox => None,
        Purpose::Wallet | Purpose::Fees | Purpose::Spread | Purpose::Rounding | Purpose::Suspense => {
            Some(Amount::ZERO)
        }
    };
    let account = |purpose, network: &str| Wanted {
        purpose,
        currency: currency.code,
        network: network.to_owned(),
        floor: floor(purpose),
    };
    let sandbox = (!live).then_some(Purpose::Sandbox);
    let networks = currency.networks.iter().filter(|network| !(live && network.sandbox));
    let purposes = Purpose::OF_A_CURRENCY.into_iter().chain(sandbox).map(|purpose| account(purpose, ""));
    purposes.chain(networks.map(|network| account(Purpose::Clearing, &network.name))).collect()
}

async fn open_missing(tx: &Tx<'_>, wanted: &BTreeMap<LedgerAccountId, Wanted>) -> Result<()> {
    let there = super::accounts(tx, &wanted.keys().copied().collect::<Vec<_>>()).await?;
    let there: BTreeSet<_> = there.iter().map(|account| account.id).collect();
    let account = |(id, wanted): (&LedgerAccountId, &Wanted)| LedgerAccount {
        id: *id,
        owner: None,
        purpose: wanted.purpose,
        currency: wanted.currency,
        network: wanted.network.clone(),
        name: String::new(),
        created: tx.now(),
    };
    let missing: Vec<_> = wanted.iter().filter(|(id, _)| !there.contains(id)).map(account).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let now = Value::from(tx.now().unix_ms());
    match tx.backend() {
        Backend::Postgres => {
            let values = vec![
                array::uuids(missing.iter().map(|a| a.id.0)),
                array::texts(missing.iter().map(|a| a.purpose.as_str())),
                array::texts(missing.iter().map(|a| a.currency.as_str())),
                array::texts(missing.iter().map(|a| a.network.as_str())),
                array::bytes(missing.iter().map(LedgerAccount::genesis)),
                now,
            ];
            tx.run(OPEN_POSTGRES, values).await.map(drop)
        }
        Backend::Sqlite => {
            let row = |a: &LedgerAccount| {
                let genesis = hex::encode(a.genesis());
                let id = a.id.0.simple().to_string();
                serde_json::json!([id, a.purpose.as_str(), a.currency.as_str(), a.network, genesis])
            };
            let rows = Value::from(serde_json::Value::from_iter(missing.iter().map(row)).to_string());
            tx.run(OPEN_SQLITE, vec![rows.clone(), now.clone()]).await?;
            tx.run(OPEN_BALANCES_SQLITE, vec![rows, now]).await.map(drop)
        }
    }
}

/// Locks only what is to be changed: at most starts nothing is.
async fn set_floors(tx: &Tx<'_>, wanted: &BTreeMap<LedgerAccountId, Wanted>) -> Result<()> {
    let floor = |balance: &Balance| wanted.get(&balance.account).and_then(|wanted| wanted.floor);
    let other = |balance: &Balance| balance.floor != floor(balance);
    let ids: Vec<_> = wanted.keys().copied().collect();
    let others: Vec<_> = balances(tx, &ids).await?.into_iter().filter(other).map(|b| b.account).collect();
    if others.is_empty() {
        return Ok(());
    }
    let locked = bulk::of(tx).lock_balances(tx, &others).await?;
    let now = |balance: &Balance| (balance.account.0, floor(balance).min(balance.available()));
    let floors = locked.iter().map(now);
    match tx.backend() {
        Backend::Postgres => {
            let (ids, floors): (Vec<_>, Vec<_>) = floors.unzip();
            tx.run(FLOOR_POSTGRES, vec![array::uuids(ids), array::optional_texts(floors)]).await.map(drop)
        }
        Backend::Sqlite => {
            let row = |(id, floor): (uuid::Uuid, Option<Amount>)| {
                serde_json::json!([id.simple().to_string(), floor.map(|floor| floor.to_string())])
            };
            let rows = serde_json::Value::from_iter(floors.map(row)).to_string();
            tx.run(FLOOR_SQLITE, vec![rows.into()]).await.map(drop)
        }
    }
}

async fn balances(tx: &Tx<'_>, ids: &[LedgerAccountId]) -> Result<Vec<Balance>> {
    let ids = ids.iter().map(|id| id.0);
    let rows = match tx.backend() {
        Backend::Postgres => {
            let sql = format!(
                "SELECT {BALANCE_COLUMNS} FROM balances b WHERE b.ledger_account_id = ANY($1::uuid[])"
            );
            tx.rows(&sql, vec![array::uuids(ids)]).await?
        }
        Backend::Sqlite => {
            let sql = format!(
                "SELECT {BALANCE_COLUMNS} FROM balances b
                 WHERE b.ledger_account_id IN (SELECT unhex(value) FROM json_each($1))"
            );
            tx.rows(&sql, vec![id_list(ids)?]).await?
        }
    };
    rows.iter().map(read_balance).collect()
}
