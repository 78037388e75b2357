//! What changing a client and changing a user have in common: authz judges the whole change and takes away at once what
//! shrinks; then identity writes; then authz adds what grows. A PATCH of names alone asks authz nothing but how the
//! principal stands.

use super::Means;
use super::change::{self, Trail};
use super::kept::Kept;
use crate::domain::{AccessPatch, NetworkChange, judge_delete, judge_update};
use crate::peers::{self, Standing};
use beem_caller::Actor;
use beem_database::sagas::SagaRun;
use beem_fault::Result;
use beem_ids::{AccountId, PrincipalId};
use beem_proto::authz::v1::PrepareChangeRequest;
use serde_json::Value;

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
