//! A call to copy, with values that look like the real ones.

use crate::reference::describe::{Operation, object, values, visible};
use crate::transcode::TIMESTAMP;
use beem_proto::{Access, Verb};
use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Map, Value, json};

const ID: &str = "01985f3e-7d1a-7c33-9b1e-2f4a5c6d7e8f";

/// `beem call POST /platform/v1/clients '{…}'`; plain curl where nothing is signed, with a session where it is for people.
pub(super) fn call(operation: &Operation<'_>) -> String {
    let verb = operation.binding.verb.as_str();
    let path = operation.path_fields().iter().fold(operation.path(), |path, field| {
        let value = sample(field, 0);
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        path.replace(&format!("{{{}}}", field.json_name()), &text)
    });
    let body = body(operation);
    if operation.method.access == Access::Public || operation.method.session {
        let data =
            body.map(|b| format!(" \\\n  -H 'Content-Type: application/json' -d '{b}'")).unwrap_or_default();
        let session = match operation.method.access {
            Access::Public => "",
            _ => " \\\n  -H \"Authorization: Bearer $TOKEN\"",
        };
        return format!("curl -X {verb} http://127.0.0.1:8080{path}{session}{data}");
    }
    let data = body.map(|b| format!(" '{b}'")).unwrap_or_default();
    format!("beem call {verb} {path}{data}")
}

/// The body, as text that stands between single quotes of a shell. A change shows one field: only those present change.
fn body(operation: &Operation<'_>) -> Option<String> {
    let (_, fields) = operation.body_fields()?;
    let shown = if operation.binding.verb == Verb::Patch { 1 } else { usize::MAX };
    let members: Vec<String> = fields
        .iter()
        .take(shown)
        .map(|field| format!("\"{}\": {}", field.json_name(), spaced(&sample(field, 0))))
        .collect();
    if members.is_empty() {
        return None;
    }
    let line = format!("{{{}}}", members.join(", "));
    let text = if line.len() <= 70 { line } else { format!("{{\n  {}\n}}", members.join(",\n  ")) };
    Some(text.replace('\'', "'\\''"))
}

/// JSON with a space after commas and colons, as people write it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("\"{name}\": {}", spaced(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn sample(field: &FieldDescriptor, depth: usize) -> Value {
    let closed = values(field);
    let one = match (closed.first(), object(field)) {
        (Some(first), _) => json!(first),
        (None, Some(message)) if depth < 3 => {
            let members =
                visible(&message).map(|f| (f.json_name().to_owned(), sample(&f, depth.saturating_add(1))));
            Value::Object(members.collect::<Map<_, _>>())
        }
        (None, _) => scalar(field),
    };
    if field.is_list() { json!([one]) } else { one }
}

fn scalar(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::Bool => json!(true),
        Kind::Float | Kind::Double => json!(0.5),
        Kind::Bytes => json!("AAEC"),
        Kind::Message(message) if message.full_name() == TIMESTAMP => json!("2026-07-30T12:00:00Z"),
        Kind::Message(_) => json!({}),
        Kind::String | Kind::Enum(_) => json!(text(field.name())),
        _ => json!(if field.name().contains("retire") { 3600 } else { 1 }),
    }
}

/// A plausible text for a name; grows with the contract, and nothing breaks where it lags behind.
fn text(name: &str) -> &'static str {
    match name {
        "name" => "billing",
        "public_key" => "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n",
        "network_whitelist" => "203.0.113.0/24",
        "roles" => "client:viewer",
        "email" => "ada@example.com",
        "first_name" => "Ada",
        "last_name" => "Lovelace",
        "code" => "123456",
        "reference" => "order-1001",
        "amount" => "100.25",
        "url" => "https://example.com/hooks/beem",
        name if name.contains("currency") => "EUR",
        name if name == "id" || name.ends_with("_id") => ID,
        _ => "…",
    }
}
