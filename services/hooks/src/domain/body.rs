//! The body that is posted for an event. It is made once, when the event is taken in, and is the same bytes ever after: in
//! every attempt, in every replay, to every hook.

use beem_events::Event;
use beem_fault::{Fault, Result};
use serde::Serialize;
use serde_json::value::RawValue;

/// In this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    source: &'a str,
    event: &'a str,
    event_id: String,
    /// RFC 3339, UTC, milliseconds.
    timestamp: String,
    account_id: String,
    sequence: u64,
    data: &'a RawValue,
}

/// The envelope with the event's data in it, as JSON.
///
/// # Errors
/// `internal` when its data is no JSON.
pub fn body(event: &Event) -> Result<String> {
    let data: &RawValue = serde_json::from_str(&event.data).map_err(Fault::internal)?;
    let envelope = Envelope {
        source: &event.source,
        event: &event.event,
        event_id: event.event_id.to_string(),
        timestamp: event.time.rfc3339(),
        account_id: event.account_id.to_string(),
        sequence: event.sequence,
        data,
    };
    serde_json::to_string(&envelope).map_err(Fault::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::{Entropy, Moment};
    use beem_ids::{AccountId, EventId};

    #[test]
    fn data_is_put_in_as_it_is() {
        let (now, entropy) = (Moment::from_unix_ms(1_800_000_000_123), Entropy::System);
        let mut event = Event {
            position: 7,
            event_id: EventId::draw(now, &entropy),
            account_id: AccountId::draw(now, &entropy),
            event: "layer1:ledger:wallet:created".into(),
            source: "ledger".into(),
            entity_id: "w".into(),
            sequence: 2,
            time: now,
            data: r#"{"z": 12345678901234567890.10, "a":"ü"}"#.into(),
        };
        let text = body(&event).unwrap();
        assert!(text.ends_with(r#","sequence":2,"data":{"z": 12345678901234567890.10, "a":"ü"}}"#), "{text}");
        assert!(text.starts_with(r#"{"source":"ledger","event":"layer1:ledger:wallet:created","eventId":""#));
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["timestamp"], now.rfc3339());
        assert_eq!(read["accountId"], event.account_id.to_string());
        event.data = "{".into();
        assert!(body(&event).is_err());
    }
}
