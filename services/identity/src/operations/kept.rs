//! A client and a user as they are kept here, for the sagas that treat both alike (see [`super::principal`]).

use super::change::Target;
use super::{user_view, view};
use crate::domain::{AccessPatch, Client, ClientPatch, Principal, User, UserPatch};
use crate::peers::Standing;
use crate::store::{self, credentials, links, sessions};
use beem_clock::Moment;
use beem_database::Tx;
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};
use prost::Message as _;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

/// A client or a user as it is kept here.
pub trait Kept: Principal + Sized + Send + Sync {
    /// What a PATCH names of it.
    type Patch: Send + Sync;

    fn target(id: PrincipalId) -> Target;

    fn access(patch: &Self::Patch) -> &AccessPatch;

    /// Whether the PATCH names what is identity's alone.
    fn names_own(patch: &Self::Patch) -> bool;

    /// Whether sessions of it have to end when it is disabled.
    fn has_sessions() -> bool;

    /// The names and the network list that the PATCH names, and, when what proves it or from where it may come changes,
    /// the standing's credential version at that.
    fn patch(&mut self, patch: &Self::Patch, credential_version: Option<u64>);

    fn mark_deleted(&mut self, now: Moment);

    fn load(
        on: &impl ConnectionTrait,
        account: AccountId,
        id: PrincipalId,
    ) -> impl Future<Output = Result<Self>> + Send;

    fn save(&self, tx: &Tx<'_>, saga: Uuid) -> impl Future<Output = Result<()>> + Send;

    /// Whatever stands for it at this moment ends: sessions.
    fn end_sessions(tx: &Tx<'_>, id: PrincipalId) -> impl Future<Output = Result<()>> + Send;

    /// Whatever could prove it later goes: links, password, second factor.
    fn forget_secrets(tx: &Tx<'_>, id: PrincipalId) -> impl Future<Output = Result<()>> + Send;

    /// The answer of a write.
    fn answer(&self, tx: &Tx<'_>, standing: &Standing) -> impl Future<Output = Result<Vec<u8>>> + Send;
}

impl Kept for Client {
    type Patch = ClientPatch;

    fn target(id: PrincipalId) -> Target {
        Target::Client(id)
    }

    fn access(patch: &ClientPatch) -> &AccessPatch {
        &patch.access
    }

    fn names_own(patch: &ClientPatch) -> bool {
        patch.name.is_some()
    }

    fn has_sessions() -> bool {
        false
    }

    fn patch(&mut self, patch: &ClientPatch, credential_version: Option<u64>) {
        if let Some(name) = &patch.name {
            self.name = name.clone();
        }
        if let Some(network) = &patch.access.network {
            self.network = network.clone();
        }
        self.credential_version = credential_version.unwrap_or(self.credential_version);
    }

    fn mark_deleted(&mut self, now: Moment) {
        self.deleted = Some(now);
    }

    async fn load(on: &impl ConnectionTrait, account: AccountId, id: PrincipalId) -> Result<Self> {
        store::clients::get(on, account, id).await
    }

    async fn save(&self, tx: &Tx<'_>, saga: Uuid) -> Result<()> {
        store::clients::change(tx, self, saga).await
    }

    async fn end_sessions(_: &Tx<'_>, _: PrincipalId) -> Result<()> {
        Ok(())
    }

    async fn forget_secrets(_: &Tx<'_>, _: PrincipalId) -> Result<()> {
        Ok(())
    }

    async fn answer(&self, tx: &Tx<'_>, standing: &Standing) -> Result<Vec<u8>> {
        Ok(view::answer(tx, self, standing, tx.now()).await?.encode_to_vec())
    }
}

impl Kept for User {
    type Patch = UserPatch;

    fn target(id: PrincipalId) -> Target {
        Target::User(id)
    }

    fn access(patch: &UserPatch) -> &AccessPatch {
        &patch.access
    }

    fn names_own(patch: &UserPatch) -> bool {
        patch.first_name.is_some() || patch.last_name.is_some()
    }

    fn has_sessions() -> bool {
        true
    }

    fn patch(&mut self, patch: &UserPatch, credential_version: Option<u64>) {
        if let Some(name) = &patch.first_name {
            self.first_name = name.clone();
        }
        if let Some(name) = &patch.last_name {
            self.last_name = name.clone();
        }
        if let Some(network) = &patch.access.network {
            self.network = network.clone();
        }
        self.credential_version = credential_version.unwrap_or(self.credential_version);
    }

    fn mark_deleted(&mut self, now: Moment) {
        self.deleted = Some(now);
    }

    async fn load(on: &impl ConnectionTrait, account: AccountId, id: PrincipalId) -> Result<Self> {
        store::users::get(on, account, id).await
    }

    async fn save(&self, tx: &Tx<'_>, saga: Uuid) -> Result<()> {
        store::users::change(tx, self, saga).await
    }

    async fn end_sessions(tx: &Tx<'_>, id: PrincipalId) -> Result<()> {
        sessions::end_all(tx, id, None).await.map(drop)
    }

    async fn forget_secrets(tx: &Tx<'_>, id: PrincipalId) -> Result<()> {
        links::revoke_all(tx, id).await?;
        credentials::clear(tx, id).await
    }

    async fn answer(&self, _: &Tx<'_>, standing: &Standing) -> Result<Vec<u8>> {
        Ok(user_view::answer(self, standing).encode_to_vec())
    }
}
