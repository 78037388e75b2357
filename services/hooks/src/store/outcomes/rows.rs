//! The statements that write outcomes. PostgreSQL gets whole columns as arrays, SQLite the rows as one JSON text: on both
//! the text of a statement is always the same. JSON has no bytes, so that ids go as hexadecimal digits there.

use super::super::ids::hex;
use super::{Health, HookId, Outcome, Verdict, id};
use crate::domain::Ending;
use beem_database::{Backend, Sql as _, Tx, array};
use beem_fault::{Fault, Result};
use sea_orm::Value;
use serde::Serialize;
use std::collections::HashSet;
use uuid::Uuid;

/// A worker that writes a second time does not count a second time: see the module above.
const ENTER_POSTGRES: &str = "
    INSERT INTO attempts (id, delivery, time_ms, duration_ms, status_code, error, answer)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text::bigint[], $6::text::text[],
        $7::text::text[])
    ON CONFLICT (id) DO NOTHING RETURNING id";
const ENTER_SQLITE: &str = "
    INSERT INTO attempts (id, delivery, time_ms, duration_ms, status_code, error, answer)
    SELECT unhex(value ->> 0), unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
    FROM json_each($1) WHERE TRUE
    ON CONFLICT (id) DO NOTHING RETURNING id";

// The deliveries are locked in the order of their ids, as everybody does who locks several.
const ROWS_POSTGRES: &str = "
    WITH o AS (
        SELECT * FROM UNNEST($2::uuid[], $3::boolean[], $4::text::bigint[], $5::bigint[])
            AS o (id, acknowledged, next_ms, tries)),
    locked AS MATERIALIZED (SELECT id FROM deliveries WHERE id = ANY($2::uuid[]) ORDER BY id FOR UPDATE)";
const ROWS_SQLITE: &str = "
    WITH o AS (
        SELECT unhex(value ->> 0) AS id, value ->> 1 AS acknowledged, value ->> 2 AS next_ms, value ->> 3 AS tries
        FROM json_each($2)),
    locked AS (SELECT id FROM o)";

/// A success always ends it. A failure says something only while it is pending and has not been replayed meanwhile.
const ADVANCE: &str = "
    UPDATE deliveries AS d SET
        attempts = d.attempts + 1,
        tries = CASE WHEN o.acknowledged OR (d.status = 'PENDING' AND d.tries = o.tries) THEN d.tries + 1
            ELSE d.tries END,
        status = CASE WHEN o.acknowledged THEN 'DELIVERED'
            WHEN d.status = 'PENDING' AND d.tries = o.tries AND o.next_ms IS NULL THEN 'FAILED' ELSE d.status END,
        next_ms = CASE WHEN o.acknowledged THEN NULL
            WHEN d.status = 'PENDING' AND d.tries = o.tries THEN o.next_ms ELSE d.next_ms END,
        ended_ms = CASE WHEN o.acknowledged OR (d.status = 'PENDING' AND d.tries = o.tries AND o.next_ms IS NULL)
            THEN $1 ELSE d.ended_ms END
    FROM o JOIN locked ON locked.id = o.id WHERE d.id = o.id";

const HEALTH_POSTGRES: &str = "
    UPDATE lanes AS l SET failures = o.failures, failing_since_ms = o.since_ms, failed_ms = o.failed_ms,
        held_until_ms = o.held_ms
    FROM UNNEST($1::uuid[], $2::bigint[], $3::text::bigint[], $4::text::bigint[], $5::bigint[])
        AS o (hook, failures, since_ms, failed_ms, held_ms)
    WHERE l.hook = o.hook";
const HEALTH_SQLITE: &str = "
    UPDATE lanes SET failures = o.value ->> 1, failing_since_ms = o.value ->> 2, failed_ms = o.value ->> 3,
        held_until_ms = o.value ->> 4
    FROM json_each($1) AS o WHERE lanes.hook = unhex(o.value ->> 0)";

/// Enters the attempts that are not there yet; which these are.
pub async fn enter(tx: &Tx<'_>, outcomes: &[Outcome]) -> Result<HashSet<Uuid>> {
    if outcomes.is_empty() {
        return Ok(HashSet::new());
    }
    let (sql, values) = match tx.backend() {
        Backend::Postgres => (
            ENTER_POSTGRES,
            vec![
                array::uuids(outcomes.iter().map(|o| o.attempt)),
                array::uuids(outcomes.iter().map(|o| o.delivery.0)),
                array::longs(outcomes.iter().map(|o| o.time.unix_ms())),
                array::longs(outcomes.iter().map(|o| i64::from(o.duration_ms))),
                array::optional_longs(outcomes.iter().map(|o| o.finding.status_code.map(i64::from))),
                array::optional_texts(outcomes.iter().map(|o| o.finding.error.as_deref())),
                array::optional_texts(outcomes.iter().map(|o| o.answer.as_deref())),
            ],
        ),
        Backend::Sqlite => {
            let row = |o: &Outcome| {
                let (attempt, delivery) = (hex(o.attempt), hex(o.delivery.0));
                let (time_ms, duration_ms) = (o.time.unix_ms(), o.duration_ms);
                let found = (o.finding.status_code, o.finding.error.clone(), o.answer.clone());
                (attempt, delivery, time_ms, duration_ms, found.0, found.1, found.2)
            };
            (ENTER_SQLITE, vec![json(&outcomes.iter().map(row).collect::<Vec<_>>())?])
        }
    };
    tx.rows(sql, values).await?.iter().map(|row| id(row, "id")).collect()
}

/// Moves the deliveries on.
pub async fn advance(tx: &Tx<'_>, outcomes: &[&Outcome]) -> Result<()> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let acknowledged = |o: &Outcome| o.verdict == Verdict::Ended(Ending::Delivered);
    let next_ms = |o: &Outcome| match o.verdict {
        Verdict::Again(at) => Some(at.unix_ms()),
        Verdict::Ended(_) => None,
    };
    let mut values: Vec<Value> = vec![tx.now().unix_ms().into()];
    let rows = match tx.backend() {
        Backend::Postgres => {
            values.extend([
                array::uuids(outcomes.iter().map(|o| o.delivery.0)),
                array::flags(outcomes.iter().map(|o| acknowledged(o))),
                array::optional_longs(outcomes.iter().map(|o| next_ms(o))),
                array::longs(outcomes.iter().map(|o| i64::from(o.tries))),
            ]);
            ROWS_POSTGRES
        }
        Backend::Sqlite => {
            let row = |o: &&Outcome| (hex(o.delivery.0), acknowledged(o), next_ms(o), o.tries);
            values.push(json(&outcomes.iter().map(row).collect::<Vec<_>>())?);
            ROWS_SQLITE
        }
    };
    tx.run(&format!("{rows} {ADVANCE}"), values).await.map(drop)
}

/// Writes how hooks do, into lanes that are locked.
pub async fn save_health<'h>(
    tx: &Tx<'_>,
    changed: impl Iterator<Item = (&'h HookId, &'h Health)>,
) -> Result<()> {
    let changed: Vec<_> = changed.collect();
    if changed.is_empty() {
        return Ok(());
    }
    let since_ms = |health: &Health| health.failing_since.map(|since| since.unix_ms());
    let failed_ms = |health: &Health| health.failed.map(|failed| failed.unix_ms());
    let held_ms = |health: &Health| health.held_until.map_or(0, |until| until.unix_ms());
    let (sql, values) = match tx.backend() {
        Backend::Postgres => (
            HEALTH_POSTGRES,
            vec![
                array::uuids(changed.iter().map(|(hook, _)| hook.0)),
                array::longs(changed.iter().map(|(_, health)| i64::from(health.failures))),
                array::optional_longs(changed.iter().map(|(_, health)| since_ms(health))),
                array::optional_longs(changed.iter().map(|(_, health)| failed_ms(health))),
                array::longs(changed.iter().map(|(_, health)| held_ms(health))),
            ],
        ),
        Backend::Sqlite => {
            let row = |(hook, health): &(&HookId, &Health)| {
                (hex(hook.0), health.failures, since_ms(health), failed_ms(health), held_ms(health))
            };
            (HEALTH_SQLITE, vec![json(&changed.iter().map(row).collect::<Vec<_>>())?])
        }
    };
    tx.run(sql, values).await.map(drop)
}

fn json(rows: &impl Serialize) -> Result<Value> {
    serde_json::to_string(rows).map(Value::from).map_err(Fault::internal)
}
