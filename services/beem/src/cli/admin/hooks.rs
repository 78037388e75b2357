//! `beem admin list-feeds` and `restart-feed`: how far hooks has taken in the events of each service, and what to do when
//! a service no longer has those that come next.

use super::link;
use crate::cli::say;
use crate::settings::Settings;
use anyhow::Result;
use beem_fault::Fault;
use beem_proto::hooks::v1::upkeep_client::UpkeepClient;
use beem_proto::hooks::v1::{Feed, ListFeedsRequest, RestartFeedRequest};
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
pub(super) struct RestartFeedArgs {
    /// The service whose feed it is, as list-feeds names it: ledger
    #[arg(value_name = "SOURCE")]
    source: String,
}

/// One line of either.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FeedLine {
    source: String,
    epoch: String,
    position: u64,
    lost: bool,
}

impl FeedLine {
    fn say(Feed { source, epoch, position, lost }: Feed) -> Result<()> {
        say(serde_json::to_string(&Self { source, epoch, position, lost })?);
        Ok(())
    }
}

pub(super) async fn feeds(settings: &Settings) -> Result<()> {
    let mut upkeep = UpkeepClient::new(link(settings, "hooks").await?);
    let answer = upkeep.list_feeds(ListFeedsRequest {}).await.map_err(Fault::from)?;
    answer.into_inner().feeds.into_iter().try_for_each(FeedLine::say)
}

pub(super) async fn restart_feed(settings: &Settings, args: &RestartFeedArgs) -> Result<()> {
    let mut upkeep = UpkeepClient::new(link(settings, "hooks").await?);
    let request = RestartFeedRequest { source: args.source.clone() };
    FeedLine::say(upkeep.restart_feed(request).await.map_err(Fault::from)?.into_inner())
}
