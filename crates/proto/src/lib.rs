//! The contract as code: stubs and messages generated from `proto/`, the descriptor set they came from, and the rules
//! ([`Method`]) read from it. Routes, role checks, the reference and the snapshots all start here.

mod convert;
mod rules;

pub use convert::{from_timestamp, to_timestamp};
pub use rules::{Access, Body, Contract, HttpBinding, Method, RuleError, Verb};

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
pub mod beem {
    pub mod access {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/beem.access.v1.rs"));
        }
    }
    pub mod authz {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/beem.authz.v1.rs"));
        }
    }
    pub mod events {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/beem.events.v1.rs"));
        }
    }
    pub mod identity {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/beem.identity.v1.rs"));
        }
    }
}

pub use beem::{access, authz, events, identity};
