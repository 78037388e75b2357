//! ChangePassword: with the current one and a code. Both are proven, and the code used up, in the step that takes the user;
//! what is wrong waits for nobody and leaves nothing but a count and a row in the trail. Then all other sessions end, in
//! authz first. A password that was set meanwhile, by a reset, stays: this one is older.

use super::change::{self, Target, Trail};
use super::people::{self, bucket, invalid, overtaken};
use super::{Means, activate, garbled, request};
use crate::domain::{SecondFactor, User};
use crate::grpc::convert;
use crate::passwords::{self, Line, PasswordHash, Salt};
use crate::peers::Standing;
use crate::store::changing::{self, Table};
use crate::store::links::{self, Purpose};
use crate::store::{attempts, credentials, sessions, users};
use crate::{mails, peers};
use beem_caller::Actor;
use beem_database::sagas::{Saga, SagaRun};
use beem_events::audit;
use beem_fault::{Code, Fault, Result};
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;
use serde::{Deserialize, Serialize};
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

/// What the first step keeps, sealed.
#[derive(Serialize, Deserialize)]
struct Begun {
    /// Of the new password.
    hash: String,
    /// The digest of the hash that the current password had.
    proven: String,
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
        let begun = match change::begun(run).await? {
            Some(begun) => begun,
            None => self.prove(run, trail, actor).await?,
        };
        let (means, user) = (&self.0, actor.principal);
        let effect_key = run.effect_key("end-sessions");
        let ended = || means.authz.end_sessions(effect_key, actor.account, user, Some(user));
        let standing = peers::decode(&run.step("end-sessions", ended).await?)?;
        match self.set(run, trail, actor, &begun, &standing).await {
            Err(fault) if fault.code == Code::ChangedConcurrently => {
                end_overtaken(run, trail, actor, &standing, &fault).await
            }
            ended => ended,
        }
    }

    async fn set(
        &self,
        run: &SagaRun,
        trail: &Trail,
        actor: &Actor,
        begun: &Begun,
        standing: &Standing,
    ) -> Result<Vec<u8>> {
        let (means, user) = (&self.0, actor.principal);
        run.finish(|tx| {
            Box::pin(async move {
                for purpose in [Purpose::Reset, Purpose::Renewal] {
                    links::revoke(tx, user, purpose).await?;
                }
                if !credentials::set_password(tx, user, Some(&begun.proven), &begun.hash).await? {
                    return Err(overtaken());
                }
                let mut kept = users::get(tx, actor.account, user).await?;
                kept.credential_version = standing.credential_version;
                users::change(tx, &kept, run.id()).await?;
                sessions::end_all(tx, user, actor.session).await?;
                mails::queue_password_changed(tx, means, &kept).await?;
                let after = Some(json!({ "password": "changed" }));
                change::end_done(tx, run, trail, None, after).await?;
                Ok(wire::ChangePasswordResponse {}.encode_to_vec())
            })
        })
        .await
    }

    /// That it is the user who asks: counted before it is judged.
    async fn prove(&self, run: &SagaRun, trail: &Trail, actor: &Actor) -> Result<Begun> {
        let (db, id) = (run.db(), actor.principal);
        let asked = parse(run.payload())?;
        let user: User = users::get(db.read(), actor.account, id).await?;
        let new = activate::owned(asked.new, &user, "newPassword")?;
        if new.expose() == asked.current {
            return Err(Fault::field("newPassword", "is the current one"));
        }
        let proof = Proof { current: &asked.current, code: asked.code, new: new.expose() };
        people::proven(db, trail, bucket::own(id), self.judge(run, actor, &user, proof)).await
    }

    async fn judge(&self, run: &SagaRun, actor: &Actor, user: &User, proof: Proof<'_>) -> Result<Begun> {
        let (means, db, id) = (&self.0, run.db(), actor.principal);
        let secrets = credentials::of(db.read(), id).await?.ok_or_else(invalid)?;
        let salt = Salt::of(&secrets.password_hash).ok_or_else(|| garbled("password hash"))?;
        let hash = async |salt, text| means.passwords.hash(Line::SignIn, salt, text).await;
        let current: &PasswordHash = &hash(salt, proof.current).await?;
        if !current.is(&secrets.password_hash) {
            return Err(invalid());
        }
        let code = means.judge_code(db.read(), &secrets, proof.code, db.clock().now()).await?;
        let code = code.ok_or_else(invalid)?;
        let new = &hash(means.new_salt(db, user).await?, proof.new).await?;
        change::begin_on_own(run, actor, means.change_patience, |tx| {
            Box::pin(async move {
                let now = credentials::locked(tx, id).await?.ok_or_else(invalid)?;
                if !current.is(&now.password_hash) || !code.consume(tx, id).await? {
                    return Err(invalid());
                }
                attempts::forget(tx, bucket::own(id).key).await?;
                Ok(Begun { hash: new.phc().to_owned(), proven: passwords::digest(&now.password_hash) })
            })
        })
        .await
    }
}

/// What was sent to prove who asks, and what is to be.
#[derive(Clone, Copy)]
struct Proof<'a> {
    current: &'a str,
    code: SecondFactor,
    new: &'a str,
}

/// Another password was set since this one was begun: that stays, and the user is free for the next change. Sessions ended
/// with that one; the version that was raised for this one counts all the same.
async fn end_overtaken(
    run: &SagaRun,
    trail: &Trail,
    actor: &Actor,
    standing: &Standing,
    fault: &Fault,
) -> Result<Vec<u8>> {
    let (user, version) = (actor.principal, standing.credential_version);
    run.refuse(fault, |tx| {
        let row = trail.row(fault.code.as_str(), None, None);
        Box::pin(async move {
            credentials::note_version(tx, user, version).await?;
            changing::give_back(tx, Table::Users, user.0, run.id()).await?;
            audit::record(tx, row).await.map(drop)
        })
    })
    .await
}
