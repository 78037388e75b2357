//! Who works on which lane. A lane that is due is leased under an owner that is drawn for each claim, so that whoever held it
//! before cannot give back, nor renew, what is another's now. A lease that is not renewed lapses.

use super::ids::{among, list};
use super::lanes::{self, hook};
use super::locked::locked;
use beem_clock::Moment;
use beem_database::{OrFault as _, Sql, Tx};
use beem_fault::Result;
use beem_ids::HookId;
use uuid::Uuid;

/// What lanes must be to be claimed at `$2`.
const CLAIMABLE: &str = "due_ms <= $2 AND leased_until_ms <= $2 AND NOT closing";

/// Whether there is anything to claim: a look that writes nothing.
///
/// # Errors
/// As the database says.
pub async fn waiting(on: &impl Sql, now: Moment) -> Result<bool> {
    let sql = format!("SELECT 1 FROM lanes WHERE {} LIMIT 1", CLAIMABLE.replace("$2", "$1"));
    Ok(on.row(&sql, vec![now.unix_ms().into()]).await?.is_some())
}

/// Leases at most `max` lanes that are due and nobody's, those first that have been due for longest, until then.
///
/// # Errors
/// As the database says.
pub async fn claim(tx: &Tx<'_>, owner: Uuid, until: Moment, max: u32) -> Result<Vec<HookId>> {
    let lock = locked(tx, "FOR UPDATE SKIP LOCKED");
    // The list is made once, or a plan could look for it once a row and lock more than it takes.
    let sql = format!(
        "WITH picked AS MATERIALIZED (
            SELECT hook FROM lanes WHERE {CLAIMABLE} ORDER BY due_ms LIMIT {max} {lock})
        UPDATE lanes SET owner = $1, leased_until_ms = $3 WHERE hook IN (SELECT hook FROM picked) RETURNING hook"
    );
    let values = vec![owner.into(), tx.now().unix_ms().into(), until.unix_ms().into()];
    tx.rows(&sql, values).await?.iter().map(hook).collect()
}

/// Renews those of these leases that are still the owner's; which these are.
///
/// # Errors
/// As the database says.
pub async fn renew(tx: &Tx<'_>, leases: &[(HookId, Uuid)], until: Moment) -> Result<Vec<HookId>> {
    lanes::lock(tx, leases.iter().map(|(hook, _)| *hook)).await?;
    // No pair but a leased one can match: an owner is drawn for each claim, and a lane has its last one.
    let sql = format!(
        "UPDATE lanes SET leased_until_ms = $3 WHERE hook {} AND owner {} RETURNING hook",
        among(tx, 1),
        among(tx, 2)
    );
    let hooks = list(tx, leases.iter().map(|(hook, _)| hook.0));
    let owners = list(tx, leases.iter().map(|(_, owner)| *owner));
    tx.rows(&sql, vec![hooks, owners, until.unix_ms().into()]).await?.iter().map(hook).collect()
}

/// Takes every lease away: for a database that no other process has, when this one starts.
///
/// # Errors
/// As the database says.
pub async fn clear(tx: &Tx<'_>) -> Result<()> {
    let sql = "UPDATE lanes SET owner = NULL, leased_until_ms = 0 WHERE owner IS NOT NULL";
    tx.run(sql, Vec::new()).await.map(drop)
}

/// How a lane is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// With what is due later, if anything.
    Open,
    /// Its hook was found disabled: what is pending ends.
    Closing,
}

/// A lane that is given back.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    pub hook: HookId,
    pub owner: Uuid,
    pub leaving: Leaving,
}

/// Gives lanes back that are locked already, so that nobody adds anything meanwhile, each due when the next of its deliveries
/// is; what is overdue stands behind what others have been waiting for. Lanes that have another owner now are let be.
/// Whether something is due at once.
///
/// # Errors
/// As the database says.
pub async fn leave(tx: &Tx<'_>, leaves: &[Leave]) -> Result<bool> {
    let mut at_once = false;
    for leaving in [Leaving::Open, Leaving::Closing] {
        let left: Vec<&Leave> = leaves.iter().filter(|leave| leave.leaving == leaving).collect();
        if left.is_empty() {
            continue;
        }
        let closing = match leaving {
            Leaving::Open => "",
            Leaving::Closing => "closing = TRUE,",
        };
        let sql = format!(
            "UPDATE lanes SET owner = NULL, leased_until_ms = 0, {closing} due_ms = (
                SELECT CASE WHEN MIN(d.next_ms) < $3 THEN $3 ELSE MIN(d.next_ms) END
                FROM deliveries AS d WHERE d.hook = lanes.hook AND d.status = 'PENDING')
            WHERE hook {} AND owner {} RETURNING due_ms",
            among(tx, 1),
            among(tx, 2)
        );
        let hooks = list(tx, left.iter().map(|leave| leave.hook.0));
        let owners = list(tx, left.iter().map(|leave| leave.owner));
        let now_ms = tx.now().unix_ms();
        for row in tx.rows(&sql, vec![hooks, owners, now_ms.into()]).await? {
            let due_ms: Option<i64> = row.try_get("", "due_ms").or_fault()?;
            at_once |= leaving == Leaving::Open && due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        }
    }
    Ok(at_once)
}
