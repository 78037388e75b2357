//! The contract in words: comments, types and fields as outside callers see them.

pub(super) use beem_proto::schema::{Comments, object, values, visible};

use crate::transcode::{STRUCT, TIMESTAMP};
use beem_proto::{Access, Body, Contract, HttpBinding, Method, is_money};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

/// One RPC at one place in HTTP.
pub(super) struct Operation<'a> {
    pub(super) method: &'a Method,
    pub(super) binding: &'a HttpBinding,
    /// Bindings of one RPC are numbered from 0.
    pub(super) number: usize,
}

/// Everything reachable from outside, in the order of the proto files.
pub(super) fn operations(contract: &Contract) -> Vec<Operation<'_>> {
    let mut all: Vec<Operation<'_>> = contract
        .methods()
        .flat_map(|method| {
            let numbered = method.http.iter().enumerate();
            numbered.map(move |(number, binding)| Operation { method, binding, number })
        })
        .collect();
    all.sort_by_key(|o| {
        let service = o.method.descriptor.parent_service();
        (service.full_name().to_owned(), o.method.descriptor.index(), o.number)
    });
    all
}

impl Operation<'_> {
    /// The fields that stand in the path, in its order.
    pub(super) fn path_fields(&self) -> Vec<FieldDescriptor> {
        let names = self.binding.template.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
        names.filter_map(|name| self.method.descriptor.input().get_field_by_name(name)).collect()
    }

    /// The path as outside callers write its variables: `/hooks/{id}/deliveries/{deliveryId}`.
    pub(super) fn path(&self) -> String {
        self.path_fields().iter().fold(self.binding.template.clone(), |path, field| {
            path.replace(&format!("{{{}}}", field.name()), &format!("{{{}}}", field.json_name()))
        })
    }

    /// The fields that stand in the query.
    pub(super) fn query_fields(&self) -> Vec<FieldDescriptor> {
        let body = match &self.binding.body {
            Body::Whole => return Vec::new(),
            Body::Field(name) => Some(name.as_str()),
            Body::None => None,
        };
        let in_path = self.path_fields();
        let input = self.method.descriptor.input();
        let message =
            |f: &FieldDescriptor| matches!(f.kind(), Kind::Message(m) if m.full_name() != TIMESTAMP);
        visible(&input).filter(|f| !in_path.contains(f) && Some(f.name()) != body && !message(f)).collect()
    }

    /// The message of the body and its fields; None when there is no body.
    pub(super) fn body_fields(&self) -> Option<(MessageDescriptor, Vec<FieldDescriptor>)> {
        let input = self.method.descriptor.input();
        match &self.binding.body {
            Body::None => None,
            Body::Whole => {
                let in_path = self.path_fields();
                let fields = visible(&input).filter(|f| !in_path.contains(f)).collect();
                Some((input, fields))
            }
            Body::Field(name) => match input.get_field_by_name(name)?.kind() {
                Kind::Message(message) => {
                    let fields = visible(&message).collect();
                    Some((message, fields))
                }
                _ => None,
            },
        }
    }
}

/// Who may call, as full role names or in words.
pub(super) fn access(method: &Method) -> Vec<String> {
    match &method.access {
        Access::AnyOf(roles) => roles.full_names(),
        Access::SignedIn => vec!["signed in".into()],
        Access::Public => vec!["public".into()],
        Access::Internal(callers) => callers.iter().map(|c| format!("service {c}")).collect(),
    }
}

/// The type for people: `string`, `time`, `Client[]`.
pub(super) fn type_name(field: &FieldDescriptor) -> String {
    let one = match field.kind() {
        Kind::Bool => "boolean".to_owned(),
        Kind::String if is_money(field) => "decimal".to_owned(),
        Kind::String | Kind::Enum(_) => "string".to_owned(),
        Kind::Bytes => "base64".to_owned(),
        Kind::Float | Kind::Double => "number".to_owned(),
        Kind::Message(message) if field.is_map() => return map_name(&message),
        Kind::Message(message) if message.full_name() == TIMESTAMP => "time".to_owned(),
        Kind::Message(message) if message.full_name() == STRUCT => "object".to_owned(),
        Kind::Message(message) => message.name().to_owned(),
        _ => "integer".to_owned(),
    };
    if field.is_list() { format!("{one}[]") } else { one }
}

fn map_name(entry: &MessageDescriptor) -> String {
    format!("map of {}", type_name(&entry.map_entry_value_field()))
}
