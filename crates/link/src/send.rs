//! One call over a link: dress the request, send it under its deadline, and turn whatever the transport says into a gRPC
//! answer, so that a local and a remote peer fail alike. A remote attempt is repeated only when it certainly did not
//! reach the peer (no connection, or the peer refused the stream while it drained).

use crate::answer::bounded;
use crate::{DEFAULT_DEADLINE, Link, Transport};
use beem_caller::{Call, metadata};
use bytes::Bytes;
use http::HeaderValue;
use http::header::HeaderMap;
use http_body_util::{BodyExt, Full};
use prost::Message;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

/// Between attempts at a peer that cannot be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A peer that stays unreachable this long is reported, however far the deadline is.
const RETRY_FOR: Duration = Duration::from_secs(2);

pub async fn send(link: Link, mut request: http::Request<Body>) -> Result<http::Response<Body>, Infallible> {
    let began = Instant::now();
    let method = request.uri().path().to_owned();
    let call = beem_caller::current();
    let deadline = deadline(&call, request.headers(), began);
    let span = beem_telemetry::client_span(&method, &link.target.audience);
    dress(&link, call.as_ref(), request.headers_mut(), deadline, began);
    beem_telemetry::inject_span(&span, request.headers_mut());
    let answer = match link.transport.clone() {
        // A deadline that has passed is not a short one: nothing is sent, in either shape.
        _ if deadline <= began => late().into_http(),
        Transport::Local(service) => match timeout_at(deadline, service.oneshot(request)).await {
            Ok(Ok(answer)) => answer,
            Err(_) => late().into_http(),
        },
        Transport::Remote(channel) => {
            timeout_at(deadline, remote(channel, request, began)).await.unwrap_or_else(|_| late().into_http())
        }
    };
    let code = Status::from_header_map(answer.headers()).map_or(Code::Ok, |s| s.code());
    beem_telemetry::client_outcome(&span, code);
    link.target.telemetry.meters().rpc_client(&method, code, began.elapsed().as_secs_f64());
    Ok(bounded(answer, deadline))
}

/// The nearest of: what the caller asked for, what is left of the call being served, the default.
fn deadline(call: &Option<Call>, headers: &HeaderMap, now: Instant) -> Instant {
    let asked = headers.get("grpc-timeout").and_then(|v| v.to_str().ok()).and_then(parse_timeout);
    let own = asked.map(|t| now + t);
    let outer = call.as_ref().map(|c| c.deadline);
    match (own, outer) {
        (Some(own), Some(outer)) => own.min(outer),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => now + DEFAULT_DEADLINE,
    }
}

fn dress(link: &Link, call: Option<&Call>, headers: &mut HeaderMap, deadline: Instant, now: Instant) {
    let left = deadline.saturating_duration_since(now).as_millis().min(99_999_999);
    set(headers, "grpc-timeout", format!("{left}m"));
    set(headers, metadata::SERVICE_TOKEN, link.target.identity.token_for(&link.target.audience));
    set(headers, metadata::AUDIENCE, &link.target.audience);
    if let Some(call) = call {
        if let Some(request) = call.request {
            set(headers, metadata::REQUEST_ID, request.to_string());
        }
        if let Some(actor) = &call.record
            && !headers.contains_key(metadata::ACTOR)
        {
            let value = tonic::metadata::BinaryMetadataValue::from_bytes(&actor.to_wire().encode_to_vec());
            set(headers, metadata::ACTOR_RECORD, value.as_encoded_bytes());
        }
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: impl AsRef<[u8]>) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
        headers.insert(name, value);
    }
}

async fn remote(channel: Channel, request: http::Request<Body>, began: Instant) -> http::Response<Body> {
    let (parts, body) = request.into_parts();
    let body: Bytes = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(status) => return status.into_http(),
    };
    loop {
        let request = http::Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
        let mut channel = channel.clone();
        let outcome = match channel.ready().await {
            Ok(ready) => ready.call(request).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(answer) => return answer.map(|body| Body::new(body.map_err(broken_off))),
            Err(error) if !was_sent(&error) && began.elapsed() < RETRY_FOR => sleep(RETRY_PAUSE).await,
            // The channel keeps the deadline, too, and may be a moment before us.
            Err(error) if is_late(&error) => return late().into_http(),
            Err(error) => {
                tracing::debug!(error = ?error, method = parts.uri.path(), "the peer could not be reached");
                return away().into_http();
            }
        }
    }
}

/// Whether the request may have reached the peer. Only what is certain says no: the connection was never made, it ended
/// before the request was written, or the peer closed the stream unread (`REFUSED_STREAM`, or a `GOAWAY` without an
/// error: RFC 9113, sections 6.8 and 8.7).
fn was_sent(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<tonic::ConnectError>() {
            return false;
        }
        // hyper cancels what still waits for its turn when a connection ends: none of it was written.
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return false;
        }
        if let Some(h2) = cause.downcast_ref::<h2::Error>() {
            let unread = h2.is_remote() && h2.is_go_away() && h2.reason() == Some(h2::Reason::NO_ERROR);
            return !(unread || h2.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return false;
        }
        next = cause.source();
    }
    true
}

/// A peer that dies in the middle of its answer is away, and whether it did what it was asked is unknown. The transport
/// would call it an internal error, or an unknown one.
fn broken_off(status: Status) -> Status {
    tracing::debug!(%status, "an answer broke off");
    away()
}

fn is_late(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<tonic::TimeoutExpired>() {
            return true;
        }
        next = cause.source();
    }
    false
}

pub fn late() -> Status {
    beem_fault::Fault::deadline().into()
}

pub fn away() -> Status {
    beem_fault::Fault::new(beem_fault::Code::Unavailable, "a part of the system is away, try again").into()
}

/// `grpc-timeout` as the gRPC protocol writes it: up to eight digits and a unit.
pub fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(n.saturating_mul(3600)),
        "M" => Duration::from_secs(n.saturating_mul(60)),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outs_parse_as_the_protocol_writes_them() {
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("3S"), Some(Duration::from_secs(3)));
        for bad in ["", "m", "1", "1x", "123456789m", "-1S", "1.5S", "é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }
}
