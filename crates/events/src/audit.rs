//! Audit rows: who did what to what, written in the transaction of the write itself, or by themselves for a refusal.
//! A task pushes them to authz, which keeps the trail; the push is idempotent by id. See [`push()`] and [`purge`].

mod push;

pub use push::{Trail, purge, push, to_wire};

use beem_clock::Moment;
use beem_database::{Database, OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_ids::AccountId;
use sea_orm::{QueryResult, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Rows in one push at most.
const LARGEST_PUSH: usize = 500;

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAuditRow {
    /// None before the account is known.
    pub account_id: Option<AccountId>,
    /// As [`actor`] makes it; what else it holds stays with the row in this database.
    pub actor: Json,
    /// The RPC, or what a task did: `CreateClient`.
    pub action: String,
    /// `client`.
    pub target_type: String,
    pub target_id: String,
    /// `done`, or the code of the refusal.
    pub outcome: String,
    /// The object before and after, where it was changed; never a secret. Anything but a JSON object is pushed as the
    /// member `value` of one.
    pub before: Option<Json>,
    pub after: Option<Json>,
    /// The caller's network address.
    pub address: String,
    /// SHA-256 of the key that signed; empty for sessions and tasks.
    pub key_fingerprint: String,
    pub request_id: String,
}

/// Who did it: a principal's id, `USER` or `CLIENT`, and the e-mail address or `clientId` it is known by. The installation
/// has the kind `INSTALLATION` and neither id nor name.
#[must_use]
pub fn actor(principal_id: &str, kind: &str, name: &str) -> Json {
    json!({ "principalId": principal_id, "kind": kind, "name": name })
}

impl NewAuditRow {
    /// What the installation itself has done, of every account: before, after and account are for whoever knows them to add.
    #[must_use]
    pub fn by_installation(action: &str, target_type: &str, target_id: &str) -> Self {
        Self {
            account_id: None,
            actor: actor("", "INSTALLATION", ""),
            action: action.to_owned(),
            target_type: target_type.to_owned(),
            target_id: target_id.to_owned(),
            outcome: "done".to_owned(),
            before: None,
            after: None,
            address: String::new(),
            key_fingerprint: String::new(),
            request_id: String::new(),
        }
    }
}

/// A row as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// UUID v7 of the moment of recording.
    pub id: Uuid,
    pub time: Moment,
    pub row: NewAuditRow,
}

const COLUMNS: &str = "id, account_id, time_ms, actor, action, target_type, target_id, outcome, before, after, \
     address, key_fingerprint, request_id";

/// Records a row with the transaction it is about; its id.
///
/// # Errors
/// As [`beem_database::ErrorKind`] classifies.
pub async fn record(tx: &Tx<'_>, row: NewAuditRow) -> Result<Uuid> {
    let id = beem_ids::draw(tx.now(), tx.entropy());
    let sql = format!(
        "INSERT INTO audit_rows ({COLUMNS}, pushed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    );
    let values = vec![
        id.into(),
        row.account_id.map(|account| account.0).into(),
        tx.now().unix_ms().into(),
        row.actor.to_string().into(),
        row.action.into(),
        row.target_type.into(),
        row.target_id.into(),
        row.outcome.into(),
        row.before.map(|json| json.to_string()).into(),
        row.after.map(|json| json.to_string()).into(),
        row.address.into(),
        row.key_fingerprint.into(),
        row.request_id.into(),
        false.into(),
    ];
    tx.run(&sql, values).await?;
    tx.announce();
    Ok(id)
}

/// The oldest rows that have not been pushed, at most `max` (500 at most), in the order of their ids.
///
/// # Errors
/// `unavailable` when the database is away.
pub async fn unpushed(db: &Database, max: usize) -> Result<Vec<AuditRow>> {
    let max = i64::try_from(max.min(LARGEST_PUSH)).map_err(Fault::internal)?;
    let sql = format!("SELECT {COLUMNS} FROM audit_rows WHERE NOT pushed ORDER BY id LIMIT $1");
    db.read().rows(&sql, vec![max.into()]).await?.iter().map(read).collect()
}

/// Notes that authz has these.
///
/// # Errors
/// `unavailable` when the database is away: they are pushed again.
pub async fn mark_pushed(db: &Database, ids: &[Uuid]) -> Result<()> {
    for ids in ids.chunks(LARGEST_PUSH) {
        let places: Vec<_> = (2..).take(ids.len()).map(|n| format!("${n}")).collect();
        let sql = &format!("UPDATE audit_rows SET pushed = $1 WHERE id IN ({})", places.join(", "));
        let values: &Vec<Value> =
            &std::iter::once(true.into()).chain(ids.iter().map(|id| (*id).into())).collect();
        db.write(|tx| Box::pin(async move { tx.run(sql, values.clone()).await.map(drop) })).await?;
    }
    Ok(())
}

fn read(row: &QueryResult) -> Result<AuditRow> {
    let text = |name: &str| row.try_get::<String>("", name).or_fault();
    let json = |text: String| serde_json::from_str::<Json>(&text).map_err(Fault::internal);
    let object = |name: &str| row.try_get::<Option<String>>("", name).or_fault()?.map(json).transpose();
    let account_id = row.try_get::<Option<Uuid>>("", "account_id").or_fault()?.map(AccountId);
    Ok(AuditRow {
        id: row.try_get("", "id").or_fault()?,
        time: Moment::from_unix_ms(row.try_get("", "time_ms").or_fault()?),
        row: NewAuditRow {
            account_id,
            actor: json(text("actor")?)?,
            action: text("action")?,
            target_type: text("target_type")?,
            target_id: text("target_id")?,
            outcome: text("outcome")?,
            before: object("before")?,
            after: object("after")?,
            address: text("address")?,
            key_fingerprint: text("key_fingerprint")?,
            request_id: text("request_id")?,
        },
    })
}
