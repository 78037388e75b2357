//! Many ids as one parameter, so that the text of a statement does not change with their number.

use beem_database::{Backend, Sql, array};
use sea_orm::Value;
use uuid::Uuid;

/// What follows a column that is to be one of the ids in this place: `format!("WHERE hook {}", among(tx, 1))`.
pub fn among(on: &impl Sql, place: u8) -> String {
    match on.dialect() {
        Backend::Postgres => format!("= ANY(${place}::uuid[])"),
        Backend::Sqlite => format!("IN (SELECT unhex(value) FROM json_each(${place}))"),
    }
}

/// The parameter itself.
pub fn list(on: &impl Sql, ids: impl IntoIterator<Item = Uuid>) -> Value {
    match on.dialect() {
        Backend::Postgres => array::uuids(ids),
        Backend::Sqlite => serde_json::Value::from_iter(ids.into_iter().map(hex)).to_string().into(),
    }
}

/// As SQLite's `unhex` reads it.
pub fn hex(id: Uuid) -> String {
    id.simple().to_string()
}
