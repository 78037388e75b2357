//! A covered component (RFC 9421 section 2): its identifier as it stands in the signature base, and what it names.

use crate::structure;
use sfv::{BareItem, Item};

/// One covered component.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// The canonical identifier with parameters: `"@query-param";name="Pet"`.
    identifier: String,
    name: String,
    source: Source,
}

/// What a component's value is taken from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Section 2.2.1.
    Method,
    /// Section 2.2.2.
    TargetUri,
    /// Section 2.2.3.
    Authority,
    /// Section 2.2.4.
    Scheme,
    /// Section 2.2.5.
    RequestTarget,
    /// Section 2.2.6.
    Path,
    /// Section 2.2.7.
    Query,
    /// Section 2.2.8; the name in its encoded form.
    QueryParam(String),
    /// Section 2.1.
    Field(Form),
    /// Not judged on a request here; the text says why. Kept, because a signature of somebody else's may use it.
    Unsupported(&'static str),
}

/// How a field's value is written into the base.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// The lines, trimmed and joined.
    Lines,
    /// `;sf`: strictly serialised again (section 2.1.1).
    Structured,
    /// `;key`: one member of a dictionary (section 2.1.2).
    Member(String),
    /// `;bs`: each line wrapped as a byte sequence (section 2.1.3).
    Wrapped,
}

impl Component {
    /// Reads one item of the inner list; the text says what is wrong with it.
    pub(crate) fn read(item: &Item) -> Result<Self, String> {
        let BareItem::String(name) = &item.bare_item else {
            return Err("a covered component is not a quoted string".into());
        };
        let name = name.as_str().to_owned();
        let source = if name.starts_with('@') { derived(&name, item) } else { field(&name, item)? };
        Ok(Self { identifier: structure::item_text(item), name, source })
    }

    /// The canonical identifier with parameters: `"@query-param";name="Pet"`.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// The name without parameters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// Whether it binds the whole value of that field, in any form.
    pub(crate) fn is_whole_field(&self, name: &str) -> bool {
        self.name == name
            && matches!(self.source, Source::Field(Form::Lines | Form::Structured | Form::Wrapped))
    }
}

/// Two identifiers are the same whatever the order of their parameters (section 2): this makes them comparable.
pub fn identity(item: &Item) -> String {
    let mut sorted = item.clone();
    sorted.params.sort_keys();
    structure::item_text(&sorted)
}

fn derived(name: &str, item: &Item) -> Source {
    if name == "@query-param" {
        return query_param(item);
    }
    if !item.params.is_empty() {
        return Source::Unsupported("no parameter is understood on it");
    }
    match name {
        "@method" => Source::Method,
        "@target-uri" => Source::TargetUri,
        "@authority" => Source::Authority,
        "@scheme" => Source::Scheme,
        "@request-target" => Source::RequestTarget,
        "@path" => Source::Path,
        "@query" => Source::Query,
        "@status" => Source::Unsupported("a request has no status"),
        _ => Source::Unsupported("no such derived component"),
    }
}

fn query_param(item: &Item) -> Source {
    let mut parameters = item.params.iter();
    match (parameters.next(), parameters.next()) {
        (Some((key, BareItem::String(name))), None) if key.as_str() == "name" => {
            Source::QueryParam(name.as_str().to_owned())
        }
        _ => Source::Unsupported("it takes exactly the parameter name, a string"),
    }
}

fn field(name: &str, item: &Item) -> Result<Source, String> {
    let lower_case = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(lower_case) {
        return Err("a covered field name is not a lower-case header name".into());
    }
    let mut form = Form::Lines;
    for (key, value) in &item.params {
        let next = match (key.as_str(), value) {
            ("sf", BareItem::Boolean(true)) => Form::Structured,
            ("bs", BareItem::Boolean(true)) => Form::Wrapped,
            ("key", BareItem::String(member)) => Form::Member(member.as_str().to_owned()),
            ("req", _) => return Ok(Source::Unsupported("req belongs to responses")),
            ("tr", _) => return Ok(Source::Unsupported("trailers are not read")),
            _ => return Ok(Source::Unsupported("an unknown parameter, or one of the wrong type")),
        };
        form = match (form, next) {
            (Form::Lines, next) => next,
            // `key` already means structured; `sf` beside it changes nothing.
            (Form::Structured, member @ Form::Member(_)) | (member @ Form::Member(_), Form::Structured) => {
                member
            }
            _ => return Ok(Source::Unsupported("bs excludes sf and key")),
        };
    }
    Ok(Source::Field(form))
}
