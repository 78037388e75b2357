//! Every way a database says no, sorted once: what a caller may try again, what two writers disputed, what is a bug.

use beem_fault::{Fault, Result};
use sea_orm::{DbErr, RuntimeErr, SqlxError};
use std::error::Error as _;

/// What a database error means, the same for both back ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A row with that key exists. `columns` as in `account_id, name`; `constraint` is its name on PostgreSQL.
    Unique { table: String, columns: String, constraint: String },
    /// A row that is referred to is missing, or still referred to.
    ForeignKey { constraint: String },
    /// A CHECK said no.
    Check { constraint: String },
    /// Serialization failure, deadlock or busy: the transaction did not happen and may be run again.
    Conflict,
    /// A lock was not given within `lock_timeout`; the transaction did not happen.
    LockTimeout,
    /// The connection broke, or the database is shutting down or full. Before a COMMIT nothing happened.
    Away,
    /// No connection was to be had in time: the pool is empty, or the database cannot be reached. Waited for already.
    NoConnection,
    /// The connection broke during COMMIT: it may have happened.
    CommitUnknown,
    /// Anything else is a bug of ours.
    Bug,
}

/// A classified error; the source of the [`Fault`] it became.
#[derive(Clone, Debug, thiserror::Error)]
#[error("database: {source}")]
pub struct DatabaseError {
    pub kind: ErrorKind,
    source: DbErr,
}

/// Turns what sea-orm answers into what the house answers.
pub trait OrFault<T> {
    /// Classified: `unavailable` when it may be tried again, `internal` otherwise. [`kind_of`] still tells.
    ///
    /// # Errors
    /// The same error as a [`Fault`].
    fn or_fault(self) -> Result<T>;
}

impl<T> OrFault<T> for Result<T, DbErr> {
    fn or_fault(self) -> Result<T> {
        self.map_err(|e| fault_of(kind(&e), e))
    }
}

/// What the database said, when that is what this fault came from.
#[must_use]
pub fn kind_of(fault: &Fault) -> Option<&ErrorKind> {
    fault.source()?.downcast_ref::<DatabaseError>().map(|e| &e.kind)
}

/// Whether it came from a second row with the same `columns` (`"account_id, name"`) in `table`.
#[must_use]
pub fn is_unique(fault: &Fault, table: &str, columns: &str) -> bool {
    matches!(kind_of(fault), Some(ErrorKind::Unique { table: t, columns: c, .. }) if t == table && c == columns)
}

/// A row was not as this transaction had read it: [`crate::Database::write`] runs it again. What the database itself does
/// not notice, an update that names the version it read does.
#[must_use]
pub fn conflict(detail: impl Into<String>) -> Fault {
    fault_of(ErrorKind::Conflict, DbErr::Custom(detail.into()))
}

/// A second row in `table` as a conflict: for a row that another transaction inserted since this one looked, which finds
/// it when it is run again.
pub(crate) fn unique_as_conflict(fault: Fault, table: &str) -> Fault {
    match fault.source().and_then(|source| source.downcast_ref::<DatabaseError>()) {
        Some(DatabaseError { kind: ErrorKind::Unique { table: t, .. }, source }) if t == table => {
            fault_of(ErrorKind::Conflict, source.clone())
        }
        _ => fault,
    }
}

/// Of an error that COMMIT answered: only a refusal in so many words is certain.
pub(crate) fn of_commit(error: DbErr) -> Fault {
    let kind = match kind(&error) {
        certain @ (ErrorKind::Unique { .. }
        | ErrorKind::ForeignKey { .. }
        | ErrorKind::Check { .. }
        | ErrorKind::Conflict) => certain,
        ErrorKind::LockTimeout
        | ErrorKind::Away
        | ErrorKind::NoConnection
        | ErrorKind::CommitUnknown
        | ErrorKind::Bug => ErrorKind::CommitUnknown,
    };
    fault_of(kind, error)
}

/// Whether a transaction that ended so certainly did not happen and may go better next time.
pub(crate) fn may_run_again(fault: &Fault) -> bool {
    matches!(kind_of(fault), Some(ErrorKind::Conflict | ErrorKind::Away))
}

fn fault_of(kind: ErrorKind, source: DbErr) -> Fault {
    let again = match kind {
        ErrorKind::Conflict
        | ErrorKind::LockTimeout
        | ErrorKind::Away
        | ErrorKind::NoConnection
        | ErrorKind::CommitUnknown => true,
        ErrorKind::Unique { .. }
        | ErrorKind::ForeignKey { .. }
        | ErrorKind::Check { .. }
        | ErrorKind::Bug => false,
    };
    let error = DatabaseError { kind, source };
    if again { Fault::unavailable(error) } else { Fault::internal(error) }
}

fn kind(error: &DbErr) -> ErrorKind {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => ErrorKind::NoConnection,
        DbErr::Exec(RuntimeErr::SqlxError(e)) | DbErr::Query(RuntimeErr::SqlxError(e)) => of_driver(e),
        // sea-orm's enum is open; everything that is not about a connection or a statement is misuse of it.
        _ => ErrorKind::Bug,
    }
}

fn of_driver(error: &SqlxError) -> ErrorKind {
    match error {
        SqlxError::Io(_)
        | SqlxError::Tls(_)
        | SqlxError::Protocol(_)
        | SqlxError::PoolTimedOut
        | SqlxError::PoolClosed
        | SqlxError::WorkerCrashed
        | SqlxError::BeginFailed => ErrorKind::Away,
        SqlxError::Database(e) => {
            let code = e.code().unwrap_or_default();
            if let Some(pg) = e.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                of_postgres(&code, pg)
            } else {
                of_sqlite(&code, e.message())
            }
        }
        // An open enum as well: arguments, decoding, missing columns.
        _ => ErrorKind::Bug,
    }
}

/// SQLSTATE, appendix A of PostgreSQL's manual.
fn of_postgres(code: &str, error: &sqlx::postgres::PgDatabaseError) -> ErrorKind {
    let constraint = error.constraint().unwrap_or_default().to_owned();
    match code {
        "23505" => ErrorKind::Unique {
            table: error.table().unwrap_or_default().to_owned(),
            columns: columns_of(error.detail().unwrap_or_default()),
            constraint,
        },
        "23503" => ErrorKind::ForeignKey { constraint },
        "23514" => ErrorKind::Check { constraint },
        "40001" | "40P01" => ErrorKind::Conflict,
        "55P03" => ErrorKind::LockTimeout,
        // Insufficient resources, operator intervention (shutdown, starting), connection exceptions, I/O,
        // a connection that idled inside a transaction.
        _ if ["53", "57", "58", "08"].iter().any(|class| code.starts_with(class)) || code == "25P03" => {
            ErrorKind::Away
        }
        _ => ErrorKind::Bug,
    }
}

/// `Key (a, b)=(1, 2) already exists.` in whatever language: what stands before `)=(`. The values stay out.
fn columns_of(detail: &str) -> String {
    let inside = detail.split_once('(').map_or("", |(_, rest)| rest);
    inside.split_once(")=(").map_or("", |(columns, _)| columns).to_owned()
}

/// Extended result codes, <https://www.sqlite.org/rescode.html>.
fn of_sqlite(code: &str, message: &str) -> ErrorKind {
    let code: u32 = code.parse().unwrap_or(0);
    let said = message.rsplit("constraint failed: ").next().unwrap_or_default();
    match (code, code & 0xff) {
        (1555 | 2067, _) => {
            let table = said.split('.').next().unwrap_or_default();
            let columns: Vec<_> = said.split(", ").map(|c| c.rsplit('.').next().unwrap_or(c)).collect();
            ErrorKind::Unique { table: table.into(), columns: columns.join(", "), constraint: String::new() }
        }
        (787 | 1811, _) => ErrorKind::ForeignKey { constraint: String::new() },
        (275, _) => ErrorKind::Check { constraint: said.into() },
        // BUSY, LOCKED.
        (_, 5 | 6) => ErrorKind::Conflict,
        // PERM, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL.
        (_, 3 | 8 | 10 | 13 | 14 | 15) => ErrorKind::Away,
        _ => ErrorKind::Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_and_values_left() {
        assert_eq!(columns_of("Key (account_id, name)=(7, secret) already exists."), "account_id, name");
        assert_eq!(
            columns_of("Key (account_id, lower(name))=(7, x) already exists."),
            "account_id, lower(name)"
        );
        assert_eq!(columns_of(""), "");
    }

    #[test]
    fn sqlite_names_the_same_columns() {
        let kind = of_sqlite("2067", "UNIQUE constraint failed: clients.account_id, clients.name");
        let ErrorKind::Unique { table, columns, .. } = kind else { panic!("{kind:?}") };
        assert_eq!((table.as_str(), columns.as_str()), ("clients", "account_id, name"));
        assert_eq!(of_sqlite("517", "database is locked"), ErrorKind::Conflict);
        assert_eq!(of_sqlite("13", "database or disk is full"), ErrorKind::Away);
        assert_eq!(of_sqlite("1", "no such table"), ErrorKind::Bug);
    }

    #[test]
    fn a_commit_that_broke_is_unknown_and_is_not_run_again() {
        let broken = || {
            DbErr::Query(RuntimeErr::SqlxError(std::sync::Arc::new(SqlxError::Io(
                std::io::ErrorKind::BrokenPipe.into(),
            ))))
        };
        assert!(may_run_again(&Err::<(), _>(broken()).or_fault().unwrap_err()));
        let fault = of_commit(broken());
        assert_eq!(kind_of(&fault), Some(&ErrorKind::CommitUnknown));
        assert!(!may_run_again(&fault));
        assert_eq!(fault.code, beem_fault::Code::Unavailable);
    }
}
