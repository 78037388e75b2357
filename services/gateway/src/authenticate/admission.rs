//! What every proven caller is judged by, however it was proven: enabled, network, rate, in that order. These refusals
//! say who was refused.

use super::{Attempt, Authenticator, Counted, Denied};
use crate::rates;
use crate::standings::Standing;
use beem_caller::{Actor, PrincipalKind};
use beem_fault::{Code, Fault};
use beem_whitelist::Whitelist;

impl Authenticator {
    pub(super) async fn admit(
        &self,
        attempt: &Attempt<'_>,
        actor: &Actor,
        standing: &Standing,
        whitelist: &Whitelist,
        counted: &mut Counted,
    ) -> Result<(), Denied> {
        let who = match actor.kind {
            PrincipalKind::Client => "client",
            PrincipalKind::User => "user",
        };
        if !standing.enabled {
            let fault = Fault::new(Code::PrincipalDisabled, format!("the {who} is disabled"));
            return Err(Denied::of(actor, fault));
        }
        if !whitelist.allows(attempt.address) {
            let detail = format!("{} is not on the {who}'s network whitelist", attempt.address);
            return Err(Denied::of(actor, Fault::new(Code::NetworkNotAllowed, detail)));
        }
        let bucket = format!("{who}:{}", actor.principal);
        let verdict = self.limiter.check(&bucket, self.principal_rate, attempt.now).await;
        *counted = Some((verdict, who));
        if verdict.allowed { Ok(()) } else { Err(Denied::of(actor, rates::refused(&verdict, who))) }
    }
}

/// A standing of somebody who still exists: whoever was deleted is as unknown as whoever never was.
pub(super) fn living(standing: Option<Standing>, unknown: fn() -> Fault) -> Result<Standing, Fault> {
    standing.filter(|s| !s.deleted).ok_or_else(unknown)
}
