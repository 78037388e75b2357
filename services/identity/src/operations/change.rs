//! What the sagas share: who asked, taking the thing that is changed for one saga at a time, and an end that gives it back
//! and leaves an audit row, whatever the end is.

pub use super::trail::{By, Trail};

use super::kept::Kept;
use super::{RESUMED_RUN, garbled};
use crate::domain::{Account, Email, User};
use crate::store::attempts::{self, BucketKey};
use crate::store::{self, changing};
use beem_caller::{Actor, Call};
use beem_database::sagas::SagaRun;
use beem_database::{Database, Tx};
use beem_events::audit;
use beem_fault::{Code, Fault, Kind, Result};
use beem_ids::{AccountId, PrincipalId, SessionId};
use futures::future::BoxFuture;
use prost::Message as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// The step that takes the target.
const BEGIN: &str = "begin";

/// How often a change looks whether the one before it has ended: first, and at last after doubling.
const FIRST_LOOK: Duration = Duration::from_millis(25);
const LAST_LOOK: Duration = Duration::from_millis(200);

/// What a saga changes, and what its row of the trail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Client(PrincipalId),
    User(PrincipalId),
    /// A user whose address is reserved: giving it back forgets it, unless it was made.
    NewUser(PrincipalId),
    /// A session, and whose it is: the user is what is taken.
    Session(SessionId, PrincipalId),
    Account(AccountId),
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
    carry_out_undoing(run, trail, work, |_| Box::pin(async { Ok(()) })).await
}

/// [`carry_out`] for what mails a link to a user, and has counted that mail with [`invitation`]: a refusal that comes after
/// that mails nothing.
///
/// # Errors
/// Those of `work`.
pub async fn carry_out_mailing(
    run: &SagaRun,
    trail: &Trail,
    user: PrincipalId,
    work: impl Future<Output = Result<Vec<u8>>> + Send,
) -> Result<Vec<u8>> {
    carry_out_undoing(run, trail, work, |tx| {
        Box::pin(async move {
            match store::users::address_taken_by(tx, user, run.id()).await? {
                Some(folded) => attempts::give_invitation_back(tx, invitations(trail.account, &folded)).await,
                None => Ok(()),
            }
        })
    })
    .await
}

/// `undo` comes before the target is given back, in the same transaction.
async fn carry_out_undoing<'e, U>(
    run: &SagaRun,
    trail: &Trail,
    work: impl Future<Output = Result<Vec<u8>>> + Send,
    undo: U,
) -> Result<Vec<u8>>
where
    U: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<()>> + Send + Sync,
{
    let call = Call {
        deadline: beem_runtime::deadline(RESUMED_RUN),
        request: trail.by.request(),
        record: match &trail.by {
            By::Actor(actor) => Some(actor.clone()),
            By::Installation | By::Visitor { .. } => None,
        },
    };
    match beem_caller::scope(call, work).await {
        Err(refusal) if refusal.is_refusal() => {
            let (refusal, undo) = (&refusal, &undo);
            let ended = run.refuse(refusal, |tx| {
                Box::pin(async move {
                    undo(tx).await?;
                    end_refused(tx, run, trail, refusal).await
                })
            });
            ended.await
        }
        ended => ended,
    }
}

async fn end_refused(tx: &Tx<'_>, run: &SagaRun, trail: &Trail, refusal: &Fault) -> Result<()> {
    let begun = trail.target.give_back(tx, run).await?;
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
    trail.target.give_back(tx, run).await?;
    record_done(tx, trail, before, after).await
}

/// Records what was done by a write that took nothing.
///
/// # Errors
/// As the database says.
pub async fn record_done(
    tx: &Tx<'_>,
    trail: &Trail,
    before: Option<Value>,
    after: Option<Value>,
) -> Result<()> {
    audit::record(tx, trail.row("done", before, after)).await.map(drop)
}

/// Takes the client or user for this saga and judges the change by it as it is then; what `judge` answers is kept for
/// resumed runs. A refusal takes nothing.
///
/// # Errors
/// `not-found`, what `judge` refused, `request-in-progress` when an earlier change had not ended in time.
pub async fn begin_on<K, P>(
    run: &SagaRun,
    account: AccountId,
    id: PrincipalId,
    patience: Duration,
    judge: impl Fn(&K) -> Result<P> + Send + Sync,
) -> Result<P>
where
    K: Kept,
    P: Serialize + DeserializeOwned + Send,
{
    let judge = &judge;
    let begun = begin(run, K::target(id), patience, |tx| {
        Box::pin(async move {
            // Another account's is not even waited for.
            K::load(tx, account, id).await?;
            if !K::target(id).take(tx, run).await? {
                return Ok(None);
            }
            keep(&judge(&K::load(tx, account, id).await?)?).map(Some)
        })
    });
    kept(&begun.await?)
}

/// [`begin_on`] a user who is to be mailed a link: the mail is counted with it, before anything is done for it.
///
/// # Errors
/// As [`begin_on`]; `rate-limited` when the address had enough of them this hour.
pub async fn begin_mailing(
    run: &SagaRun,
    account: AccountId,
    id: PrincipalId,
    patience: Duration,
    judge: impl Fn(&User) -> Result<()> + Send + Sync,
) -> Result<()> {
    let (judge, target) = (&judge, Target::User(id));
    let begun = begin(run, target, patience, |tx| {
        Box::pin(async move {
            store::users::get(tx, account, id).await?;
            if !target.take(tx, run).await? {
                return Ok(None);
            }
            let user = store::users::get(tx, account, id).await?;
            judge(&user)?;
            invitation(tx, account, &user.email).await?;
            Ok(Some(Vec::new()))
        })
    });
    begun.await.map(drop)
}

/// Counts a mailed link, in the step that takes or reserves its user.
///
/// # Errors
/// `rate-limited` when the address had enough of the account's this hour. Each account counts for itself: what one sends
/// neither holds another up nor shows there.
pub async fn invitation(tx: &Tx<'_>, account: AccountId, to: &Email) -> Result<()> {
    attempts::reserve_invitation(tx, invitations(account, &to.folded())).await
}

fn invitations(account: AccountId, folded: &str) -> BucketKey {
    BucketKey::of("invitations", &[&account.to_string(), folded])
}

/// What the first step kept, if it was taken: a resumed run asks nothing again.
///
/// # Errors
/// `unavailable` when the database is away.
pub async fn begun<P: DeserializeOwned>(run: &SagaRun) -> Result<Option<P>> {
    match run.answered(BEGIN).await? {
        Some(begun) => kept(&begun?).map(Some),
        None => Ok(None),
    }
}

/// Takes the actor, a user, for this saga together with what `work` writes: what proves that it is the user who asks is
/// used up by that.
///
/// # Errors
/// As [`begin_on`]; those of `work`.
pub async fn begin_on_own<'e, P, W>(run: &SagaRun, actor: &Actor, patience: Duration, work: W) -> Result<P>
where
    W: for<'t> Fn(&'t Tx<'e>) -> BoxFuture<'t, Result<P>> + Send + Sync,
    P: Serialize + DeserializeOwned + Send,
{
    let (work, target) = (&work, Target::User(actor.principal));
    let begun = begin(run, target, patience, |tx| {
        Box::pin(async move {
            if !target.take(tx, run).await? {
                return Ok(None);
            }
            keep(&work(tx).await?).map(Some)
        })
    });
    kept(&begun.await?)
}

/// The same for an account.
///
/// # Errors
/// As [`begin_on`].
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
            if !Target::Account(id).take(tx, run).await? {
                return Ok(None);
            }
            let account = store::accounts::get(tx, id).await?;
            keep(&judge(&account)?).map(Some)
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
    async fn take(self, tx: &Tx<'_>, run: &SagaRun) -> Result<bool> {
        let (table, id) = self.row();
        changing::take(tx, table, id, run.id()).await
    }

    /// It is free for the next change; whether the saga had it.
    async fn give_back(self, tx: &Tx<'_>, run: &SagaRun) -> Result<bool> {
        if let Self::NewUser(id) = self {
            return store::users::forget_reserved(tx, id, run.id()).await;
        }
        let (table, id) = self.row();
        changing::give_back(tx, table, id, run.id()).await
    }

    async fn is_changing(self, run: &SagaRun) -> Result<bool> {
        let (table, id) = self.row();
        changing::is_taken(run.db().read(), table, id).await
    }

    const fn row(self) -> (changing::Table, Uuid) {
        match self {
            Self::Client(id) => (changing::Table::Clients, id.0),
            Self::User(id) | Self::NewUser(id) | Self::Session(_, id) => (changing::Table::Users, id.0),
            Self::Account(id) => (changing::Table::Accounts, id.0),
        }
    }

    /// As the trail names it.
    pub(super) fn told(self) -> (&'static str, String) {
        match self {
            Self::Client(id) => ("client", id.to_string()),
            Self::User(id) | Self::NewUser(id) => ("user", id.to_string()),
            Self::Session(id, _) => ("session", id.to_string()),
            Self::Account(id) => ("account", id.to_string()),
        }
    }
}

/// The row, so that all that take it queue under one name.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, id) = self.row();
        write!(f, "{table:?} {id}")
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
