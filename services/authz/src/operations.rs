//! One RPC a file: load, decide, commit, write through. All run on one [`Authz`].

mod activate_standing;
mod batch_check;
mod batch_get_standings;
mod check;
mod commit_change;
mod create_standing;
mod get_standing;
mod list_audit_events;
mod list_audit_heads;
mod list_holders;
mod prepare_change;
mod push_audit_rows;
mod put_account;
mod report_refusals;
mod set_role_grant_policy;

pub(crate) use activate_standing::activate_standing;
pub(crate) use batch_check::batch_check;
pub(crate) use batch_get_standings::batch_get_standings;
pub(crate) use check::{Judged, check};
pub(crate) use commit_change::commit_change;
pub(crate) use create_standing::create_standing;
pub(crate) use get_standing::get_standing;
pub(crate) use list_audit_events::list_audit_events;
pub(crate) use list_audit_heads::list_audit_heads;
pub(crate) use list_holders::list_holders;
pub(crate) use prepare_change::{PrepareChange, prepare_change};
pub(crate) use push_audit_rows::push_audit_rows;
pub(crate) use put_account::put_account;
pub(crate) use report_refusals::report_refusals;
pub(crate) use set_role_grant_policy::set_role_grant_policy;

use crate::domain::Granter;
use crate::heads::Keeper;
use crate::publisher::Publisher;
use crate::store;
use beem_database::claims::{self, Outcome};
use beem_database::{Database, Tx};
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::time::Instant;

/// What every operation works with.
pub(crate) struct Authz {
    pub(crate) database: Database,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) keeper: Arc<Keeper>,
}

/// A write under an effect key, as it was called.
pub(crate) struct Write {
    /// `CreateStanding`.
    pub(crate) rpc: &'static str,
    pub(crate) effect_key: String,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) deadline: Instant,
}

impl Authz {
    /// Runs `work` once for ever under the write's key.
    async fn once<'e, W>(&self, write: &Write, work: W) -> Outcome
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        let key = effect(write.rpc, &write.effect_key);
        claims::once_for_ever(&self.database, &key, write.fingerprint, write.deadline, work).await
    }

    /// The same for a write that changes a standing: it is in the cache, or known to be missing there, before the answer.
    /// Also when the answer is an earlier one: that process may have been killed before it came so far.
    async fn once_on<'e, W>(&self, write: &Write, principal: PrincipalId, work: W) -> Outcome
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        let outcome = self.once(write, work).await;
        if outcome.result.is_ok() {
            self.publisher.write_through(principal).await;
        }
        outcome
    }
}

/// The name of an effect. One key may name both halves of a change: the RPC is part of it.
fn effect(rpc: &str, key: &str) -> String {
    format!("{rpc}:{key}")
}

/// Who asks, as it stands under the account's lock; none is the installation.
async fn granter(tx: &Tx<'_>, account: AccountId, actor: Option<PrincipalId>) -> Result<Granter> {
    match actor {
        None => Ok(Granter::Installation),
        Some(actor) => Granter::principal(account, store::standing(tx, account, actor).await?),
    }
}
