//! One RPC a file: parse, load, decide, commit, announce.

mod answers;
mod by_hand;
mod create_hook;
mod delete_hook;
mod draw_keys;
mod get_delivery;
mod get_hook;
mod list_attempts;
mod list_deliveries;
mod list_event_types;
mod list_events;
mod list_feeds;
mod list_hooks;
mod replay_delivery;
mod replay_hook;
mod reseal_secrets;
mod restart_feed;
mod rotate_hook_key;
mod test_hook;
mod update_hook;

use self::by_hand::ByHand;
use self::list_event_types::EventTypes;
use crate::HooksDeps;
use crate::domain::{Hook, PullTokens};
use crate::engine::Bell;
use crate::keys::KeyMaker;
use crate::outbound::{Outbound, Policy, SystemResolver};
use crate::settings::HooksSettings;
use crate::store;
use beem_clock::Clock;
use beem_database::claims::Outcome;
use beem_database::{Database, Tx};
use beem_events::Feed;
use beem_fault::{Code, Fault, Result};
use beem_mail::MailQueue;
use beem_proto::{AnswerJson, Contract};
use beem_sealing::Sealing;
use beem_telemetry::Telemetry;
use beem_writes::{Remember, Trail, Writes};
use futures::future::BoxFuture;
use std::sync::Arc;

/// What the operations and the tasks work with.
pub struct Means {
    pub db: Database,
    /// Of our own audit rows: hooks makes no events.
    pub feed: Feed,
    writes: Writes,
    pub sealing: Sealing,
    pub settings: HooksSettings,
    pub policy: Policy,
    pub outbound: Outbound,
    keys: KeyMaker,
    by_hand: ByHand,
    pull_tokens: PullTokens,
    pub mail: MailQueue,
    /// Rung after a commit that makes something due.
    pub bell: Bell,
    /// The services whose feeds are taken in.
    pub sources: Vec<&'static str>,
    /// A hook as its GET answers it, for test events.
    pub hook_json: AnswerJson,
    /// What hooks can ask for.
    event_types: EventTypes,
    pub clock: Clock,
    pub telemetry: Telemetry,
}

/// The operations of hooks. Cheap to clone.
#[derive(Clone)]
pub struct Operations(pub Arc<Means>);

impl Means {
    /// Over a database that is migrated and opened.
    ///
    /// # Errors
    /// `validation-failed` for a file of authorities that cannot be used; `unavailable` when the database is away.
    pub async fn open(db: Database, settings: HooksSettings, deps: &HooksDeps) -> Result<Self> {
        let resolver = match &deps.resolver {
            Some(resolver) => Arc::clone(resolver),
            None => Arc::new(SystemResolver::open()?),
        };
        let contract = Contract::load().map_err(Fault::internal)?;
        Ok(Self {
            feed: Feed::open(db.clone()).await?,
            writes: Writes::new(settings.writes_at_once),
            sealing: deps.sealing.clone(),
            policy: Policy { allow_loopback: settings.allow_loopback },
            outbound: Outbound::new(&settings, resolver)?,
            keys: KeyMaker::new(deps.entropy.clone(), deps.telemetry.clone()),
            by_hand: ByHand::new(&settings),
            pull_tokens: PullTokens::new(&store::installation::pull_key(&db).await?)?,
            mail: MailQueue::new(deps.sealing.clone()),
            bell: Bell::default(),
            sources: deps.feeds.iter().map(|(source, _)| *source).collect(),
            event_types: EventTypes::of(&contract)?,
            hook_json: AnswerJson::new(&contract, "beem.hooks.v1.Hook").map_err(Fault::internal)?,
            clock: deps.clock.clone(),
            telemetry: deps.telemetry.clone(),
            db,
            settings,
        })
    }
}

impl Operations {
    /// See [`Writes::write`]: an actor's write under its request key, with its audit row and its answer.
    pub async fn write<'e, W>(
        &self,
        trail: Trail<'e>,
        rpc: (&str, Remember),
        request: &[u8],
        target: &str,
        work: W,
    ) -> Outcome
    where
        W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Vec<u8>>> + Send + Sync,
    {
        self.0.writes.write(&self.0.db, trail, rpc, request, target, work).await
    }
}

/// A hook to which something can be sent.
///
/// # Errors
/// `hook-disabled`.
fn sendable(hook: Hook) -> Result<Hook> {
    match hook.disabled {
        None => Ok(hook),
        Some(_) => Err(Fault::new(Code::HookDisabled, "enable it first: nothing is sent to it")),
    }
}
