//! ListEvents: the account's events in the order in which they became known, as far as the caller may read them. What it may
//! not read is passed over, and stays so: a token goes on behind it.

use super::Operations;
use crate::domain::{Areas, Place, mark};
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
    /// `validation-failed` naming `max` or `after`; `feed-cursor-lost` for a token from before what is still kept, and for one
    /// that was given before the database was restored.
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
        let tokens = &self.0.pull_tokens;
        let after = tokens.read(&asked.after, account)?;
        let areas = Areas::readable(actor.roles);
        // At one moment: what is forgotten in between would be a gap that nobody is told of.
        let (stretch, end) =
            self.0.db.read_consistently(|at| Box::pin(part(at, account, after, areas, max))).await?;
        let content = stretch.bodies.iter().map(|body| events::event(body)).collect::<Result<_>>()?;
        let resume_token = tokens.write(end, account)?;
        let next_page_token = if stretch.more { resume_token.clone() } else { String::new() };
        Ok(wire::ListEventsResponse { content, next_page_token, resume_token })
    }
}

/// What comes behind a token, and the place of the next one.
async fn part(
    at: &impl Sql,
    account: AccountId,
    after: Option<Place>,
    areas: Areas,
    max: u32,
) -> Result<(Stretch, Place)> {
    let bounds = store::events::bounds(at, account).await?;
    let after = after.unwrap_or(Place { position: bounds.purged_to, mark: 0 });
    // One from behind the end was given before the database was restored, and so was one of another event: what has come
    // since is not what they passed.
    let kept = (bounds.purged_to..=bounds.head).contains(&after.position);
    if !kept || !is_same(at, after).await? {
        let detail = "events behind this token are no longer kept: begin without one, with the oldest event";
        return Err(Fault::new(Code::FeedCursorLost, detail));
    }
    let stretch = stretch(at, account, after.position, areas, max).await?;
    if stretch.end == after.position {
        return Ok((stretch, after));
    }
    let last = store::events::at(at, stretch.end).await?;
    let end = Place { position: stretch.end, mark: last.map_or(0, mark) };
    Ok((stretch, end))
}

/// Whether the event at that place is the one that was there. One that is no longer kept was.
async fn is_same(at: &impl Sql, place: Place) -> Result<bool> {
    if place.mark == 0 {
        return Ok(true);
    }
    let there = store::events::at(at, place.position).await?;
    Ok(there.is_none_or(|event| mark(event) == place.mark))
}

async fn stretch(at: &impl Sql, account: AccountId, after: i64, areas: Areas, max: u32) -> Result<Stretch> {
    if areas == Areas::default() {
        // Nothing to be found: behind everything at once.
        let end = store::events::last(at, account).await?.max(after);
        return Ok(Stretch { bodies: Vec::new(), end, more: false });
    }
    store::events::behind(at, account, after, areas, max).await
}
