//! Activate: the password and the second factor to be are put beside the link; ConfirmActivation makes them count.

use super::Operations;
use super::people::{self, bucket, hidden, invalid};
use crate::domain::{Password, TokenHash, TotpKey, User};
use crate::grpc::convert;
use crate::passwords::{Line, PasswordHash};
use crate::store::links::{self, Link, Purpose};
use crate::store::{credentials, users};
use beem_fault::{Fault, Result};
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `validation-failed` for a password that is not taken; `rate-limited` after five in a row under one link;
    /// `credentials-invalid` for a link that is unknown, used, replaced or past its time, and for a user who may not act.
    pub async fn activate(&self, asked: &wire::ActivateRequest) -> Result<wire::ActivateResponse> {
        let (token, password) = convert::activation(asked)?;
        let (user, _) = self.linked(&token, Purpose::Activation).await?;
        let password = owned(password, &user, "password")?;
        let counted = people::counted(&self.db, &[bucket::activation(&token)]).await?;
        let hash = match self.proposed_hash(&user, &password).await {
            Ok(hash) => hash,
            Err(fault) => {
                people::undo(&self.db, &counted).await?;
                return Err(fault);
            }
        };
        let key = TotpKey::draw(self.db.entropy());
        let sealed = credentials::links_totp(user.id);
        let sealed = &self.means.sealing.seal(&sealed, key.bytes(), self.db.entropy());
        let (token, hash) = (&token, hash.phc());
        let proposed =
            self.db.write(|tx| Box::pin(links::propose(tx, token, Some(hash), sealed.clone()))).await?;
        if !proposed {
            return Err(invalid());
        }
        Ok(wire::ActivateResponse { secret: key.base32(), otpauth_url: key.otpauth_url(user.email.as_str()) })
    }

    async fn proposed_hash(&self, user: &User, password: &Password) -> Result<PasswordHash> {
        self.require_enabled(user).await?;
        let salt = self.means.new_salt(&self.db, user).await?;
        self.means.passwords.hash(Line::Link, salt, password.expose()).await
    }

    /// The link of a token for one purpose, and whose it is.
    ///
    /// # Errors
    /// `credentials-invalid` when there is none.
    pub(super) async fn linked(&self, token: &TokenHash, purpose: Purpose) -> Result<(User, Link)> {
        let found = links::find(self.db.read(), token, self.db.clock().now()).await?;
        let link = found.filter(|link| link.purpose == purpose).ok_or_else(invalid)?;
        let user = users::of_any_account(self.db.read(), link.user).await.map_err(hidden)?;
        Ok((user.ok_or_else(invalid)?, link))
    }
}

/// That the password is not its owner's address.
///
/// # Errors
/// `validation-failed` naming `field`.
pub fn owned(password: Password, owner: &User, field: &str) -> Result<Password> {
    password.of(&owner.email).map_err(|weak| Fault::field(field, weak.to_string()))
}
