//! Standings as the gateway reads them: from its own verified copy, from Redis, from authz, whichever may still be
//! believed (see `beem_cache`), or from authz alone for what must be judged afresh.

use beem_cache::{Fetch, StandingSource, Verified, VerifiedStandings};
use beem_fault::{Code, Fault};
use beem_ids::PrincipalId;
use beem_link::Link;
use beem_proto::authz::v1 as wire;
use beem_proto::authz::v1::standings_client::StandingsClient;
use beem_roles::RoleSet;

/// What the gateway needs of a standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub enabled: bool,
    pub deleted: bool,
    pub roles: RoleSet,
    pub version: u64,
    pub credential_version: u64,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Standings {
    verified: VerifiedStandings,
}

impl Standings {
    #[must_use]
    pub const fn new(verified: VerifiedStandings) -> Self {
        Self { verified }
    }

    /// At most half a second old. None: nobody of that id.
    ///
    /// # Errors
    /// `unavailable` when nothing that may be believed can be had.
    pub async fn read(&self, principal: PrincipalId) -> Result<Option<Standing>, Fault> {
        self.verified.get(principal).await?.as_deref().map(parse).transpose()
    }

    /// From authz's table, now.
    ///
    /// # Errors
    /// `unavailable` when authz cannot be asked.
    pub async fn fresh(&self, principal: PrincipalId) -> Result<Option<Standing>, Fault> {
        self.verified.fresh(principal).await?.as_deref().map(parse).transpose()
    }
}

fn parse(verified: &Verified) -> Result<Standing, Fault> {
    let standing = &verified.standing;
    let roles = RoleSet::from_bits(standing.roles);
    Ok(Standing {
        enabled: standing.enabled,
        deleted: standing.deleted,
        roles: roles.ok_or_else(|| Fault::internal("a standing with roles that do not exist"))?,
        version: standing.version,
        credential_version: standing.credential_version,
    })
}

/// Authz behind its link, as the cache asks it.
pub struct FromAuthz(pub Link);

impl StandingSource for FromAuthz {
    fn fetch(&self, principal: PrincipalId) -> Fetch<'_> {
        let mut client = StandingsClient::new(self.0.clone());
        Box::pin(async move {
            let request = wire::GetStandingRequest { principal_id: principal.to_string() };
            match client.get_standing(request).await.map_err(Fault::from) {
                Ok(answer) => Ok(Some(answer.into_inner())),
                Err(fault) if fault.code == Code::NotFound => Ok(None),
                Err(fault) => Err(crate::forward::ours(fault)),
            }
        })
    }
}
