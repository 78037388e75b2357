//! Moments as protobuf timestamps and back; milliseconds are what we keep.

use prost_types::Timestamp;

/// From Unix milliseconds.
#[must_use]
pub fn to_timestamp(unix_ms: i64) -> Timestamp {
    let nanos = i32::try_from(unix_ms.rem_euclid(1000)).unwrap_or(0).saturating_mul(1_000_000);
    Timestamp { seconds: unix_ms.div_euclid(1000), nanos }
}

/// To Unix milliseconds; saturates.
#[must_use]
pub fn from_timestamp(at: &Timestamp) -> i64 {
    at.seconds.saturating_mul(1000).saturating_add(i64::from(at.nanos / 1_000_000))
}
