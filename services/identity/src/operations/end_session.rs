//! EndSession and EndCurrentSession: signing out, here or of another place. authz raises the version first, so that gateways
//! ask again; then the session is over. Ending what is over answers it as it is.

use super::change::{self, Target, Trail};
use super::{Means, garbled, request};
use crate::grpc::convert;
use crate::peers;
use crate::store::{sessions, users};
use beem_caller::Actor;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::{Fault, Result};
use beem_ids::SessionId;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;

/// The RPCs.
pub const END_SESSION: &str = "beem.identity.v1.Sessions/EndSession";
pub const END_CURRENT_SESSION: &str = "beem.identity.v1.Sessions/EndCurrentSession";

/// Which.
///
/// # Errors
/// `not-found` for what is no id.
pub fn parse(payload: &[u8]) -> Result<SessionId> {
    request::<wire::EndSessionRequest>(payload)?.id.parse().map_err(|_| Fault::not_found("session"))
}

/// The saga of EndSession.
pub struct EndSession(pub Means);

/// The saga of EndCurrentSession.
pub struct EndCurrentSession(pub Means);

impl Saga for EndSession {
    fn rpc(&self) -> &'static str {
        END_SESSION
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            end(&self.0, run, "EndSession", &actor, parse(run.payload())?).await
        })
    }
}

impl Saga for EndCurrentSession {
    fn rpc(&self) -> &'static str {
        END_CURRENT_SESSION
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let current = actor.session.ok_or_else(|| garbled("session"))?;
            end(&self.0, run, "EndCurrentSession", &actor, current).await
        })
    }
}

async fn end(
    means: &Means,
    run: &SagaRun,
    action: &'static str,
    actor: &Actor,
    id: SessionId,
) -> Result<Vec<u8>> {
    let user = actor.principal;
    let trail = &Trail::of(actor.clone(), action, Target::Session(id, user));
    let work = async {
        // Another user's is not told apart from none, and nothing is taken for it.
        let own = sessions::own(run.db().read(), user, id).await?;
        let own = own.ok_or_else(|| Fault::not_found("session"))?;
        change::begin_on_user(run, actor.account, user, means.change_patience, |_| Ok(())).await?;
        let effect_key = run.effect_key("end-sessions");
        let ended = || means.authz.end_sessions(effect_key, actor.account, user, Some(user));
        let version = peers::decode(&run.step("end-sessions", ended).await?)?.credential_version;
        let answer = &convert::session(&own, actor.session);
        run.finish(|tx| {
            Box::pin(async move {
                let mut kept = users::get(tx, actor.account, user).await?;
                kept.credential_version = version;
                users::change(tx, &kept, run.id()).await?;
                sessions::end(tx, user, id).await?;
                change::end_done(tx, run, trail, None, None).await?;
                Ok(answer.encode_to_vec())
            })
        })
        .await
    };
    change::carry_out(run, trail, work).await
}
