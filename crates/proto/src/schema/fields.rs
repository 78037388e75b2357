//! Fields as those outside see them: which there are, what they hold, and what the proto files say of them.

use crate::public_name;
use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ServiceDescriptor, Value,
};
use std::collections::HashMap;

const FIELD_MASK: &str = "google.protobuf.FieldMask";

/// The comments of every proto file.
pub struct Comments {
    by_place: HashMap<(String, Vec<i32>), String>,
}

impl Comments {
    #[must_use]
    pub fn of(pool: &DescriptorPool) -> Self {
        let mut by_place = HashMap::new();
        for file in pool.files() {
            let Some(info) = &file.file_descriptor_proto().source_code_info else { continue };
            for location in &info.location {
                let text = location.leading_comments.as_deref().or(location.trailing_comments.as_deref());
                if let Some(text) = text {
                    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
                    by_place.insert((file.name().to_owned(), location.path.clone()), words);
                }
            }
        }
        Self { by_place }
    }

    /// In one paragraph; empty when there is none.
    #[must_use]
    pub fn field(&self, field: &FieldDescriptor) -> &str {
        self.at(field.parent_file().name(), field.path())
    }

    #[must_use]
    pub fn message(&self, message: &MessageDescriptor) -> &str {
        self.at(message.parent_file().name(), message.path())
    }

    #[must_use]
    pub fn service(&self, service: &ServiceDescriptor) -> &str {
        self.at(service.parent_file().name(), service.path())
    }

    fn at(&self, file: &str, path: &[i32]) -> &str {
        self.by_place.get(&(file.to_owned(), path.to_vec())).map_or("", String::as_str)
    }
}

/// The fields of a message that exist for outside callers.
pub fn visible(message: &MessageDescriptor) -> impl Iterator<Item = FieldDescriptor> {
    let fields: Vec<_> = message.fields().filter(|f| !is_present_mask(f)).collect();
    fields.into_iter()
}

/// Whether this is the field in which the gateway says which fields the body named; nobody outside sees it.
#[must_use]
pub fn is_present_mask(field: &FieldDescriptor) -> bool {
    field.name() == "present"
        && !field.is_list()
        && matches!(field.kind(), Kind::Message(m) if m.full_name() == FIELD_MASK)
}

/// The closed set of texts a field takes: the `values` option, or the names of its enum. Empty when it is open.
#[must_use]
pub fn values(field: &FieldDescriptor) -> Vec<String> {
    if let Kind::Enum(descriptor) = field.kind() {
        return enum_names(&descriptor);
    }
    let options = field.options();
    let extension = field.parent_file().parent_pool().get_extension_by_name("beem.access.v1.values");
    let listed =
        extension.filter(|e| options.has_extension(e)).map(|e| options.get_extension(&e).into_owned());
    match listed {
        Some(Value::List(items)) => items.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

fn enum_names(descriptor: &EnumDescriptor) -> Vec<String> {
    descriptor.values().filter(|v| v.number() != 0).map(|v| public_name(&v)).collect()
}

/// The message a field holds, if it is one that stands in JSON as an object of ours.
#[must_use]
pub fn object(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(message) if !field.is_map() && !message.full_name().starts_with("google.") => {
            Some(message)
        }
        _ => None,
    }
}
