//! RenewSecondFactor: draws another second factor beside a link that is not mailed but answered; ConfirmActivation makes it
//! count. The code of the present one is proven, and used up, in the step that takes the user.

use super::change::{self, Target, Trail};
use super::people::{self, bucket, invalid};
use super::{Means, garbled, request};
use crate::domain::{SecondFactor, TotpKey};
use crate::grpc::convert;
use crate::store::links::{self, Purpose};
use crate::store::{attempts, credentials, users};
use beem_caller::Actor;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::Result;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;

/// The RPC.
pub const RENEW_SECOND_FACTOR: &str = "beem.identity.v1.Sessions/RenewSecondFactor";

/// With which code.
///
/// # Errors
/// `validation-failed` naming the field.
pub fn parse(payload: &[u8]) -> Result<SecondFactor> {
    convert::renewal(&request::<wire::RenewSecondFactorRequest>(payload)?)
}

/// The saga.
pub struct RenewSecondFactor(pub Means);

impl Saga for RenewSecondFactor {
    fn rpc(&self) -> &'static str {
        RENEW_SECOND_FACTOR
    }

    fn waits(&self) -> bool {
        true
    }

    fn secret(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let trail = Trail::of(actor.clone(), "RenewSecondFactor", Target::User(actor.principal));
            change::carry_out(run, &trail, self.renew(run, &trail, &actor)).await
        })
    }
}

impl RenewSecondFactor {
    async fn renew(&self, run: &SagaRun, trail: &Trail, actor: &Actor) -> Result<Vec<u8>> {
        if change::begun::<()>(run).await?.is_none() {
            let proof = self.judge(run, actor);
            people::proven(run.db(), trail, bucket::own(actor.principal), proof).await?;
        }
        let session = Some(actor.session.ok_or_else(|| garbled("session"))?);
        let (sealing, id) = (&self.0.sealing, actor.principal);
        run.finish(|tx| {
            Box::pin(async move {
                let user = users::get(tx, actor.account, id).await?;
                let token = links::issue(tx, id, Purpose::Renewal, session).await?;
                let key = TotpKey::draw(tx.entropy());
                let sealed = sealing.seal(&credentials::links_totp(id), key.bytes(), tx.entropy());
                links::propose(tx, &token.hash(), None, sealed).await?;
                change::end_done(tx, run, trail, None, None).await?;
                let answer = wire::RenewSecondFactorResponse {
                    token: token.expose().to_owned(),
                    secret: key.base32(),
                    otpauth_url: key.otpauth_url(user.email.as_str()),
                };
                Ok(answer.encode_to_vec())
            })
        })
        .await
    }

    /// That it is the user who asks.
    async fn judge(&self, run: &SagaRun, actor: &Actor) -> Result<()> {
        let (means, db, id) = (&self.0, run.db(), actor.principal);
        let code = parse(run.payload())?;
        let secrets = credentials::of(db.read(), id).await?.ok_or_else(invalid)?;
        let proof = means.judge_code(db.read(), &secrets, code, db.clock().now()).await?;
        let proof = proof.ok_or_else(invalid)?;
        change::begin_on_own(run, actor, means.change_patience, |tx| {
            Box::pin(async move {
                if !proof.consume(tx, id).await? {
                    return Err(invalid());
                }
                attempts::forget(tx, bucket::own(id).key).await
            })
        })
        .await
    }
}
