//! The signature base (RFC 9421 section 2.5): one line a covered component, then `@signature-params`.

use crate::component::{Component, Form, Source};
use crate::error::{Refusal, SignatureError};
use crate::input::Candidate;
use crate::origin::Origin;
use crate::{query, structure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};
use sfv::{Dictionary, Item, ItemSerializer, ListEntry, ListSerializer, Parser};
use sha2::{Digest as _, Sha256};

/// Fields whose definition says which structured type they are, so that `;sf` has a meaning (section 2.1.1 wants the
/// type known). Dictionaries:
const DICTIONARIES: [&str; 7] = [
    "content-digest",
    "repr-digest",
    "want-content-digest",
    "want-repr-digest",
    "signature",
    "signature-input",
    "priority",
];
/// Items:
const ITEMS: [&str; 1] = ["client-cert"];

/// The request as it is judged: the origin comes from [`Origins::matches`](crate::Origins::matches), not from whatever a
/// proxy wrote.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    pub method: &'a Method,
    pub origin: &'a Origin,
    /// As received, still percent-encoded.
    pub path: &'a str,
    /// Without its question mark, as received; `None` when there is no question mark.
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

impl RequestView<'_> {
    /// `/path?query`, an empty path written as `/` (RFC 9110 section 4.2.3).
    #[must_use]
    pub fn request_target(&self) -> String {
        let path = self.path();
        self.query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// The absolute URI under the judged origin.
    #[must_use]
    pub fn target_uri(&self) -> String {
        format!("{}{}", self.origin.url(), self.request_target())
    }

    const fn path(&self) -> &str {
        if self.path.is_empty() { "/" } else { self.path }
    }
}

impl Candidate {
    /// The base this signature is judged against, computed from the request.
    ///
    /// # Errors
    /// `signature-invalid` when a covered component is not in the request, or is one that is not understood.
    pub fn base(&self, request: &RequestView<'_>) -> Result<String, SignatureError> {
        let mut out = String::with_capacity(512);
        for component in &self.components {
            let value = value(component, request).map_err(|why| {
                Refusal::Invalid.because(format!("the covered component {}: {why}", component.identifier()))
            })?;
            // A line break or a foreign byte would let one component's value pass for another line of the base.
            if !value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')) {
                let detail = format!("the covered component {} is not plain ASCII", component.identifier());
                return Err(Refusal::Invalid.because(detail));
            }
            push_line(&mut out, component.identifier(), &value);
            out.push('\n');
        }
        push_line(&mut out, PARAMS, &self.canonical);
        Ok(out)
    }

    /// The same base with `@signature-params` as the header has it, when that is not the strict serialisation. Section
    /// 2.3 wants the strict one signed; signers that sign the text they send mean this one, and it says the same.
    pub(crate) fn base_as_sent(&self, base: &str) -> Option<String> {
        if self.as_sent == self.canonical {
            return None;
        }
        Some(format!("{}{}", base.strip_suffix(&self.canonical)?, self.as_sent))
    }
}

const PARAMS: &str = "\"@signature-params\"";

fn push_line(out: &mut String, identifier: &str, value: &str) {
    out.push_str(identifier);
    out.push_str(": ");
    out.push_str(value);
}

fn value(component: &Component, request: &RequestView<'_>) -> Result<String, String> {
    match component.source() {
        Source::Method => Ok(request.method.as_str().to_owned()),
        Source::TargetUri => Ok(request.target_uri()),
        Source::Authority => Ok(request.origin.authority().to_owned()),
        Source::Scheme => Ok(request.origin.scheme().to_owned()),
        Source::RequestTarget => Ok(request.request_target()),
        Source::Path => Ok(request.path().to_owned()),
        Source::Query => Ok(format!("?{}", request.query.unwrap_or_default())),
        Source::QueryParam(name) => query_param(request.query.unwrap_or_default(), name),
        Source::Field(form) => field(component.name(), form, request.headers),
        Source::Unsupported(why) => Err((*why).to_owned()),
    }
}

fn query_param(query: &str, name: &str) -> Result<String, String> {
    let mut values = query::values(query, name).into_iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err("the query has no such parameter".into()),
        (Some(_), Some(_)) => Err("the query has it more than once".into()),
    }
}

fn field(name: &str, form: &Form, headers: &HeaderMap) -> Result<String, String> {
    if *form == Form::Wrapped {
        return wrapped(name, headers);
    }
    let text =
        structure::combined(headers, name).map_err(|e| e.detail)?.ok_or("the request has no such header")?;
    let unreadable = |e: sfv::Error| format!("not a structured field: {e}");
    match form {
        Form::Lines | Form::Wrapped => Ok(text),
        Form::Member(key) => {
            let members: Dictionary = Parser::new(&text).parse().map_err(unreadable)?;
            let member = members.get(key.as_str()).ok_or("the field has no such member")?;
            Ok(member_text(member))
        }
        Form::Structured if DICTIONARIES.contains(&name) => {
            let members: Dictionary = Parser::new(&text).parse().map_err(unreadable)?;
            let mut out = sfv::DictSerializer::new();
            out.members(&members);
            Ok(out.finish().unwrap_or_default())
        }
        Form::Structured if ITEMS.contains(&name) => {
            let item: Item = Parser::new(&text).parse().map_err(unreadable)?;
            Ok(ItemSerializer::new().bare_item(&item.bare_item).parameters(&item.params).finish())
        }
        Form::Structured => Err("it is not known as a structured field; cover it without sf".into()),
    }
}

fn member_text(member: &ListEntry) -> String {
    let mut out = ListSerializer::new();
    out.members([member]);
    out.finish().unwrap_or_default()
}

/// Each line's bytes as a byte sequence.
fn wrapped(name: &str, headers: &HeaderMap) -> Result<String, String> {
    let lines: Vec<String> = headers
        .get_all(name)
        .iter()
        .map(|line| format!(":{}:", STANDARD.encode(line.as_bytes().trim_ascii())))
        .collect();
    if lines.is_empty() { Err("the request has no such header".into()) } else { Ok(lines.join(", ")) }
}

/// SHA-256 of a signature base.
#[must_use]
pub fn base_digest(base: &str) -> [u8; 32] {
    Sha256::digest(base.as_bytes()).into()
}

/// What makes two signed requests the same one: who signed, and what. The signature's bytes are no part of it (some
/// algorithms have many valid ones for one base), nor is the label.
#[must_use]
pub fn replay_key(keyid: &str, base: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(keyid.as_bytes());
    // A structured string holds no zero byte, so the two parts cannot run into each other.
    hash.update([0]);
    hash.update(base.as_bytes());
    hash.finalize().into()
}
