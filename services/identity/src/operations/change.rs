//! What the sagas share: who asked, taking the thing that is changed for one saga at a time, and an end that gives it back
//! and leaves an audit row, whatever the end is.

use super::{RESUMED_RUN, garbled};
use crate::domain::{Account, Client};
use crate::store;
use beem_caller::{Actor, Call};
use beem_database::sagas::SagaRun;
use beem_database::{Database, Tx};
use beem_events::audit::{self, NewAuditRow};
use beem_fault::{Code, Fault, Kind, Result};
use beem_ids::{AccountId, PrincipalId};
use futures::future::BoxFuture;
use prost::Message as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The step that takes the target.
const BEGIN: &str = "begin";

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

/// Carries a saga out so that its calls to others bear the actor's record, in a resumed run too. A refusal ends it: its
/// target is given back and the refusal recorded in the transaction that remembers it.
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
    match beem_caller::scope(call, work).await {
        Err(refusal) if refusal.is_refusal() => {
            let refusal = &refusal;
            run.refuse(refusal, |tx| Box::pin(end_refused(tx, run, trail, refusal))).await
        }
        ended => ended,
    }
}

async fn end_refused(tx: &Tx<'_>, run: &SagaRun, trail: &Trail, refusal: &Fault) -> Result<()> {
    let begun = give_back(tx, run, trail.target).await?;
    // A request that named nothing, and came no further, tells the trail nothing.
    if begun || matches!(refusal.kind(), Kind::Forbidden | Kind::Rule) {
        record_refused(tx, trail, refusal).await?;
    }
    Ok(())
}

async fn record_refused(tx: &Tx<'_>, trail: &Trail, refusal: &Fault) -> Result<()> {
    audit::record(tx, trail.row(refusal.code.as_str(), None, None)).await.map(drop)
}

/// Records a refusal that came before there was a saga.
///
/// # Errors
/// As the database says.
pub async fn refused_at_once(db: &Database, trail: &Trail, refusal: &Fault) -> Result<()> {
    if refusal.kind() != Kind::Forbidden {
        return Ok(());
    }
    db.write(|tx| Box::pin(record_refused(tx, trail, refusal))).await
}

/// The target is free for the next change; whether the saga had it.
async fn give_back(tx: &Tx<'_>, run: &SagaRun, target: Target) -> Result<bool> {
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
    let begun = begin(run, Target::Client(id), patience, |tx| {
        Box::pin(async move {
            let taken = store::clients::begin_change(tx, account, id, run.id()).await?;
            taken.map(|client| keep(&judge(&client)?)).transpose()
        })
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
    let begun = begin(run, Target::Account(id), patience, |tx| {
        Box::pin(async move {
            let taken = store::accounts::begin_change(tx, id, run.id()).await?;
            taken.map(|account| keep(&judge(&account)?)).transpose()
        })
    });
    kept(&begun.await?)
}

/// The step before all others: `take` has the target and a plan, or neither. Only a run that somebody waits for comes to
/// wait here: a saga without this step is forgotten rather than resumed (see [`beem_database::sagas`]), and one with it has
/// its target, so it passes by.
async fn begin<'e, W>(run: &SagaRun, target: Target, patience: Duration, take: W) -> Result<Vec<u8>>
where
    W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<Option<Vec<u8>>>> + Send + Sync,
{
    if let Some(begun) = run.answered(BEGIN).await? {
        return begun;
    }
    let give_up = Instant::now() + patience;
    // Of this process one at a time looks whether the target is free, and only by reading.
    if !run.queue(&target.to_string(), give_up).await {
        return Err(earlier_change());
    }
    let mut look = FIRST_LOOK;
    loop {
        if let Some(begun) = run.write(BEGIN, &take).await? {
            return Ok(begun);
        }
        loop {
            if Instant::now() + look > give_up {
                return Err(earlier_change());
            }
            sleep(look).await;
            look = (look * 2).min(LAST_LOOK);
            if !target.is_changing(run).await? {
                break;
            }
        }
    }
}

fn earlier_change() -> Fault {
    Fault::new(
        Code::RequestInProgress,
        "an earlier change of it has not ended yet; nothing was done, try again",
    )
}

impl Target {
    async fn is_changing(self, run: &SagaRun) -> Result<bool> {
        match self {
            Self::Client(id) => store::clients::is_changing(run.db().read(), id).await,
            Self::Account(id) => store::accounts::is_changing(run.db().read(), id).await,
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Account(_) => "account",
        }
    }

    fn id(self) -> String {
        match self {
            Self::Client(id) => id.to_string(),
            Self::Account(id) => id.to_string(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
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
        let actor = self.actor.as_ref();
        NewAuditRow {
            account_id: Some(self.account),
            actor: actor.map_or_else(|| json!({ "kind": "INSTALLATION" }), describe),
            action: self.action.to_owned(),
            target_type: self.target.kind().to_owned(),
            target_id: self.target.id(),
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
