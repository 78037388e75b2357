//! What came of attempts, written in bulk: the attempts, where their deliveries stand, how their hooks do, and which of them
//! are disabled for it. Written twice, because nobody knew whether the first time had committed, it counts once: what is
//! counted hangs on the attempt's row, whose id was drawn before.
//!
//! Rows are locked in the order that everybody keeps: hooks, deliveries, lanes.

mod rows;

use super::ids::{among, list};
use super::leases::{self, Leave};
use super::{flag, for_update, id, lanes, notices, text};
use crate::domain::{DisabledReason, Finding, Health, Verdict};
use beem_clock::Moment;
use beem_database::{Sql, Tx};
use beem_events::audit::{self, NewAuditRow};
use beem_fault::Result;
use beem_ids::{AccountId, DeliveryId, HookId};
use sea_orm::QueryResult;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// One attempt and what it means.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The attempt's own id.
    pub attempt: Uuid,
    pub delivery: DeliveryId,
    pub hook: HookId,
    /// Where it went: a hook that has another receiver by now is not disabled for what the one before did.
    pub url: String,
    /// When it began.
    pub time: Moment,
    pub duration_ms: u32,
    /// When it ended.
    pub ended: Moment,
    pub finding: Finding,
    pub answer: Option<String>,
    /// Of the delivery before this one: one that was replayed meanwhile begins anew, whatever this attempt found.
    pub tries: u32,
    pub verdict: Verdict,
    pub weight: Weight,
}

/// What an attempt says about its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The receiver did it, or did not.
    Counts,
    /// As before; and so badly, for what its worker knew, that it may be disabled.
    MayDisable,
    /// Nothing: it failed for a reason of ours.
    Ours,
}

/// What is true after the outcomes were written.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Of every hook that was written about.
    pub health: BTreeMap<HookId, Health>,
    /// Hooks that were disabled.
    pub disabled: HashSet<HookId>,
    /// A lane that was left is due already.
    pub due_at_once: bool,
}

/// Writes outcomes, of different deliveries each, and gives lanes back.
///
/// # Errors
/// As the database says.
pub async fn record(tx: &Tx<'_>, outcomes: &[Outcome], leaves: &[Leave]) -> Result<Recorded> {
    let new = rows::enter(tx, outcomes).await?;
    let hooks = outcomes.iter().map(|outcome| outcome.hook).chain(leaves.iter().map(|leave| leave.hook));
    let hooks: HashSet<HookId> = hooks.collect();
    let outcomes: Vec<&Outcome> = outcomes.iter().filter(|outcome| new.contains(&outcome.attempt)).collect();
    let suspects = suspects(tx, &outcomes).await?;
    rows::advance(tx, &outcomes).await?;
    let before = lanes::lock(tx, hooks).await?;
    let counted = counted(tx, &outcomes, &before).await?;
    let (health, mut disabled) = judged(counted, before.clone());
    // What only the lane's row has shown is left to the next failure, whose worker knows of it.
    disabled.retain(|hook, _| suspects.contains_key(hook));
    rows::save_health(tx, health.iter().filter(|(hook, health)| before.get(hook) != Some(health))).await?;
    for (hook, reason) in &disabled {
        if let Some(account) = suspects.get(hook) {
            disable(tx, *hook, *account, *reason).await?;
        }
    }
    let due_at_once = leases::leave(tx, leaves).await?;
    Ok(Recorded { health, disabled: disabled.into_keys().collect(), due_at_once })
}

/// Those that say something about their hooks' receivers: not about one that a hook had before. Their lanes are locked, which
/// whoever moves a hook locks too, so that its URL stays as it is read here.
async fn counted<'o>(
    tx: &Tx<'_>,
    outcomes: &[&'o Outcome],
    lanes: &BTreeMap<HookId, Health>,
) -> Result<Vec<&'o Outcome>> {
    let mut counted: Vec<&Outcome> =
        outcomes.iter().copied().filter(|outcome| outcome.weight != Weight::Ours).collect();
    // A success changes nothing for whoever has not failed: nothing to look for.
    let changes = |outcome: &&&Outcome| {
        let is_new = lanes.get(&outcome.hook).is_none_or(|health| *health == Health::default());
        !(is_new && outcome.finding.is_acknowledged())
    };
    let hooks: BTreeSet<Uuid> = counted.iter().filter(changes).map(|outcome| outcome.hook.0).collect();
    if !hooks.is_empty() {
        let sql = format!("SELECT id, url FROM hooks WHERE id {}", among(tx, 1));
        let rows = tx.rows(&sql, vec![list(tx, hooks)]).await?;
        let read = |row: &QueryResult| Ok((HookId(id(row, "id")?), text(row, "url")?));
        let urls = rows.iter().map(read).collect::<Result<HashMap<_, _>>>()?;
        counted.retain(|outcome| urls.get(&outcome.hook).is_none_or(|url| *url == outcome.url));
    }
    Ok(counted)
}

/// What becomes of each hook's record, attempt by attempt in the order in which they ended.
fn judged(
    mut counted: Vec<&Outcome>,
    mut lanes: BTreeMap<HookId, Health>,
) -> (BTreeMap<HookId, Health>, HashMap<HookId, DisabledReason>) {
    let mut disabled = HashMap::new();
    counted.sort_by_key(|outcome| outcome.ended);
    for outcome in counted {
        let Some(health) = lanes.get_mut(&outcome.hook) else { continue };
        let (after, reason) = health.after(&outcome.finding, outcome.ended);
        *health = after;
        if let Some(reason) = reason {
            disabled.entry(outcome.hook).or_insert(reason);
        } else if outcome.finding.is_acknowledged() {
            // One success forgives, also when it ends last.
            disabled.retain(|hook, reason| *hook != outcome.hook || *reason == DisabledReason::Gone);
        }
    }
    (lanes, disabled)
}

/// Those that may be disabled, are not yet, and are locked now; whose they are.
async fn suspects(tx: &Tx<'_>, outcomes: &[&Outcome]) -> Result<HashMap<HookId, AccountId>> {
    let hooks = outcomes.iter().filter(|outcome| outcome.weight == Weight::MayDisable);
    let hooks: HashSet<Uuid> = hooks.map(|outcome| outcome.hook.0).collect();
    if hooks.is_empty() {
        return Ok(HashMap::new());
    }
    let (among, lock) = (among(tx, 1), for_update(tx));
    let sql = format!(
        "SELECT id, account_id FROM hooks WHERE id {among} AND enabled AND deleted_ms IS NULL ORDER BY id {lock}"
    );
    let read = |row: &QueryResult| Ok((HookId(id(row, "id")?), AccountId(id(row, "account_id")?)));
    tx.rows(&sql, vec![list(tx, hooks)]).await?.iter().map(read).collect()
}

/// Its row and its lane are locked.
async fn disable(tx: &Tx<'_>, hook: HookId, account: AccountId, reason: DisabledReason) -> Result<()> {
    let sql = "UPDATE hooks SET enabled = $2, disabled_reason = $3, updated_ms = $4 WHERE id = $1";
    let values = vec![hook.0.into(), false.into(), reason.as_str().into(), tx.now().unix_ms().into()];
    tx.run(sql, values).await?;
    lanes::close(tx, hook).await?;
    notices::add(tx, hook, reason).await?;
    let row = NewAuditRow {
        account_id: Some(account),
        before: Some(json!({ "enabled": true })),
        after: Some(json!({ "enabled": false, "disabledReason": reason.as_str() })),
        ..NewAuditRow::by_installation("DisableHook", "hook", &hook.to_string())
    };
    audit::record(tx, row).await.map(drop)
}

/// Ends at most `max` of what is pending for a closing lane; whether there is nothing left to do. A hook that was enabled
/// meanwhile keeps what it has.
///
/// # Errors
/// As the database says.
pub async fn fail_pending(tx: &Tx<'_>, hook: HookId, max: u32) -> Result<bool> {
    let lock = for_update(tx);
    let sql = format!("SELECT enabled AND deleted_ms IS NULL AS wanted FROM hooks WHERE id = $1 {lock}");
    let row = tx.row(&sql, vec![hook.0.into()]).await?;
    if row.map(|row| flag(&row, "wanted")).transpose()?.unwrap_or(false) {
        let sql = "UPDATE lanes SET closing = $2 WHERE hook = $1";
        tx.run(sql, vec![hook.0.into(), false.into()]).await?;
        return Ok(true);
    }
    let sql = format!(
        "WITH picked AS MATERIALIZED (
            SELECT id FROM deliveries WHERE hook = $1 AND status = 'PENDING' ORDER BY next_ms, id LIMIT {max}),
        locked AS MATERIALIZED (
            SELECT id FROM deliveries WHERE id IN (SELECT id FROM picked) AND status = 'PENDING' ORDER BY id {lock})
        UPDATE deliveries SET status = 'FAILED', next_ms = NULL, ended_ms = $2 WHERE id IN (SELECT id FROM locked)"
    );
    tx.run(&sql, vec![hook.0.into(), tx.now().unix_ms().into()]).await?;
    lanes::lock(tx, [hook]).await?;
    let sql = "UPDATE lanes SET closing = $2, due_ms = NULL WHERE hook = $1
        AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.hook = $1 AND d.status = 'PENDING')";
    Ok(tx.run(sql, vec![hook.0.into(), false.into()]).await? > 0)
}

/// Lanes whose pending deliveries must end.
///
/// # Errors
/// As the database says.
pub async fn closing(on: &impl Sql, max: u32) -> Result<Vec<HookId>> {
    let sql = format!("SELECT hook FROM lanes WHERE closing ORDER BY hook LIMIT {max}");
    on.rows(&sql, Vec::new()).await?.iter().map(lanes::hook).collect()
}
