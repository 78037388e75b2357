//! CommitChange: adds what is left of a prepared growth. Of a change that had nothing to add nothing was kept: then the answer
//! is that of the first half. Of one that was committed long ago only the answer is left, and it is given again.

use super::{Authz, Write};
use crate::domain;
use crate::store::PreparedChange;
use crate::{store, wire};
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_fault::{Fault, Result};
use prost::Message as _;

pub(crate) async fn commit_change(authz: &Authz, write: &Write) -> Outcome {
    let effect_key = write.effect_key.as_str();
    // Asked before the key is claimed: that nothing was prepared yet must not be remembered for ever.
    let prepared = match kept(authz, effect_key).await {
        Ok(Kept::Growth(prepared)) => prepared,
        Ok(Kept::Answer { answer, replayed }) => return Outcome { result: Ok(answer), replayed },
        Err(fault) => return Outcome { result: Err(fault), replayed: false },
    };
    let work = authz.once_on(write, prepared.principal, |tx| Box::pin(run(tx, effect_key)));
    work.await
}

/// What there is of a prepared change.
enum Kept {
    Growth(PreparedChange),
    /// Only what was answered: by a commit of long ago, or by the first half when it was all.
    Answer {
        answer: Vec<u8>,
        replayed: bool,
    },
}

/// # Errors
/// `not-found` when nothing was prepared under the key; `unavailable` when the database is away.
async fn kept(authz: &Authz, effect_key: &str) -> Result<Kept> {
    let on = authz.database.read();
    // In this order: whatever the first half keeps is there with its answer, and what is forgotten was committed before.
    let first = store::answer_of_any_account(on, &super::effect("PrepareChange", effect_key)).await?;
    if let Some(prepared) = store::prepared_of_any_account(on, effect_key).await? {
        return Ok(Kept::Growth(prepared));
    }
    let second = store::answer_of_any_account(on, &super::effect("CommitChange", effect_key)).await?;
    let again = second.map(|answer| Kept::Answer { answer, replayed: true });
    let all = first.map(|answer| Kept::Answer { answer, replayed: false });
    again.or(all).ok_or_else(|| Fault::not_found("prepared change"))
}

async fn run(tx: &Tx<'_>, effect_key: &str) -> Result<Vec<u8>> {
    let gone = || Fault::not_found("prepared change");
    let account = store::prepared_of_any_account(tx, effect_key).await?.ok_or_else(gone)?.account;
    store::lock_account(tx, account).await?;
    // Read again under the lock: a later change may have taken from it meanwhile.
    let prepared = store::prepared_of_any_account(tx, effect_key).await?.ok_or_else(gone)?;
    let mut standing = store::lock_standing(tx, account, prepared.principal).await?;
    if let Some(grown) = domain::commit(&standing, prepared.growth, prepared.actor) {
        store::save(tx, &grown).await?;
        standing = grown;
    }
    store::mark_committed(tx, &prepared).await?;
    Ok(wire::standing(&standing).encode_to_vec())
}
