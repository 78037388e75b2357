//! CommitChange: adds what is left of a prepared growth.

use super::{Authz, Write};
use crate::domain;
use crate::{store, wire};
use beem_database::Tx;
use beem_database::claims::Outcome;
use beem_fault::{Fault, Result};
use prost::Message as _;

pub(crate) async fn commit_change(authz: &Authz, write: &Write) -> Outcome {
    let effect_key = write.effect_key.as_str();
    // Asked before the key is claimed: that nothing was prepared yet must not be remembered for ever.
    let prepared = match store::prepared_of_any_account(authz.database.read(), effect_key).await {
        Ok(Some(prepared)) => prepared,
        Ok(None) => return Outcome { result: Err(Fault::not_found("prepared change")), replayed: false },
        Err(fault) => return Outcome { result: Err(fault), replayed: false },
    };
    let work = authz.once_on(write, prepared.principal, |tx| Box::pin(run(tx, effect_key)));
    work.await
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
