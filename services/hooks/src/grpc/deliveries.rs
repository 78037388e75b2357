//! Deliveries and attempts: wire to domain and back.

use super::convert::timestamp;
use crate::domain::{Attempt, Delivery, Status};
use beem_fault::{Fault, Result};
use beem_ids::DeliveryId;
use beem_proto::hooks::v1 as wire;

/// Characters of an event type at most.
const LONGEST_EVENT: usize = 200;

/// Of what a receiver answered, bytes of text at most: a full page of attempts must fit into an answer.
const LONGEST_ANSWER: usize = 4 * 1024;

/// The id of a delivery in a path.
///
/// # Errors
/// `not-found` for what is no id: no delivery has it.
pub fn delivery_id(text: &str) -> Result<DeliveryId> {
    text.parse().map_err(|_| Fault::not_found("delivery"))
}

/// A status to filter by; None is all.
///
/// # Errors
/// `validation-failed` naming `status`.
pub fn status(text: &str) -> Result<Option<Status>> {
    if text.is_empty() {
        return Ok(None);
    }
    let known = Status::parse(text);
    known.map(Some).ok_or_else(|| Fault::field("status", "PENDING, DELIVERED or FAILED"))
}

/// A type of events to filter by, also one that this release does not know; None is all.
///
/// # Errors
/// `validation-failed` naming `event`.
pub fn event(text: &str) -> Result<Option<&str>> {
    if text.is_empty() {
        return Ok(None);
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b':' | b'-');
    if text.len() > LONGEST_EVENT || !text.bytes().all(plain) {
        return Err(Fault::field("event", "not an event type: see /platform/v1/hook-events"));
    }
    Ok(Some(text))
}

/// A delivery with these of its attempts. `enabled` is what its hook is: to one that is not, nothing is sent.
#[must_use]
pub fn delivery(delivery: &Delivery, attempts: &[Attempt], enabled: bool) -> wire::Delivery {
    let next = delivery.next.filter(|_| enabled && delivery.status == Status::Pending);
    wire::Delivery {
        id: delivery.id.to_string(),
        hook_id: delivery.hook.to_string(),
        event_id: delivery.event_id.to_string(),
        event: delivery.event.clone(),
        status: delivery.status.as_str().to_owned(),
        attempts: attempts.iter().map(attempt).collect(),
        attempt_count: delivery.attempts,
        next_attempt_at: next.map(timestamp),
        date_created: Some(timestamp(delivery.created)),
    }
}

/// An attempt with as much of the receiver's answer as was read.
#[must_use]
pub fn attempt(attempt: &Attempt) -> wire::Attempt {
    let cut = |answer: &String| answer.split_at(answer.floor_char_boundary(LONGEST_ANSWER)).0.to_owned();
    wire::Attempt {
        time: Some(timestamp(attempt.time)),
        status_code: attempt.status_code,
        error: attempt.error.clone(),
        duration_ms: attempt.duration_ms,
        answer: attempt.answer.as_ref().map(cut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::Moment;

    #[test]
    fn filters_are_what_can_be_found() {
        assert_eq!(status("").unwrap(), None);
        assert_eq!(status("FAILED").unwrap(), Some(Status::Failed));
        assert_eq!(status("failed").unwrap_err().fields[0].field, "status");
        assert_eq!(event("").unwrap(), None);
        assert_eq!(event("layer1:hook:test").unwrap(), Some("layer1:hook:test"));
        for wrong in ["layer1:Hook", "a b", "a\0", "ü", "x".repeat(201).as_str()] {
            assert_eq!(event(wrong).unwrap_err().fields[0].field, "event", "{wrong}");
        }
    }

    #[test]
    fn what_a_receiver_answered_is_cut_between_characters() {
        let kept = |answer: &str| Attempt {
            time: Moment::from_unix_ms(1),
            duration_ms: 2,
            status_code: Some(200),
            error: None,
            answer: Some(answer.to_owned()),
        };
        assert_eq!(attempt(&kept("ok")).answer.unwrap(), "ok");
        let replaced = "\u{fffd}".repeat(LONGEST_ANSWER);
        assert_eq!(attempt(&kept(&replaced)).answer.unwrap(), "\u{fffd}".repeat(LONGEST_ANSWER / 3));
    }
}
