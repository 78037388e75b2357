//! ReportUse: when and from where clients and sessions were last accepted, as gateways gathered it. Kept to the minute, and never
//! backwards: reports of several gateways come in any order.

use super::Operations;
use crate::domain::Use;
use crate::store;
use beem_clock::Moment;
use beem_fault::{Fault, Result};
use beem_ids::{PrincipalId, SessionId};
use beem_proto::identity::v1 as wire;

/// Uses in one report at most.
const LARGEST_REPORT: usize = 1_000;

const MINUTE_MS: i64 = 60_000;

impl Operations {
    /// Notes them; of principals that are not clients here, and of sessions that have ended, nothing.
    ///
    /// # Errors
    /// `validation-failed` for a report that is too long or garbled: then nothing of it is noted.
    pub async fn report_use(&self, asked: &wire::ReportUseRequest) -> Result<wire::ReportUseResponse> {
        if asked.uses.len() > LARGEST_REPORT {
            return Err(Fault::field("uses", format!("at most {LARGEST_REPORT}")));
        }
        if asked.session_uses.len() > LARGEST_REPORT {
            return Err(Fault::field("sessionUses", format!("at most {LARGEST_REPORT}")));
        }
        let now = self.db.clock().now();
        let parsed = asked.uses.iter().enumerate().map(|(i, seen)| parse(i, seen, now));
        let mut uses = parsed.collect::<Result<Vec<_>>>()?;
        // In one order everywhere, so that two reports never wait for each other's rows in a circle.
        uses.sort_by_key(|(principal, _)| *principal);
        let parsed = asked.session_uses.iter().enumerate().map(|(i, seen)| parse_session(i, seen, now));
        let mut session_uses = parsed.collect::<Result<Vec<_>>>()?;
        session_uses.sort_by_key(|(session, _)| *session);
        let (uses, session_uses) = (&uses, &session_uses);
        let noted = self.db.write(|tx| {
            Box::pin(async move {
                for (principal, seen) in uses {
                    store::uses::note(tx, *principal, *seen).await?;
                }
                for (session, seen) in session_uses {
                    store::sessions::note_use(tx, *session, seen.at, seen.address).await?;
                }
                Ok(())
            })
        });
        noted.await.map(|()| wire::ReportUseResponse {})
    }
}

fn parse(index: usize, seen: &wire::ClientUse, now: Moment) -> Result<(PrincipalId, Use)> {
    let wrong = |field: &str| Fault::field(format!("uses[{index}].{field}"), "is garbled");
    let principal = seen.principal_id.parse().map_err(|_| wrong("principalId"))?;
    let address = seen.address.parse().map_err(|_| wrong("address"))?;
    let time = seen.time.as_ref().ok_or_else(|| wrong("time"))?;
    // A gateway whose clock runs ahead must not leave a last use in the future.
    let at = beem_proto::from_timestamp(time).min(now.unix_ms());
    let minute = at.saturating_sub(at.rem_euclid(MINUTE_MS));
    Ok((principal, Use { at: Moment::from_unix_ms(minute), address }))
}

/// To the moment: a session ends so long after its last use.
fn parse_session(index: usize, seen: &wire::SessionUse, now: Moment) -> Result<(SessionId, Use)> {
    let wrong = |field: &str| Fault::field(format!("sessionUses[{index}].{field}"), "is garbled");
    let session = seen.session_id.parse().map_err(|_| wrong("sessionId"))?;
    let address = seen.address.parse().map_err(|_| wrong("address"))?;
    let time = seen.time.as_ref().ok_or_else(|| wrong("time"))?;
    let at = Moment::from_unix_ms(beem_proto::from_timestamp(time).min(now.unix_ms()));
    Ok((session, Use { at, address }))
}
