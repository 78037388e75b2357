//! GetSession: what a session token proves, and from where it may be used, for the gateway, from the table.

use super::Operations;
use crate::store::{sessions, users};
use beem_fault::{Fault, Result};
use beem_proto::identity::v1 as wire;
use beem_proto::to_timestamp;

impl Operations {
    /// # Errors
    /// `not-found` for a session that is unknown, has ended, expired or was idle for too long, and for a user who is deleted
    /// or not active, all alike.
    pub async fn get_session(&self, asked: &wire::GetSessionRequest) -> Result<wire::SessionCredential> {
        let (life, now, on) = (self.means.life, self.db.clock().now(), self.db.read());
        let unknown = || Fault::not_found("session");
        let found = sessions::of_token(on, &asked.token_hash, life, now).await?.ok_or_else(unknown)?;
        let user = users::of_any_account(on, found.user).await?;
        let user = user.filter(|user| user.activated).ok_or_else(unknown)?;
        // Once more, after the version: what a gateway keeps under that version is what holds at it.
        let session = sessions::of_token(on, &asked.token_hash, life, now).await?.ok_or_else(unknown)?;
        Ok(wire::SessionCredential {
            session_id: session.id.to_string(),
            principal_id: user.id.to_string(),
            account_id: user.account.to_string(),
            name: user.email.as_str().to_owned(),
            network_whitelist: user.network.texts(),
            version: user.credential_version,
            expires_at: Some(to_timestamp(session.expires.unix_ms())),
            idle_until: Some(to_timestamp(session.used.plus_ms(life.idle_ms).unix_ms())),
        })
    }
}
