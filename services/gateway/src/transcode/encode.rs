//! From the bytes of an answer to its JSON, written straight into the buffer that is sent. The rules are the contract's,
//! since events hold the same objects: [`beem_proto::write_answer`].

use beem_fault::{Fault, Result};
use beem_proto::Method;
use bytes::Bytes;

/// The answer of a method as JSON.
///
/// # Errors
/// `internal` when the bytes are not the answer the contract names: the service is of another version.
pub fn encode(method: &Method, answer: &[u8]) -> Result<Bytes> {
    let mut out = Vec::with_capacity(answer.len().saturating_mul(3).saturating_add(128));
    beem_proto::write_answer(&method.descriptor.output(), answer, &mut out).map_err(Fault::internal)?;
    Ok(out.into())
}
