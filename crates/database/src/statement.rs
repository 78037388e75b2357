//! Hand-written SQL that is the same text on both back ends, with `$1` parameters.

use crate::{Backend, OrFault as _};
use beem_fault::Result;
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

/// Hand-written statements on anything that takes statements: [`crate::Tx`], [`crate::Database::read`].
pub trait Sql: ConnectionTrait {
    /// Which dialect is spoken here.
    fn dialect(&self) -> Backend {
        Backend::of(self.get_database_backend())
    }

    /// Runs it; the number of rows it touched.
    ///
    /// # Errors
    /// As [`crate::ErrorKind`] classifies.
    fn run(&self, sql: &str, values: Vec<Value>) -> impl Future<Output = Result<u64>> + Send {
        async move {
            let statement = Statement::from_sql_and_values(self.get_database_backend(), sql, values);
            Ok(self.execute_raw(statement).await.or_fault()?.rows_affected())
        }
    }

    /// The first row, if any.
    ///
    /// # Errors
    /// As [`crate::ErrorKind`] classifies.
    fn row(&self, sql: &str, values: Vec<Value>) -> impl Future<Output = Result<Option<QueryResult>>> + Send {
        async move {
            let statement = Statement::from_sql_and_values(self.get_database_backend(), sql, values);
            self.query_one_raw(statement).await.or_fault()
        }
    }

    /// All rows.
    ///
    /// # Errors
    /// As [`crate::ErrorKind`] classifies.
    fn rows(&self, sql: &str, values: Vec<Value>) -> impl Future<Output = Result<Vec<QueryResult>>> + Send {
        async move {
            let statement = Statement::from_sql_and_values(self.get_database_backend(), sql, values);
            self.query_all_raw(statement).await.or_fault()
        }
    }
}

impl<C: ConnectionTrait> Sql for C {}
