//! From an HTTP request to the bytes of the request message.

use super::json::{self, Json, Object};
use super::path::Path;
use super::{percent, query, value};
use crate::routes::Found;
use beem_fault::{Code, Fault, Result};
use beem_proto::Body;
use beem_proto::schema::is_present_mask;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, ReflectMessage, Value};

/// The encoded request message of what was found: equal requests give equal bytes.
///
/// `query` is as sent, without the `?`; `body` is the whole body, empty when there was none, which equals `{}`.
///
/// # Errors
/// `unsupported-media-type`, `malformed-json`, `unknown-field` or `validation-failed`, the last two naming the field
/// (2.1 of the public contract).
pub fn decode(
    found: &Found<'_, '_>,
    query: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Vec<u8>> {
    identity_only(headers)?;
    let members = if body.is_empty() { Object::new() } else { object(headers, body)? };
    let mut message = DynamicMessage::new(found.method.descriptor.input());
    path_variables(&mut message, found)?;
    if let Some(raw) = query {
        query::fill(&mut message, found, raw)?;
    }
    match &found.binding.body {
        Body::None => {
            if let Some(name) = members.keys().next() {
                return Err(value::unknown(name, "this RPC takes no body"));
            }
        }
        Body::Whole => whole(&mut message, found, members)?,
        Body::Field(name) => {
            let field = message.descriptor().get_field_by_name(name);
            let field = field.ok_or_else(|| Fault::internal(format!("no body field {name}")))?;
            value::set(&mut message, &field, Json::Object(members), &Path::Root)?;
        }
    }
    Ok(message.encode_to_vec())
}

fn whole(message: &mut DynamicMessage, found: &Found<'_, '_>, members: Object<'_>) -> Result<()> {
    let bound = found.variables.iter().find(|v| members.contains_key(v.field.json_name()));
    if let Some(variable) = bound {
        return Err(value::unknown(variable.field.json_name(), "it stands in the path, not in the body"));
    }
    let descriptor = message.descriptor();
    let mask = descriptor.get_field_by_name("present").filter(is_present_mask);
    let Some(mask) = mask else { return value::fill(message, members, &Path::Root) };
    let named = |f: &prost_reflect::FieldDescriptor| members.contains_key(f.json_name());
    let names: Vec<Value> =
        descriptor.fields().filter(named).map(|f| Value::String(f.name().to_owned())).collect();
    value::fill(message, members, &Path::Root)?;
    let Kind::Message(mask_type) = mask.kind() else { return Err(Fault::internal("present is no message")) };
    let mut present = DynamicMessage::new(mask_type);
    let set = present
        .try_set_field_by_name("paths", Value::List(names))
        .and_then(|()| message.try_set_field(&mask, Value::Message(present)));
    set.map_err(|e| Fault::internal(e.to_string()))
}

fn path_variables(message: &mut DynamicMessage, found: &Found<'_, '_>) -> Result<()> {
    for variable in &found.variables {
        let path = Path::Field(&Path::Root, variable.field.json_name());
        let text = percent::segment(variable.raw)
            .ok_or_else(|| value::invalid(&path, "has a bad percent escape"))?;
        let parsed = value::from_text(&variable.field.kind(), text, &path)?;
        message.try_set_field(variable.field, parsed).map_err(|e| Fault::internal(e.to_string()))?;
    }
    Ok(())
}

fn object<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Object<'a>> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let json = match (types.next(), types.next()) {
        (None, _) => true,
        (Some(one), None) => one.to_str().is_ok_and(is_json),
        (Some(_), Some(_)) => false,
    };
    if !json {
        return Err(Fault::new(Code::UnsupportedMediaType, "a body is application/json, in UTF-8"));
    }
    match json::parse(body)? {
        Json::Object(members) => Ok(members),
        other => Err(Fault::new(
            Code::ValidationFailed,
            format!("the body must be an object, not {}", other.what()),
        )),
    }
}

/// `application/json`, with no parameter but `charset=utf-8`.
fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    let essence = parts.next().is_some_and(|e| e.eq_ignore_ascii_case("application/json"));
    essence
        && parts.filter(|p| !p.is_empty()).all(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            })
        })
}

/// Compressed bodies are not taken: what was signed is what is read, and nothing inflates.
fn identity_only(headers: &HeaderMap) -> Result<()> {
    let identity = |v: &http::HeaderValue| v.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(identity) {
        return Ok(());
    }
    Err(Fault::new(Code::UnsupportedMediaType, "a body has no content encoding"))
}
