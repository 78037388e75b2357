//! The grammar of an HTTP/1 request head (RFC 9112), read strictly: whatever two programs might read differently is
//! refused, whether or not hyper would take it. At least as strict as hyper, so that hyper never answers by itself.

use super::settings::EdgeSettings;
use beem_fault::{Code, Fault};
use http::Uri;

/// How the body of a message is delimited (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; 0 without a body.
    Length(u64),
    Chunked,
}

/// No method is longer.
const METHOD_BYTES: usize = 32;

/// Of a request line, what is not the target: the method, two spaces, the version.
pub(super) const AROUND_TARGET_BYTES: usize = METHOD_BYTES + 2 + 8;

/// What is wrong with the bytes of a head.
pub(super) fn malformed(detail: &str) -> Fault {
    Fault::new(Code::BadRequest, detail)
}

/// `tchar` of RFC 9110 5.6.2.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Judges a whole head. `lines` is all of it, each line with its CRLF, without the empty line at the end; that there is no
/// CR, LF or other control byte elsewhere (tabs excepted) was seen by the scanner.
///
/// # Errors
/// `bad-request`, `target-too-long`, `headers-too-large`, `body-too-large`.
pub(super) fn judge(lines: &[u8], settings: &EdgeSettings) -> Result<Framing, Fault> {
    let mut lines = lines.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let is_1_1 = request_line(lines.next().unwrap_or_default(), settings.target_bytes)?;
    let mut fields = Fields::default();
    for line in lines.filter(|line| !line.is_empty()) {
        fields.read(line)?;
        if fields.count > settings.header_fields {
            let most = settings.header_fields;
            return Err(Fault::new(Code::HeadersTooLarge, format!("more than {most} header fields")));
        }
    }
    match fields.hosts {
        0 => return Err(malformed("no Host")),
        1 => {}
        _ => return Err(malformed("more than one Host")),
    }
    fields.framing(is_1_1, settings.body_bytes)
}

/// Whether the version is HTTP/1.1.
fn request_line(line: &[u8], target_bytes: usize) -> Result<bool, Fault> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed("the request line is not `method target version`"));
    };
    if method.is_empty() || method.len() > METHOD_BYTES || !method.iter().all(|b| is_token_byte(*b)) {
        return Err(malformed("not a method"));
    }
    if target.len() > target_bytes {
        return Err(target_too_long(target_bytes));
    }
    // A fragment is never sent (RFC 9112 3.2); parsers drop it, and a signer may not.
    let plain = target.iter().all(|b| b.is_ascii_graphic() && *b != b'#');
    if !plain || Uri::try_from(target).is_err() {
        return Err(malformed("not a request target"));
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        _ => Err(malformed("not a version of HTTP that is spoken here")),
    }
}

pub(super) fn target_too_long(most: usize) -> Fault {
    Fault::new(Code::TargetTooLong, format!("the request target is longer than {most} bytes"))
}

pub(super) fn headers_too_large(most: usize) -> Fault {
    Fault::new(Code::HeadersTooLarge, format!("the headers are larger than {most} bytes"))
}

pub(super) fn body_too_large(most: usize) -> Fault {
    Fault::new(Code::BodyTooLarge, format!("the body is larger than {most} bytes"))
}

/// What is gathered from the field lines.
#[derive(Default)]
struct Fields<'a> {
    count: usize,
    hosts: usize,
    length: Option<&'a [u8]>,
    coding: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, line: &'a [u8]) -> Result<(), Fault> {
        self.count += 1;
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(malformed("a header field is folded over lines"));
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            return Err(malformed("a header field has no colon"));
        };
        let (name, rest) = line.split_at(colon);
        let value = rest.get(1..).unwrap_or_default().trim_ascii();
        if name.ends_with(b" ") || name.ends_with(b"\t") {
            return Err(malformed("white space before the colon of a header field"));
        }
        if name.is_empty() || !name.iter().all(|b| is_token_byte(*b)) {
            return Err(malformed("not a header field name"));
        }
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            if value.is_empty() {
                return Err(malformed("an empty Host"));
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            // Equal ones too: RFC 9110 8.6 allows taking them, and programs differ in whether they do.
            if self.length.replace(value).is_some() {
                return Err(malformed("more than one Content-Length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") && self.coding.replace(value).is_some() {
            return Err(malformed("more than one Transfer-Encoding"));
        }
        Ok(())
    }

    fn framing(&self, is_1_1: bool, body_bytes: usize) -> Result<Framing, Fault> {
        match (self.length, self.coding) {
            (None, None) => Ok(Framing::Length(0)),
            (Some(_), Some(_)) => Err(malformed("both Content-Length and Transfer-Encoding")),
            (None, Some(coding)) if is_1_1 && coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            (None, Some(_)) => Err(malformed("the only transfer coding is chunked, in HTTP/1.1")),
            (Some(digits), None) => content_length(digits, body_bytes).map(Framing::Length),
        }
    }
}

/// `1*DIGIT` (RFC 9110 8.6) within the bound.
pub(super) fn content_length(digits: &[u8], body_bytes: usize) -> Result<u64, Fault> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed("Content-Length is not a number"));
    }
    // Nothing but digits: what does not fit is too large.
    let length = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    match usize::try_from(length) {
        Ok(bytes) if bytes <= body_bytes => Ok(length),
        _ => Err(body_too_large(body_bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(head: &str) -> Result<Framing, Code> {
        judge(head.as_bytes(), &EdgeSettings::default()).map_err(|f| f.code)
    }

    fn with(fields: &str) -> Result<Framing, Code> {
        judged(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}"))
    }

    #[test]
    fn framings_that_are_taken() {
        assert_eq!(with(""), Ok(Framing::Length(0)));
        assert_eq!(with("content-length: 7\r\n"), Ok(Framing::Length(7)));
        assert_eq!(with("Transfer-Encoding:\tChunked \r\n"), Ok(Framing::Chunked));
        assert_eq!(judged("GET / HTTP/1.0\r\nHost: a\r\n"), Ok(Framing::Length(0)));
    }

    #[test]
    fn framings_that_are_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\ncontent-length: 6\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length:\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
        ] {
            assert_eq!(with(fields), Err(Code::BadRequest), "{fields:?}");
        }
        assert_eq!(
            judged("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"),
            Err(Code::BadRequest)
        );
    }

    #[test]
    fn a_length_that_is_too_large_is_too_large_at_any_size() {
        assert_eq!(with("Content-Length: 1048576\r\n"), Ok(Framing::Length(1_048_576)));
        for digits in ["1048577", "18446744073709551616", "99999999999999999999999999999999"] {
            assert_eq!(with(&format!("Content-Length: {digits}\r\n")), Err(Code::BodyTooLarge));
        }
    }

    #[test]
    fn lines_that_are_refused() {
        for head in [
            "GET /\r\nHost: a\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n",
            "GET / HTTP/1.2\r\nHost: a\r\n",
            "GET / http/1.1\r\nHost: a\r\n",
            "G(T / HTTP/1.1\r\nHost: a\r\n",
            "GET /# HTTP/1.1\r\nHost: a\r\n",
            "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n",
            "GET http:// HTTP/1.1\r\nHost: a\r\n",
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n",
            "GET / HTTP/1.1\r\n Host: a\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nb[]: x\r\n",
            "GET / HTTP/1.0\r\n",
        ] {
            assert_eq!(judged(head), Err(Code::BadRequest), "{head:?}");
        }
    }

    #[test]
    fn bounds_are_exact() {
        let limits = EdgeSettings::default();
        let target =
            |bytes: usize| judged(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n", "x".repeat(bytes - 1)));
        assert!(target(limits.target_bytes).is_ok());
        assert_eq!(target(limits.target_bytes + 1), Err(Code::TargetTooLong));
        let fields = |count: usize| with(&"a: b\r\n".repeat(count - 1));
        assert!(fields(limits.header_fields).is_ok());
        assert_eq!(fields(limits.header_fields + 1), Err(Code::HeadersTooLarge));
    }
}
