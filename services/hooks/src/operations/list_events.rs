//! ListEvents: the account's events in the order in which they became known, as far as the caller may read them. What it may
//! not read is passed over, and stays so: a token goes on behind it.

use super::Operations;
use crate::domain::{Areas, read_cursor, write_cursor};
use crate::grpc::events;
use crate::store;
use crate::store::events::Stretch;
use beem_caller::Actor;
use beem_database::Sql;
use beem_fault::{Code, Fault, Result};
use beem_ids::AccountId;
use beem_proto::hooks::v1 as wire;

const DEFAULT_MAX: u32 = 50;
const LARGEST_MAX: u32 = 500;

impl Operations {
    /// # Errors
    /// `validation-failed` naming `max` or `after`; `feed-cursor-lost` for a token from before what is still kept.
    pub async fn list_events(
        &self,
        actor: &Actor,
        asked: &wire::ListEventsRequest,
    ) -> Result<wire::ListEventsResponse> {
        let max = asked.max.unwrap_or(DEFAULT_MAX);
        if !(1..=LARGEST_MAX).contains(&max) {
            return Err(Fault::field("max", format!("1 to {LARGEST_MAX}")));
        }
        let account = actor.account;
        let after = read_cursor(&asked.after, account)?;
        let areas = Areas::readable(actor.roles);
        // At one moment: what is forgotten in between would be a gap that nobody is told of.
        let stretch =
            self.0.db.read_consistently(|at| Box::pin(stretch(at, account, after, areas, max))).await?;
        let content = stretch.bodies.iter().map(|body| events::event(body)).collect::<Result<_>>()?;
        let resume_token = write_cursor(stretch.end, account);
        let next_page_token = if stretch.more { resume_token.clone() } else { String::new() };
        Ok(wire::ListEventsResponse { content, next_page_token, resume_token })
    }
}

async fn stretch(
    at: &impl Sql,
    account: AccountId,
    after: Option<i64>,
    areas: Areas,
    max: u32,
) -> Result<Stretch> {
    let bounds = store::events::bounds(at, account).await?;
    let after = after.unwrap_or(bounds.purged_to);
    // One from behind the end was given before the database was restored: what has come since is not what it passed.
    if after < bounds.purged_to || after > bounds.head {
        let detail = "events behind this token are no longer kept: begin without one, with the oldest event";
        return Err(Fault::new(Code::FeedCursorLost, detail));
    }
    if areas == Areas::default() {
        // Nothing to be found: behind everything at once.
        let end = store::events::last(at, account).await?.max(after);
        return Ok(Stretch { bodies: Vec::new(), end, more: false });
    }
    store::events::behind(at, account, after, areas, max).await
}
