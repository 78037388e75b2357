//! The body that is posted for an event. It is made once, when the event is taken in, and is the same bytes ever after: in
//! every attempt, in every replay, to every hook.

use beem_clock::Moment;
use beem_events::Event;
use beem_fault::{Fault, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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

/// The same as it is read again, by whoever pulls.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Posted {
    pub source: String,
    pub event: String,
    pub event_id: String,
    timestamp: String,
    pub account_id: String,
    pub sequence: u64,
    pub data: Map<String, Value>,
}

/// The envelope with the event's data in it, as JSON that [`read_body`] reads.
///
/// # Errors
/// `internal` when its data is no JSON object, or one that no reader of ours takes: nested deeper than 127 with the envelope,
/// or with a number beyond those of a double.
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
    let body = serde_json::to_string(&envelope).map_err(Fault::internal)?;
    read_body(&body)?.time()?;
    Ok(body)
}

/// A body as it was made here.
///
/// # Errors
/// `internal` when it is none.
pub fn read_body(body: &str) -> Result<Posted> {
    serde_json::from_str(body).map_err(Fault::internal)
}

impl Posted {
    /// When it happened.
    ///
    /// # Errors
    /// `internal` when it does not say.
    pub fn time(&self) -> Result<Moment> {
        let time = OffsetDateTime::parse(&self.timestamp, &Rfc3339).map_err(Fault::internal)?;
        let ms = time.unix_timestamp_nanos().checked_div(1_000_000).map(i64::try_from);
        ms.and_then(Result::ok).map(Moment::from_unix_ms).ok_or_else(|| Fault::internal("no such moment"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::Entropy;
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
        let posted = read_body(&text).unwrap();
        assert_eq!((posted.time().unwrap(), posted.sequence, posted.data.len()), (now, 2, 2));
        let deep = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        event.data = deep(126);
        body(&event).unwrap();
        for odd in
            ["{", "[]", "null", "7", r#""text""#, r#"{"n": 1e999}"#, "{} {}", &deep(127), &deep(10_000)]
        {
            event.data = odd.into();
            assert!(body(&event).is_err(), "{:.40}", odd);
        }
        event.data = "{}".into();
        event.time = Moment::from_unix_ms(i64::MAX);
        assert!(body(&event).is_ok_and(|text| read_body(&text).unwrap().time().is_ok()), "whatever it says");
        event.time = Moment::from_unix_ms(-100_000_000_000_000);
        assert!(body(&event).is_err(), "before our era");
    }
}
