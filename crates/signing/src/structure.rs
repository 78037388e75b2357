//! What `sfv` does not keep of a structured field (RFC 8941): each dictionary member's own text, members that occur
//! twice, and parameters that occur twice. RFC 8941 lets the last one win silently; for a signature two readings of one
//! header are one too many.

use crate::error::{Refusal, SignatureError};
use http::HeaderMap;
use sfv::{Dictionary, InnerList, Item, ItemSerializer, ListEntry, ListSerializer, Parser, Version};

/// More than the header budget of the edge, so only reached when somebody else calls.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// One member of a dictionary field.
pub struct Member<'a> {
    pub label: String,
    /// The text after the `=`, as it was sent; empty when there was none.
    pub text: &'a str,
    pub value: ListEntry,
}

/// The lines of a field as one value (RFC 9110 section 5.3): each trimmed, joined by a comma and a space. `None` when
/// there is no line.
pub fn combined(headers: &HeaderMap, name: &str) -> Result<Option<String>, SignatureError> {
    let mut out: Option<String> = None;
    for line in headers.get_all(name) {
        let line = line.to_str().map_err(|_| {
            Refusal::Invalid.because(format!("the {name} header holds something else than visible ASCII"))
        })?;
        match &mut out {
            None => out = Some(line.trim_matches([' ', '\t']).to_owned()),
            Some(all) => {
                all.push_str(", ");
                all.push_str(line.trim_matches([' ', '\t']));
            }
        }
    }
    if out.as_ref().is_some_and(|o| o.len() > MAX_FIELD_BYTES) {
        return Err(Refusal::Invalid.because(format!("the {name} header is too long")));
    }
    Ok(out)
}

/// The members of a dictionary in their order. Refuses an empty dictionary, an empty member, a label or a parameter
/// that occurs twice; the text says which. It stops at the first member beyond `most`: a head full of tiny members must
/// not cost more than a few.
pub fn dictionary(text: &str, most: usize) -> Result<Vec<Member<'_>>, String> {
    let mut members: Vec<Member<'_>> = Vec::new();
    for piece in pieces(text) {
        if members.len() == most {
            return Err(format!("there are more than {most} members"));
        }
        let piece = piece.trim_matches([' ', '\t']);
        let parsed: Dictionary =
            Parser::new(piece).with_version(Version::Rfc8941).parse().map_err(|e| e.to_string())?;
        let Some((label, value)) = parsed.into_iter().next() else { return Err("an empty member".into()) };
        let label = label.as_str().to_owned();
        if members.iter().any(|m| m.label == label) {
            return Err(format!("the label {label} occurs twice"));
        }
        let parameters = match &value {
            ListEntry::Item(item) => item.params.len(),
            ListEntry::InnerList(list) => {
                list.items.iter().fold(list.params.len(), |sum, item| sum.saturating_add(item.params.len()))
            }
        };
        if parameters != unquoted(piece, ';').count() {
            return Err(format!("a parameter of {label} occurs twice"));
        }
        members.push(Member { label, text: piece.split_once('=').map_or("", |(_, text)| text), value });
    }
    Ok(members)
}

/// The text between top-level commas.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let ends = unquoted(text, ',').chain([text.len()]);
    ends.scan(0, |start, end| {
        let piece = text.get(*start..end);
        *start = end.saturating_add(1);
        piece
    })
}

/// Where an ASCII character stands outside of quoted strings.
fn unquoted(text: &str, wanted: char) -> impl Iterator<Item = usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().filter_map(move |(at, c)| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else if !quoted && c == wanted {
            return Some(at);
        }
        None
    })
}

/// The strict serialisation of an item (RFC 8941 section 4.1.3).
pub fn item_text(item: &Item) -> String {
    ItemSerializer::new().bare_item(&item.bare_item).parameters(&item.params).finish()
}

/// The strict serialisation of an inner list (section 4.1.1.1).
pub fn inner_list_text(list: &InnerList) -> String {
    let mut out = ListSerializer::new();
    out.members([&ListEntry::InnerList(list.clone())]);
    out.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Result<Vec<(String, &str)>, String> {
        dictionary(text, 8).map(|all| all.into_iter().map(|m| (m.label, m.text)).collect())
    }

    #[test]
    fn members_keep_their_own_text() {
        let got = labels(r#"a=("x"  "y" ); created=1,b=:AAA=: , c="1,2;\",""#).unwrap();
        let want = [("a", r#"("x"  "y" ); created=1"#), ("b", ":AAA=:"), ("c", r#""1,2;\",""#)];
        assert_eq!(got, want.map(|(l, t)| (l.to_owned(), t)));
    }

    #[test]
    fn doubles_and_holes_are_refused() {
        for bad in [
            "",
            ",",
            "a=1,",
            ",a=1",
            "a=1,,b=2",
            "a=1,a=2",
            "a=1;x=1;x=2",
            "a=(1;x;x)",
            "a=();c=1;c=1",
            "a=\"",
            "A=1",
            "a=(",
        ] {
            assert!(labels(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn text_is_canonical() {
        let members = dictionary(r#"a=( "x";k=?1   "y");  n=1.50;b=?1"#, 8).unwrap();
        let ListEntry::InnerList(list) = &members[0].value else { panic!("an inner list") };
        assert_eq!(inner_list_text(list), r#"("x";k "y");n=1.5;b"#);
        assert_eq!(item_text(&list.items[0]), r#""x";k"#);
    }
}
