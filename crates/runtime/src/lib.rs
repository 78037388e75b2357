//! What every service is served with: the [`Guard`] before its handlers (trace, caller, access rule, deadline, limits,
//! panics), what its handlers give back, the gRPC listener, health and reflection, the admin port, and supervised background
//! tasks. A handler behind a guard runs only for a proven caller that its RPC's access rule lets through, embedded and
//! clustered alike.

mod admin;
mod answer;
mod every;
mod frame;
mod guard;
mod purge;
mod reply;
mod serve;
mod tasks;

pub use admin::{Admin, serve_admin};
pub use every::every;
pub use guard::{Guard, GuardSettings, MAX_REQUEST_BYTES, guarded};
pub use purge::{PURGE_BATCH, purge};
pub use reply::{Reply, answered, reply};
pub use serve::{ServeError, TlsListener, serve_grpc};
pub use tasks::{Task, Tasks, spawn, task};

use beem_caller::Caller;
use beem_fault::Fault;
use futures::future::BoxFuture;
use std::sync::Arc;

/// One service, built and ready to be put behind its guard.
pub struct Service {
    /// `identity`: the audience of its callers and the owner of its RPCs.
    pub name: &'static str,
    /// Its gRPC services, without layers.
    pub routes: tonic::service::Routes,
    /// Full gRPC service names (`beem.identity.v1.Clients`), for health.
    pub grpc_names: Vec<&'static str>,
    /// Its background loops.
    pub tasks: Vec<Task>,
    /// Whether it can serve now: asked by `/readyz`.
    pub ready: Ready,
}

/// A readiness check: Ok, or what is missing.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// The proven caller of a request that reached a handler.
///
/// # Errors
/// `internal` when the request did not come through a [`Guard`]: then nothing about it is proven.
pub fn caller<T>(request: &tonic::Request<T>) -> Result<Caller, Fault> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| Fault::internal("a request reached a handler without passing the guard"))
}

/// The deadline of the call being served; a task of our own gets `otherwise`.
#[must_use]
pub fn deadline(otherwise: std::time::Duration) -> tokio::time::Instant {
    beem_caller::current().map_or_else(|| tokio::time::Instant::now() + otherwise, |c| c.deadline)
}
