//! The contract as code: stubs and messages generated from `proto/`, the descriptor set they came from, and the rules
//! ([`Method`]) read from it. Routes, role checks, the reference and the snapshots all start here.

mod convert;
mod json;
mod rules;
pub mod schema;

pub use convert::{from_timestamp, to_timestamp};
pub use json::{AnswerJson, JsonError, public_name, to_struct, write_answer};
pub use rules::{Access, Body, Contract, HttpBinding, Method, RuleError, Verb, is_money};

/// The encoded `FileDescriptorSet`, imports, comments and our options included.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/beem.bin"));

/// Generated code, laid out as its packages are, since it refers to itself by relative paths.
#[allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::as_conversions,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "generated"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/packages.rs"));
}

pub use generated::beem::*;
pub use generated::{beem, google};
