//! EndSession and EndCurrentSession: signing out, here or of another place. authz raises the version first, so that gateways
//! ask again; then the session is over. Ending what is over answers it as it is.
//!
//! No sagas: nothing is taken, so nobody is kept from signing out by whatever else goes on with the user, and killed in
//! between, nothing was done but a version too many.

use super::change::{self, Target, Trail};
use super::people::{self, TRIES, overtaken};
use super::{Operations, RESUMED_RUN, check_size, request};
use crate::grpc::convert;
use crate::store::{credentials, sessions};
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::{self, Outcome, RequestKey, fingerprint};
use beem_fault::{Code, Fault, Result};
use beem_ids::SessionId;
use beem_proto::identity::v1 as wire;
use prost::Message as _;

const END_SESSION: &str = "beem.identity.v1.Sessions/EndSession";
const END_CURRENT_SESSION: &str = "beem.identity.v1.Sessions/EndCurrentSession";

/// What is asked for.
struct Ending<'a> {
    actor: &'a Actor,
    action: &'static str,
    id: SessionId,
}

impl Operations {
    /// Carries EndSession out under the actor's request key: at most once, and every repeat gives the first answer.
    /// `not-found` for another user's session, and for what is no id.
    pub async fn end_session(&self, actor: &Actor, bytes: &[u8]) -> Outcome {
        let ended = async {
            check_size(bytes)?;
            let asked = request::<wire::EndSessionRequest>(bytes)?;
            let id = asked.id.parse().map_err(|_| Fault::not_found("session"))?;
            let ending = Ending { actor, action: "EndSession", id };
            self.end_own(END_SESSION, &ending, bytes).await
        };
        ended.await.unwrap_or_else(|fault| Outcome { result: Err(fault), replayed: false })
    }

    /// The same for the session that asks.
    pub async fn end_current_session(&self, actor: &Actor, bytes: &[u8]) -> Outcome {
        let ended = async {
            check_size(bytes)?;
            let id = actor.session.ok_or_else(|| Fault::internal("a session asks without its id"))?;
            let ending = Ending { actor, action: "EndCurrentSession", id };
            self.end_own(END_CURRENT_SESSION, &ending, bytes).await
        };
        ended.await.unwrap_or_else(|fault| Outcome { result: Err(fault), replayed: false })
    }

    async fn end_own(&self, rpc: &str, ending: &Ending<'_>, bytes: &[u8]) -> Result<Outcome> {
        let Ending { actor, id, .. } = ending;
        if actor.request_key.is_empty() {
            return Err(Fault::internal("a write came without a request key"));
        }
        let key = RequestKey {
            principal: actor.principal.to_string(),
            rpc: rpc.to_owned(),
            key: actor.request_key.clone(),
            fingerprint: fingerprint(rpc, bytes),
        };
        let deadline = beem_runtime::deadline(RESUMED_RUN);
        for _ in 0..TRIES {
            let own = sessions::own(self.db.read(), actor.principal, *id).await?;
            let version = match own.filter(|own| !own.is_over(self.db.clock().now())) {
                Some(_) => {
                    Some(self.raise_version(actor.account, actor.principal, Some(actor.principal)).await?)
                }
                // It is over, or not theirs, or this is a repeat: there is nothing to tell gateways.
                None => None,
            };
            let ended = claims::once(&self.db, &key, deadline, |tx| Box::pin(end(tx, ending, version))).await;
            match &ended.result {
                Err(fault) if fault.code == Code::ChangedConcurrently => {}
                _ => return Ok(ended),
            }
        }
        Err(overtaken())
    }
}

/// The user's row first, as everywhere, then the session.
async fn end(tx: &Tx<'_>, ending: &Ending<'_>, version: Option<u64>) -> Result<Vec<u8>> {
    let Ending { actor, action, id } = ending;
    let user = actor.principal;
    let noted = match version {
        Some(version) => credentials::note_version(tx, user, version).await?,
        None => false,
    };
    // Another user's is not told apart from none.
    let own = sessions::own(tx, user, *id).await?.ok_or_else(|| Fault::not_found("session"))?;
    if !own.is_over(tx.now()) {
        if !noted {
            return Err(people::overtaken());
        }
        sessions::end(tx, user, *id).await?;
        let trail = Trail::of((*actor).clone(), action, Target::Session(*id, user));
        change::record_done(tx, &trail, None, None).await?;
    }
    Ok(convert::session(&own, actor.session).encode_to_vec())
}
