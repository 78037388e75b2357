//! One JSON value as the value of one field. Every refusal is `validation-failed` or `unknown-field` and names the path.

use super::json::{Json, Object};
use super::path::{Path, shown};
use super::{TIMESTAMP, enums};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use beem_fault::{Code, Fault, Result};
use beem_proto::schema::{JSON_INTEGER_MAX, is_present_mask};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A field by its JSON name. Proto names are not known outside, and `present` is not a field for anybody outside.
pub(super) fn field_of(message: &MessageDescriptor, name: &str, path: &Path<'_>) -> Result<FieldDescriptor> {
    if let Some(field) = message.get_field_by_json_name(name).filter(|f| !is_present_mask(f)) {
        return Ok(field);
    }
    let meant = message.get_field_by_name(name).filter(|f| !is_present_mask(f));
    let detail = match meant {
        Some(field) => format!("no such field; it is written {}", field.json_name()),
        None => "no such field".to_owned(),
    };
    Err(Fault::field_as(Code::UnknownField, path.text(), detail))
}

/// Fills a message from an object.
pub(super) fn fill(message: &mut DynamicMessage, members: Object<'_>, path: &Path<'_>) -> Result<()> {
    let descriptor = prost_reflect::ReflectMessage::descriptor(message);
    for (name, json) in members {
        let here = Path::Field(path, &name);
        let field = field_of(&descriptor, &name, &here)?;
        set(message, &field, json, &here)?;
    }
    Ok(())
}

/// Sets one field, single or repeated.
pub(super) fn set(
    message: &mut DynamicMessage,
    field: &FieldDescriptor,
    json: Json<'_>,
    path: &Path<'_>,
) -> Result<()> {
    if let Some(choice) = field.containing_oneof()
        && choice.fields().any(|other| message.has_field(&other))
    {
        return Err(invalid(path, format!("only one of the fields of {} may be given", choice.name())));
    }
    let json = if is_money_in_digits(field, &json) { digits_as_text(json) } else { json };
    let value = if field.is_list() { list(field, json, path)? } else { single(&field.kind(), json, path)? };
    message.try_set_field(field, value).map_err(|e| Fault::internal(e.to_string()))
}

/// Whether JSON numbers stand where the contract has money. Asked of numbers only, since finding the mark is work.
fn is_money_in_digits(field: &FieldDescriptor, json: &Json<'_>) -> bool {
    let digits = match json {
        Json::Number(_) => true,
        Json::List(items) => items.iter().any(|item| matches!(item, Json::Number(_))),
        _ => false,
    };
    digits && field.kind() == Kind::String && beem_proto::is_money(field)
}

/// Money is read from its digits as they were written, never through a float: `1.10` stays `1.10`, and `1e3` reaches the
/// service as it is and is refused there, like any other text that is no amount.
fn digits_as_text(json: Json<'_>) -> Json<'_> {
    match json {
        Json::Number(digits) => Json::Text(Cow::Borrowed(digits)),
        Json::List(items) => Json::List(items.into_iter().map(digits_as_text).collect()),
        other => other,
    }
}

fn list(field: &FieldDescriptor, json: Json<'_>, path: &Path<'_>) -> Result<Value> {
    let Json::List(items) = json else { return Err(wrong(path, "a list", &json)) };
    let kind = field.kind();
    let values = items.into_iter().enumerate().map(|(i, item)| single(&kind, item, &Path::Item(path, i)));
    values.collect::<Result<Vec<_>>>().map(Value::List)
}

fn single(kind: &Kind, json: Json<'_>, path: &Path<'_>) -> Result<Value> {
    match kind {
        Kind::Bool => match json {
            Json::Bool(value) => Ok(Value::Bool(value)),
            other => Err(wrong(path, "a boolean", &other)),
        },
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            whole(&json, path, i32::MIN, i32::MAX, false).map(Value::I32)
        }
        Kind::Uint32 | Kind::Fixed32 => whole(&json, path, 0, u32::MAX, false).map(Value::U32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            let most = JSON_INTEGER_MAX.cast_signed();
            whole(&json, path, most.saturating_neg(), most, true).map(Value::I64)
        }
        Kind::Uint64 | Kind::Fixed64 => whole(&json, path, 0, JSON_INTEGER_MAX, true).map(Value::U64),
        Kind::Float => float(&json, path).map(Value::F32),
        Kind::Double => float(&json, path).map(Value::F64),
        Kind::String => text(json, path).map(|t| Value::String(t.into_owned())),
        Kind::Bytes => {
            let encoded = text(json, path)?;
            let bytes =
                BASE64_STANDARD.decode(encoded.as_bytes()).map_err(|_| invalid(path, "must be base64"))?;
            Ok(Value::Bytes(bytes.into()))
        }
        Kind::Enum(descriptor) => {
            let name = text(json, path)?;
            let number = enums::number(descriptor, &name);
            let unknown = || invalid(path, format!("must be one of {}", enums::names(descriptor).join(", ")));
            number.map(Value::EnumNumber).ok_or_else(unknown)
        }
        Kind::Message(descriptor) if descriptor.full_name() == TIMESTAMP => timestamp(descriptor, json, path),
        Kind::Message(descriptor) => match json {
            Json::Object(members) => {
                let mut message = DynamicMessage::new(descriptor.clone());
                fill(&mut message, members, path)?;
                Ok(Value::Message(message))
            }
            other => Err(wrong(path, "an object", &other)),
        },
    }
}

/// A path variable or a query parameter: the same rules, with the text standing for what JSON would have said.
pub(super) fn from_text<'a>(kind: &Kind, text: Cow<'a, str>, path: &Path<'_>) -> Result<Value> {
    let json = match (kind, text) {
        (Kind::Bool, text) => match text.as_ref() {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ => return Err(invalid(path, "must be true or false")),
        },
        (Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Message(_), text) => Json::Text(text),
        (_, text) => return single(kind, Json::Number(&text), path),
    };
    single(kind, json, path)
}

/// A whole number within bounds. In 64 bits its text is taken as well, as proto3 JSON has it.
fn whole<T>(json: &Json<'_>, path: &Path<'_>, least: T, most: T, as_text: bool) -> Result<T>
where
    T: FromStr + PartialOrd + Display,
{
    let digits: &str = match json {
        Json::Number(digits) => digits,
        Json::Text(digits) if as_text => digits,
        other => return Err(wrong(path, "a number", other)),
    };
    let bare = digits.strip_prefix('-').unwrap_or(digits);
    let plain = !bare.is_empty()
        && bare.bytes().all(|b| b.is_ascii_digit())
        && (bare == "0" || !bare.starts_with('0'));
    let number = Some(digits).filter(|_| plain).and_then(|d| d.parse().ok());
    number
        .filter(|n| *n >= least && *n <= most)
        .ok_or_else(|| invalid(path, format!("must be a whole number from {least} to {most}")))
}

trait Finite: FromStr {
    fn finite(&self) -> bool;
}

impl Finite for f32 {
    fn finite(&self) -> bool {
        self.is_finite()
    }
}

impl Finite for f64 {
    fn finite(&self) -> bool {
        self.is_finite()
    }
}

fn float<T: Finite>(json: &Json<'_>, path: &Path<'_>) -> Result<T> {
    let Json::Number(digits) = json else { return Err(wrong(path, "a number", json)) };
    // Query parameters reach this as they were sent; Rust would take "inf" and "1." too.
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'));
    let number = Some(digits).filter(|_| plain).and_then(|d| d.parse::<T>().ok());
    number.filter(Finite::finite).ok_or_else(|| invalid(path, "must be a finite number"))
}

fn text<'a>(json: Json<'a>, path: &Path<'_>) -> Result<Cow<'a, str>> {
    match json {
        // PostgreSQL stores no U+0000 in text: refused here, it is the caller's 400 and not our 500.
        Json::Text(text) if text.contains('\0') => Err(invalid(path, "must not contain U+0000")),
        Json::Text(text) => Ok(text),
        other => Err(wrong(path, "a string", &other)),
    }
}

fn timestamp(descriptor: &MessageDescriptor, json: Json<'_>, path: &Path<'_>) -> Result<Value> {
    let text = text(json, path)?;
    let at = OffsetDateTime::parse(&text, &Rfc3339)
        .map_err(|_| invalid(path, "must be a time by RFC 3339, such as 2026-07-30T12:00:00Z"))?;
    let mut message = DynamicMessage::new(descriptor.clone());
    let nanos = i32::try_from(at.nanosecond()).unwrap_or_default();
    for (name, value) in [("seconds", Value::I64(at.unix_timestamp())), ("nanos", Value::I32(nanos))] {
        message.try_set_field_by_name(name, value).map_err(|e| Fault::internal(e.to_string()))?;
    }
    Ok(Value::Message(message))
}

fn wrong(path: &Path<'_>, wanted: &str, got: &Json<'_>) -> Fault {
    let got = got.what();
    invalid(path, format!("must be {wanted}, not {got}"))
}

pub(super) fn invalid(path: &Path<'_>, detail: impl Into<String>) -> Fault {
    Fault::field(path.text(), detail)
}

/// For a part of the request that has no place in the message.
pub(super) fn unknown(name: &str, detail: &str) -> Fault {
    Fault::field_as(Code::UnknownField, shown(name), detail)
}
