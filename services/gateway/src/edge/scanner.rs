//! Follows the messages of one HTTP/1 connection: holds a head back until it is whole and judged, lets its body pass,
//! and so finds the next head, pipelined ones too. No I/O: bytes come in any split and the same bytes go out.

use super::chunked::Chunked;
use super::head::{self, AROUND_TARGET_BYTES, Framing, headers_too_large, malformed, target_too_long};
use super::settings::EdgeSettings;
use beem_fault::Fault;
use bytes::BytesMut;
use std::sync::Arc;

/// How far a head has been read.
#[derive(Debug, Default)]
struct HeadProgress {
    /// Bytes looked at.
    scanned: usize,
    /// Where the current line starts.
    line_start: usize,
    /// Where the first field line starts, once the request line is whole.
    fields_start: Option<usize>,
    after_cr: bool,
    /// One empty line before the request line was skipped (RFC 9112 2.2).
    skipped_blank: bool,
}

/// What was found in the held bytes.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// An empty line before the head ends here.
    Blank(usize),
    /// The head ends here, its empty line included.
    End(usize),
}

#[derive(Debug)]
enum State {
    Head(HeadProgress),
    Body(u64),
    Chunked(Chunked),
}

/// The messages of one connection, as far as they have come.
#[derive(Debug)]
pub(super) struct Scanner {
    settings: Arc<EdgeSettings>,
    state: State,
    heads: u64,
}

impl Scanner {
    pub(super) fn new(settings: Arc<EdgeSettings>) -> Self {
        Self { settings, state: State::Head(HeadProgress::default()), heads: 0 }
    }

    /// Heads let through so far.
    pub(super) const fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether the next byte belongs to a head.
    pub(super) const fn in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Moves what may pass from `held` to `out`: whole, judged heads and bytes of bodies. What stays in `held` is part of
    /// a head.
    ///
    /// # Errors
    /// `bad-request`, `target-too-long`, `headers-too-large`, `body-too-large`. What was moved before stays valid; the
    /// scanner must not be used again.
    pub(super) fn pass(&mut self, held: &mut BytesMut, out: &mut BytesMut) -> Result<(), Fault> {
        while !held.is_empty() {
            let taken = match &mut self.state {
                State::Head(progress) => match progress.find_end(held, &self.settings)? {
                    Found::Nothing => return Ok(()),
                    Found::Blank(end) => {
                        let _blank = held.split_to(end);
                        *progress = HeadProgress { skipped_blank: true, ..HeadProgress::default() };
                        continue;
                    }
                    Found::End(end) => {
                        let lines = held.get(..end.saturating_sub(2)).unwrap_or_default();
                        self.state = match head::judge(lines, &self.settings)? {
                            Framing::Length(0) => State::Head(HeadProgress::default()),
                            Framing::Length(length) => State::Body(length),
                            Framing::Chunked => State::Chunked(Chunked::new()),
                        };
                        self.heads += 1;
                        end
                    }
                },
                State::Body(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(held.len());
                    *left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                    if *left == 0 {
                        self.state = State::Head(HeadProgress::default());
                    }
                    here
                }
                State::Chunked(chunked) => {
                    let (here, ended) = chunked.take(held, &self.settings)?;
                    if ended {
                        self.state = State::Head(HeadProgress::default());
                    }
                    here
                }
            };
            out.extend_from_slice(&held.split_to(taken));
        }
        Ok(())
    }
}

impl HeadProgress {
    /// Looks at what was not yet looked at; each byte once, however slowly a head comes.
    fn find_end(&mut self, held: &[u8], settings: &EdgeSettings) -> Result<Found, Fault> {
        for (at, byte) in held.iter().enumerate().skip(self.scanned) {
            match (self.after_cr, byte) {
                (true, b'\n') => {
                    self.after_cr = false;
                    let line_is_empty = at == self.line_start + 1;
                    match (line_is_empty, self.fields_start) {
                        (true, Some(_)) => return Ok(Found::End(at + 1)),
                        (true, None) if self.skipped_blank => {
                            return Err(malformed("empty lines before the request"));
                        }
                        (true, None) => return Ok(Found::Blank(at + 1)),
                        (false, Some(_)) => {}
                        (false, None) => self.fields_start = Some(at + 1),
                    }
                    self.line_start = at + 1;
                }
                (true, _) => return Err(malformed("a carriage return without a line feed")),
                (false, b'\n') => return Err(malformed("a line feed without a carriage return")),
                (false, b'\r') => self.after_cr = true,
                (false, 0..=8 | 0x0b..=0x1f | 0x7f) => {
                    return Err(malformed("a control character in the head"));
                }
                (false, _) => {}
            }
            self.within(held, at, settings)?;
        }
        self.scanned = held.len();
        Ok(Found::Nothing)
    }

    /// A head that is too large is refused when it becomes so, not when it ends.
    fn within(&self, held: &[u8], at: usize, settings: &EdgeSettings) -> Result<(), Fault> {
        match self.fields_start {
            None if at >= settings.target_bytes + AROUND_TARGET_BYTES + 2 => {
                let has_target = held.iter().take(AROUND_TARGET_BYTES).any(|b| *b == b' ');
                Err(if has_target {
                    target_too_long(settings.target_bytes)
                } else {
                    malformed("not a method")
                })
            }
            Some(start)
                if at >= start && at - start >= settings.header_bytes + usize::from(self.after_cr) =>
            {
                Err(headers_too_large(settings.header_bytes))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_fault::Code;
    use proptest::prelude::*;

    /// What passes when the bytes come in these pieces, and how many heads.
    fn passed(pieces: &[&[u8]]) -> Result<(Vec<u8>, u64), Code> {
        let mut scanner = Scanner::new(Arc::new(EdgeSettings::default()));
        let (mut held, mut out) = (BytesMut::new(), BytesMut::new());
        for piece in pieces {
            held.extend_from_slice(piece);
            scanner.pass(&mut held, &mut out).map_err(|f| f.code)?;
            assert!(scanner.in_head() || held.is_empty(), "bytes of a body never wait");
        }
        Ok((out.to_vec(), scanner.heads()))
    }

    const THREE: &[u8] = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;x=y\r\nabc\r\n10\r\n\r\n\r\n0123456789\r\n\r\n0\r\nT: v\r\n\r\n\r\n\
        PUT /b?q HTTP/1.1\r\nhost: a\r\nContent-Length: 27\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n\
        GET /c HTTP/1.1\r\nHOST: a\r\n\r\n";

    #[test]
    fn heads_are_found_behind_bodies_and_only_there() {
        // The empty line between the first two messages is dropped, nothing else.
        let blank = THREE.windows(8).position(|w| w == b"\r\n\r\n\r\nPU").unwrap() + 4;
        let expected = [&THREE[..blank], &THREE[blank + 2..]].concat();
        assert_eq!(passed(&[THREE]), Ok((expected, 3)));
    }

    #[test]
    fn nothing_of_a_head_passes_before_its_end() {
        let whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(passed(&[&whole[..whole.len() - 1]]), Ok((vec![], 0)));
    }

    #[test]
    fn control_bytes_are_refused_at_once() {
        for start in [
            &b"GET / HTTP/1.1\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\n",
            b"GET / HTTP/1.1\r\nHost: a\rb",
            b"GET / HTTP/1.1\r\nHost: a\0",
            b"\x16\x03\x01",
            b"\n",
            b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\x7f",
        ] {
            assert_eq!(passed(&[start]), Err(Code::BadRequest), "{start:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_before_its_end() {
        assert_eq!(passed(&[format!("GET /{}", "x".repeat(9000)).as_bytes()]), Err(Code::TargetTooLong));
        assert_eq!(passed(&["x".repeat(9000).as_bytes()]), Err(Code::BadRequest));
        let head =
            |bytes: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "y".repeat(bytes - 14));
        let most = EdgeSettings::default().header_bytes;
        assert!(passed(&[head(most).as_bytes()]).is_ok());
        assert_eq!(passed(&[head(most + 1).as_bytes()]), Err(Code::HeadersTooLarge));
        assert_eq!(passed(&[head(100_000).as_bytes()]), Err(Code::HeadersTooLarge));
    }

    proptest! {
        #[test]
        fn any_split_passes_the_same_bytes(cuts in proptest::collection::vec(0..THREE.len(), 0..40)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([THREE.len()]) {
                pieces.push(&THREE[from..cut]);
                from = cut;
            }
            prop_assert_eq!(passed(&pieces), passed(&[THREE]));
        }

        #[test]
        fn any_bytes_are_judged_alike_in_any_split(bytes in proptest::collection::vec(
            proptest::sample::select(&b"GET /x HTTP/1.1\r\n\r\nHost: a:5;\t\0"[..]), 0..200), cut in 0..200_usize) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(passed(&[&bytes[..cut], &bytes[cut..]]), passed(&[&bytes]));
        }
    }
}
