//! ChangePassword: with the current one and a code. Both are proven, and the code used up, in the step that takes the user;
//! what is wrong leaves nothing but a count. Then all other sessions end, in authz first.

use super::change::{self, Target, Trail};
use super::people::{bucket, invalid};
use super::{Means, activate, request};
use crate::domain::User;
use crate::domain::attempts::Pace;
use crate::grpc::convert;
use crate::store::links::{self, Purpose};
use crate::store::{attempts, credentials, sessions, users};
use crate::{mails, peers};
use beem_caller::Actor;
use beem_database::sagas::{Saga, SagaRun};
use beem_fault::{Fault, Result};
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;
use serde_json::json;

/// The RPC.
pub const CHANGE_PASSWORD: &str = "beem.identity.v1.Sessions/ChangePassword";

/// Which to which.
///
/// # Errors
/// `validation-failed` naming the fields.
pub fn parse(payload: &[u8]) -> Result<convert::PasswordChange> {
    convert::password_change(&request::<wire::ChangePasswordRequest>(payload)?)
}

/// The saga.
pub struct ChangePassword(pub Means);

impl Saga for ChangePassword {
    fn rpc(&self) -> &'static str {
        CHANGE_PASSWORD
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
            let trail = Trail::of(actor.clone(), "ChangePassword", Target::User(actor.principal));
            change::carry_out(run, &trail, self.change(run, &trail, &actor)).await
        })
    }
}

impl ChangePassword {
    async fn change(&self, run: &SagaRun, trail: &Trail, actor: &Actor) -> Result<Vec<u8>> {
        let hash = &match change::begun(run).await? {
            Some(hash) => hash,
            None => self.prove(run, actor).await?,
        };
        let (means, user) = (&self.0, actor.principal);
        let effect_key = run.effect_key("end-sessions");
        let ended = || means.authz.end_sessions(effect_key, actor.account, user, Some(user));
        let version = peers::decode(&run.step("end-sessions", ended).await?)?.credential_version;
        run.finish(|tx| {
            Box::pin(async move {
                for purpose in [Purpose::Reset, Purpose::Renewal] {
                    links::revoke(tx, user, purpose).await?;
                }
                let mut kept = users::get(tx, actor.account, user).await?;
                kept.credential_version = version;
                users::change(tx, &kept, run.id()).await?;
                credentials::set_password(tx, user, hash).await?;
                sessions::end_all(tx, user, actor.session).await?;
                mails::queue_password_changed(tx, means, &kept).await?;
                let after = Some(json!({ "password": "changed" }));
                change::end_done(tx, run, trail, None, after).await?;
                Ok(wire::ChangePasswordResponse {}.encode_to_vec())
            })
        })
        .await
    }

    /// That it is the user who asks: counted before it is judged. The hash of the new password.
    async fn prove(&self, run: &SagaRun, actor: &Actor) -> Result<String> {
        let (means, db, id) = (&self.0, run.db(), actor.principal);
        let asked = parse(run.payload())?;
        let user: User = users::get(db.read(), actor.account, id).await?;
        let new = activate::owned(asked.new, &user, "newPassword")?;
        if new.expose() == asked.current {
            return Err(Fault::field("newPassword", "is the current one"));
        }
        db.write(|tx| Box::pin(attempts::reserve(tx, bucket::own(id), Pace::SECOND_FACTOR))).await?;
        let address = &user.email.folded();
        let current = &means.passwords.hash(address, &asked.current).await?;
        let secrets = credentials::of(db.read(), id).await?.ok_or_else(invalid)?;
        if !current.is(&secrets.password_hash) {
            return Err(invalid());
        }
        let proof = means.judge_code(db.read(), &secrets, asked.code, db.clock().now()).await?;
        let proof = proof.ok_or_else(invalid)?;
        let hash = &means.passwords.hash(address, new.expose()).await?.phc().to_owned();
        change::begin_on_own(run, actor, means.change_patience, |tx| {
            Box::pin(async move {
                let now = credentials::locked(tx, id).await?.ok_or_else(invalid)?;
                if !current.is(&now.password_hash) || !proof.consume(tx, id).await? {
                    return Err(invalid());
                }
                attempts::forget(tx, bucket::own(id)).await?;
                Ok(hash.clone())
            })
        })
        .await
    }
}
