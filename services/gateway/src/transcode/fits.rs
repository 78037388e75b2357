//! What a request message must look like to be transcoded at all. Judged once, at the start: a contract that asks for
//! more than the transcoder does stops there, not at the first call.

use beem_proto::schema::is_present_mask;
use beem_proto::{Body, HttpBinding, Method};
use prost_reflect::{Kind, MessageDescriptor};

pub(crate) const TIMESTAMP: &str = "google.protobuf.Timestamp";
pub(crate) const STRUCT: &str = "google.protobuf.Struct";
const FIELD_MASK: &str = "google.protobuf.FieldMask";

/// Refuses what the transcoder cannot do for this binding.
pub(crate) fn fits(method: &Method, binding: &HttpBinding) -> Result<(), String> {
    if method.descriptor.is_client_streaming() {
        return Err("a stream of requests has no place in HTTP".into());
    }
    if method.descriptor.is_server_streaming() && !super::is_raw(method) {
        return Err("a stream of answers is one of google.api.HttpBody".into());
    }
    let input = method.descriptor.input();
    if let Body::Field(name) = &binding.body {
        let field = input.get_field_by_name(name);
        let message = field.filter(|f| !f.is_list() && matches!(f.kind(), Kind::Message(_)));
        if message.is_none() {
            return Err(format!("its body, {name}, is no single message field"));
        }
    }
    message_fits(&input, &mut Vec::new())
}

fn message_fits(message: &MessageDescriptor, seen: &mut Vec<String>) -> Result<(), String> {
    if seen.iter().any(|name| name == message.full_name()) {
        return Ok(());
    }
    let top = seen.is_empty();
    seen.push(message.full_name().to_owned());
    for field in message.fields() {
        let Kind::Message(inner) = field.kind() else { continue };
        if field.is_map() {
            // Maps have no order, so equal requests would have different bytes, and with them different fingerprints.
            return Err(format!("{}: a request holds no map", field.full_name()));
        }
        match inner.full_name() {
            TIMESTAMP => {}
            FIELD_MASK if top && is_present_mask(&field) => {}
            name if name.starts_with("google.protobuf.") => {
                return Err(format!("{}: a request holds no {name}", field.full_name()));
            }
            _ => message_fits(&inner, seen)?,
        }
    }
    Ok(())
}
