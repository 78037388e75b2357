//! Path templates of `google.api.http`, as far as this contract uses them: literal segments and `{field}`.

use beem_proto::Method;
use prost_reflect::{FieldDescriptor, Kind};

/// One segment of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    /// The proto name of a field of the request.
    Variable(String),
}

/// Reads `/platform/v1/clients/{id}`.
pub(super) fn parse(template: &str) -> Result<Vec<Segment>, String> {
    let rest = template.strip_prefix('/').ok_or_else(|| format!("{template} does not begin with a slash"))?;
    rest.split('/')
        .map(|text| segment(text).ok_or_else(|| format!("{template}: cannot read {text:?}")))
        .collect()
}

fn segment(text: &str) -> Option<Segment> {
    if let Some(name) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        return plain.then(|| Segment::Variable(name.to_owned()));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    (!text.is_empty() && text.bytes().all(plain)).then(|| Segment::Literal(text.to_owned()))
}

/// The fields the variables stand for: single scalars of the request message, each named once.
pub(super) fn variables(segments: &[Segment], method: &Method) -> Result<Vec<FieldDescriptor>, String> {
    let input = method.descriptor.input();
    let mut fields: Vec<FieldDescriptor> = Vec::new();
    for segment in segments {
        let Segment::Variable(name) = segment else { continue };
        let field =
            input.get_field_by_name(name).filter(|f| !f.is_list() && !matches!(f.kind(), Kind::Message(_)));
        let field = field.ok_or_else(|| format!("{{{name}}} is no single field of {}", input.full_name()))?;
        if fields.contains(&field) {
            return Err(format!("{{{name}}} stands twice in the path"));
        }
        fields.push(field);
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_literals_and_variables() {
        let segments = parse("/.well-known/v1/{hook_id}/replay").unwrap();
        assert_eq!(segments[0], Segment::Literal(".well-known".into()));
        assert_eq!(segments[2], Segment::Variable("hook_id".into()));
        for bad in ["a", "/", "/a/", "/a//b", "/{}", "/{a=x/*}", "/{a.b}", "/{a}:watch", "/a?b", "/%61"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
