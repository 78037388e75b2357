//! GetHook.

use super::Operations;
use crate::grpc::convert;
use crate::store;
use beem_caller::Actor;
use beem_fault::Result;
use beem_proto::hooks::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found`, another account's too.
    pub async fn get_hook(&self, actor: &Actor, asked: &wire::GetHookRequest) -> Result<wire::Hook> {
        let on = self.0.db.read();
        let hook = store::hooks::get(on, actor.account, convert::hook_id(&asked.id)?).await?;
        self.answer(on, &hook, self.0.clock.now()).await
    }
}
