//! The task that sends.

use crate::message::{build, mailbox};
use crate::rows::{self, Claimed};
use crate::transport::{Folder, Smtp};
use crate::{MailQueue, MailSettings, Outgoing, Rendered, Stage, Transport, Undelivered};
use beem_clock::Moment;
use beem_database::Database;
use beem_fault::{Fault, Result};
use beem_telemetry::Telemetry;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use lettre::message::Mailbox;
use serde_json::Value as Json;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Mails under way at the same time.
const AT_ONCE: usize = 4;
/// How often it looks at least.
const LOOK: Duration = Duration::from_secs(1);
/// The first look after one was queued; the wait doubles from there, because its commit comes when it comes.
const FIRST_LOOK: Duration = Duration::from_millis(10);
/// What a send may take where no settings say it, and by how much it may take longer than these say: a goodbye.
const USUAL_LIMIT: Duration = Duration::from_secs(30);
const GOODBYE: Duration = Duration::from_secs(5);
/// A lease outlives the send it is for by this much: time to note what came of it.
const NOTING: Duration = Duration::from_secs(30);
/// How long those under way may go on after the task was cancelled.
const GRACE: Duration = Duration::from_secs(5);
/// The waits after the first attempts, and after every further one the last.
const BACKOFF_MS: [i64; 5] = [5_000, 30_000, 120_000, 600_000, 3_600_000];
/// When a mail is given up.
const PATIENCE_MS: i64 = 72 * 60 * 60 * 1000;

/// Makes a mail of what was queued. A closure will do: `|kind: &str, content: &Json| match kind { … }`.
pub trait Render: Send + Sync + 'static {
    /// The mail of this kind with this content: the same for the same content.
    ///
    /// # Errors
    /// Whatever went wrong; the mail waits and is tried again.
    fn render(&self, kind: &str, content: &Json) -> Result<Rendered>;
}

impl<F> Render for F
where
    F: Fn(&str, &Json) -> Result<Rendered> + Send + Sync + 'static,
{
    fn render(&self, kind: &str, content: &Json) -> Result<Rendered> {
        self(kind, content)
    }
}

/// Sends what is queued. Cheap to clone; clones share their leases.
#[derive(Clone)]
pub struct Mailer {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    queue: MailQueue,
    from: Mailbox,
    transport: Arc<dyn Transport>,
    render: Box<dyn Render>,
    telemetry: Telemetry,
    /// Names this mailer among the owners of leases.
    owner: Uuid,
    /// One send at most.
    limit: Duration,
}

impl Mailer {
    /// A mailer that sends where the settings say. Time and randomness are the database's.
    ///
    /// # Errors
    /// `validation-failed` for settings that cannot work, that name neither a server nor a folder, or a CA file that
    /// cannot be read.
    pub fn new(
        db: Database,
        queue: MailQueue,
        settings: &MailSettings,
        render: impl Render,
        telemetry: Telemetry,
    ) -> Result<Self> {
        settings.validate()?;
        let domain = mailbox(&settings.from).map(|from| from.email.domain().to_owned()).unwrap_or_default();
        let transport: Arc<dyn Transport> = match (&settings.smtp, &settings.folder) {
            (Some(smtp), _) => Arc::new(Smtp::new(smtp, &domain)?),
            (None, Some(folder)) => Arc::new(Folder::new(folder.clone())),
            (None, None) => return Err(Fault::field("smtp", "a server, or a folder instead")),
        };
        Self::through(db, queue, settings, transport, render, telemetry)
    }

    /// A mailer that sends by `transport`, whatever the settings say about where.
    ///
    /// # Errors
    /// `validation-failed` for settings that cannot work.
    pub fn through(
        db: Database,
        queue: MailQueue,
        settings: &MailSettings,
        transport: Arc<dyn Transport>,
        render: impl Render,
        telemetry: Telemetry,
    ) -> Result<Self> {
        settings.validate()?;
        let from = mailbox(&settings.from).ok_or_else(|| Fault::field("from", "an address"))?;
        let owner = beem_ids::draw(db.clock().now(), db.entropy());
        let limit = settings
            .smtp
            .as_ref()
            .map_or(USUAL_LIMIT, |smtp| Duration::from_secs(smtp.timeout_s.into()) + GOODBYE);
        let render = Box::new(render);
        Ok(Self { inner: Arc::new(Inner { db, queue, from, transport, render, telemetry, owner, limit }) })
    }

    /// Sends until cancelled: soon after a commit of this process, within a second after one of another. Run one per
    /// process, supervised. Cancelled, it lets those under way end for 5 s and gives the rest back.
    pub async fn run(&self, cancel: CancellationToken) {
        let mut under_way = FuturesUnordered::new();
        let (mut pause, mut away) = (FIRST_LOOK, false);
        while !cancel.is_cancelled() {
            // Those under way go on meanwhile: one of them may hold the writer that this waits for.
            let mut taking = pin!(self.take(AT_ONCE.saturating_sub(under_way.len())));
            let taken = loop {
                tokio::select! {
                    taken = &mut taking => break taken,
                    Some(()) = under_way.next() => {}
                }
            };
            match taken {
                Ok(taken) => {
                    away = false;
                    under_way.extend(taken.into_iter().map(|mail| self.settle(mail)));
                }
                Err(fault) => {
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(?fault, "cannot look for mail to send");
                    }
                    pause = LOOK;
                }
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.inner.queue.added.notified(), if !away => pause = FIRST_LOOK,
                Some(()) = under_way.next() => {}
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LOOK),
            }
        }
        let ending = async { while under_way.next().await.is_some() {} };
        if tokio::time::timeout(GRACE, ending).await.is_err() {
            drop(under_way);
            self.give_back().await;
        }
    }

    async fn take(&self, room: usize) -> Result<Vec<Claimed>> {
        let Inner { db, owner, limit, .. } = &*self.inner;
        if room == 0 || !rows::any_due(db).await? {
            return Ok(Vec::new());
        }
        let lease_ms = i64::try_from((*limit + NOTING).as_millis()).map_err(Fault::internal)?;
        db.write(|tx| Box::pin(rows::claim(tx, *owner, lease_ms, room))).await
    }

    async fn give_back(&self) {
        let Inner { db, owner, .. } = &*self.inner;
        if let Err(fault) = db.write(|tx| Box::pin(rows::give_back(tx, *owner))).await {
            tracing::debug!(?fault, "leases lapse by themselves");
        }
    }

    /// One attempt, and what came of it. A mail whose template panics must not stop the others.
    async fn settle(&self, mail: Claimed) {
        let attempt = AssertUnwindSafe(self.attempt(&mail)).catch_unwind().await;
        let outcome = attempt.unwrap_or(Err(not_now(Stage::Panic)));
        let noting = Instant::now();
        while let Err(fault) = self.note(&mail, outcome).await {
            tracing::warn!(mail = %mail.id, ?fault, "could not note what came of a mail");
            if noting.elapsed() >= NOTING {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn attempt(&self, mail: &Claimed) -> Result<(), Undelivered> {
        let outgoing = self.prepare(mail)?;
        let sending = self.inner.transport.send(&outgoing);
        tokio::time::timeout(self.inner.limit, sending).await.unwrap_or(Err(not_now(Stage::Timeout)))
    }

    fn prepare(&self, mail: &Claimed) -> Result<Outgoing, Undelivered> {
        let Inner { queue, render, from, .. } = &*self.inner;
        let (id, kind) = (mail.id, mail.kind.as_str());
        let unopened = |fault: Fault| {
            tracing::error!(mail = %id, kind, ?fault, "what a mail is made of cannot be read");
            not_now(Stage::Open)
        };
        // What a template says of its content may be the content.
        let unmade = |fault: Fault| {
            tracing::error!(mail = %id, kind, code = %fault.code, "a mail cannot be made");
            not_now(Stage::Render)
        };
        let plain = queue.sealing.open(&rows::context(id), &mail.payload).map_err(unopened)?;
        let content: Json = serde_json::from_slice(&plain).map_err(Fault::internal).map_err(unopened)?;
        let rendered = render.render(kind, &content).map_err(unmade)?;
        build(id, mail.created, from, &mail.to, &rendered).map_err(unmade)
    }

    async fn note(&self, mail: &Claimed, outcome: Result<(), Undelivered>) -> Result<()> {
        let Inner { db, owner, telemetry, .. } = &*self.inner;
        let (id, kind, attempt) = (mail.id, mail.kind.as_str(), mail.attempt);
        let Err(why) = outcome else {
            db.write(|tx| Box::pin(rows::sent(tx, mail))).await?;
            tracing::info!(mail = %id, kind, attempt, "a mail was sent");
            telemetry.meters().counter("beem.mail.sent", &[("kind", kind)]);
            return Ok(());
        };
        let labels = [("kind", kind), ("stage", why.stage.as_str())];
        let next = if why.permanent { None } else { next_attempt(mail, db.clock().now()) };
        let noted = match next {
            Some(next) => db.write(|tx| Box::pin(rows::postpone(tx, mail, *owner, next, why))).await?,
            None => db.write(|tx| Box::pin(rows::fail(tx, mail, *owner, why))).await?,
        };
        if !noted {
            tracing::info!(mail = %id, kind, attempt, "another process has this mail");
        } else if next.is_some() {
            tracing::warn!(mail = %id, kind, attempt, %why, "a mail was not taken, it is tried again");
            telemetry.meters().counter("beem.mail.postponed", &labels);
        } else {
            tracing::error!(mail = %id, kind, attempt, %why, "a mail has failed, it is not tried again");
            telemetry.meters().counter("beem.mail.failed", &labels);
        }
        Ok(())
    }
}

const fn not_now(stage: Stage) -> Undelivered {
    Undelivered { stage, code: None, permanent: false }
}

/// When a mail that was not taken now is tried again; never once that would be past its patience.
fn next_attempt(mail: &Claimed, now: Moment) -> Option<Moment> {
    let before = usize::try_from(mail.attempt.saturating_sub(1)).unwrap_or(0);
    let [.., longest] = BACKOFF_MS;
    let next = now.plus_ms(BACKOFF_MS.get(before).copied().unwrap_or(longest));
    (next <= mail.created.plus_ms(PATIENCE_MS)).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour_and_end_after_three_days() {
        let created = Moment::from_unix_s(1_700_000_000);
        let mut mail = Claimed {
            id: Uuid::nil(),
            to: String::new(),
            kind: String::new(),
            payload: Vec::new(),
            created,
            attempt: 1,
        };
        let (mut now, mut waits_s) = (created, Vec::new());
        while let Some(next) = next_attempt(&mail, now) {
            waits_s.push(next.ms_since(now) / 1000);
            (now, mail.attempt) = (next, mail.attempt + 1);
        }
        assert_eq!(waits_s[..7], [5, 30, 120, 600, 3600, 3600, 3600]);
        assert!(now.ms_since(created) > PATIENCE_MS - 3_600_000 && now.ms_since(created) <= PATIENCE_MS);
    }
}
