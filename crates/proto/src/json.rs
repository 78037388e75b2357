//! Messages as JSON outside: proto3 JSON with defaults written, 64-bit integers as numbers, and enum values under their
//! short names (2.1 of the public contract). The gateway's answers and the objects in events are written by the same
//! code, so that what an event says of a wallet is what a GET of it answers.

mod structure;

pub use structure::to_struct;

use crate::Contract;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::Message;
use prost_reflect::{
    DynamicMessage, EnumValueDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, SerializeOptions,
    Value,
};
use std::io::Write;

pub(crate) const TIMESTAMP: &str = "google.protobuf.Timestamp";
pub(crate) const STRUCT: &str = "google.protobuf.Struct";

type Result<T> = std::result::Result<T, JsonError>;

/// A message that does not come out as JSON: the bytes are not what the contract names. A bug, or a service of another
/// version.
#[derive(Debug, thiserror::Error)]
#[error("not a message of the contract: {0}")]
pub struct JsonError(String);

impl JsonError {
    fn of(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// Writes messages of one type as the gateway answers them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AnswerJson {
    descriptor: MessageDescriptor,
}

impl AnswerJson {
    /// For messages of this full name: `beem.ledger.v1.Wallet`.
    ///
    /// # Errors
    /// When the contract has no such message.
    pub fn new(contract: &Contract, message: &str) -> Result<Self> {
        let descriptor = contract.pool.get_message_by_name(message);
        let descriptor = descriptor.ok_or_else(|| JsonError::of(format!("there is no {message}")))?;
        Ok(Self { descriptor })
    }

    /// # Errors
    /// When the message is not of this type. Types are told apart by their bytes only: give it the right one.
    pub fn of(&self, message: &impl Message) -> Result<serde_json::Value> {
        let mut out = Vec::new();
        write_answer(&self.descriptor, &message.encode_to_vec(), &mut out)?;
        serde_json::from_slice(&out).map_err(|e| JsonError::of(e.to_string()))
    }
}

/// Appends an encoded message as JSON: fields in the order of their numbers, defaults written, optional and message
/// fields left out when absent, 64-bit integers as numbers, times by RFC 3339 in UTC.
///
/// # Errors
/// When the bytes are no such message.
pub fn write_answer(descriptor: &MessageDescriptor, encoded: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let message =
        DynamicMessage::decode(descriptor.clone(), encoded).map_err(|e| JsonError::of(e.to_string()))?;
    object(&message, out)
}

fn object(message: &DynamicMessage, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'{');
    let mut first = true;
    for field in message.descriptor().fields() {
        if field.supports_presence() && !message.has_field(&field) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        // A JSON name is letters and digits: nothing in it needs an escape.
        out.push(b'"');
        out.extend_from_slice(field.json_name().as_bytes());
        out.extend_from_slice(b"\":");
        value(&field.kind(), &message.get_field(&field), out)?;
    }
    out.push(b'}');
    Ok(())
}

fn value(kind: &Kind, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::I32(n) => display(n, out)?,
        Value::I64(n) => display(n, out)?,
        Value::U32(n) => display(n, out)?,
        Value::U64(n) => display(n, out)?,
        Value::F32(n) => json(n, out)?,
        Value::F64(n) => json(n, out)?,
        Value::String(text) => json(text, out)?,
        Value::Bytes(bytes) => json(&BASE64_STANDARD.encode(bytes), out)?,
        Value::EnumNumber(number) => match kind {
            Kind::Enum(descriptor) => match descriptor.get_value(*number) {
                Some(named) => json(&public_name(&named), out)?,
                None => display(number, out)?,
            },
            _ => return Err(JsonError::of("an enum number in a field that is none")),
        },
        Value::Message(inner) => message(inner, out)?,
        Value::List(items) => list(kind, items, out)?,
        Value::Map(entries) => map(kind, entries.iter().collect(), out)?,
    }
    Ok(())
}

fn message(inner: &DynamicMessage, out: &mut Vec<u8>) -> Result<()> {
    let descriptor = inner.descriptor();
    let name = descriptor.full_name();
    if name == TIMESTAMP {
        return timestamp(inner, out);
    }
    if name == STRUCT {
        return structure::object(inner, out);
    }
    if name.starts_with("google.protobuf.") {
        let options = SerializeOptions::new().stringify_64_bit_integers(false).skip_default_fields(false);
        let mut json = serde_json::Serializer::new(out);
        return inner.serialize_with_options(&mut json, &options).map_err(|e| JsonError::of(e.to_string()));
    }
    object(inner, out)
}

fn timestamp(inner: &DynamicMessage, out: &mut Vec<u8>) -> Result<()> {
    let seconds = inner.get_field_by_name("seconds").and_then(|v| v.as_i64()).unwrap_or_default();
    let nanos = inner.get_field_by_name("nanos").and_then(|v| v.as_i32()).unwrap_or_default();
    // prost's own text: `2026-07-30T12:00:00Z`, with 3, 6 or 9 decimals when there are any.
    write!(out, "\"{}\"", prost_types::Timestamp { seconds, nanos }).map_err(|e| JsonError::of(e.to_string()))
}

fn list(kind: &Kind, items: &[Value], out: &mut Vec<u8>) -> Result<()> {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        value(kind, item, out)?;
    }
    out.push(b']');
    Ok(())
}

/// In the order of the keys, so that equal answers are equal texts.
fn map(kind: &Kind, mut entries: Vec<(&MapKey, &Value)>, out: &mut Vec<u8>) -> Result<()> {
    let Kind::Message(entry) = kind else {
        return Err(JsonError::of("a map whose entries are no messages"));
    };
    let kind = entry.map_entry_value_field().kind();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    out.push(b'{');
    for (at, (key, item)) in entries.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match key {
            MapKey::Bool(b) => write!(out, "\"{b}\"").map_err(|e| JsonError::of(e.to_string()))?,
            MapKey::I32(n) => write!(out, "\"{n}\"").map_err(|e| JsonError::of(e.to_string()))?,
            MapKey::I64(n) => write!(out, "\"{n}\"").map_err(|e| JsonError::of(e.to_string()))?,
            MapKey::U32(n) => write!(out, "\"{n}\"").map_err(|e| JsonError::of(e.to_string()))?,
            MapKey::U64(n) => write!(out, "\"{n}\"").map_err(|e| JsonError::of(e.to_string()))?,
            MapKey::String(text) => json(text, out)?,
        }
        out.push(b':');
        value(&kind, item, out)?;
    }
    out.push(b'}');
    Ok(())
}

pub(super) fn display(number: &impl std::fmt::Display, out: &mut Vec<u8>) -> Result<()> {
    write!(out, "{number}").map_err(|e| JsonError::of(e.to_string()))
}

pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(out, value).map_err(|e| JsonError::of(e.to_string()))
}

/// `ACTIVE` for `CHANNEL_STATUS_ACTIVE` of `ChannelStatus`; a name without the prefix stays as it is.
#[must_use]
pub fn public_name(value: &EnumValueDescriptor) -> String {
    let name = value.name();
    let prefix = screaming(value.parent_enum().name());
    match name.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('_')) {
        Some(short) if !short.is_empty() => short.to_owned(),
        _ => name.to_owned(),
    }
}

fn screaming(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len().saturating_add(4));
    for (at, letter) in camel.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::v1::Client;

    #[test]
    fn a_client_reads_as_its_get_answers_it() {
        let json = AnswerJson::new(&Contract::load().unwrap(), "beem.identity.v1.Client").unwrap();
        let client = Client {
            id: "i".into(),
            roles_version: 7,
            date_created: Some(crate::to_timestamp(1_800_000_000_000)),
            ..Client::default()
        };
        let expected = serde_json::json!({
            "id": "i", "clientId": "", "accountId": "", "name": "", "enabled": false, "publicKey": "",
            "keyAlgorithm": "", "keyFingerprint": "", "networkWhitelist": [], "roles": [], "roleCount": 0,
            "rolesVersion": 7, "createdBy": "", "dateCreated": "2027-01-15T08:00:00Z",
        });
        assert_eq!(json.of(&client).unwrap(), expected);
    }

    #[test]
    fn what_is_no_message_of_the_contract_is_said() {
        let contract = Contract::load().unwrap();
        let missing = AnswerJson::new(&contract, "beem.identity.v1.Nothing").unwrap_err();
        assert!(missing.to_string().contains("beem.identity.v1.Nothing"));
        let json = AnswerJson::new(&contract, "beem.identity.v1.Client").unwrap();
        // Its first field is a number where a client has a text.
        let other = prost_types::Timestamp { seconds: 7, nanos: 0 };
        json.of(&other).unwrap_err();
    }
}
