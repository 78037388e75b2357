//! How enum values are called outside: without the prefix that proto's scoping rules force on them.

use beem_proto::public_name;
use prost_reflect::EnumDescriptor;

/// The number of a public name. The zero value stands for "not said" and has no name outside.
pub(super) fn number(descriptor: &EnumDescriptor, text: &str) -> Option<i32> {
    descriptor.values().find(|v| v.number() != 0 && public_name(v) == text).map(|v| v.number())
}

/// Every name a caller may send.
pub(super) fn names(descriptor: &EnumDescriptor) -> Vec<String> {
    descriptor.values().filter(|v| v.number() != 0).map(|v| public_name(&v)).collect()
}
