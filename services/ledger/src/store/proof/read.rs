//! Columns to values, as far as they are what ours would have written.

use super::FoundBalance;
use crate::domain::{
    Cause, Counterpart, Entry, EntryKind, Hold, HoldState, Kind, LedgerAccount, NewHold, NewTransfer,
    Purpose, Subject, Transfer,
};
use beem_clock::Moment;
use beem_ids::{AccountId, HoldId, LedgerAccountId, TransferId};
use beem_money::{Amount, CurrencyCode, Rate};
use sea_orm::{QueryResult, TryGetable};
use uuid::Uuid;

pub const ENTRY: &str = "e.ledger_account_id AS e_account, e.time_ms AS e_time, e.sequence AS e_sequence, \
     e.kind AS e_kind, e.subject_id AS e_subject, CAST(e.amount AS TEXT) AS e_amount, \
     CAST(e.reserved_change AS TEXT) AS e_change, CAST(e.total AS TEXT) AS e_total, \
     CAST(e.reserved AS TEXT) AS e_reserved, e.hash AS e_hash";

pub const TRANSFER: &str = "t.id AS t_id, t.debit_id AS t_debit, t.debit_sequence AS t_debit_sequence, \
     t.credit_id AS t_credit, t.credit_sequence AS t_credit_sequence, t.currency AS t_currency, \
     CAST(t.amount AS TEXT) AS t_amount, t.kind AS t_kind, t.reference AS t_reference, \
     t.cause_type AS t_cause_type, t.cause_id AS t_cause_id, t.counter_currency AS t_counter_currency, \
     CAST(t.counter_amount AS TEXT) AS t_counter_amount, t.rate AS t_rate, t.time_ms AS t_time, t.effect_key AS t_effect";

pub const HOLD: &str = "h.id AS h_id, h.ledger_account_id AS h_account, h.owner AS h_owner, h.effect_key AS h_effect, \
     h.currency AS h_currency, CAST(h.amount AS TEXT) AS h_amount, h.reference AS h_reference, \
     h.cause_type AS h_cause_type, h.cause_id AS h_cause_id, h.created_ms AS h_created, \
     h.created_sequence AS h_created_sequence, h.expires_ms AS h_expires, h.state AS h_state, \
     CAST(h.posted AS TEXT) AS h_posted, h.ended_ms AS h_ended, h.ended_sequence AS h_ended_sequence";

fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Option<T> {
    row.try_get("", column).ok()
}

/// None as well for NULL.
pub fn id(row: &QueryResult, column: &str) -> Option<Uuid> {
    get::<Option<Uuid>>(row, column)?
}

pub fn long(row: &QueryResult, column: &str) -> Option<i64> {
    get::<Option<i64>>(row, column)?
}

pub fn text(row: &QueryResult, column: &str) -> Option<String> {
    get::<Option<String>>(row, column)?
}

pub fn bytes(row: &QueryResult, column: &str) -> Option<Vec<u8>> {
    get::<Option<Vec<u8>>>(row, column)?
}

pub fn amount(row: &QueryResult, column: &str) -> Option<Amount> {
    text(row, column)?.parse().ok()
}

fn currency(row: &QueryResult, column: &str) -> Option<CurrencyCode> {
    CurrencyCode::parse(&text(row, column)?).ok()
}

fn moment(row: &QueryResult, column: &str) -> Option<Moment> {
    long(row, column).map(Moment::from_unix_ms)
}

/// An entry among [`ENTRY`].
pub fn entry_of(row: &QueryResult) -> Option<Entry> {
    let kind = EntryKind::parse(&text(row, "e_kind")?)?;
    let subject = id(row, "e_subject")?;
    Some(Entry {
        account: LedgerAccountId(id(row, "e_account")?),
        sequence: long(row, "e_sequence")?,
        time: moment(row, "e_time")?,
        kind,
        subject: match kind {
            EntryKind::Moved(_) => Subject::Transfer(TransferId(subject)),
            EntryKind::Hold | EntryKind::Release => Subject::Hold(HoldId(subject)),
        },
        amount: amount(row, "e_amount")?,
        reserved_change: amount(row, "e_change")?,
        total: amount(row, "e_total")?,
        reserved: amount(row, "e_reserved")?,
        hash: bytes(row, "e_hash")?.try_into().ok()?,
    })
}

/// A transfer among [`TRANSFER`].
pub fn transfer_of(row: &QueryResult) -> Option<Transfer> {
    let optional = |column| get::<Option<String>>(row, column);
    let counterpart =
        match (optional("t_counter_currency")?, optional("t_counter_amount")?, optional("t_rate")?) {
            (None, None, None) => None,
            (Some(code), Some(amount), Some(rate)) => Some(Counterpart {
                currency: CurrencyCode::parse(&code).ok()?,
                amount: amount.parse().ok()?,
                // Another spelling of the same rate is another row.
                rate: rate.parse::<Rate>().ok().filter(|read| read.to_string() == rate)?,
            }),
            _ => return None,
        };
    Some(Transfer {
        new: NewTransfer {
            id: TransferId(id(row, "t_id")?),
            debit: LedgerAccountId(id(row, "t_debit")?),
            credit: LedgerAccountId(id(row, "t_credit")?),
            currency: currency(row, "t_currency")?,
            amount: amount(row, "t_amount")?,
            kind: Kind::parse(&text(row, "t_kind")?)?,
            reference: text(row, "t_reference")?,
            cause: Cause { kind: text(row, "t_cause_type")?, id: text(row, "t_cause_id")? },
            counterpart,
        },
        effect: text(row, "t_effect")?,
        debit_sequence: long(row, "t_debit_sequence")?,
        credit_sequence: long(row, "t_credit_sequence")?,
        time: moment(row, "t_time")?,
    })
}

/// A hold among [`HOLD`].
pub fn hold_of(row: &QueryResult) -> Option<Hold> {
    let ended = (get::<Option<i64>>(row, "h_ended")?, get::<Option<i64>>(row, "h_ended_sequence")?);
    let ended = match ended {
        (None, None) => None,
        (Some(at), Some(sequence)) => Some((Moment::from_unix_ms(at), sequence)),
        _ => return None,
    };
    Some(Hold {
        new: NewHold {
            id: HoldId(id(row, "h_id")?),
            account: LedgerAccountId(id(row, "h_account")?),
            amount: amount(row, "h_amount")?,
            reference: text(row, "h_reference")?,
            cause: Cause { kind: text(row, "h_cause_type")?, id: text(row, "h_cause_id")? },
            expires: get::<Option<i64>>(row, "h_expires")?.map(Moment::from_unix_ms),
        },
        effect: text(row, "h_effect")?,
        owner: AccountId(id(row, "h_owner")?),
        currency: currency(row, "h_currency")?,
        created: moment(row, "h_created")?,
        created_sequence: long(row, "h_created_sequence")?,
        state: HoldState::parse(&text(row, "h_state")?)?,
        posted: amount(row, "h_posted")?,
        ended,
    })
}

/// None: missing. Some(None): unreadable.
pub fn account_of(row: &QueryResult) -> Option<Option<LedgerAccount>> {
    let id = id(row, "a_id")?;
    let read = || {
        Some(LedgerAccount {
            id: LedgerAccountId(id),
            owner: get::<Option<Uuid>>(row, "a_owner")?.map(AccountId),
            purpose: Purpose::parse(&text(row, "a_purpose")?)?,
            currency: currency(row, "a_currency")?,
            network: text(row, "a_network")?,
            name: text(row, "a_name")?,
            created: moment(row, "a_created")?,
        })
    };
    Some(read())
}

/// None: missing. Some(None): unreadable.
pub fn balance_of(row: &QueryResult) -> Option<Option<FoundBalance>> {
    id(row, "b_id")?;
    let read = || {
        Some(FoundBalance {
            owner: get::<Option<Uuid>>(row, "b_owner")?,
            currency: text(row, "b_currency")?,
            floor: get::<Option<String>>(row, "b_floor")?.map(|floor| floor.parse()).transpose().ok()?,
            total: amount(row, "b_total")?,
            reserved: amount(row, "b_reserved")?,
            sequence: long(row, "b_sequence")?,
            hash: bytes(row, "b_hash")?.try_into().ok()?,
            time: moment(row, "b_time")?,
        })
    };
    Some(read())
}
