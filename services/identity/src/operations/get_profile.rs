//! GetProfile: who the caller is. Roles and version are those the request itself was judged by.

use super::Operations;
use crate::store;
use beem_caller::Actor;
use beem_fault::Result;
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found` for a principal that identity does not keep.
    pub async fn get_profile(&self, actor: &Actor) -> Result<wire::Profile> {
        let client = store::clients::get(self.db.read(), actor.account, actor.principal).await?;
        Ok(wire::Profile {
            principal_id: client.id.to_string(),
            kind: actor.kind.as_str().to_owned(),
            username: client.client_id.to_string(),
            email: None,
            account_id: client.account.to_string(),
            roles: actor.roles.full_names(),
            network_whitelist: client.network.texts(),
            roles_version: actor.standing_version,
            name: Some(client.name.to_string()),
        })
    }
}
