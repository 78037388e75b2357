//! What the sagas share: who asked, taking the thing that is changed for one saga at a time, and an end that gives it back
//! and leaves an audit row, whatever the end is.

use super::{RESUMED_RUN, garbled};
use crate::domain::{Account, Client};
use crate::store;
use beem_caller::{Actor, Call};
use beem_database::Tx;
use beem_database::sagas::SagaRun;
use beem_events::audit::{self, NewAuditRow};
use beem_fault::{Code, Fault, Kind, Result};
use beem_ids::{AccountId, PrincipalId};
use prost::Message as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often a change looks whether the one before it has ended: first, and at last after doubling.
const FIRST_LOOK: Duration = Duration::from_millis(25);
const LAST_LOOK: Duration = Duration::from_millis(200);

/// What a saga changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Client(PrincipalId),
    Account(AccountId),
}

/// One write as the audit trail tells it.
#[derive(Clone, Debug)]
pub struct Trail {
    /// None: the installation itself.
    pub actor: Option<Actor>,
    /// The RPC's short name.
    pub action: &'static str,
    pub target: Target,
    pub account: AccountId,
}

/// The actor who asked for this saga.
///
/// # Errors
/// `internal` when what was stored is not one.
pub fn actor(run: &SagaRun) -> Result<Actor> {
    let stored = beem_proto::access::v1::Actor::decode(run.actor()).map_err(|_| garbled("actor"))?;
    Actor::from_wire(&stored)
}

/// Carries a saga out so that its calls to others bear the actor's record, in a resumed run too; when it ends in a
/// refusal, gives its target back and records the refusal.
///
/// # Errors
/// Those of `work`.
pub async fn carry_out(
    run: &SagaRun,
    trail: &Trail,
    work: impl Future<Output = Result<Vec<u8>>> + Send,
) -> Result<Vec<u8>> {
    let call = Call {
        deadline: beem_runtime::deadline(RESUMED_RUN),
        request: trail.actor.as_ref().map(|a| a.request),
        record: trail.actor.clone(),
    };
    let ended = beem_caller::scope(call, work).await;
    if let Err(refusal) = &ended
        && refusal.is_refusal()
    {
        run.db().write(|tx| Box::pin(end_refused(tx, run, trail, refusal))).await?;
    }
    ended
}

async fn end_refused(tx: &Tx<'_>, run: &SagaRun, trail: &Trail, refusal: &Fault) -> Result<()> {
    give_back(tx, run, trail.target).await?;
    // A request that was malformed or named nothing tells the trail nothing.
    if matches!(refusal.kind(), Kind::Forbidden | Kind::Rule) {
        let row = trail.row(refusal.code.as_str(), None, None);
        audit::record(tx, row).await?;
    }
    Ok(())
}

/// The target is free for the next change.
async fn give_back(tx: &Tx<'_>, run: &SagaRun, target: Target) -> Result<()> {
    match target {
        Target::Client(id) => store::clients::end_change(tx, id, run.id()).await,
        Target::Account(id) => store::accounts::end_change(tx, id, run.id()).await,
    }
}

/// In the saga's last transaction: gives the target back and records what was done.
///
/// # Errors
/// As the database says.
pub async fn end_done(
    tx: &Tx<'_>,
    run: &SagaRun,
    trail: &Trail,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<()> {
    give_back(tx, run, trail.target).await?;
    audit::record(tx, trail.row("done", before, after)).await.map(drop)
}

/// Takes the client for this saga and judges the change by the client as it is then; what `judge` answers is kept for
/// resumed runs. A refusal takes nothing.
///
/// # Errors
/// `not-found`, what `judge` refused, `request-in-progress` when an earlier change had not ended in time.
pub async fn begin_on_client<P>(
    run: &SagaRun,
    account: AccountId,
    id: PrincipalId,
    patience: Duration,
    judge: impl Fn(&Client) -> Result<P> + Send + Sync,
) -> Result<P>
where
    P: Serialize + DeserializeOwned + Send,
{
    let judge = &judge;
    let begun = run.step("begin", || async move {
        let mut queue = Queue::new(patience);
        loop {
            let taken = run.db().write(|tx| {
                Box::pin(async move {
                    let taken = store::clients::begin_change(tx, account, id, run.id()).await?;
                    taken.map(|client| judge(&client)).transpose()
                })
            });
            match taken.await? {
                Some(plan) => return keep(&plan),
                None => queue.wait().await?,
            }
        }
    });
    kept(&begun.await?)
}

/// The same for an account.
///
/// # Errors
/// As [`begin_on_client`].
pub async fn begin_on_account<P>(
    run: &SagaRun,
    id: AccountId,
    patience: Duration,
    judge: impl Fn(&Account) -> Result<P> + Send + Sync,
) -> Result<P>
where
    P: Serialize + DeserializeOwned + Send,
{
    let judge = &judge;
    let begun = run.step("begin", || async move {
        let mut queue = Queue::new(patience);
        loop {
            let taken = run.db().write(|tx| {
                Box::pin(async move {
                    let taken = store::accounts::begin_change(tx, id, run.id()).await?;
                    taken.map(|account| judge(&account)).transpose()
                })
            });
            match taken.await? {
                Some(plan) => return keep(&plan),
                None => queue.wait().await?,
            }
        }
    });
    kept(&begun.await?)
}

/// Waiting for an earlier change. Its saga is resumed until it has ended, so the turn will come.
struct Queue {
    give_up: Instant,
    look: Duration,
}

impl Queue {
    fn new(patience: Duration) -> Self {
        Self { give_up: Instant::now() + patience, look: FIRST_LOOK }
    }

    async fn wait(&mut self) -> Result<()> {
        if Instant::now() >= self.give_up {
            return Err(Fault::new(
                Code::RequestInProgress,
                "an earlier change has not ended yet; this one follows it",
            ));
        }
        sleep(self.look).await;
        self.look = (self.look * 2).min(LAST_LOOK);
        Ok(())
    }
}

/// A value as a step keeps it.
///
/// # Errors
/// `internal` when it has no JSON form.
pub fn keep<P: Serialize>(plan: &P) -> Result<Vec<u8>> {
    serde_json::to_vec(plan).map_err(Fault::internal)
}

/// A value as a step kept it.
///
/// # Errors
/// `internal` when it is not one.
pub fn kept<P: DeserializeOwned>(step: &[u8]) -> Result<P> {
    serde_json::from_slice(step).map_err(|_| garbled("step"))
}

impl Trail {
    fn row(&self, outcome: &str, before: Option<Value>, after: Option<Value>) -> NewAuditRow {
        let (target_type, target_id) = match self.target {
            Target::Client(id) => ("client", id.to_string()),
            Target::Account(id) => ("account", id.to_string()),
        };
        let actor = self.actor.as_ref();
        NewAuditRow {
            account_id: Some(self.account),
            actor: actor.map_or_else(|| json!({ "kind": "INSTALLATION" }), describe),
            action: self.action.to_owned(),
            target_type: target_type.to_owned(),
            target_id,
            outcome: outcome.to_owned(),
            before,
            after,
            address: actor.map(|a| a.address.to_string()).unwrap_or_default(),
            key_fingerprint: actor.map(|a| a.key_fingerprint.clone()).unwrap_or_default(),
            request_id: actor.map(|a| a.request.to_string()).unwrap_or_default(),
        }
    }
}

fn describe(actor: &Actor) -> Value {
    json!({
        "principalId": actor.principal.to_string(),
        "kind": actor.kind.as_str(),
        "name": actor.name,
        "standingVersion": actor.standing_version,
    })
}
