//! ExportTransactions: what moved in one wallet as CSV (RFC 4180), oldest first, up to its newest entry at the moment of
//! the call. A page of rows is read when the reader has taken the one before, by its place in the key and in a statement of
//! its own: nothing is held while the reader sleeps, and nothing is read for one that has gone away. A failure in the middle
//! is an error of the stream, so that a part is never taken for the whole.

use super::{Means, Operations, list_transactions};
use crate::grpc::convert;
use crate::store;
use crate::store::entries::{self, Filter, Movement, Place};
use beem_caller::Actor;
use beem_fault::{Fault, Result};
use beem_ids::LedgerAccountId;
use beem_proto::google::api::HttpBody;
use beem_proto::ledger::v1 as wire;
use csv::{Terminator, Writer, WriterBuilder};
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use std::sync::Arc;

const CSV: &str = "text/csv; charset=utf-8";

/// Rows of a piece at most.
const PIECE_ROWS: u64 = 1_000;

const COLUMNS: [&str; 12] = [
    "id",
    "time",
    "kind",
    "amount",
    "balanceAfter",
    "currency",
    "counterpartCurrency",
    "counterpartAmount",
    "rate",
    "reference",
    "causeType",
    "causeId",
];

/// A text that begins so is a formula to a spreadsheet.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

impl Operations {
    /// # Errors
    /// `not-found`, another account's wallet too; `validation-failed` naming `format` or `kind`. In the stream whatever the
    /// database says.
    pub async fn export_transactions(
        &self,
        actor: &Actor,
        asked: &wire::ExportTransactionsRequest,
    ) -> Result<BoxStream<'static, Result<HttpBody>>> {
        if !matches!(asked.format.as_str(), "" | "csv") {
            return Err(Fault::field("format", "csv"));
        }
        let filter = list_transactions::filter(&asked.kind, asked.from.as_ref(), asked.to.as_ref())?;
        let id = convert::wallet_id(&asked.id)?;
        let (wallet, balance) = store::accounts::wallet(self.0.db.read(), actor.account, id).await?;
        let last = Place { time: balance.time, sequence: balance.sequence };
        let means = Arc::clone(&self.0);
        let read = move |after| page(Arc::clone(&means), wallet.id, filter, after, last);
        let means = Arc::clone(&self.0);
        Ok(pieces(read, move |movement| means.transaction(movement)).boxed())
    }
}

/// The next rows after a place. Short only at the end.
async fn page(
    means: Arc<Means>,
    wallet: LedgerAccountId,
    filter: Filter,
    after: Option<Place>,
    last: Place,
) -> Result<Vec<Movement>> {
    entries::between(means.db.read(), wallet, &filter, (after, last), PIECE_ROWS).await
}

/// How far an export has come.
enum At {
    Beginning,
    After(Place),
    End,
}

/// The columns' names with the first rows, then the rest. Nothing is read before somebody asks for the next piece.
fn pieces<R>(
    read: impl Fn(Option<Place>) -> R + Send,
    show: impl Fn(&Movement) -> Result<wire::Transaction> + Send,
) -> impl Stream<Item = Result<HttpBody>> + Send
where
    R: Future<Output = Result<Vec<Movement>>> + Send,
{
    stream::try_unfold((At::Beginning, read, show), |(at, read, show)| async move {
        let (mut csv, content_type) = (writer(), String::new());
        let (after, content_type) = match at {
            At::Beginning => {
                csv.write_record(COLUMNS).map_err(Fault::internal)?;
                (None, CSV.to_owned())
            }
            At::After(place) => (Some(place), content_type),
            At::End => return Ok(None),
        };
        let rows = read(after).await?;
        if rows.is_empty() && after.is_some() {
            return Ok(None);
        }
        for row in &rows {
            csv.write_record(record(show(row)?)).map_err(Fault::internal)?;
        }
        let full = u64::try_from(rows.len()).is_ok_and(|rows| rows >= PIECE_ROWS);
        let next = rows.last().filter(|_| full).map_or(At::End, |row| At::After(row.place));
        let data = csv.into_inner().map_err(|e| Fault::internal(e.to_string()))?;
        let piece = HttpBody { content_type, data: data.into(), extensions: Vec::new() };
        Ok(Some((piece, (next, read, show))))
    })
}

fn writer() -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new())
}

/// In the order of [`COLUMNS`]. Amounts are written as they are; what somebody has written may not become a formula.
fn record(row: wire::Transaction) -> [String; 12] {
    let counterpart = row.counterpart.unwrap_or_default();
    let cause = row.cause.unwrap_or_default();
    [
        row.id,
        row.time.map(|time| time.to_string()).unwrap_or_default(),
        row.kind,
        row.amount,
        row.balance_after,
        row.currency,
        counterpart.currency,
        counterpart.amount,
        counterpart.rate,
        harmless(row.reference),
        harmless(cause.r#type),
        harmless(cause.id),
    ]
}

fn harmless(text: String) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Cause, Kind};
    use beem_clock::Moment;
    use beem_ids::TransferId;
    use beem_money::Amount;
    use std::sync::atomic::{AtomicU64, Ordering};
    use uuid::Uuid;

    fn moved(number: u64) -> Movement {
        let sequence = i64::try_from(number).unwrap();
        Movement {
            transfer: TransferId(Uuid::from_u64_pair(7, number << 1)),
            account: LedgerAccountId(Uuid::from_u64_pair(8, 0)),
            place: Place { time: Moment::from_unix_ms(sequence), sequence },
            kind: Kind::Adjustment,
            amount: Amount::from_minor(1),
            total: Amount::from_minor(i128::from(number)),
            currency: "USD".parse().unwrap(),
            reference: String::new(),
            cause: Cause { kind: "test".into(), id: number.to_string() },
            counterpart: None,
        }
    }

    fn shown(movement: &Movement) -> Result<wire::Transaction> {
        let cause = Some(wire::Cause { r#type: "test".into(), id: movement.cause.id.clone() });
        Ok(wire::Transaction { id: movement.id().to_string(), cause, ..wire::Transaction::default() })
    }

    /// That many movements, and how many of them have been read.
    fn source(
        rows: u64,
        read: &AtomicU64,
    ) -> impl Fn(Option<Place>) -> futures::future::Ready<Result<Vec<Movement>>> {
        move |after| {
            let first = after.map_or(1, |place| u64::try_from(place.sequence).unwrap() + 1);
            let page: Vec<_> = (first..=rows).take(1_000).map(moved).collect();
            read.fetch_add(u64::try_from(page.len()).unwrap(), Ordering::SeqCst);
            futures::future::ready(Ok(page))
        }
    }

    fn lines(piece: &HttpBody) -> u64 {
        u64::try_from(piece.data.iter().filter(|byte| **byte == b'\n').count()).unwrap()
    }

    #[tokio::test]
    async fn nothing_is_read_ahead_of_a_slow_reader_or_for_one_that_went_away() {
        let read = AtomicU64::new(0);
        let mut reader = Box::pin(pieces(source(100_000, &read), shown));
        let mut given = 0;
        for _ in 0..10 {
            assert_eq!(read.load(Ordering::SeqCst), given);
            tokio::task::yield_now().await;
            let piece = reader.next().await.unwrap().unwrap();
            assert_eq!(piece.content_type.is_empty(), given > 0);
            given += lines(&piece) - u64::from(given == 0);
        }
        drop(reader);
        tokio::task::yield_now().await;
        assert_eq!((given, read.load(Ordering::SeqCst)), (10_000, 10_000));
    }

    #[tokio::test]
    async fn every_row_comes_once_and_the_header_always() {
        for rows in [0, 1, 999, 1_000, 1_001, 2_000, 5_500] {
            let read = AtomicU64::new(0);
            let got: Vec<_> = pieces(source(rows, &read), shown).map(Result::unwrap).collect().await;
            assert!(got.iter().all(|piece| !piece.data.is_empty()));
            let text: Vec<u8> = got.iter().flat_map(|piece| piece.data.to_vec()).collect();
            let mut csv = csv::Reader::from_reader(text.as_slice());
            assert_eq!(csv.headers().unwrap().iter().collect::<Vec<_>>(), COLUMNS);
            let numbers: Vec<u64> = csv.records().map(|row| row.unwrap()[11].parse().unwrap()).collect();
            assert_eq!(numbers, (1..=rows).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn a_failure_in_the_middle_is_the_end_and_no_clean_one() {
        let read = AtomicU64::new(0);
        let rows = source(100_000, &read);
        let failing = |after: Option<Place>| match after {
            Some(place) if place.sequence == 3_000 => {
                futures::future::ready(Err(Fault::unavailable("the database is away")))
            }
            after => rows(after),
        };
        let got: Vec<_> = pieces(failing, shown).collect().await;
        assert_eq!(got.len(), 4);
        assert!(got[..3].iter().all(Result::is_ok) && got[3].is_err());
    }

    #[test]
    fn what_somebody_wrote_is_no_formula_and_amounts_stay_amounts() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(harmless(text.to_owned()), format!("'{text}"));
        }
        for text in ["", "a=1", "invoice -7", "\"=1\""] {
            assert_eq!(harmless(text.to_owned()), text);
        }
        let cause = Some(wire::Cause { r#type: "=t".into(), id: "@i".into() });
        let row = wire::Transaction {
            amount: "-5.00".into(),
            balance_after: "-1.00".into(),
            reference: "=A1,\"x\"\n".into(),
            cause,
            ..wire::Transaction::default()
        };
        let mut csv = writer();
        csv.write_record(record(row)).unwrap();
        let text = String::from_utf8(csv.into_inner().unwrap()).unwrap();
        assert_eq!(text, ",,,-5.00,-1.00,,,,,\"'=A1,\"\"x\"\"\n\",'=t,'@i\r\n");
    }
}
