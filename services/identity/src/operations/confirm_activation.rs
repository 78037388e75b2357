//! ConfirmActivation: a code of the new second factor makes what was proposed beside the link count, once, and uses the
//! link up. It ends an activation and the renewal of a second factor alike. authz hears of it first; killed in between, the
//! link is still there and the same is done again.

use super::Operations;
use super::change::{self, Target, Trail};
use super::people::{self, bucket, hidden, invalid};
use crate::domain::{Place, SecondFactor, TokenHash, TotpKey, User};
use crate::grpc::convert;
use crate::mails;
use crate::store::credentials::{self, NewFactor};
use crate::store::links::{self, Link, Purpose};
use crate::store::{attempts, places, sessions, users};
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
    key: &'a TotpKey,
    step: i64,
    visitor: &'a Visitor,
}

impl Operations {
    /// # Errors
    /// `validation-failed` for what is no code; `rate-limited` after five wrong ones; `credentials-invalid` for a wrong one,
    /// for a link that has ended or was not activated, a network that is not the user's, and a user who may not act.
    pub async fn confirm_activation(
        &self,
        visitor: &Visitor,
        asked: &wire::ConfirmActivationRequest,
    ) -> Result<wire::ConfirmActivationResponse> {
        let (token, code) = convert::confirmation(asked)?;
        let token = &token;
        let (link, user) = self.confirmed(token).await?;
        let (key, step) = self.judge(&link, code)?;
        if !user.network.allows(visitor.address) {
            return Err(invalid());
        }
        self.require_enabled(&user).await?;
        let proven = &Proven { token, link: &link, user: &user, key: &key, step, visitor };
        let recovery_codes = match link.purpose {
            Purpose::Activation => {
                self.means.authz.activate_standing(user.account, user.id).await.map_err(hidden)?;
                self.db.write(|tx| Box::pin(self.activated(tx, proven))).await?
            }
            Purpose::Renewal => self.ending_sessions(&user, |tx| Box::pin(self.renewed(tx, proven))).await?,
            Purpose::Reset => return Err(invalid()),
        };
        Ok(wire::ConfirmActivationResponse { recovery_codes })
    }

    /// The link, with the code counted against it before that is judged.
    async fn confirmed(&self, token: &TokenHash) -> Result<(Link, User)> {
        let (on, now) = (self.db.read(), self.db.clock().now());
        let link = links::find(on, token, now).await?.ok_or_else(invalid)?;
        let user = users::of_any_account(on, link.user).await?.ok_or_else(invalid)?;
        people::counted(&self.db, &[bucket::link(token)]).await?;
        Ok((link, user))
    }

    /// The second factor to be, and the step of the code, if it is right.
    fn judge(&self, link: &Link, code: SecondFactor) -> Result<(TotpKey, i64)> {
        let (Some(sealed), SecondFactor::Totp(code)) = (&link.totp, code) else { return Err(invalid()) };
        let opened = self.means.sealing.open(&credentials::links_totp(link.user), sealed)?;
        let key = TotpKey::from_bytes(&opened).ok_or_else(|| super::garbled("second factor"))?;
        let step = key.step_of(code, self.db.clock().now(), 0).ok_or_else(invalid)?;
        Ok((key, step))
    }

    async fn activated(&self, tx: &Tx<'_>, proven: &Proven<'_>) -> Result<Vec<String>> {
        let Proven { token, link, user, key, step, visitor } = proven;
        let password = link.password_hash.as_deref().ok_or_else(invalid)?;
        let factor = NewFactor { key, step: *step };
        // Of two at once one takes the link.
        if !links::consume(tx, token, link).await?
            || !credentials::activate(tx, &self.means.sealing, user.id, password, &factor).await?
        {
            return Err(invalid());
        }
        attempts::forget(tx, bucket::link(token).key).await?;
        attempts::forget(tx, bucket::activation(token).key).await?;
        places::remember(tx, user.id, Place::of(visitor.address)).await?;
        let codes = credentials::replace_recovery_codes(tx, user.id).await?;
        let trail = Trail::of_visitor(user, (*visitor).clone(), "ConfirmActivation", Target::User(user.id));
        let status = |text: &str| Some(json!({ "email": user.email.as_str(), "status": text }));
        change::record_done(tx, &trail, status("INVITED"), status("ACTIVE")).await?;
        Ok(codes)
    }

    async fn renewed(&self, tx: &Tx<'_>, proven: &Proven<'_>) -> Result<Vec<String>> {
        let Proven { token, link, user, key, step, visitor } = proven;
        let factor = NewFactor { key, step: *step };
        let session = link.session.ok_or_else(invalid)?;
        // Whoever was signed out meanwhile renews nothing.
        if !sessions::is_live(tx, user.id, session, self.means.life, tx.now()).await?
            || !links::consume(tx, token, link).await?
            || !credentials::renew(tx, &self.means.sealing, user.id, &factor).await?
        {
            return Err(invalid());
        }
        attempts::forget(tx, bucket::link(token).key).await?;
        sessions::end_all(tx, user.id, Some(session)).await?;
        let codes = credentials::replace_recovery_codes(tx, user.id).await?;
        mails::queue_second_factor_changed(tx, &self.means, user).await?;
        let trail = Trail::of_visitor(user, (*visitor).clone(), "ConfirmActivation", Target::User(user.id));
        change::record_done(tx, &trail, None, Some(json!({ "secondFactor": "renewed" }))).await?;
        Ok(codes)
    }
}
