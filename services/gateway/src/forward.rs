//! Inward: the caller, or the visitor of a public method, sealed for this one call, the call over its service's link, the answer as JSON (or as the bytes of an
//! export). What goes inward is always a fresh gRPC request.

use crate::edge::{self, EdgeBody};
use crate::transcode::{self, RawBody, RawCodec};
use beem_caller::{Sealer, Subject, metadata};
use beem_clock::Moment;
use beem_fault::{Code, Fault};
use beem_link::Link;
use beem_proto::Method;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderValue, Response, StatusCode};
use std::collections::BTreeMap;
use tonic::Request;
use tonic::metadata::{BinaryMetadataValue, MetadataMap};

/// The ways inward, by service. Cheap to clone.
#[derive(Clone)]
pub struct Forward {
    links: BTreeMap<String, Link>,
    sealer: Sealer,
}

impl Forward {
    #[must_use]
    pub const fn new(links: BTreeMap<String, Link>, sealer: Sealer) -> Self {
        Self { links, sealer }
    }

    /// Calls the method for somebody with an encoded request message.
    ///
    /// # Errors
    /// What the service answered, or `unavailable` when it is not part of this installation or away.
    pub async fn call(
        &self,
        method: &Method,
        subject: &Subject,
        message: Vec<u8>,
        now: Moment,
    ) -> Result<Response<EdgeBody>, Refused> {
        let link = self.links.get(&method.owner).cloned();
        let link =
            link.ok_or_else(|| Fault::new(Code::Unavailable, "this part of the system is not running"))?;
        let mut request = Request::new(Bytes::from(message));
        let sealed = self.sealer.seal(subject, &method.owner, &method.path, request.get_ref(), now)?;
        let values = request.metadata_mut();
        values.insert_bin(metadata::ACTOR, BinaryMetadataValue::from_bytes(&sealed.actor));
        values.insert_bin(metadata::ACTOR_SEAL, BinaryMetadataValue::from_bytes(&sealed.seal));
        let path = PathAndQuery::try_from(method.path.as_str()).map_err(Fault::internal)?;
        let mut grpc = tonic::client::Grpc::new(link);
        grpc.ready().await.map_err(Fault::unavailable)?;
        if method.descriptor.is_server_streaming() {
            let answer = grpc.server_streaming(request, path, RawCodec).await.map_err(refused)?;
            let (values, pieces, _) = answer.into_parts();
            return Ok(raw(method, &values, RawBody::open(pieces).await?)?);
        }
        let answer = grpc.unary(request, path, RawCodec).await.map_err(refused)?;
        let (values, message, _) = answer.into_parts();
        if transcode::is_raw(method) {
            return Ok(raw(method, &values, RawBody::whole(message)?)?);
        }
        let json = transcode::encode(method, &message)?;
        Ok(respond(method, &values, edge::full(json), HeaderValue::from_static("application/json"))?)
    }
}

/// A call that ended in a fault.
#[derive(Debug)]
pub struct Refused {
    pub fault: Fault,
    /// It was given before under the same request key.
    pub replayed: bool,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { fault, replayed: false }
    }
}

fn refused(status: tonic::Status) -> Refused {
    let replayed = status.metadata().contains_key(metadata::REPLAYED);
    Refused { fault: ours(status.into()), replayed }
}

/// A service that does not believe the gateway is our fault, not the caller's: a key that does not fit, a clock that is off.
#[must_use]
pub fn ours(fault: Fault) -> Fault {
    if fault.code == Code::CallerUnproven { Fault::internal(fault) } else { fault }
}

fn raw(method: &Method, values: &MetadataMap, body: RawBody) -> Result<Response<EdgeBody>, Fault> {
    let name = method.name.clone();
    let chunks = body.chunks.map(move |chunk| {
        chunk.map_err(|fault| {
            // The head is out: all that is left is to break the answer off, and to say so here.
            tracing::warn!(method = name, reason = ?fault, "an answer broke off in the middle");
            fault.into()
        })
    });
    respond(method, values, edge::stream(chunks), body.content_type)
}

fn respond(
    method: &Method,
    values: &MetadataMap,
    body: EdgeBody,
    content_type: HeaderValue,
) -> Result<Response<EdgeBody>, Fault> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(method.success_status()).map_err(Fault::internal)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if values.contains_key(metadata::REPLAYED) {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}
