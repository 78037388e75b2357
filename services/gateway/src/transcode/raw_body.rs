//! Answers that are bytes of some media type, not JSON: `google.api.HttpBody`, alone or as a stream (exports). The first
//! piece names the media type; the rest is passed on as it comes, so nothing of it is held.

use beem_fault::{Fault, Result};
use beem_proto::Method;
use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use http::HeaderValue;
use prost::Message;
use tonic::Status;

/// Whether the method answers with `google.api.HttpBody`.
#[must_use]
pub fn is_raw(method: &Method) -> bool {
    method.descriptor.output().full_name() == "google.api.HttpBody"
}

/// A body that is passed on.
pub struct RawBody {
    pub content_type: HeaderValue,
    /// A fault in the middle must break the answer off, so that a part is never taken for the whole.
    pub chunks: BoxStream<'static, Result<Bytes>>,
}

/// `google.api.HttpBody`, without the extensions that nobody sends.
#[derive(Clone, PartialEq, Eq, Message)]
struct Piece {
    #[prost(string, tag = "1")]
    content_type: String,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
}

impl RawBody {
    /// Waits for the first piece of a stream, whose failure is still a whole answer of its own.
    ///
    /// # Errors
    /// What the service said instead of a first piece.
    pub async fn open(pieces: impl Stream<Item = Result<Bytes, Status>> + Send + 'static) -> Result<Self> {
        let mut pieces = pieces.boxed();
        let first = match pieces.next().await {
            Some(piece) => read(piece)?,
            None => Piece::default(),
        };
        let content_type = media_type(&first.content_type)?;
        let rest = pieces.map(|piece| read(piece).map(|p| p.data));
        let chunks = stream::once(async { Ok(first.data) }).chain(rest);
        let chunks = chunks.filter(|c| futures::future::ready(!c.as_ref().is_ok_and(Bytes::is_empty)));
        Ok(Self { content_type, chunks: chunks.boxed() })
    }

    /// The body of a unary answer.
    ///
    /// # Errors
    /// `internal` when the bytes are no `HttpBody`.
    pub fn whole(answer: Bytes) -> Result<Self> {
        let piece = read(Ok(answer))?;
        let chunks = stream::once(async { Ok(piece.data) }).boxed();
        Ok(Self { content_type: media_type(&piece.content_type)?, chunks })
    }
}

fn read(piece: Result<Bytes, Status>) -> Result<Piece> {
    Piece::decode(piece.map_err(Fault::from)?).map_err(Fault::internal)
}

fn media_type(text: &str) -> Result<HeaderValue> {
    if text.is_empty() {
        return Ok(HeaderValue::from_static("application/octet-stream"));
    }
    HeaderValue::from_str(text).map_err(Fault::internal)
}
