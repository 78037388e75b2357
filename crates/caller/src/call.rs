//! What an operation knows of the call it serves. The server's layer sets it around the handler, a saga's resumer around
//! its steps; the link reads it, so that deadline, request id and actor go with every onward call by themselves.

use crate::{Actor, Visitor};
use beem_fault::Fault;
use beem_ids::RequestId;
use tokio::time::Instant;

/// Who called, as the server's layer verified it. In the extensions of every request that reached a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The calling service, from its token.
    pub service: String,
    /// Sealed for this very request: authority.
    pub actor: Option<Actor>,
    /// Whoever the calling service says it acts for: for the audit trail only.
    pub record: Option<Actor>,
    /// Sealed for this very request to a public method.
    pub visitor: Option<Visitor>,
}

impl Caller {
    /// The actor whose request this is.
    ///
    /// # Errors
    /// `internal` when there is none: the access rule has let nobody through without.
    pub fn actor(&self) -> Result<&Actor, Fault> {
        self.actor.as_ref().ok_or_else(|| Fault::internal("a call for an actor came without one"))
    }

    /// From where a public method is called.
    ///
    /// # Errors
    /// `internal` when the gateway did not say.
    pub fn visitor(&self) -> Result<&Visitor, Fault> {
        self.visitor.as_ref().ok_or_else(|| Fault::internal("a public call came without its visitor"))
    }
}

/// The call being served.
#[derive(Clone, Debug)]
pub struct Call {
    pub deadline: Instant,
    pub request: Option<RequestId>,
    /// The actor on whose behalf, to be carried on as a record.
    pub record: Option<Actor>,
}

tokio::task_local! {
    static CALL: Call;
}

/// Runs `work` as part of `call`.
pub async fn scope<F: Future>(call: Call, work: F) -> F::Output {
    CALL.scope(call, work).await
}

/// The call this task serves; None in tasks of our own.
#[must_use]
pub fn current() -> Option<Call> {
    CALL.try_with(Clone::clone).ok()
}
