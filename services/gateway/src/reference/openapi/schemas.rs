//! JSON schemas of what is asked and answered over HTTP, and of problems.

use super::super::describe::{Operation, visible};
use beem_fault::Code;
use beem_proto::schema::{Comments, Schemas};
use prost_reflect::MessageDescriptor;
use serde_json::{Value, json};

/// Those of every message in a request or an answer, to be made as they are asked for.
pub(super) fn schemas<'c>(comments: &'c Comments, operations: &[Operation<'_>]) -> Schemas<'c> {
    let asked = operations.iter().map(|o| o.method.descriptor.input());
    let answered = operations.iter().map(|o| o.method.descriptor.output());
    let mut schemas = Schemas::new(comments, "#/components/schemas/", asked, answered);
    schemas.insert("Problem", problem());
    schemas
}

/// The schema of a request's body, if it has one. Path variables are no part of it.
pub(super) fn body(schemas: &mut Schemas<'_>, operation: &Operation<'_>) -> Option<Value> {
    let (message, fields) = operation.body_fields()?;
    Some(schemas.reference(&message, &fields))
}

/// The content of a success.
pub(super) fn answer(schemas: &mut Schemas<'_>, message: &MessageDescriptor) -> Value {
    if message.full_name() == "google.api.HttpBody" {
        return json!({"*/*": {}});
    }
    let fields: Vec<_> = visible(message).collect();
    json!({"application/json": {"schema": schemas.reference(message, &fields)}})
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
