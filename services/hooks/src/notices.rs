//! Mails to operators when a hook was disabled by itself. A notice is a row written with the disabling; it becomes a mail for
//! each operator in the transaction that ends it, once identity has said who they are. A hook that is enabled again by then
//! makes none, and one that goes off again and again makes one an hour.

use crate::domain::{DisabledReason, without_query};
use crate::peers::Identity;
use crate::store::notices::{self, Notice};
use beem_clock::Moment;
use beem_database::{Database, Tx};
use beem_fault::{Code, Fault, Result};
use beem_mail::{Letter, MailQueue, NewMail, Render, Rendered, is_address};
use beem_proto::identity::v1::Operator;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A hook that is disabled has missed nothing older than 16 days: five of failures, and what was under way when they began,
/// for ten days and a fifth at most. Its ten waits are 3.15 days by themselves; a receiver that asks for a day each time
/// (`Retry-After`) makes nine of them a day each, and the last is a day and a fifth.
const MISSED_MS: i64 = 16 * 24 * 60 * 60 * 1000;

const HOOK_DISABLED: &str = "hook-disabled";

/// Notices read at once.
const PAGE: u32 = 100;

/// Between two looks, and after a failure, doubling to the longest.
const LOOK: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// What a mail is made of. Sealed while it waits.
#[derive(Serialize, Deserialize)]
struct Content {
    first_name: String,
    last_name: String,
    hook: String,
    /// Without its query, which may hold a token.
    url: String,
    reason: String,
    at_ms: i64,
    /// It has missed nothing older.
    since_ms: i64,
}

/// Tells operators of hooks that were disabled.
#[derive(Clone)]
pub struct Notices {
    pub db: Database,
    pub identity: Identity,
    pub mail: MailQueue,
}

impl Notices {
    /// Looks for notices until cancelled; while identity or the database is away it tries on.
    pub async fn run(&self, cancel: CancellationToken) {
        let mut pause = LOOK;
        loop {
            let told = tokio::select! {
                () = cancel.cancelled() => return,
                told = self.tell_all() => told,
            };
            match told {
                Ok(()) => pause = LOOK,
                Err(fault) => {
                    if pause == LOOK {
                        tracing::warn!(?fault, "operators cannot be told of disabled hooks, trying on");
                    }
                    pause = (pause * 2).min(LONGEST_BACKOFF);
                }
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Everything that waits. One that fails by itself holds up no other.
    async fn tell_all(&self) -> Result<()> {
        let (mut after, mut failed) = (Uuid::nil(), None);
        loop {
            let page = notices::waiting(self.db.read(), self.db.clock().now(), after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for notice in &page {
                match self.tell(notice).await {
                    Ok(()) => {}
                    Err(fault) if matches!(fault.code, Code::Unavailable | Code::Deadline) => {
                        return Err(fault);
                    }
                    Err(fault) => failed = Some(fault),
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn tell(&self, notice: &Notice) -> Result<()> {
        // Unless somebody has seen to it, or they know.
        let operators = if notice.wanted { self.operators(notice).await? } else { Vec::new() };
        let operators = &operators;
        self.db.write(|tx| Box::pin(self.end(tx, notice, operators))).await
    }

    async fn operators(&self, notice: &Notice) -> Result<Vec<Operator>> {
        let mut operators = self.identity.operators(notice.account).await?;
        operators.retain(|operator| {
            let reachable = is_address(&operator.email);
            if !reachable {
                tracing::warn!(hook = %notice.hook, "an operator has no address that mail can be sent to");
            }
            reachable
        });
        if operators.is_empty() {
            tracing::warn!(hook = %notice.hook, "a hook was disabled and there is no operator to be told");
        }
        Ok(operators)
    }

    async fn end(&self, tx: &Tx<'_>, notice: &Notice, operators: &[Operator]) -> Result<()> {
        let ended = notices::end(tx, notice.id).await?;
        if !ended || operators.is_empty() || !notices::may_tell(tx, notice.hook).await? {
            return Ok(());
        }
        for operator in operators {
            let content = Content {
                first_name: operator.first_name.clone(),
                last_name: operator.last_name.clone(),
                hook: notice.hook.to_string(),
                url: without_query(&notice.url).to_owned(),
                reason: notice.reason.as_str().to_owned(),
                at_ms: notice.at.unix_ms(),
                since_ms: notice.at.plus_ms(-MISSED_MS).max(notice.made).unix_ms(),
            };
            let content = serde_json::to_value(content).map_err(Fault::internal)?;
            self.mail.add(tx, &NewMail { to: operator.email.clone(), kind: HOOK_DISABLED, content }).await?;
        }
        Ok(())
    }
}

/// Makes mails of what was queued.
pub struct Letters;

impl Render for Letters {
    fn render(&self, kind: &str, content: &Json) -> Result<Rendered> {
        if kind != HOOK_DISABLED {
            return Err(Fault::internal(format!("a queued mail of kind {kind} is not one of ours")));
        }
        let content: Content = serde_json::from_value(content.clone())
            .map_err(|_| Fault::internal(format!("a queued mail of kind {kind} is garbled")))?;
        Ok(hook_disabled(&content).finish())
    }
}

fn hook_disabled(content: &Content) -> Letter {
    let Content { first_name, last_name, hook, url, reason, at_ms, since_ms } = content;
    let (at, since) = (time(*at_ms), time(*since_ms));
    let why = match DisabledReason::parse(reason) {
        Some(DisabledReason::Gone) => "its receiver answered 410 (Gone), which asks for no more",
        Some(DisabledReason::Failing) => "every attempt to send to it has failed for five days",
        Some(DisabledReason::Operator) | None => "it was disabled",
    };
    Letter::new("A hook was disabled")
        .to_name(&format!("{first_name} {last_name}"))
        .paragraph(&format!("Hello {first_name} {last_name},"))
        .paragraph(&format!(
            "the hook {hook} was disabled at {at}: {why}. Nothing is sent to it any more. It sends to"
        ))
        .code(url)
        .paragraph("Put the receiver right, then enable the hook again:")
        .code(&format!("PATCH /platform/v1/hooks/{hook} {{\"enabled\": true}}"))
        .paragraph(
            "What it has missed is sent once you ask for it; what it has acknowledged is not sent again:",
        )
        .code(&format!("POST /platform/v1/hooks/{hook}/replay {{\"since\": \"{since}\"}}"))
        .note("You get this mail because you hold the role layer1:role:hook:operator.")
}

/// To the second, in UTC.
fn time(ms: i64) -> String {
    Moment::from_unix_s(Moment::from_unix_ms(ms).unix_s()).rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn content(reason: &str) -> Json {
        json!({
            "first_name": "Ada", "last_name": "<Lovelace>", "hook": "0192f0c1-0000-7000-8000-000000000000",
            "url": without_query("https://shop.example/beem?token=secret#x"), "reason": reason, "at_ms": 1_800_000_000_123_i64,
            "since_ms": 1_799_308_800_000_i64,
        })
    }

    #[test]
    fn the_mail_says_which_since_when_why_and_what_to_do_and_no_secret() {
        let mail = Letters.render(HOOK_DISABLED, &content("FAILING")).unwrap();
        for part in [
            "Ada <Lovelace>",
            "0192f0c1-0000-7000-8000-000000000000",
            "disabled at 2027-01-15T08:00:00Z",
            "https://shop.example/beem\n",
            "for five days",
            "PATCH /platform/v1/hooks/0192f0c1",
            "/replay {\"since\": \"2027-01-07T08:00:00Z\"}",
        ] {
            assert!(mail.text.contains(part), "{part} in {}", mail.text);
        }
        assert!(
            !mail.text.contains("secret")
                && !mail.html.contains("secret")
                && !mail.html.contains("<Lovelace>")
        );
        assert!(Letters.render(HOOK_DISABLED, &content("GONE")).unwrap().text.contains("410"));
    }

    #[test]
    fn what_is_not_ours_is_not_rendered() {
        assert!(Letters.render("invitation", &content("GONE")).is_err());
        assert!(Letters.render(HOOK_DISABLED, &json!({})).is_err());
    }
}
