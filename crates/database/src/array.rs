//! Arrays as parameters of PostgreSQL: one column of rows each, for `= ANY($1)` and `INSERT … SELECT … FROM UNNEST(…)`.
//! SQLite has none.
//!
//! A statement casts every array to its type, as in `UNNEST($1::uuid[], $2::text::bigint[])`. The `optional_` ones go as
//! the text of an array, hence the cast by way of text, because what binds arrays here cannot hold a null inside one and
//! panics at it. One statement never takes both kinds in one place: a connection prepares it for the kind that it meets
//! first, and misreads the other. Anything that has a text goes as [`texts`] with the cast to its own type: amounts as
//! `$3::numeric[]`, or [`optional_texts`] as `$3::text::numeric[]`.

use sea_orm::Value;
use std::fmt::Display;
use uuid::Uuid;

/// For `$n::uuid[]`.
pub fn uuids(rows: impl IntoIterator<Item = Uuid>) -> Value {
    rows.into_iter().collect::<Vec<_>>().into()
}

/// For `$n::text[]`, or whatever array is made from texts.
pub fn texts<S: Into<String>>(rows: impl IntoIterator<Item = S>) -> Value {
    rows.into_iter().map(Into::into).collect::<Vec<String>>().into()
}

/// For `$n::bytea[]`.
pub fn bytes<B: Into<Vec<u8>>>(rows: impl IntoIterator<Item = B>) -> Value {
    rows.into_iter().map(Into::into).collect::<Vec<Vec<u8>>>().into()
}

/// For `$n::bigint[]`: times and counts.
pub fn longs(rows: impl IntoIterator<Item = i64>) -> Value {
    rows.into_iter().collect::<Vec<_>>().into()
}

/// For `$n::boolean[]`.
pub fn flags(rows: impl IntoIterator<Item = bool>) -> Value {
    rows.into_iter().collect::<Vec<_>>().into()
}

/// For `$n::text::uuid[]`.
pub fn optional_uuids(rows: impl IntoIterator<Item = Option<Uuid>>) -> Value {
    literal(rows)
}

/// For `$n::text::text[]`.
pub fn optional_texts<S: Display>(rows: impl IntoIterator<Item = Option<S>>) -> Value {
    literal(rows)
}

/// For `$n::text::bytea[]`.
pub fn optional_bytes<B: AsRef<[u8]>>(rows: impl IntoIterator<Item = Option<B>>) -> Value {
    literal(rows.into_iter().map(|row| row.map(|row| format!("\\x{}", hex::encode(row)))))
}

/// For `$n::text::bigint[]`.
pub fn optional_longs(rows: impl IntoIterator<Item = Option<i64>>) -> Value {
    literal(rows)
}

/// PostgreSQL's manual, 8.15.6: every element in double quotes, in which a quote and a backslash are escaped.
fn literal<T: Display>(rows: impl IntoIterator<Item = Option<T>>) -> Value {
    let mut text = String::from("{");
    for (n, row) in rows.into_iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        match row {
            None => text.push_str("NULL"),
            Some(row) => {
                text.push('"');
                for c in row.to_string().chars() {
                    if matches!(c, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                }
                text.push('"');
            }
        }
    }
    text.push('}');
    text.into()
}
