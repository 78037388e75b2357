//! ConfirmPasswordReset: a new password, for whoever holds the mailed link and the second factor. All sessions end, and the
//! place is one the user is known at from then on: who was kept out by somebody else's guessing is let in again.

use super::change::{self, Target, Trail};
use super::people::{self, Proof, bucket, invalid};
use super::{Operations, activate};
use crate::domain::{Place, TokenHash, User};
use crate::grpc::convert;
use crate::mails;
use crate::passwords::{Line, PasswordHash};
use crate::store::links::{self, Link, Purpose};
use crate::store::{attempts, credentials, places, sessions};
use beem_caller::Visitor;
use beem_database::Tx;
use beem_fault::Result;
use beem_proto::identity::v1 as wire;
use serde_json::json;

/// What was proven, to be carried out.
struct Proven<'a> {
    token: &'a TokenHash,
    link: &'a Link,
    user: &'a User,
    hash: &'a PasswordHash,
    proof: Proof,
    visitor: &'a Visitor,
}

impl Operations {
    /// # Errors
    /// `validation-failed` for a password that is not taken or what is no code; `rate-limited`; `credentials-invalid` for a
    /// link that has ended, a wrong code, a network that is not the user's, and a user who may not act.
    pub async fn confirm_password_reset(
        &self,
        visitor: &Visitor,
        asked: &wire::ConfirmPasswordResetRequest,
    ) -> Result<wire::ConfirmPasswordResetResponse> {
        let asked = convert::password_reset(asked)?;
        let (user, link) = self.linked(&asked.token, Purpose::Reset).await?;
        let password = activate::owned(asked.password, &user, "password")?;
        // By the link, and not by the user: whoever has the password, and tries codes with it, keeps nobody from this.
        people::counted(&self.db, &[bucket::link(&asked.token)]).await?;
        let secrets = credentials::of(self.db.read(), user.id).await?.ok_or_else(invalid)?;
        let now = self.db.clock().now();
        let proof = self.means.judge_code(self.db.read(), &secrets, asked.code, now).await?;
        let proof = proof.filter(|_| user.network.allows(visitor.address)).ok_or_else(invalid)?;
        self.require_enabled(&user).await?;
        let salt = self.means.new_salt(&self.db, &user).await?;
        let hash = &self.means.passwords.hash(Line::Link, salt, password.expose()).await?;
        let proven = &Proven { token: &asked.token, link: &link, user: &user, hash, proof, visitor };
        self.ending_sessions(&user, |tx| Box::pin(self.reset(tx, proven))).await?;
        Ok(wire::ConfirmPasswordResetResponse {})
    }

    async fn reset(&self, tx: &Tx<'_>, proven: &Proven<'_>) -> Result<()> {
        let Proven { token, link, user, hash, proof, visitor } = proven;
        if !links::consume(tx, token, link).await? {
            return Err(invalid());
        }
        links::revoke(tx, user.id, Purpose::Renewal).await?;
        if !credentials::set_password(tx, user.id, None, hash.phc()).await?
            || !proof.consume(tx, user.id).await?
        {
            return Err(invalid());
        }
        sessions::end_all(tx, user.id, None).await?;
        let place = Place::of(visitor.address);
        for bucket in [
            bucket::link(token),
            bucket::known_sign_in(&user.email.folded(), place),
            bucket::second_factor(user.id, Some(place)),
        ] {
            attempts::forget(tx, bucket.key).await?;
        }
        places::remember(tx, user.id, place).await?;
        mails::queue_password_changed(tx, &self.means, user).await?;
        let trail =
            Trail::of_visitor(user, (*visitor).clone(), "ConfirmPasswordReset", Target::User(user.id));
        change::record_done(tx, &trail, None, Some(json!({ "password": "changed" }))).await
    }
}
