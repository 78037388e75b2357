//! The table of quotes.

use super::accounts::{amount, currency, hash, id, id_or_none, moment, moment_or_none, text};
use super::{for_update, garbled, numeric};
use crate::domain::{Executed, Hash, Offer, Quote};
use beem_database::page::{Order, Page};
use beem_database::{Database, Sql, Tx};
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, LedgerAccountId, PrincipalId, QuoteId, TransferId};
use beem_money::{Conversion, Rate};
use sea_orm::QueryResult;

/// What [`read`] reads.
pub const COLUMNS: &str = "id, owner, from_id, to_id, currency_in, CAST(amount_in AS TEXT) AS amount_in,
    CAST(fee AS TEXT) AS fee, currency_out, CAST(amount_out AS TEXT) AS amount_out, CAST(spread AS TEXT) AS spread,
    CAST(remainder AS TEXT) AS remainder, rate, mid, reference, created_by, created_ms, expires_ms, digest,
    executed_ms, debit_transfer, credit_transfer";

/// A new one.
///
/// # Errors
/// As the database says.
pub async fn insert(tx: &Tx<'_>, quote: &Quote) -> Result<()> {
    let [given, fee, received, spread, remainder] = [6, 7, 9, 10, 11].map(|place| numeric(tx, place));
    let sql = format!(
        "INSERT INTO quotes (id, owner, from_id, to_id, currency_in, amount_in, fee, currency_out, amount_out, spread,
            remainder, rate, mid, reference, created_by, created_ms, expires_ms, digest)
        VALUES ($1, $2, $3, $4, $5, {given}, {fee}, $8, {received}, {spread}, {remainder}, $12, $13, $14, $15, $16, $17,
            $18)"
    );
    let (offer, priced) = (&quote.offer, &quote.offer.conversion);
    let values = vec![
        quote.id.0.into(),
        offer.owner.0.into(),
        offer.from.0.into(),
        offer.to.0.into(),
        offer.currency_in.as_str().into(),
        priced.amount_in.to_string().into(),
        priced.fee.to_string().into(),
        offer.currency_out.as_str().into(),
        priced.amount_out.to_string().into(),
        priced.spread.to_string().into(),
        priced.remainder.to_string().into(),
        priced.rate.to_string().into(),
        offer.mid.exact().into(),
        offer.reference.as_str().into(),
        offer.created_by.0.into(),
        quote.created.unix_ms().into(),
        quote.expires.unix_ms().into(),
        quote.digest().to_vec().into(),
    ];
    tx.run(&sql, values).await.map(drop)
}

/// One quote of the account.
///
/// # Errors
/// `not-found`, another account's too; `internal` when the row is not as it was written.
pub async fn get(on: &impl Sql, owner: AccountId, id: QuoteId) -> Result<Quote> {
    find(on, owner, id, "").await
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// As [`get`].
pub async fn lock(tx: &Tx<'_>, owner: AccountId, id: QuoteId) -> Result<Quote> {
    find(tx, owner, id, for_update(tx)).await
}

async fn find(on: &impl Sql, owner: AccountId, id: QuoteId, lock: &str) -> Result<Quote> {
    let sql = format!("SELECT {COLUMNS} FROM quotes WHERE id = $1 AND owner = $2 {lock}");
    let row = on.row(&sql, vec![id.0.into(), owner.0.into()]).await?;
    unchanged(&row.ok_or_else(|| Fault::not_found("quote"))?)
}

/// A page of the account's quotes by creation, and the token of the next.
///
/// # Errors
/// As the database says; `internal` when a row is not as it was written.
pub async fn list(on: &impl Sql, owner: AccountId, page: &Page) -> Result<(Vec<Quote>, String)> {
    let (limit, skipped) = (page.limit(), page.skipped());
    let (order, beyond) = match page.order {
        Order::Asc => ("ASC", ">"),
        Order::Desc => ("DESC", "<"),
    };
    let mut values = vec![owner.0.into()];
    // The first condition alone can use the index; the second settles rows of the same millisecond.
    let after = page.after().map_or_else(String::new, |(created_ms, id)| {
        values.extend([created_ms.into(), id.into()]);
        format!("AND created_ms {beyond}= $2 AND (created_ms {beyond} $2 OR id {beyond} $3)")
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM quotes WHERE owner = $1 {after}
         ORDER BY created_ms {order}, id {order} LIMIT {limit} OFFSET {skipped}"
    );
    let rows = on.rows(&sql, values).await?;
    let quotes = rows.iter().map(unchanged).collect::<Result<Vec<_>>>()?;
    Ok(page.finish(quotes, |quote| (quote.created.unix_ms(), quote.id.0)))
}

/// Writes that a locked quote was carried out.
///
/// # Errors
/// `internal` when it had been before: whoever locked it has seen that it was not.
pub async fn execute(tx: &Tx<'_>, id: QuoteId, executed: Executed) -> Result<()> {
    let sql = "UPDATE quotes SET executed_ms = $2, debit_transfer = $3, credit_transfer = $4
        WHERE id = $1 AND executed_ms IS NULL";
    let values =
        vec![id.0.into(), executed.time.unix_ms().into(), executed.debit.0.into(), executed.credit.0.into()];
    match tx.run(sql, values).await? {
        1 => Ok(()),
        _ => Err(Fault::internal(format!("quote {id} was carried out under our lock"))),
    }
}

/// Forgets at most `max` quotes that expired `kept_ms` ago and were never carried out; how many it was.
///
/// # Errors
/// As the database says.
pub async fn purge(db: &Database, kept_ms: i64, max: u32) -> Result<u64> {
    // Said twice: the inner one is not looked at again when a row was carried out meanwhile.
    let sql = &format!(
        "DELETE FROM quotes WHERE executed_ms IS NULL AND id IN (
            SELECT id FROM quotes WHERE executed_ms IS NULL AND expires_ms < $1 ORDER BY expires_ms LIMIT {max})"
    );
    db.write(|tx| {
        Box::pin(async move {
            let before = tx.now().unix_ms().saturating_sub(kept_ms);
            tx.run(sql, vec![before.into()]).await
        })
    })
    .await
}

/// A quote, and the digest that was written with it.
///
/// # Errors
/// `internal` for a garbled row.
pub fn read(row: &QueryResult) -> Result<(Quote, Hash)> {
    let (amount_in, fee) = (amount(row, "amount_in")?, amount(row, "fee")?);
    let conversion = Conversion {
        amount_in,
        fee,
        net_in: amount_in.checked_sub(fee).ok_or_else(|| garbled("fee"))?,
        amount_out: amount(row, "amount_out")?,
        spread: amount(row, "spread")?,
        remainder: amount(row, "remainder")?,
        rate: Rate::parse(&text(row, "rate")?).map_err(|_| garbled("rate"))?,
    };
    let transfer = |column: &str| Ok::<_, Fault>(id_or_none(row, column)?.map(TransferId));
    let executed = match (
        moment_or_none(row, "executed_ms")?,
        transfer("debit_transfer")?,
        transfer("credit_transfer")?,
    ) {
        (Some(time), Some(debit), Some(credit)) => Some(Executed { time, debit, credit }),
        (None, None, None) => None,
        _ => return Err(garbled("quote")),
    };
    let quote = Quote {
        id: QuoteId(id(row, "id")?),
        offer: Offer {
            owner: AccountId(id(row, "owner")?),
            from: LedgerAccountId(id(row, "from_id")?),
            to: LedgerAccountId(id(row, "to_id")?),
            currency_in: currency(row, "currency_in")?,
            currency_out: currency(row, "currency_out")?,
            conversion,
            mid: Rate::parse_exact(&text(row, "mid")?).map_err(|_| garbled("mid"))?,
            reference: text(row, "reference")?,
            created_by: PrincipalId(id(row, "created_by")?),
        },
        created: moment(row, "created_ms")?,
        expires: moment(row, "expires_ms")?,
        executed,
    };
    Ok((quote, hash(row, "digest")?))
}

/// A quote that is as it was written. One that is not is nothing to act on, nor to show.
fn unchanged(row: &QueryResult) -> Result<Quote> {
    let (quote, digest) = read(row)?;
    if quote.digest() == digest {
        return Ok(quote);
    }
    Err(Fault::internal(format!("quote {} was changed in the database", quote.id)))
}
