//! JSON to protobuf and back, by the descriptors of the contract: no code per RPC.
//!
//! Inward it is stricter than proto3 JSON, because a misspelt field in a payment must not be ignored (2.1 of the public
//! contract): unknown fields, duplicate keys, null, `snake_case` names, unknown or repeated query parameters are all
//! refused, naming the path. Outward it is proto3 JSON with defaults written and 64-bit integers as numbers.
//!
//! [`RawCodec`] carries the encoded bytes, so that what was hashed for the caller's seal is exactly what is sent.

mod codec;
mod decode;
mod encode;
mod enums;
mod fits;
mod json;
mod path;
mod percent;
mod query;
mod raw_body;
mod value;

pub use codec::RawCodec;
pub use decode::decode;
pub use encode::encode;
pub(crate) use fits::{STRUCT, TIMESTAMP, fits};
pub use raw_body::{RawBody, is_raw};

/// Containers inside each other that a body may have.
pub const JSON_DEPTH_MAX: usize = 32;

/// Values (containers, texts, numbers) that a body may have: bounds the memory one body can take.
pub const JSON_VALUES_MAX: usize = 50_000;
