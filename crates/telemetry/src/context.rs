//! W3C Trace Context (<https://www.w3.org/TR/trace-context-2/>): reads and writes `traceparent` and `tracestate`. Strict, and
//! with one answer to anything malformed: there was no trace. A caller must not be refused for a header that only serves us.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` + 32 + `-` + 16 + `-` + 2 characters (section 3.2.2).
const TRACEPARENT_BYTES: usize = 55;
/// What we carry of `tracestate`; a longer one is dropped. Section 3.3.1.5 asks for at least 512.
const TRACESTATE_MAX_BYTES: usize = 512;

/// The caller's span, or `None` without exactly one well-formed `traceparent`. A bad `tracestate` is dropped by itself.
pub(crate) fn read(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (trace, span, flags) = parse_parent(parents.next()?.as_bytes())?;
    if parents.next().is_some() {
        return None;
    }
    Some(SpanContext::new(trace, span, flags, true, read_state(headers)))
}

/// Replaces both headers by those of `span`.
pub(crate) fn write(span: &SpanContext, headers: &mut HeaderMap) {
    let parent = format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    let Ok(parent) = HeaderValue::try_from(parent) else { return };
    headers.insert(TRACEPARENT, parent);
    match HeaderValue::try_from(span.trace_state().header()) {
        Ok(state) if !state.is_empty() => headers.insert(TRACESTATE, state),
        Ok(_) | Err(_) => headers.remove(TRACESTATE),
    };
}

/// A new trace that nobody records, drawn from the SDK's thread-local generator: ids of traces guard nothing.
pub(crate) fn fresh() -> SpanContext {
    let ids = RandomIdGenerator::default();
    SpanContext::new(ids.new_trace_id(), ids.new_span_id(), TraceFlags::NOT_SAMPLED, false, TraceState::NONE)
}

fn parse_parent(header: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, further) = header.split_at_checked(TRACEPARENT_BYTES)?;
    let mut fields = std::str::from_utf8(known).ok()?.split('-');
    let version = lower_hex(fields.next()?, 2)?;
    let trace = TraceId::from(lower_hex(fields.next()?, 32)?);
    let span = SpanId::from(u64::try_from(lower_hex(fields.next()?, 16)?).ok()?);
    let flags = u8::try_from(lower_hex(fields.next()?, 2)?).ok()?;
    // Version 0 ends here; a later one may go on behind another dash; 255 is forbidden (section 3.2.2.1).
    let ends_well = match version {
        0 => further.is_empty(),
        255 => false,
        _ => matches!(further.first(), None | Some(b'-')),
    };
    let valid = trace != TraceId::INVALID && span != SpanId::INVALID && ends_well && fields.next().is_none();
    valid.then_some((trace, span, TraceFlags::new(flags) & TraceFlags::SAMPLED))
}

/// Exactly `digits` lower-case hexadecimal digits; `from_str_radix` alone takes upper case and a sign.
fn lower_hex(field: &str, digits: usize) -> Option<u128> {
    let plain = field.len() == digits && field.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u128::from_str_radix(field, 16).ok()).flatten()
}

fn read_state(headers: &HeaderMap) -> TraceState {
    let mut list = String::new();
    for value in headers.get_all(TRACESTATE) {
        let Ok(value) = value.to_str() else { return TraceState::NONE };
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(value);
        if list.len() > TRACESTATE_MAX_BYTES {
            return TraceState::NONE;
        }
    }
    if list.is_empty() { TraceState::NONE } else { list.parse().unwrap_or(TraceState::NONE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn what_is_read_is_written_again() {
        let given = headers(&[("traceparent", GOOD), ("tracestate", "a=1,b@c=2"), ("tracestate", "d=3")]);
        let mut written = headers(&[("traceparent", "old"), ("tracestate", "old")]);
        write(&read(&given).unwrap(), &mut written);
        assert_eq!(written.get("traceparent").unwrap(), GOOD);
        assert_eq!(written.get("tracestate").unwrap(), "a=1,b@c=2,d=3");
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-what-comes";
        let span = read(&headers(&[("traceparent", later)])).unwrap();
        assert_eq!(span.trace_flags(), TraceFlags::SAMPLED);
        assert!(
            read(&headers(&[("traceparent", "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ffx")]))
                .is_none()
        );
    }

    #[test]
    fn a_malformed_parent_is_no_parent() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(read(&headers(&[("traceparent", bad)])).is_none(), "{bad}");
        }
        assert!(read(&headers(&[("traceparent", GOOD), ("traceparent", GOOD)])).is_none());
        let mut binary = HeaderMap::new();
        binary.insert("traceparent", HeaderValue::from_bytes(&[0xff; 55]).unwrap());
        assert!(read(&binary).is_none());
    }

    #[test]
    fn a_bad_state_is_dropped_and_the_parent_kept() {
        let long = format!("a={}", "x".repeat(600));
        for bad in ["no-equals-sign", "UPPER=1", long.as_str()] {
            let span = read(&headers(&[("traceparent", GOOD), ("tracestate", bad)])).unwrap();
            assert_eq!(span.trace_state().header(), "", "{bad}");
        }
    }

    #[test]
    fn fresh_traces_are_valid_and_differ() {
        let (one, other) = (fresh(), fresh());
        assert!(one.is_valid() && other.is_valid());
        assert_ne!(one.trace_id(), other.trace_id());
    }
}
