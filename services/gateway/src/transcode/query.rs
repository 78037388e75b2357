//! Query parameters as fields of the request: those bound neither by the path nor by the body, by their JSON names.

use super::path::{Path, shown};
use super::{TIMESTAMP, percent, value};
use crate::routes::Found;
use beem_fault::{Fault, Result};
use beem_proto::Body;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};

/// Puts the parameters of a raw query into the message.
pub(super) fn fill(message: &mut DynamicMessage, found: &Found<'_, '_>, raw: &str) -> Result<()> {
    let mut named: Vec<FieldDescriptor> = Vec::new();
    for pair in raw.split('&').filter(|p| !p.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let bad = || Fault::field(shown(name), "has a bad percent escape");
        let (name, text) = (percent::form(name).ok_or_else(bad)?, percent::form(text).ok_or_else(bad)?);
        let field = parameter(found, message, &name)?;
        let path = Path::Field(&Path::Root, &name);
        let again = named.contains(&field);
        if again && !field.is_list() {
            return Err(value::invalid(&path, "stands twice in the query"));
        }
        let parsed = value::from_text(&field.kind(), text, &path)?;
        let complete = match message.get_field(&field).into_owned() {
            Value::List(mut so_far) if field.is_list() => {
                so_far.push(parsed);
                Value::List(so_far)
            }
            _ => parsed,
        };
        message.try_set_field(&field, complete).map_err(|e| Fault::internal(e.to_string()))?;
        if !again {
            named.push(field);
        }
    }
    Ok(())
}

fn parameter(found: &Found<'_, '_>, message: &DynamicMessage, name: &str) -> Result<FieldDescriptor> {
    let unknown = || value::unknown(name, "no such query parameter");
    let descriptor = prost_reflect::ReflectMessage::descriptor(message);
    let field = descriptor.get_field_by_json_name(name).ok_or_else(unknown)?;
    let in_body = match &found.binding.body {
        Body::None => false,
        Body::Whole => true,
        Body::Field(body) => field.name() == body,
    };
    let in_path = found.variables.iter().any(|v| *v.field == field);
    let fits = match field.kind() {
        Kind::Message(inner) => inner.full_name() == TIMESTAMP,
        _ => true,
    };
    Some(field).filter(|_| !in_body && !in_path && fits).ok_or_else(unknown)
}
