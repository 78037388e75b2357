//! RequestPasswordReset: writes down that somebody asked, and nothing else, whoever has the address; a task makes links and
//! mails of it for the users there are.

use super::Operations;
use super::change::{self, Target, Trail};
use super::people::bucket;
use crate::domain::User;
use crate::grpc::convert;
use crate::mails;
use crate::store::links::{self, Purpose};
use crate::store::resets::{self, ResetRequest};
use crate::store::{attempts, users};
use beem_caller::Visitor;
use beem_database::Tx;
use beem_fault::{Code, Result};
use beem_proto::identity::v1 as wire;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the task looks for requests.
const LOOK: Duration = Duration::from_millis(500);

/// Requests carried out in one round at most.
const BATCH: u32 = 100;

/// What could not be carried out is tried again after so long, behind the others.
const WAIT_MS: i64 = 5_000;

/// A request is given up when it could not be carried out for so long: whoever asked has asked again.
const PATIENCE_MS: i64 = 60 * 60 * 1000;

impl Operations {
    /// # Errors
    /// `validation-failed` for what is no mail address; `rate-limited` when there were many from the same place.
    pub async fn request_password_reset(
        &self,
        visitor: &Visitor,
        asked: &wire::RequestPasswordResetRequest,
    ) -> Result<wire::RequestPasswordResetResponse> {
        let folded = &convert::reset_request(asked)?.folded();
        let from = bucket::reset_from(visitor.address);
        attempts::check(self.db.read(), from, self.db.clock().now()).await?;
        let written = self.db.write(|tx| {
            Box::pin(async move {
                attempts::reserve(tx, from).await?;
                resets::insert(tx, folded, visitor.address, visitor.request).await
            })
        });
        written.await.map(|()| wire::RequestPasswordResetResponse {})
    }

    /// Makes links and mails of what was asked for, until it is cancelled.
    pub async fn mail_password_resets(self, cancel: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(fault) = self.mail_waiting_resets(&cancel).await {
                tracing::warn!(?fault, "password resets wait");
            }
        }
    }

    async fn mail_waiting_resets(&self, cancel: &CancellationToken) -> Result<()> {
        let waiting = resets::waiting(self.db.read(), self.db.clock().now(), BATCH).await?;
        for asked in waiting.iter().take_while(|_| !cancel.is_cancelled()) {
            let Err(fault) = self.mail_one(asked).await else { continue };
            // Those behind it do not wait for it.
            if self.db.clock().now().ms_since(asked.created) >= PATIENCE_MS {
                tracing::error!(?fault, "a password reset is given up");
                self.db.write(|tx| Box::pin(resets::take(tx, asked.id))).await?;
            } else {
                tracing::warn!(?fault, "a password reset waits");
                self.db.write(|tx| Box::pin(resets::postpone(tx, asked.id, WAIT_MS))).await?;
            }
        }
        Ok(())
    }

    async fn mail_one(&self, asked: &ResetRequest) -> Result<()> {
        let users = &self.may_reset(asked).await?;
        self.db.write(|tx| Box::pin(self.mail_reset(tx, asked, users))).await
    }

    /// The users of the address who could sign in with a new password.
    async fn may_reset(&self, asked: &ResetRequest) -> Result<Vec<User>> {
        let mut users = users::of_address(self.db.read(), &asked.email_folded).await?;
        users.retain(|user| user.activated);
        let mut enabled = Vec::new();
        for user in users {
            match self.means.authz.standing(user.account, user.id).await {
                Ok(standing) if standing.enabled => enabled.push(user),
                Ok(_) => {}
                Err(fault) if fault.code == Code::NotFound => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(enabled)
    }

    async fn mail_reset(&self, tx: &Tx<'_>, asked: &ResetRequest, users: &[User]) -> Result<()> {
        let ours = resets::take(tx, asked.id).await?;
        let [hour, day] = bucket::reset_mails(&asked.email_folded);
        if !ours || users.is_empty() || !attempts::another_mail(tx, hour, day).await? {
            return Ok(());
        }
        for user in users {
            // As it is now: it may have been deleted, or reset by an operator, since it was looked at.
            let Some(user) = users::of_any_account(tx, user.id).await?.filter(|user| user.activated) else {
                continue;
            };
            let token = links::issue(tx, user.id, Purpose::Reset, None).await?;
            mails::queue_password_reset(tx, &self.means, &user, &token).await?;
            let visitor =
                Visitor { address: asked.address, request: asked.request, user_agent: String::new() };
            // Whoever asked has shown nothing.
            let target = Target::User(user.id);
            let trail = Trail::of_somebody(user.account, visitor, "RequestPasswordReset", target);
            change::record_done(tx, &trail, None, None).await?;
        }
        Ok(())
    }
}
