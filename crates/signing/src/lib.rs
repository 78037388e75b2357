//! Signed requests: RFC 9421 (HTTP Message Signatures) and RFC 9530 (`Content-Digest`), as the public contract fixes them.
//!
//! Nothing here does I/O or reads a clock: headers, bytes and a [`beem_clock::Moment`] come in, a verdict goes out. The
//! gateway judges with it, the command line signs with it, and both meet in one signature base.
//!
//! The way of a request through this crate:
//!
//! 1. [`Candidates::parse`] reads `Signature-Input` and `Signature`; the caller takes the first whose `keyid` it knows.
//! 2. [`Origins::matches`] says which public origin the `Host` names; with it stands a [`RequestView`].
//! 3. [`Candidate::judge`] applies time, digest, coverage and signature, in that order, and gives a [`Verified`] with the
//!    replay key. Each step is public too, for callers that put something between them.
//!
//! Invariant: what a signature covers is always computed from the request as judged here and from the parsed label,
//! never taken from text the caller of the API hands over.

mod algorithm;
mod base;
mod component;
mod coverage;
mod der;
pub mod digest;
mod error;
mod input;
mod key;
mod origin;
mod pem;
mod private_key;
mod query;
mod signer;
mod spki;
mod structure;
mod time_rules;
mod verify;

pub use algorithm::{Algorithm, KeyKind};
pub use base::{RequestView, base_digest, replay_key};
pub use component::Component;
pub use error::{Refusal, SignatureError};
pub use input::{Candidate, Candidates, MAX_COMPONENTS, MAX_LABELS, MAX_PARAMETER_BYTES};
pub use key::{KeyError, PublicKey};
pub use origin::{Origin, OriginError, Origins};
pub use pem::PemError;
pub use private_key::{PrivateKey, PrivateKeyError};
pub use signer::{OutgoingRequest, Signed, Signer, SignerError, Style};
pub use time_rules::{TimeRules, http_date, parse_http_date};
pub use verify::{Judgement, Verified};
