//! Reading entries: what moved in a ledger account, page by page, and what an account held at a time. An account's entries
//! are in the order of their key (account, time, number), in which time never goes back; so every list is one range of that
//! key, and a balance at a time is one probe of it.

use super::accounts::{
    amount, amount_or_none, currency, currency_or_none, id, moment, number, text, text_or_none,
};
use super::garbled;
use crate::domain::{Cause, Counterpart, Kind, NewTransfer};
use beem_clock::Moment;
use beem_database::Sql;
use beem_database::page::{Order, Page};
use beem_fault::Result;
use beem_ids::{AccountId, LedgerAccountId, TransferId};
use beem_money::{Amount, CurrencyCode, Rate};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

/// Which movements: None is no condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub kind: Option<Kind>,
    /// From this time on.
    pub from: Option<Moment>,
    /// Before this time.
    pub to: Option<Moment>,
}

/// A place in an account: the time of an entry and its number. No entry has the number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub time: Moment,
    pub sequence: i64,
}

/// One movement of an account: an entry that changed its total, with what its transfer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    pub transfer: TransferId,
    pub account: LedgerAccountId,
    pub place: Place,
    pub kind: Kind,
    /// Negative when it left.
    pub amount: Amount,
    /// After it.
    pub total: Amount,
    /// Of the account.
    pub currency: CurrencyCode,
    pub reference: String,
    pub cause: Cause,
    pub counterpart: Option<Counterpart>,
}

impl Movement {
    /// The public id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        NewTransfer::entry_id(self.transfer, self.amount.is_negative())
    }
}

/// What an account held at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub total: Amount,
    pub reserved: Amount,
}

/// A wallet as it was at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldIn {
    pub wallet: LedgerAccountId,
    pub currency: CurrencyCode,
    pub created: Moment,
    pub held: Held,
}

/// A page of the account's movements, and the token of the next.
///
/// # Errors
/// As the database says.
pub async fn page(
    on: &impl Sql,
    account: LedgerAccountId,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Movement>, String)> {
    let mut range = Range::of(filter);
    if let Some((time_ms, number)) = page.after() {
        let sequence = i64::try_from(number.as_u64_pair().1).unwrap_or(i64::MAX);
        let last = Place { time: Moment::from_unix_ms(time_ms), sequence };
        match page.order {
            Order::Asc => range.above = range.above.max(last),
            Order::Desc => range.below = range.below.min(last),
        }
    }
    let cut = Cut { order: page.order, rows: page.limit(), skipped: page.skipped() };
    let rows = movements(on, account, filter.kind, range, cut).await?;
    Ok(page.finish(rows, |row| (row.place.time.unix_ms(), packed(row.place.sequence))))
}

/// At most `rows` movements after one place and up to another, that one included, oldest first.
///
/// # Errors
/// As the database says.
pub async fn between(
    on: &impl Sql,
    account: LedgerAccountId,
    filter: &Filter,
    (after, last): (Option<Place>, Place),
    rows: u64,
) -> Result<Vec<Movement>> {
    let mut range = Range::of(filter);
    range.above = after.map_or(range.above, |after| range.above.max(after));
    let past = Place { sequence: last.sequence.saturating_add(1), ..last };
    range.below = range.below.min(past);
    let cut = Cut { order: Order::Asc, rows, skipped: 0 };
    movements(on, account, filter.kind, range, cut).await
}

/// What the account held when `at` was over; None before its first entry.
///
/// # Errors
/// As the database says.
pub async fn last_at(on: &impl Sql, account: LedgerAccountId, at: Moment) -> Result<Option<Held>> {
    let sql = "SELECT CAST(total AS TEXT) AS total, CAST(reserved AS TEXT) AS reserved FROM entries
        WHERE ledger_account_id = $1 AND time_ms <= $2 ORDER BY time_ms DESC, sequence DESC LIMIT 1";
    let row = on.row(sql, vec![account.0.into(), at.unix_ms().into()]).await?;
    row.as_ref()
        .map(|row| Ok(Held { total: amount(row, "total")?, reserved: amount(row, "reserved")? }))
        .transpose()
}

/// A page, oldest first, of the account's wallets that had been opened by then, with what each held when `at` was over, all
/// in one statement; and the token of the next page. `page` is one in ascending order.
///
/// # Errors
/// As the database says.
pub async fn held_at(
    on: &impl Sql,
    owner: AccountId,
    at: Moment,
    page: &Page,
) -> Result<(Vec<HeldIn>, String)> {
    let newest = |column: &str| {
        format!(
            "(SELECT CAST(e.{column} AS TEXT) FROM entries e WHERE e.ledger_account_id = a.id AND e.time_ms <= $2
              ORDER BY e.time_ms DESC, e.sequence DESC LIMIT 1) AS {column}"
        )
    };
    let sql = format!(
        "SELECT a.id AS id, a.currency AS currency, a.created_ms AS created_ms, {}, {} FROM ledger_accounts a
         WHERE a.owner = $1 AND a.created_ms <= $2 AND (a.created_ms, a.id) > ($3, $4)
         ORDER BY a.created_ms, a.id LIMIT $5 OFFSET $6",
        newest("total"),
        newest("reserved")
    );
    let (created_ms, id) = page.after().unwrap_or((i64::MIN, Uuid::nil()));
    let values = vec![
        owner.0.into(),
        at.unix_ms().into(),
        created_ms.into(),
        id.into(),
        count(page.limit()),
        i64::from(page.skipped()).into(),
    ];
    let rows = on.rows(&sql, values).await?;
    let wallets = rows.iter().map(held_in).collect::<Result<Vec<_>>>()?;
    Ok(page.finish(wallets, |row| (row.created.unix_ms(), row.wallet.0)))
}

/// Between two places, both left out.
#[derive(Clone, Copy)]
struct Range {
    above: Place,
    below: Place,
}

impl Range {
    fn of(filter: &Filter) -> Self {
        let start = |time: Moment| Place { time, sequence: 0 };
        Self {
            above: start(filter.from.unwrap_or(Moment::from_unix_ms(i64::MIN))),
            below: start(filter.to.unwrap_or(Moment::from_unix_ms(i64::MAX))),
        }
    }
}

#[derive(Clone, Copy)]
struct Cut {
    order: Order,
    rows: u64,
    skipped: u32,
}

/// The entries are chosen before their transfers are looked up, so that whatever the planner thinks, only those of the page
/// are. A transfer that is missing is an error, never a row less.
async fn movements(
    on: &impl Sql,
    account: LedgerAccountId,
    kind: Option<Kind>,
    range: Range,
    cut: Cut,
) -> Result<Vec<Movement>> {
    let direction = match cut.order {
        Order::Asc => "ASC",
        Order::Desc => "DESC",
    };
    let of_kind = if kind.is_some() { "AND kind = $8" } else { "" };
    let sql = format!(
        "SELECT e.time_ms AS time_ms, e.sequence AS sequence, e.kind AS kind, CAST(e.amount AS TEXT) AS amount,
           CAST(e.total AS TEXT) AS total, e.subject_id AS transfer_id, t.currency AS currency, t.reference AS reference,
           t.cause_type AS cause_type, t.cause_id AS cause_id, t.counter_currency AS counter_currency,
           CAST(t.counter_amount AS TEXT) AS counter_amount, t.rate AS rate
         FROM (SELECT time_ms, sequence, kind, amount, total, subject_id FROM entries
               WHERE ledger_account_id = $1 AND (time_ms, sequence) > ($2, $3) AND (time_ms, sequence) < ($4, $5)
                 AND CAST(amount AS TEXT) <> '0' {of_kind}
               ORDER BY time_ms {direction}, sequence {direction} LIMIT $6 OFFSET $7) e
         LEFT JOIN transfers t ON t.id = e.subject_id
         ORDER BY e.time_ms {direction}, e.sequence {direction}"
    );
    let mut values = vec![
        account.0.into(),
        range.above.time.unix_ms().into(),
        range.above.sequence.into(),
        range.below.time.unix_ms().into(),
        range.below.sequence.into(),
        count(cut.rows),
        i64::from(cut.skipped).into(),
    ];
    values.extend(kind.map(|kind| Value::from(kind.as_str())));
    on.rows(&sql, values).await?.iter().map(|row| movement(account, row)).collect()
}

fn movement(account: LedgerAccountId, row: &QueryResult) -> Result<Movement> {
    let counterpart = match (currency_or_none(row, "counter_currency")?, text_or_none(row, "rate")?) {
        (Some(currency), Some(rate)) => Some(Counterpart {
            currency,
            amount: amount(row, "counter_amount")?,
            rate: Rate::parse(&rate).map_err(|_| garbled("rate"))?,
        }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(garbled("counterpart")),
    };
    Ok(Movement {
        transfer: TransferId(id(row, "transfer_id")?),
        account,
        place: Place { time: moment(row, "time_ms")?, sequence: number(row, "sequence")? },
        kind: Kind::parse(&text(row, "kind")?).ok_or_else(|| garbled("kind of an entry"))?,
        amount: amount(row, "amount")?,
        total: amount(row, "total")?,
        currency: currency(row, "currency")?,
        reference: text(row, "reference")?,
        cause: Cause { kind: text(row, "cause_type")?, id: text(row, "cause_id")? },
        counterpart,
    })
}

fn held_in(row: &QueryResult) -> Result<HeldIn> {
    let value = |name: &str| amount_or_none(row, name).map(Option::unwrap_or_default);
    Ok(HeldIn {
        wallet: LedgerAccountId(id(row, "id")?),
        currency: currency(row, "currency")?,
        created: moment(row, "created_ms")?,
        held: Held { total: value("total")?, reserved: value("reserved")? },
    })
}

fn count(rows: u64) -> Value {
    i64::try_from(rows).unwrap_or(i64::MAX).into()
}

/// As page tokens hold a number.
fn packed(sequence: i64) -> Uuid {
    Uuid::from_u64_pair(0, u64::try_from(sequence).unwrap_or(0))
}
