//! New keys for CreateHook and RotateHookKey. They take a processor 100 ms and cannot be drawn inside the transaction, which
//! would be held open by that: so they are drawn before it, and only for a request that seems to get that far. What is looked
//! at here is a short cut. The transaction looks at everything again and decides.

use super::Operations;
use crate::keys::NewKeys;
use crate::store;
use beem_fault::{Code, Fault, Result};
use beem_ids::HookId;
use beem_writes::{PATIENCE, Trail, Writes};
use tokio::time::timeout_at;

/// What the keys are for.
#[derive(Clone, Copy, Debug)]
pub enum For {
    NewHook,
    Hook(HookId),
}

impl Operations {
    /// New keys, once it is the account's turn. None when the transaction will ask for none: its answer is known, or it will
    /// refuse.
    ///
    /// # Errors
    /// `deadline` when the account's turn had not come by then; `internal` when no keys could be drawn; as the database says.
    pub(super) async fn draw_keys(
        &self,
        trail: Trail<'_>,
        rpc: &str,
        request: &[u8],
        wanted: For,
    ) -> Result<Option<NewKeys>> {
        let deadline = beem_runtime::deadline(PATIENCE);
        let turn = timeout_at(deadline, self.0.keys.turn(trail.actor.account)).await;
        let turn = turn.map_err(|_| Fault::deadline())?;
        if Writes::is_known(&self.0.db, trail, rpc, request).await? || !self.has_place(trail, wanted).await? {
            return Ok(None);
        }
        self.0.keys.draw(turn).await.map(Some)
    }

    async fn has_place(&self, trail: Trail<'_>, wanted: For) -> Result<bool> {
        let (on, account) = (self.0.db.read(), trail.actor.account);
        match wanted {
            For::NewHook => {
                let most = u64::from(self.0.settings.hooks_per_account);
                Ok(store::hooks::count(on, account).await? < most)
            }
            For::Hook(id) => match store::hooks::get(on, account, id).await {
                Ok(_) => Ok(true),
                Err(fault) if fault.code == Code::NotFound => Ok(false),
                Err(fault) => Err(fault),
            },
        }
    }
}

/// The keys, for a transaction that wants some.
///
/// # Errors
/// `changed-concurrently` when it had not looked as if it would: nothing is remembered, and asked again it does.
pub fn drawn(keys: Option<&NewKeys>) -> Result<&NewKeys> {
    keys.ok_or_else(|| Fault::new(Code::ChangedConcurrently, "the hooks changed meanwhile: ask again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_thought_to_need_no_keys_may_ask_again_under_the_same_key() {
        assert!(!drawn(None).unwrap_err().is_refusal());
    }
}
