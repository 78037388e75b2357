//! JSON Schemas (2020-12) of the messages as they stand outside: the reference's components, and what the body of an event
//! promises. Requests refuse unknown fields; answers always hold every field that is not optional, and may grow.

mod fields;

pub use fields::{Comments, is_present_mask, object, values, visible};

use crate::is_money;
use crate::json::{STRUCT, TIMESTAMP};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The largest whole number JSON carries without loss in every language: 2^53.
pub const JSON_INTEGER_MAX: u64 = 1 << 53;

/// Money in a request, and in an answer.
const AMOUNT: &str = r"^[0-9]+(\.[0-9]+)?$";
const ANSWERED_AMOUNT: &str = r"^-?[0-9]+(\.[0-9]+)?$";

/// The schemas made so far, each message once under a name.
pub struct Schemas<'c> {
    comments: &'c Comments,
    /// What stands before a name in a reference to it.
    place: &'static str,
    /// Full names of messages in a request and in an answer; one in both gets the promises of neither.
    asked: BTreeSet<String>,
    answered: BTreeSet<String>,
    /// Component names by full name of the message.
    names: BTreeMap<String, String>,
    components: Map<String, Value>,
}

impl<'c> Schemas<'c> {
    /// For documents that hold them at `place`: `#/components/schemas/`. `asked` are the messages of requests, `answered`
    /// those of answers; what lies within them is found.
    pub fn new(
        comments: &'c Comments,
        place: &'static str,
        asked: impl IntoIterator<Item = MessageDescriptor>,
        answered: impl IntoIterator<Item = MessageDescriptor>,
    ) -> Self {
        let reached = |messages: &mut dyn Iterator<Item = MessageDescriptor>| {
            let mut seen = BTreeSet::new();
            messages.for_each(|message| reach(&message, &mut seen));
            seen
        };
        Self {
            comments,
            place,
            asked: reached(&mut asked.into_iter()),
            answered: reached(&mut answered.into_iter()),
            names: BTreeMap::new(),
            components: Map::new(),
        }
    }

    /// A schema that is no message's.
    pub fn insert(&mut self, name: &str, schema: Value) {
        self.components.insert(name.to_owned(), schema);
    }

    /// By name.
    #[must_use]
    pub fn into_components(self) -> Map<String, Value> {
        self.components
    }

    /// A reference to the message with these of its fields, which is made if it is new.
    pub fn reference(&mut self, message: &MessageDescriptor, fields: &[FieldDescriptor]) -> Value {
        let known = self.names.get(message.full_name()).cloned();
        let name = known.unwrap_or_else(|| self.make(message, fields));
        json!({"$ref": format!("{}{name}", self.place)})
    }

    fn make(&mut self, message: &MessageDescriptor, fields: &[FieldDescriptor]) -> String {
        // The short name, unless another package had it first.
        let short = message.name().to_owned();
        let taken = self.components.contains_key(&short);
        let name = if taken { message.full_name().replace('.', "_") } else { short };
        self.names.insert(message.full_name().to_owned(), name.clone());
        // Holds the place, so that a message within itself finds its own name.
        self.components.insert(name.clone(), json!({}));
        let schema = self.schema(message, fields);
        self.components.insert(name.clone(), schema);
        name
    }

    /// The schema itself; what lies within is referred to.
    pub fn schema(&mut self, message: &MessageDescriptor, fields: &[FieldDescriptor]) -> Value {
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
        schema
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
pub fn put(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value.into());
    }
}

/// The schema of a field that is no object of ours; of a query parameter.
#[must_use]
pub fn scalar(field: &FieldDescriptor) -> Value {
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
