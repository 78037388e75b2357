//! Percent-decoding, strict: a `%` that is not two hex digits, or bytes that are no UTF-8, are refused instead of kept.

use std::borrow::Cow;

/// Decodes one path segment. None when an escape is bad.
pub(super) fn segment(raw: &str) -> Option<Cow<'_, str>> {
    decode(raw, false)
}

/// Decodes a name or a value of a query, where `+` is a space (`application/x-www-form-urlencoded`).
pub(super) fn form(raw: &str) -> Option<Cow<'_, str>> {
    decode(raw, true)
}

fn decode(raw: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !raw.bytes().any(|b| b == b'%' || (b == b'+' && plus_is_space)) {
        return Some(Cow::Borrowed(raw));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_or_refuses() {
        assert_eq!(segment("a%2Fb+c").as_deref(), Some("a/b+c"));
        assert_eq!(form("a%2fb+c").as_deref(), Some("a/b c"));
        assert_eq!(segment("%C3%A9").as_deref(), Some("é"));
        for bad in ["%", "%4", "%zz", "a%4", "%ff", "%+1", "%C3"] {
            assert_eq!(segment(bad), None, "{bad}");
        }
    }
}
