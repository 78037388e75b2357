//! How enum values are called outside: without the prefix that proto's scoping rules force on them.

use prost_reflect::{EnumDescriptor, EnumValueDescriptor};

/// `ACTIVE` for `CHANNEL_STATUS_ACTIVE` of `ChannelStatus`; a name without the prefix stays as it is.
pub(crate) fn public_name(value: &EnumValueDescriptor) -> String {
    let name = value.name();
    let prefix = screaming(value.parent_enum().name());
    match name.strip_prefix(&prefix).and_then(|rest| rest.strip_prefix('_')) {
        Some(short) if !short.is_empty() => short.to_owned(),
        _ => name.to_owned(),
    }
}

/// The number of a public name. The zero value stands for "not said" and has no name outside.
pub(super) fn number(descriptor: &EnumDescriptor, text: &str) -> Option<i32> {
    descriptor.values().find(|v| v.number() != 0 && public_name(v) == text).map(|v| v.number())
}

/// Every name a caller may send.
pub(super) fn names(descriptor: &EnumDescriptor) -> Vec<String> {
    descriptor.values().filter(|v| v.number() != 0).map(|v| public_name(&v)).collect()
}

fn screaming(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len().saturating_add(4));
    for (at, letter) in camel.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}
