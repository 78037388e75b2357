//! What changing a client and changing a user have in common: authz judges the whole change and takes away at once what
//! shrinks; then identity writes; then authz adds what grows. A PATCH of names alone asks authz nothing but how the
//! principal stands.

use super::change::{self, Target, Trail};
use super::{Means, user_view, view};
use crate::domain::{
    AccessPatch, Client, ClientPatch, NetworkChange, Principal, User, UserPatch, judge_delete, judge_update,
};
use crate::peers::{self, Standing};
use crate::store::{self, credentials, links, sessions};
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::sagas::SagaRun;
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};
use beem_proto::authz::v1::PrepareChangeRequest;
use prost::Message as _;
use sea_orm::ConnectionTrait;
use serde_json::Value;

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

    fn mark_deleted(&mut self, now: beem_clock::Moment);

    fn load(
        on: &(impl ConnectionTrait + Sync),
        account: AccountId,
        id: PrincipalId,
    ) -> impl Future<Output = Result<Self>> + Send;

    fn save(&self, tx: &Tx<'_>, saga: uuid::Uuid) -> impl Future<Output = Result<()>> + Send;

    /// Whatever stands for it at this moment ends: sessions.
    fn end_sessions(tx: &Tx<'_>, id: PrincipalId) -> impl Future<Output = Result<()>> + Send;

    /// Whatever could prove it later goes: links, password, second factor.
    fn forget_secrets(tx: &Tx<'_>, id: PrincipalId) -> impl Future<Output = Result<()>> + Send;

    /// The answer of a write.
    fn answer(&self, tx: &Tx<'_>, standing: &Standing) -> impl Future<Output = Result<Vec<u8>>> + Send;
}

impl Means {
    /// Carries out a PATCH.
    ///
    /// # Errors
    /// What identity's own rules or authz refused; `unavailable` or `deadline` when authz is away.
    pub(super) async fn update<K: Kept>(
        &self,
        run: &SagaRun,
        trail: &Trail,
        actor: &Actor,
        id: PrincipalId,
        patch: &K::Patch,
    ) -> Result<Vec<u8>> {
        let access = K::access(patch);
        let judge = |kept: &K| judge_update(kept, actor.principal, access);
        let network = change::begin_on(run, actor.account, id, self.change_patience, judge).await?;
        let before = self.record_before::<K>(run, actor.account, id).await?;
        let end_sessions = K::has_sessions() && access.enabled == Some(false);
        let prepared = self.prepare(run, actor, id, access, network, end_sessions).await?;
        let touches_credentials = network != NetworkChange::Unchanged || end_sessions;
        if K::names_own(patch) || touches_credentials {
            let version = prepared.filter(|_| touches_credentials).map(|p| p.credential_version);
            run.write("write", |tx| {
                Box::pin(async move {
                    let mut kept = K::load(tx, actor.account, id).await?;
                    kept.patch(patch, version);
                    kept.save(tx, run.id()).await?;
                    if end_sessions {
                        K::end_sessions(tx, id).await?;
                    }
                    Ok(Some(Vec::new()))
                })
            })
            .await?;
        }
        let standing = match prepared {
            None => self.authz.standing(actor.account, id).await?,
            Some(prepared) if grows(access, &prepared) => {
                let commit = || self.authz.commit_change(run.effect_key("prepare"));
                peers::decode(&run.step("commit", commit).await?)?
            }
            Some(prepared) => prepared,
        };
        run.finish(|tx| {
            let before = before.clone();
            Box::pin(async move {
                let kept = K::load(tx, actor.account, id).await?;
                let after = kept.record(standing.roles, standing.enabled);
                change::end_done(tx, run, trail, Some(before), Some(after)).await?;
                kept.answer(tx, &standing).await
            })
        })
        .await
    }

    /// None when authz has nothing to judge.
    async fn prepare(
        &self,
        run: &SagaRun,
        actor: &Actor,
        id: PrincipalId,
        access: &AccessPatch,
        network: NetworkChange,
        end_sessions: bool,
    ) -> Result<Option<Standing>> {
        if access.roles.is_none() && access.enabled.is_none() && network == NetworkChange::Unchanged {
            return Ok(None);
        }
        let change = PrepareChangeRequest {
            roles: access.roles.map(beem_roles::RoleSet::bits),
            enabled: access.enabled,
            take_over: network == NetworkChange::Wider,
            credential_change: network == NetworkChange::Narrower,
            end_sessions,
            ..prepared_by(run, actor, id)
        };
        self.prepare_change(run, change).await.map(Some)
    }

    /// The step by which authz judges a change and takes away what shrinks.
    ///
    /// # Errors
    /// What authz refused; `unavailable` or `deadline` when it is away.
    pub(super) async fn prepare_change(
        &self,
        run: &SagaRun,
        change: PrepareChangeRequest,
    ) -> Result<Standing> {
        peers::decode(&run.step("prepare", || self.authz.prepare_change(change)).await?)
    }

    /// Deletes for good: authz refuses the principal from then on; then its row is marked. Deleting what is deleted answers
    /// it as it is.
    ///
    /// # Errors
    /// As [`Means::update`].
    pub(super) async fn delete<K: Kept>(
        &self,
        run: &SagaRun,
        trail: &Trail,
        actor: &Actor,
        id: PrincipalId,
    ) -> Result<Vec<u8>> {
        let judge = |kept: &K| judge_delete(kept, actor.principal);
        let alive = change::begin_on(run, actor.account, id, self.change_patience, judge).await?;
        let before = self.record_before::<K>(run, actor.account, id).await?;
        let standing = if alive {
            let change = PrepareChangeRequest { delete: true, ..prepared_by(run, actor, id) };
            self.prepare_change(run, change).await?
        } else {
            self.authz.standing(actor.account, id).await?
        };
        run.finish(|tx| {
            let before = before.clone();
            Box::pin(async move {
                let mut kept = K::load(tx, actor.account, id).await?;
                if alive {
                    K::forget_secrets(tx, id).await?;
                    kept.mark_deleted(tx.now());
                    kept.save(tx, run.id()).await?;
                    K::end_sessions(tx, id).await?;
                }
                let after = kept.record(standing.roles, standing.enabled);
                change::end_done(tx, run, trail, Some(before), Some(after)).await?;
                kept.answer(tx, &standing).await
            })
        })
        .await
    }

    /// What the audit trail shows as before the change, read once: the saga has the principal to itself.
    ///
    /// # Errors
    /// `not-found`; `unavailable` or `deadline` when authz is away.
    pub(super) async fn record_before<K: Kept>(
        &self,
        run: &SagaRun,
        account: AccountId,
        id: PrincipalId,
    ) -> Result<Value> {
        let read = || async {
            let kept = K::load(run.db().read(), account, id).await?;
            let standing = self.authz.standing(account, id).await?;
            change::keep(&kept.record(standing.roles, standing.enabled))
        };
        change::kept(&run.step("before", read).await?)
    }
}

/// A change by the actor under this saga's key, in which nothing is named yet.
pub fn prepared_by(run: &SagaRun, actor: &Actor, id: PrincipalId) -> PrepareChangeRequest {
    PrepareChangeRequest {
        effect_key: run.effect_key("prepare"),
        account_id: actor.account.to_string(),
        principal_id: id.to_string(),
        actor_principal_id: actor.principal.to_string(),
        ..PrepareChangeRequest::default()
    }
}

/// Whether something that was asked for was kept back until the commit.
fn grows(access: &AccessPatch, prepared: &Standing) -> bool {
    access.roles.is_some_and(|roles| roles != prepared.roles)
        || access.enabled.is_some_and(|enabled| enabled != prepared.enabled)
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

    fn mark_deleted(&mut self, now: beem_clock::Moment) {
        self.deleted = Some(now);
    }

    async fn load(on: &(impl ConnectionTrait + Sync), account: AccountId, id: PrincipalId) -> Result<Self> {
        store::clients::get(on, account, id).await
    }

    async fn save(&self, tx: &Tx<'_>, saga: uuid::Uuid) -> Result<()> {
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

    fn mark_deleted(&mut self, now: beem_clock::Moment) {
        self.deleted = Some(now);
    }

    async fn load(on: &(impl ConnectionTrait + Sync), account: AccountId, id: PrincipalId) -> Result<Self> {
        store::users::get(on, account, id).await
    }

    async fn save(&self, tx: &Tx<'_>, saga: uuid::Uuid) -> Result<()> {
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
