//! Where a chunked body ends (RFC 9112 7.1), read strictly: sizes are hexadecimal digits and nothing else, every line
//! ends in CRLF. The bytes pass on to hyper unchanged; this only follows them, so that the next head is found where
//! hyper will look for it.

use super::head::{body_too_large, headers_too_large, is_token_byte, malformed};
use super::settings::EdgeSettings;
use beem_fault::{Code, Fault};

/// Digits of one size; 16 fit 64 bits.
const SIZE_DIGITS: u8 = 16;

/// Bytes of all chunk extensions of one body. They mean nothing here.
const EXTENSION_BYTES: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a size, after so many digits.
    Size(u8),
    Extension,
    SizeLf,
    /// So many bytes of data left.
    Data(u64),
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the empty line that ends the body.
    Line,
    Name,
    Value,
    ValueLf,
    LastLf,
    End,
}

/// Follows one chunked body.
#[derive(Clone, Debug)]
pub(super) struct Chunked {
    at: At,
    size: u64,
    received: u64,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
}

impl Chunked {
    pub(super) const fn new() -> Self {
        Self {
            at: At::Size(0),
            size: 0,
            received: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailer_fields: 0,
        }
    }

    /// How many bytes of `input` belong to the body, and whether it ends there.
    ///
    /// # Errors
    /// `bad-request` for anything that is not the grammar, `body-too-large` as soon as a size says so,
    /// `headers-too-large` for trailers beyond the bounds of a head.
    pub(super) fn take(&mut self, input: &[u8], settings: &EdgeSettings) -> Result<(usize, bool), Fault> {
        let mut taken = 0;
        while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
            if let At::Data(left) = self.at {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                taken += here;
                let left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                self.at = if left == 0 { At::DataCr } else { At::Data(left) };
            } else if let Some(byte) = rest.first() {
                self.at = self.step(*byte, settings)?;
                taken += 1;
            }
            if self.at == At::End {
                return Ok((taken, true));
            }
        }
        Ok((taken, false))
    }

    fn step(&mut self, byte: u8, settings: &EdgeSettings) -> Result<At, Fault> {
        match (self.at, byte) {
            (At::Size(digits), _) if byte.is_ascii_hexdigit() && digits < SIZE_DIGITS => {
                let value = char::from(byte).to_digit(16).map_or(0, u64::from);
                self.size = self.size << 4 | value;
                Ok(At::Size(digits + 1))
            }
            (At::Size(1..), b'\r') => Ok(At::SizeLf),
            (At::Size(1..), b';') => Ok(At::Extension),
            (At::Size(_), _) => Err(malformed("a chunk size is not hexadecimal digits")),
            (At::Extension, b'\r') => Ok(At::SizeLf),
            (At::Extension, b'\t' | b' '..=b'~') => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES {
                    return Err(malformed("chunk extensions are too large"));
                }
                Ok(At::Extension)
            }
            (At::SizeLf, b'\n') => self.sized(settings),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Size(0)),
            (At::Line, b'\r') => Ok(At::LastLf),
            (At::LastLf, b'\n') => Ok(At::End),
            (At::Line | At::Name | At::Value | At::ValueLf, _) => self.trailer(byte, settings),
            _ => Err(malformed("a chunk does not end where its size says, or a line in it not in CRLF")),
        }
    }

    /// After a size line.
    fn sized(&mut self, settings: &EdgeSettings) -> Result<At, Fault> {
        let size = std::mem::take(&mut self.size);
        if size == 0 {
            return Ok(At::Line);
        }
        self.received = self.received.saturating_add(size);
        match usize::try_from(self.received) {
            Ok(bytes) if bytes <= settings.body_bytes => Ok(At::Data(size)),
            _ => Err(body_too_large(settings.body_bytes)),
        }
    }

    fn trailer(&mut self, byte: u8, settings: &EdgeSettings) -> Result<At, Fault> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > settings.header_bytes {
            return Err(headers_too_large(settings.header_bytes));
        }
        match (self.at, byte) {
            (At::Line, _) if is_token_byte(byte) => {
                self.trailer_fields += 1;
                if self.trailer_fields > settings.header_fields {
                    return Err(Fault::new(Code::HeadersTooLarge, "too many trailer fields"));
                }
                Ok(At::Name)
            }
            (At::Name, _) if is_token_byte(byte) => Ok(At::Name),
            (At::Name, b':') => Ok(At::Value),
            (At::Value, b'\r') => Ok(At::ValueLf),
            (At::ValueLf, b'\n') => Ok(At::Line),
            (At::Value, b'\t' | b' '..=b'~' | 0x80..) => Ok(At::Value),
            _ => Err(malformed("not a trailer field")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(body: &str) -> Result<(usize, bool), Code> {
        Chunked::new().take(body.as_bytes(), &EdgeSettings::default()).map_err(|f| f.code)
    }

    #[test]
    fn bodies_end_where_they_end() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "00000A\r\n0123456789\r\n000\r\n\r\n",
            "5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n",
            "1\r\nx\r\n0\r\nDigest: abc\r\nx:\r\n\r\n",
        ] {
            assert_eq!(took(body), Ok((body.len(), true)), "{body:?}");
            assert_eq!(took(&format!("{body}GET /")), Ok((body.len(), true)), "{body:?}");
            assert_eq!(took(&body[..body.len() - 1]), Ok((body.len() - 1, false)), "{body:?}");
        }
    }

    #[test]
    fn sizes_that_are_none() {
        for body in [
            "0x5\r\nhello",
            "+5\r\nhello",
            "-5\r\n",
            " 5\r\nhello",
            "5 \r\nhello",
            "\r\n",
            ";a\r\n",
            "5\nhello",
            "g\r\n",
            "5;a\nhello",
            "5;\0\r\n",
            "5\rhello",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloo\r\n",
            "5\r\nhell\r\n0\r\n\r\n",
            "0\r\n\n",
            "0\r\n\rx",
            "0\r\n folded: x\r\n\r\n",
            "0\r\na : b\r\n\r\n",
            "0\r\na\r\n\r\n",
            "0\r\na: b\n\r\n",
            "00000000000000005\r\nhello",
            "0\r\n: x\r\n\r\n",
            "0\r\na: \0\r\n\r\n",
        ] {
            assert_eq!(took(body), Err(Code::BadRequest), "{body:?}");
        }
    }

    #[test]
    fn a_size_beyond_the_bound_is_refused_before_its_data() {
        for body in ["100001\r\n", "ffffffffffffffff\r\n", "8000000000000000\r\n"] {
            assert_eq!(took(body), Err(Code::BodyTooLarge), "{body:?}");
        }
        assert_eq!(took("100000\r\n"), Ok((8, false)));
        let sum = format!("1\r\nx\r\n{}\r\n", "100000");
        assert_eq!(took(&sum), Err(Code::BodyTooLarge));
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        assert_eq!(took(&format!("1;{}\r\n", "x".repeat(2000))), Err(Code::BadRequest));
        assert_eq!(took(&format!("0\r\na: {}", "x".repeat(17_000))), Err(Code::HeadersTooLarge));
        assert_eq!(took(&format!("0\r\n{}", "a: b\r\n".repeat(101))), Err(Code::HeadersTooLarge));
    }
}
