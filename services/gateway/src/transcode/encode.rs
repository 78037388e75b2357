//! From the bytes of an answer to its JSON, written straight into the buffer that is sent.

use super::{STRUCT, TIMESTAMP, public_name, structure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use beem_fault::{Fault, Result};
use beem_proto::Method;
use bytes::Bytes;
use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage, SerializeOptions, Value};
use std::io::Write;

/// The answer of a method as proto3 JSON: fields in the order of their numbers, defaults written, optional and message
/// fields left out when absent, 64-bit integers as numbers, times by RFC 3339 in UTC.
///
/// # Errors
/// `internal` when the bytes are not the answer the contract names: the service is of another version.
pub fn encode(method: &Method, answer: &[u8]) -> Result<Bytes> {
    let message = DynamicMessage::decode(method.descriptor.output(), answer).map_err(Fault::internal)?;
    let mut out = Vec::with_capacity(answer.len().saturating_mul(3).saturating_add(128));
    object(&message, &mut out)?;
    Ok(out.into())
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
            _ => return Err(Fault::internal("an enum number in a field that is none")),
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
        return inner.serialize_with_options(&mut json, &options).map_err(Fault::internal);
    }
    object(inner, out)
}

fn timestamp(inner: &DynamicMessage, out: &mut Vec<u8>) -> Result<()> {
    let seconds = inner.get_field_by_name("seconds").and_then(|v| v.as_i64()).unwrap_or_default();
    let nanos = inner.get_field_by_name("nanos").and_then(|v| v.as_i32()).unwrap_or_default();
    // prost's own text: `2026-07-30T12:00:00Z`, with 3, 6 or 9 decimals when there are any.
    write!(out, "\"{}\"", prost_types::Timestamp { seconds, nanos }).map_err(Fault::internal)
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
        return Err(Fault::internal("a map whose entries are no messages"));
    };
    let kind = entry.map_entry_value_field().kind();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    out.push(b'{');
    for (at, (key, item)) in entries.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match key {
            MapKey::Bool(b) => write!(out, "\"{b}\"").map_err(Fault::internal)?,
            MapKey::I32(n) => write!(out, "\"{n}\"").map_err(Fault::internal)?,
            MapKey::I64(n) => write!(out, "\"{n}\"").map_err(Fault::internal)?,
            MapKey::U32(n) => write!(out, "\"{n}\"").map_err(Fault::internal)?,
            MapKey::U64(n) => write!(out, "\"{n}\"").map_err(Fault::internal)?,
            MapKey::String(text) => json(text, out)?,
        }
        out.push(b':');
        value(&kind, item, out)?;
    }
    out.push(b'}');
    Ok(())
}

pub(super) fn display(number: &impl std::fmt::Display, out: &mut Vec<u8>) -> Result<()> {
    write!(out, "{number}").map_err(Fault::internal)
}

pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(out, value).map_err(Fault::internal)
}
