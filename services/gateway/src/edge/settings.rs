//! The edge's bounds, each with its unit in its name. The defaults are the public contract's (2.2 "Edge"); tests choose
//! shorter times through the same fields.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much the edge takes from one request, one connection, one address and all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeSettings {
    /// Field lines in one head, and in the trailers of one chunked body. More is 431.
    pub header_fields: usize,
    /// Bytes of all field lines of a head, names, values and separators. More is 431.
    pub header_bytes: usize,
    /// Bytes of the request target as written. More is 414.
    pub target_bytes: usize,
    /// Bytes of one request body. More, declared or received, is 413.
    pub body_bytes: usize,
    /// Bytes of all bodies that are held at one time. A body that does not fit is 503, and its connection closes.
    pub bodies_bytes: usize,
    /// From a head's first byte to its last, milliseconds. Longer is 408.
    pub head_ms: u64,
    /// From the moment a body is asked for until its last byte, milliseconds. Longer is 408.
    pub body_ms: u64,
    /// A connection on which nothing happens is closed without an answer after this, milliseconds.
    pub idle_ms: u64,
    /// A peer that takes not one byte of an answer for this long is cut off, milliseconds. Over HTTP/2 an answer of which
    /// the peer makes no room for a further piece for this long is broken off, whatever else the connection does.
    pub write_stall_ms: u64,
    /// After the last answer the edge stops sending and waits this long for the peer's end, milliseconds: closing at once
    /// while bytes arrive would reset the connection, and the peer would lose the answer.
    pub linger_ms: u64,
    /// Open connections in all. Further ones are closed at once.
    pub connections: usize,
    /// Open connections of one IPv4 address or IPv6 /64. Further ones are closed at once.
    pub connections_per_address: usize,
    /// Concurrent HTTP/2 streams of one connection.
    pub streams: u32,
    /// An HTTP/2 peer is pinged this often, and has as long again to answer, milliseconds.
    pub ping_ms: u64,
    /// From the start of a drain until connections still open are cut off, milliseconds.
    pub drain_ms: u64,
    /// During a drain an idle HTTP/1 connection is kept this long, milliseconds, so that a request on its way is still
    /// answered, with `Connection: close`, and its sender learns to go elsewhere.
    pub drain_idle_ms: u64,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            header_fields: 100,
            header_bytes: 16 * 1024,
            target_bytes: 8 * 1024,
            body_bytes: 1024 * 1024,
            bodies_bytes: 256 * 1024 * 1024,
            head_ms: 10_000,
            body_ms: 30_000,
            idle_ms: 75_000,
            write_stall_ms: 30_000,
            linger_ms: 2_000,
            connections: 10_000,
            connections_per_address: 1_000,
            streams: 200,
            ping_ms: 20_000,
            drain_ms: 25_000,
            drain_idle_ms: 1_000,
        }
    }
}

/// The name of a unit in one place: milliseconds as a duration.
pub(super) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
