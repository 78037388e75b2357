//! Hooks as they are answered: each with the keys that sign for it, and since when nothing but failures came of it.

use super::Operations;
use crate::domain::{Hook, without_query};
use crate::grpc::convert;
use crate::store;
use beem_clock::Moment;
use beem_database::Sql;
use beem_fault::{Fault, Result};
use beem_ids::HookId;
use beem_proto::hooks::v1 as wire;
use serde_json::{Value, json};

impl Operations {
    /// A hook as GetHook answers it.
    ///
    /// # Errors
    /// `internal` when it has no keys; as the database says.
    pub async fn answer(&self, on: &impl Sql, hook: &Hook, now: Moment) -> Result<wire::Hook> {
        let answers = self.answers(on, std::slice::from_ref(hook), now).await?;
        answers.into_iter().next().ok_or_else(|| Fault::internal("a hook without an answer"))
    }

    /// Several.
    ///
    /// # Errors
    /// As [`Operations::answer`].
    pub async fn answers(&self, on: &impl Sql, hooks: &[Hook], now: Moment) -> Result<Vec<wire::Hook>> {
        let ids: Vec<HookId> = hooks.iter().map(|hook| hook.id).collect();
        let keys = store::keys::currents(on, &ids, now).await?;
        let healths = store::hooks::healths(on, &ids).await?;
        let answer = |hook: &Hook| {
            let missing = |what: &str| Fault::internal(format!("hook {} has no {what}", hook.id));
            let (active, retiring) = keys.get(&hook.id).ok_or_else(|| missing("keys"))?;
            let health = healths.get(&hook.id).ok_or_else(|| missing("lane"))?;
            Ok(convert::hook(hook, active, retiring.as_ref(), health))
        };
        hooks.iter().map(answer).collect()
    }
}

/// What the audit trail tells of a hook.
pub fn told(hook: &Hook) -> Value {
    json!({ "url": without_query(&hook.url), "eventCodes": hook.codes.codes(), "enabled": hook.disabled.is_none() })
}
