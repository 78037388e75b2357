//! GetProfile: who the caller is. Roles and version are those the request itself was judged by.

use super::Operations;
use crate::domain::{Client, User};
use crate::store;
use beem_caller::{Actor, PrincipalKind};
use beem_fault::Result;
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found` for a principal that identity does not keep.
    pub async fn get_profile(&self, actor: &Actor) -> Result<wire::Profile> {
        let (on, account, id) = (self.db.read(), actor.account, actor.principal);
        Ok(match actor.kind {
            PrincipalKind::User => of_user(actor, &store::users::get(on, account, id).await?),
            PrincipalKind::Client => of_client(actor, &store::clients::get(on, account, id).await?),
        })
    }
}

/// A user's.
pub fn of_user(actor: &Actor, user: &User) -> wire::Profile {
    let email = user.email.as_str().to_owned();
    wire::Profile {
        username: email.clone(),
        email: Some(email),
        network_whitelist: user.network.texts(),
        first_name: Some(user.first_name.to_string()),
        last_name: Some(user.last_name.to_string()),
        ..of_anybody(actor)
    }
}

fn of_client(actor: &Actor, client: &Client) -> wire::Profile {
    wire::Profile {
        username: client.client_id.to_string(),
        network_whitelist: client.network.texts(),
        name: Some(client.name.to_string()),
        ..of_anybody(actor)
    }
}

fn of_anybody(actor: &Actor) -> wire::Profile {
    wire::Profile {
        principal_id: actor.principal.to_string(),
        kind: actor.kind.as_str().to_owned(),
        account_id: actor.account.to_string(),
        roles: actor.roles.full_names(),
        roles_version: actor.standing_version,
        ..wire::Profile::default()
    }
}
