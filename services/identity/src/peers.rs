//! The little identity needs of authz: a principal's standing, the two halves of a change of it, that a user has activated,
//! and the trail that audit rows are pushed to.

use beem_caller::PrincipalKind;
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, PrincipalId};
use beem_link::Link;
use beem_proto::authz::v1 as wire;
use beem_proto::authz::v1::audit_client::AuditClient;
use beem_proto::authz::v1::standings_client::StandingsClient;
use beem_roles::RoleSet;
use futures::future::BoxFuture;
use prost::Message;
use std::collections::HashMap;
use std::error::Error as _;

/// Whether a principal may act, as authz says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub principal: PrincipalId,
    pub enabled: bool,
    pub roles: RoleSet,
    pub version: u64,
    /// The version at the last change of keys or network.
    pub credential_version: u64,
}

/// The way to authz. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authz {
    link: Link,
}

impl Authz {
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self { link }
    }

    fn client(&self) -> StandingsClient<Link> {
        StandingsClient::new(self.link.clone())
    }

    /// The standings of those of the account's principals that have one; at most 500 are asked for.
    ///
    /// # Errors
    /// `unavailable` or `deadline` when authz is away.
    pub async fn standings(
        &self,
        account: AccountId,
        principals: &[PrincipalId],
    ) -> Result<HashMap<PrincipalId, Standing>> {
        if principals.is_empty() {
            return Ok(HashMap::new());
        }
        let request = wire::BatchGetStandingsRequest {
            account_id: account.to_string(),
            principal_ids: principals.iter().map(ToString::to_string).collect(),
        };
        let answer = self.client().batch_get_standings(request).await.map_err(expected)?.into_inner();
        answer.standings.iter().map(|s| parse(s).map(|s| (s.principal, s))).collect()
    }

    /// The standing of one principal of the account. To authz a principal without one does not exist, and so it is nowhere.
    ///
    /// # Errors
    /// `not-found`; `unavailable` or `deadline` when authz is away.
    pub async fn standing(&self, account: AccountId, principal: PrincipalId) -> Result<Standing> {
        let found = self.standings(account, &[principal]).await?;
        found.get(&principal).copied().ok_or_else(|| {
            tracing::error!(%principal, "a principal has no standing in authz");
            Fault::not_found("principal")
        })
    }

    /// Registers a new account, in which roles are granted by their holders.
    ///
    /// # Errors
    /// `unavailable` or `deadline` when authz is away.
    pub async fn put_account(&self, account: AccountId) -> Result<()> {
        let request =
            wire::PutAccountRequest { account_id: account.to_string(), role_grant_policy: "HELD".to_owned() };
        self.client().put_account(request).await.map_err(expected).map(drop)
    }

    /// Sets who may grant roles.
    ///
    /// # Errors
    /// `role-missing` when the actor no longer holds all 15; `unavailable` or `deadline` when authz is away.
    pub async fn set_role_grant_policy(&self, request: wire::SetRoleGrantPolicyRequest) -> Result<()> {
        // The one call whose rule names roles; elsewhere `role-missing` says that authz would not talk to identity.
        let judged = |status| match Fault::from(tonic::Status::clone(&status)) {
            fault if fault.code == Code::RoleMissing => fault,
            _ => expected(status),
        };
        self.client().set_role_grant_policy(request).await.map_err(judged).map(drop)
    }

    /// Gives a new principal its standing: a client's is active at once, a user's once it has activated.
    ///
    /// # Errors
    /// `role-not-held`; `not-found` when authz does not know the account or the actor; `unavailable` or `deadline` when
    /// it is away.
    pub async fn create_standing(&self, new: &NewStanding<'_>) -> Result<Vec<u8>> {
        let request = wire::CreateStandingRequest {
            effect_key: new.effect_key.to_owned(),
            account_id: new.account.to_string(),
            principal_id: new.principal.to_string(),
            kind: new.kind.to_wire().into(),
            enabled: new.enabled,
            roles: new.roles.bits(),
            actor_principal_id: new.actor.map(|id| id.to_string()).unwrap_or_default(),
            active: new.kind == PrincipalKind::Client,
        };
        let answer = self.client().create_standing(request).await.map_err(expected)?;
        Ok(answer.into_inner().encode_to_vec())
    }

    /// First half of a change: what shrinks is done, what grows is kept for [`Authz::commit_change`].
    ///
    /// # Errors
    /// `role-not-held`, `own-principal`, `client-deleted`, `user-deleted`, `last-operator`; `not-found` when authz does not know one of
    /// them; `unavailable` or `deadline` when it is away.
    pub async fn prepare_change(&self, request: wire::PrepareChangeRequest) -> Result<Vec<u8>> {
        let answer = self.client().prepare_change(request).await.map_err(expected)?;
        Ok(answer.into_inner().encode_to_vec())
    }

    /// Second half, under the first one's key.
    ///
    /// # Errors
    /// As [`Authz::prepare_change`].
    pub async fn commit_change(&self, effect_key: String) -> Result<Vec<u8>> {
        let answer =
            self.client().commit_change(wire::CommitChangeRequest { effect_key }).await.map_err(expected)?;
        Ok(answer.into_inner().encode_to_vec())
    }

    /// Whatever gateways know of the principal's sessions is old from now on. To come before its sessions end here, its
    /// password changes or its second factor does. `actor` is None when nobody is signed in; one's own are one's own to end.
    ///
    /// # Errors
    /// `user-deleted`; `not-found` when authz does not know one of them; `unavailable` or `deadline` when it is away.
    pub async fn end_sessions(
        &self,
        effect_key: String,
        account: AccountId,
        principal: PrincipalId,
        actor: Option<PrincipalId>,
    ) -> Result<Vec<u8>> {
        let change = wire::PrepareChangeRequest {
            effect_key,
            account_id: account.to_string(),
            principal_id: principal.to_string(),
            actor_principal_id: actor.map(|id| id.to_string()).unwrap_or_default(),
            end_sessions: true,
            ..wire::PrepareChangeRequest::default()
        };
        self.prepare_change(change).await
    }

    /// The user has a password and a second factor: it counts as an operator from now on. Any number of times.
    ///
    /// # Errors
    /// `user-deleted`; `not-found` when authz does not know it; `unavailable` or `deadline` when authz is away.
    pub async fn activate_standing(&self, account: AccountId, principal: PrincipalId) -> Result<Standing> {
        let request = wire::ActivateStandingRequest {
            account_id: account.to_string(),
            principal_id: principal.to_string(),
        };
        let answer = self.client().activate_standing(request).await.map_err(expected)?;
        parse(&answer.into_inner())
    }
}

impl beem_events::audit::Trail for Authz {
    fn push(&self, rows: Vec<wire::AuditRow>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let request = wire::PushAuditRowsRequest { rows };
            AuditClient::new(self.link.clone()).push_audit_rows(request).await.map_err(expected).map(drop)
        })
    }
}

/// What a new principal's standing is made of.
#[derive(Clone, Copy, Debug)]
pub struct NewStanding<'a> {
    pub effect_key: &'a str,
    pub account: AccountId,
    pub principal: PrincipalId,
    pub kind: PrincipalKind,
    pub enabled: bool,
    pub roles: RoleSet,
    /// None when the installation itself acts.
    pub actor: Option<PrincipalId>,
}

/// A standing as a saga's step stored it.
///
/// # Errors
/// `internal` when it does not parse.
pub fn decode(standing: &[u8]) -> Result<Standing> {
    parse(&wire::Standing::decode(standing).map_err(Fault::internal)?)
}

fn parse(standing: &wire::Standing) -> Result<Standing> {
    Ok(Standing {
        principal: standing.principal_id.parse().map_err(Fault::internal)?,
        enabled: standing.enabled && !standing.deleted,
        roles: RoleSet::from_bits(standing.roles).ok_or_else(|| Fault::internal("a role set of no roles"))?,
        version: standing.version,
        credential_version: standing.credential_version,
    })
}

/// Only what authz decides about the caller's request is passed on as a refusal, which is remembered and ends the saga. So
/// is that it knows nothing of what is named: it will not know later either, and a saga that asks for ever would hold what
/// it changes for ever. Whatever else it answers is either its being away, to be tried again, or a disagreement between the
/// two services, which is ours.
fn expected(status: tonic::Status) -> Fault {
    let fault = Fault::from(status);
    match fault.code {
        Code::RoleNotHeld
        | Code::OwnPrincipal
        | Code::PrincipalDisabled
        | Code::ClientDeleted
        | Code::UserDeleted
        | Code::LastOperator => fault,
        // In authz's own words; something in between that lost its way has a source.
        Code::NotFound if fault.source().is_none() => {
            tracing::error!(%fault, "authz does not know what identity knows");
            fault
        }
        Code::Unavailable | Code::Deadline => fault,
        Code::RequestInProgress | Code::ChangedConcurrently | Code::RateLimited => Fault::unavailable(fault),
        _ => Fault::internal(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decisions_of_authz_are_refusals() {
        let met = |code| expected(tonic::Status::from(Fault::new(code, "x")));
        for code in Code::ALL {
            let decision = matches!(
                code,
                Code::RoleNotHeld
                    | Code::OwnPrincipal
                    | Code::PrincipalDisabled
                    | Code::ClientDeleted
                    | Code::UserDeleted
                    | Code::LastOperator
                    | Code::NotFound
            );
            assert_eq!(met(*code).is_refusal(), decision, "{code}");
        }
        assert_eq!(expected(tonic::Status::unavailable("gone")).code, Code::Unavailable);
        assert!(!expected(tonic::Status::not_found("no such host")).is_refusal(), "not authz's own words");
    }
}
