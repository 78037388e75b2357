//! One caller, proven at every hop. A call between services carries a *service token* (which service calls, signed) and,
//! when a person or client stands behind it, the *actor*: sealed by the gateway for exactly one audience, method and
//! request, or, on onward hops, as a mere record for the audit trail. What a callee knows of its caller is [`Caller`];
//! what an operation knows of the call it serves is [`Call`], in a task-local, so that onward calls carry it on.

mod actor;
mod call;
mod seal;
mod token;

pub use actor::{Actor, AuthenticatedBy, PrincipalKind, Visitor};
pub use call::{Call, Caller, current, scope};
pub use seal::{ActorKey, Opener, SEAL_LIFETIME_MS, Sealed, Sealer, Subject};
pub use token::{Issuers, ServiceIdentity, TOKEN_LIFETIME_MS};

/// Metadata names on the wire between services.
pub mod metadata {
    /// `base64url(token) . base64url(signature)`.
    pub const SERVICE_TOKEN: &str = "beem-service-token";
    /// The service meant, for methods that every service serves. A hint for dispatch: what counts is the token's.
    pub const AUDIENCE: &str = "beem-audience";
    /// An encoded `SealedActor`.
    pub const ACTOR: &str = "beem-actor-bin";
    /// HMAC-SHA256 over the bytes of [`ACTOR`].
    pub const ACTOR_SEAL: &str = "beem-actor-seal-bin";
    /// An encoded `Actor`, for the record only.
    pub const ACTOR_RECORD: &str = "beem-actor-record-bin";
    /// The id of the request from outside.
    pub const REQUEST_ID: &str = "beem-request-id";
    /// Set to `true` on an answer that was given before under the same key.
    pub const REPLAYED: &str = "beem-idempotent-replayed";
}
