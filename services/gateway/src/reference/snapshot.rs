//! The contract as three stable texts, kept under review. They hold what callers and peers depend on: places, access,
//! names, numbers and types; not comments.

use super::describe::access;
use beem_proto::{Body, Contract, Method, is_money};
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use std::fmt::Write;

/// One line per place in HTTP: verb, path, body, status, RPC. By path, then verb.
#[must_use]
pub fn snapshot_routes(contract: &Contract) -> String {
    let mut lines: Vec<String> = contract
        .methods()
        .flat_map(|method| method.http.iter().map(move |binding| (method, binding)))
        .map(|(method, binding)| {
            let body = match &binding.body {
                Body::None => "-",
                Body::Whole => "*",
                Body::Field(name) => name,
            };
            let (path, verb, status) = (&binding.template, binding.verb.as_str(), method.success_status());
            format!("{path} {verb} body={body} {status} {}\n", method.path)
        })
        .collect();
    lines.sort();
    lines.concat()
}

/// One line per RPC, internal ones too: owner, RPC, who may call it, whether only with a session, whether only in a sandbox,
/// whether it is fresh, and whether its answer or its request is secret.
#[must_use]
pub fn snapshot_roles(contract: &Contract) -> String {
    contract.methods().map(role_line).collect()
}

fn role_line(method: &Method) -> String {
    let people = if method.session { " with a session" } else { "" };
    let sandbox = if method.sandbox { " sandbox" } else { "" };
    let fresh = if method.fresh { " fresh" } else { "" };
    let secret = if method.secret { " secret" } else { "" };
    let asked = if method.secret_request { " secret-request" } else { "" };
    let who = access(method).join(", ");
    format!("{} {}: {who}{people}{sandbox}{fresh}{secret}{asked}\n", method.owner, method.path)
}

/// Every message and enum of ours with the numbers and types of its fields, by full name.
#[must_use]
pub fn snapshot_messages(contract: &Contract) -> String {
    let ours = |package: &str| package.starts_with("beem.");
    let messages = contract.pool.all_messages().filter(|m| ours(m.package_name()) && !m.is_map_entry());
    let enums = contract.pool.all_enums().filter(|e| ours(e.package_name()));
    let mut blocks: Vec<String> =
        messages.map(|m| message_block(&m)).chain(enums.map(|e| enum_block(&e))).collect();
    blocks.sort();
    blocks.join("\n")
}

fn message_block(message: &MessageDescriptor) -> String {
    let mut block = format!("{}\n", message.full_name());
    for field in message.fields() {
        let _ = writeln!(block, "  {} {} {}", field.number(), field.name(), field_type(&field));
    }
    for range in message.reserved_ranges() {
        let _ = writeln!(block, "  reserved {}..{}", range.start, range.end);
    }
    block
}

fn field_type(field: &FieldDescriptor) -> String {
    let choice = field.containing_oneof();
    let label = match choice {
        _ if field.is_list() => "repeated ".to_owned(),
        Some(oneof) if oneof.is_synthetic() => "optional ".to_owned(),
        Some(oneof) => format!("oneof {} ", oneof.name()),
        None => String::new(),
    };
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            format!("map<{}, {}>", kind_name(&key.kind()), kind_name(&value.kind()))
        }
        kind => format!("{label}{}{}", kind_name(&kind), if is_money(field) { " money" } else { "" }),
    }
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(descriptor) => descriptor.full_name().to_owned(),
        // The names of scalars in Debug are proto's own: `string`, `uint64`.
        scalar => format!("{scalar:?}"),
    }
}

fn enum_block(descriptor: &EnumDescriptor) -> String {
    let mut block = format!("enum {}\n", descriptor.full_name());
    for value in descriptor.values() {
        let _ = writeln!(block, "  {} {}", value.number(), value.name());
    }
    block
}
