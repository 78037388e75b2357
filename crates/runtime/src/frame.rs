//! One gRPC request message, taken off the wire whole: its digest is what an actor is sealed for, and its size is bounded
//! here so that both shapes have the same limit.

use beem_fault::{Code, Fault};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use tonic::body::Body;

/// Reads a body that holds exactly one message: a flag byte, a length of four bytes, the message (gRPC over HTTP/2,
/// "Length-Prefixed-Message").
///
/// # Errors
/// `body-too-large` beyond `limit` bytes, `bad-request` when it is not exactly one uncompressed message.
pub async fn read_one(mut body: Body, limit: usize) -> Result<Bytes, Fault> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Fault::new(Code::BadRequest, "the request broke off").caused_by(e))?;
        if let Ok(data) = frame.into_data() {
            if all.len().saturating_add(data.len()) > limit.saturating_add(5) {
                return Err(Fault::new(Code::BodyTooLarge, format!("a request has at most {limit} bytes")));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(all.freeze())
}

/// The message in a frame that [`read_one`] read.
///
/// # Errors
/// `bad-request`, as there.
pub fn message(frame: &Bytes) -> Result<Bytes, Fault> {
    let bad = |why: &str| Fault::new(Code::BadRequest, why);
    let mut rest = frame.clone();
    if rest.remaining() < 5 {
        return Err(bad("a request is one message"));
    }
    if rest.get_u8() != 0 {
        return Err(bad("requests are not compressed here"));
    }
    let length = usize::try_from(rest.get_u32()).unwrap_or(usize::MAX);
    if rest.remaining() != length {
        return Err(bad("a request is exactly one message"));
    }
    Ok(rest)
}
