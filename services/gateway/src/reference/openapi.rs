//! The contract as OpenAPI 3.1, for generators of clients and for tools.

mod schemas;

use super::describe::{Operation, access, operations};
use beem_fault::Code;
use beem_proto::schema::{Comments, Schemas, put, scalar};
use beem_proto::{Access, Contract, Method, Verb};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The document; `origins` are the gateway's public origins, the preferred one first.
#[must_use]
pub fn openapi(contract: &Contract, origins: &[String]) -> Value {
    let comments = Comments::of(&contract.pool);
    let operations = operations(contract);
    let mut schemas = schemas::schemas(&comments, &operations);
    let mut paths: Map<String, Value> = Map::new();
    let mut tags: Vec<Value> = Vec::new();
    for operation in &operations {
        let service = operation.method.descriptor.parent_service();
        let tag = json!({"name": service.name(), "description": comments.service(service)});
        if !tags.contains(&tag) {
            tags.push(tag);
        }
        let item = paths.entry(operation.path()).or_insert_with(|| json!({}));
        let verb = operation.binding.verb.as_str().to_ascii_lowercase();
        put(item, &verb, describe(operation, &comments, &mut schemas));
    }
    let servers: Vec<Value> = origins.iter().map(|url| json!({"url": url})).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "BEEM",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Accounts, clients, roles and money movements of a self-hosted payments back end.",
            "description": "Every request but the public ones is signed (RFC 9421, RFC 9530) or carries the token of a session. Errors are RFC 9457 problems.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": servers,
        "tags": tags,
        "security": signed(),
        "paths": paths,
        "components": {
            "schemas": schemas.into_components(),
            "responses": problem_responses(),
            "headers": headers(),
            "parameters": {"IdempotencyKey": idempotency_key()},
            "securitySchemes": security_schemes(),
        },
    })
}

fn describe(operation: &Operation<'_>, comments: &Comments, schemas: &mut Schemas<'_>) -> Value {
    let method = operation.method;
    let mut out = json!({
        "operationId": operation_id(operation),
        "summary": summary(&method.comment),
        "description": description(method),
        "tags": [method.descriptor.parent_service().name()],
        "x-beem-roles": access(method),
        "x-beem-rpc": method.path,
        "security": security(method),
        "responses": responses(operation, schemas),
    });
    let parameters = parameters(operation, comments);
    if !parameters.is_empty() {
        put(&mut out, "parameters", parameters);
    }
    if let Some(schema) = schemas::body(schemas, operation) {
        put(&mut out, "requestBody", json!({"content": {"application/json": {"schema": schema}}}));
    }
    out
}

fn description(method: &Method) -> String {
    let people = " Only for people: with a session.";
    let sandbox = " Only in a sandbox installation.";
    let people = if method.session { people } else { "" };
    format!("{}{people}{}", method.comment, if method.sandbox { sandbox } else { "" })
}

/// How a caller proves who it is: a program by a signature, a person by a session; a public method is open to all.
fn security(method: &Method) -> Value {
    match method.access {
        Access::Public => json!([]),
        _ if method.session => json!([{"session": []}]),
        Access::AnyOf(_) | Access::SignedIn | Access::Internal(_) => signed(),
    }
}

/// The RPC's name; a further place of the same RPC gets a number.
fn operation_id(operation: &Operation<'_>) -> String {
    match operation.number {
        0 => operation.method.name.clone(),
        n => format!("{}{}", operation.method.name, n.saturating_add(1)),
    }
}

/// The first sentence.
fn summary(comment: &str) -> &str {
    comment.split_once(". ").map_or(comment, |(first, _)| first).trim_end_matches('.')
}

fn parameters(operation: &Operation<'_>, comments: &Comments) -> Vec<Value> {
    let one = |field: &prost_reflect::FieldDescriptor, place: &str| {
        let schema = scalar(field);
        let mut parameter =
            json!({"name": field.json_name(), "in": place, "required": place == "path", "schema": schema});
        let comment = comments.field(field);
        if !comment.is_empty() {
            put(&mut parameter, "description", comment);
        }
        parameter
    };
    let mut all: Vec<Value> = operation.path_fields().iter().map(|f| one(f, "path")).collect();
    all.extend(operation.query_fields().iter().map(|f| one(f, "query")));
    if operation.binding.verb != Verb::Get && operation.method.access != Access::Public {
        all.push(json!({"$ref": "#/components/parameters/IdempotencyKey"}));
    }
    all
}

fn responses(operation: &Operation<'_>, schemas: &mut Schemas<'_>) -> Value {
    let method = operation.method;
    let write = operation.binding.verb != Verb::Get;
    let known = method.access != Access::Public;
    let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}});
    if write && known {
        put(&mut headers, "Idempotent-Replayed", json!({"$ref": "#/components/headers/Idempotent-Replayed"}));
    }
    let content = schemas::answer(schemas, &method.descriptor.output());
    let success = json!({"description": "Done.", "headers": headers, "content": content});
    let mut all = Map::new();
    all.insert(method.success_status().to_string(), success);
    let named = !operation.path_fields().is_empty();
    let refusals = [
        (true, &[400, 429, 500, 503, 504][..]),
        (known, &[401, 403]),
        (named, &[404]),
        (write, &[409, 413, 415, 422]),
    ];
    for status in refusals.iter().filter(|(applies, _)| *applies).flat_map(|(_, statuses)| *statuses) {
        all.insert(status.to_string(), json!({"$ref": format!("#/components/responses/Problem{status}")}));
    }
    all.into()
}

/// One response per status, naming the codes that have it.
fn problem_responses() -> Value {
    let mut codes: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL {
        codes.entry(code.http()).or_default().push(*code);
    }
    let responses = codes.into_iter().map(|(status, codes)| {
        let lines: Vec<String> = codes.iter().map(|c| format!("`{}`: {}.", c.as_str(), c.title())).collect();
        let response = json!({
            "description": lines.join("\n"),
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
        (format!("Problem{status}"), response)
    });
    Value::Object(responses.collect())
}

fn headers() -> Value {
    json!({
        "X-Request-Id": {"description": "Names this request in logs and traces.", "schema": {"type": "string"}},
        "Idempotent-Replayed": {
            "description": "true when this is the first answer to the key, given again.",
            "schema": {"type": "string", "const": "true"},
        },
    })
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Within 24 hours the same caller, RPC and key with the same request get the first answer again. \
                        A signature covers this header when it is sent.",
        "required": false,
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    })
}

/// Both headers of a signature together, or the token of a session.
fn signed() -> Value {
    json!([{"signatureInput": [], "signature": []}, {"session": []}])
}

fn security_schemes() -> Value {
    json!({
        "signatureInput": {
            "type": "apiKey", "in": "header", "name": "Signature-Input",
            "description": "RFC 9421: label=(components);created=…;keyid=\"clientId\". Covers @method; @target-uri, or \
                            @authority, @path and @query; content-digest when there is a body; idempotency-key when sent.",
        },
        "signature": {
            "type": "apiKey", "in": "header", "name": "Signature",
            "description": "RFC 9421, under the same label. ed25519, rsa-v1_5-sha256, rsa-pss-sha512 or ecdsa-p256-sha256, \
                            as the registered key is. A body has a Content-Digest (RFC 9530).",
        },
        "session": {
            "type": "http", "scheme": "bearer",
            "description": "The sessionToken that PassSecondFactor answers with: 43 characters, good for 30 minutes \
                            without a request and 12 hours in all. Never together with a signature.",
        },
    })
}
