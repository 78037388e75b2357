//! JSON schemas of the messages. Requests refuse unknown fields; answers always hold every field that is not optional,
//! and may grow.

use super::super::describe::{Comments, Operation, object, values, visible};
use crate::transcode::{JSON_INTEGER_MAX, STRUCT, TIMESTAMP};
use beem_fault::Code;
use beem_proto::is_money;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Money in a request, and in an answer.
const AMOUNT: &str = r"^[0-9]+(\.[0-9]+)?$";
const ANSWERED_AMOUNT: &str = r"^-?[0-9]+(\.[0-9]+)?$";

/// The components made so far.
pub(super) struct Schemas<'c> {
    comments: &'c Comments,
    /// Full names of messages in a request and in an answer; one in both gets the promises of neither.
    asked: BTreeSet<String>,
    answered: BTreeSet<String>,
    /// Component names by full name of the message.
    names: BTreeMap<String, String>,
    components: Map<String, Value>,
}

impl<'c> Schemas<'c> {
    pub(super) fn new(comments: &'c Comments, operations: &[Operation<'_>]) -> Self {
        let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for operation in operations {
            reach(&operation.method.descriptor.input(), &mut asked);
            reach(&operation.method.descriptor.output(), &mut answered);
        }
        let mut components = Map::new();
        components.insert("Problem".into(), problem());
        Self { comments, asked, answered, names: BTreeMap::new(), components }
    }

    pub(super) fn into_components(self) -> Value {
        self.components.into()
    }

    /// The schema of a request's body, if it has one. Path variables are no part of it.
    pub(super) fn body(&mut self, operation: &Operation<'_>) -> Option<Value> {
        let (message, fields) = operation.body_fields()?;
        Some(self.reference(&message, &fields))
    }

    /// The content of a success.
    pub(super) fn answer(&mut self, message: &MessageDescriptor) -> Value {
        if message.full_name() == "google.api.HttpBody" {
            return json!({"*/*": {}});
        }
        let fields: Vec<_> = visible(message).collect();
        json!({"application/json": {"schema": self.reference(message, &fields)}})
    }

    fn reference(&mut self, message: &MessageDescriptor, fields: &[FieldDescriptor]) -> Value {
        let known = self.names.get(message.full_name()).cloned();
        let name = known.unwrap_or_else(|| self.make(message, fields));
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    fn make(&mut self, message: &MessageDescriptor, fields: &[FieldDescriptor]) -> String {
        // The short name, unless another package had it first.
        let short = message.name().to_owned();
        let taken = self.components.contains_key(&short);
        let name = if taken { message.full_name().replace('.', "_") } else { short };
        self.names.insert(message.full_name().to_owned(), name.clone());
        // Holds the place, so that a message within itself finds its own name.
        self.components.insert(name.clone(), json!({}));
        let properties: Map<String, Value> =
            fields.iter().map(|f| (f.json_name().to_owned(), self.field(message, f))).collect();
        let mut schema = json!({"type": "object", "properties": properties});
        let comment = self.comments.message(message);
        if !comment.is_empty() {
            put(&mut schema, "description", comment);
        }
        let full = message.full_name();
        match (self.asked.contains(full), self.answered.contains(full)) {
            (true, false) => put(&mut schema, "additionalProperties", false),
            (false, true) => {
                let always = fields.iter().filter(|f| !f.supports_presence()).map(FieldDescriptor::json_name);
                put(&mut schema, "required", always.collect::<Vec<_>>());
            }
            _ => {}
        }
        self.components.insert(name.clone(), schema);
        name
    }

    /// `message` is the one that the field is in.
    fn field(&mut self, message: &MessageDescriptor, field: &FieldDescriptor) -> Value {
        let inner = object(field).map(|m| self.reference(&m, &visible(&m).collect::<Vec<_>>()));
        let mut schema = match inner {
            Some(one) if field.is_list() => json!({"type": "array", "items": one}),
            Some(one) => one,
            None if is_money(field) => self.money(message, field),
            None => scalar(field),
        };
        let comment = self.comments.field(field);
        if !comment.is_empty() {
            put(&mut schema, "description", comment);
        }
        schema
    }

    /// Decimal digits in a string. In what is asked a number is taken, too, from its digits; answers have strings only,
    /// and in them a movement may be negative.
    fn money(&self, message: &MessageDescriptor, field: &FieldDescriptor) -> Value {
        let full = message.full_name();
        let asked = self.asked.contains(full);
        let kind = if asked { json!(["string", "number"]) } else { json!("string") };
        let pattern = if self.answered.contains(full) { ANSWERED_AMOUNT } else { AMOUNT };
        let one = json!({"type": kind, "format": "decimal", "pattern": pattern});
        if field.is_list() { json!({"type": "array", "items": one}) } else { one }
    }
}

/// Sets a member of an object.
pub(super) fn put(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value.into());
    }
}

/// The schema of a field that is no object of ours; of a query parameter.
pub(super) fn scalar(field: &FieldDescriptor) -> Value {
    let mut one = match field.kind() {
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
        Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            let most = JSON_INTEGER_MAX.cast_signed();
            json!({"type": "integer", "format": "int64", "minimum": most.saturating_neg(), "maximum": most})
        }
        Kind::Uint64 | Kind::Fixed64 => {
            json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": JSON_INTEGER_MAX})
        }
        Kind::Float | Kind::Double => json!({"type": "number"}),
        Kind::String if is_money(field) => json!({"type": "string", "format": "decimal", "pattern": AMOUNT}),
        Kind::String | Kind::Enum(_) => json!({"type": "string"}),
        Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Kind::Message(message) if message.full_name() == TIMESTAMP => {
            json!({"type": "string", "format": "date-time"})
        }
        Kind::Message(message) if message.full_name() == STRUCT => {
            json!({"type": "object", "additionalProperties": true})
        }
        Kind::Message(entry) if field.is_map() => {
            json!({"type": "object", "additionalProperties": scalar(&entry.map_entry_value_field())})
        }
        Kind::Message(_) => json!({}),
    };
    let closed = values(field);
    if !closed.is_empty() {
        put(&mut one, "enum", closed);
    }
    if field.is_list() { json!({"type": "array", "items": one}) } else { one }
}

fn reach(message: &MessageDescriptor, seen: &mut BTreeSet<String>) {
    if !seen.insert(message.full_name().to_owned()) {
        return;
    }
    for inner in visible(message).filter_map(|f| object(&f)) {
        reach(&inner, seen);
    }
}

/// RFC 9457, with our members.
fn problem() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "requestId"],
        "properties": {
            "type": {"type": "string", "format": "uri", "description": "https://beem.dev/problems/<code>"},
            "title": {"type": "string", "description": "One fixed sentence per code."},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What is wrong with this request."},
            "code": {"type": "string", "enum": codes, "description": "Stable: match on this."},
            "requestId": {"type": "string"},
            "errors": {
                "type": "array",
                "description": "The fields that are wrong.",
                "items": {
                    "type": "object",
                    "required": ["field", "code", "detail"],
                    "properties": {
                        "field": {"type": "string", "description": "Path: payOutDetails.address, roles[2]."},
                        "code": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    })
}
