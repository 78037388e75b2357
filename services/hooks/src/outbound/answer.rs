//! What is taken from a receiver's answer: its first bytes as text, and how long it asks to be left alone.

use crate::domain::LARGEST_RETRY_AFTER_S;
use beem_clock::Moment;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::{Duration, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};

/// So much of an answer is kept; the rest is not read.
const KEPT_BYTES: usize = 4_096;

/// Once the status is known the answer counts: what else comes, comes within this time or not at all.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// The answer's first [`KEPT_BYTES`] as text, as many of them as come in time; none if there are none.
pub(super) async fn beginning(mut answer: Response) -> Option<String> {
    let until = Instant::now() + READ_WITHIN;
    let mut bytes = Vec::new();
    while bytes.len() < KEPT_BYTES {
        let Ok(Ok(Some(chunk))) = timeout_at(until, answer.chunk()).await else { break };
        let room = KEPT_BYTES.saturating_sub(bytes.len()).min(chunk.len());
        bytes.extend_from_slice(chunk.get(..room).unwrap_or_default());
    }
    if bytes.is_empty() { None } else { Some(text(&bytes)) }
}

/// Readable whatever it was, and what PostgreSQL takes as text.
fn text(bytes: &[u8]) -> String {
    let plain =
        |c: char| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    // With NUL goes CR, which is in front of the LF of many texts.
    String::from_utf8_lossy(bytes).chars().filter(|c| !['\0', '\r'].contains(c)).map(plain).collect()
}

/// Seconds that the answer asks for from `now` on: a number or a date (RFC 9110 section 10.2.3), at most
/// [`LARGEST_RETRY_AFTER_S`]. None for anything else.
pub(super) fn retry_after_s(headers: &HeaderMap, now: Moment) -> Option<u32> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit ask for more time than there is.
        value.parse().unwrap_or(u64::MAX)
    } else {
        let date = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()?;
        let at_ms = i64::try_from(date.as_millis()).ok()?;
        let wait_ms = Moment::from_unix_ms(at_ms).ms_since(now);
        u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000)
    };
    Some(u32::try_from(seconds).unwrap_or(u32::MAX).min(LARGEST_RETRY_AFTER_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_unix_s(1_800_000_000);

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_a_bound() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after_s(&headers, NOW)
        };
        assert_eq!(retry_after_s(&HeaderMap::new(), NOW), None);
        for (value, want) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Fri, 15 Jan 2027 08:00:30 GMT", Some(30)),
            ("Friday, 15-Jan-27 08:01:00 GMT", Some(60)),
            ("Fri Jan 15 08:02:00 2027", Some(120)),
            ("Fri, 15 Jan 2027 07:59:59 GMT", Some(0)),
            ("Thu, 15 Jan 2099 08:00:00 GMT", Some(86_400)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(asked(value), want, "{value:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "Fri, 15 Jan 2027 08:00:30 GMT".parse().unwrap());
        assert_eq!(retry_after_s(&headers, NOW.plus_ms(-1)), Some(31), "never earlier than asked");
    }

    #[test]
    fn an_answer_is_text_whatever_it_was() {
        assert_eq!(text(b"a\r\n\tb\0c"), "a\n\tbc");
        assert_eq!(text(b"\x1b[31m\x7f\xc2\x85"), "\u{fffd}[31m\u{fffd}\u{fffd}");
        assert_eq!(text(b"\xff\xfe\xc3"), "\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(text("größe".as_bytes()), "größe");
    }
}
