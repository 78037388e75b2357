//! A JSON document as a source sent it. Only what a pointer passes is taken apart, and a number stays the digits that were
//! written: no price ever goes through a float.

use beem_clock::Moment;
use beem_money::Rate;
use serde_json::value::RawValue;
use std::cell::OnceCell;
use std::collections::HashMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Unix times from here on are milliseconds: in seconds it is the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

/// Where something stands in a document (RFC 6901), with `{code}` and `{lower}` for a currency's name there.
#[derive(Clone, Debug)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// None for what does not begin with a slash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let steps = text.strip_prefix('/')?.split('/');
        Some(Self(steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect()))
    }

    /// Whether it is another place for another currency.
    #[must_use]
    pub fn names_currency(&self) -> bool {
        self.0.iter().any(|step| step.contains("{code}") || step.contains("{lower}"))
    }
}

/// A document, or a part of it.
pub struct Document<'a> {
    raw: &'a RawValue,
    parts: OnceCell<Parts<'a>>,
}

enum Parts<'a> {
    Object(HashMap<String, Document<'a>>),
    Array(Vec<Document<'a>>),
    None,
}

impl<'a> Document<'a> {
    /// None for what is no JSON.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().map(Self::of)
    }

    fn of(raw: &'a RawValue) -> Self {
        Self { raw, parts: OnceCell::new() }
    }

    /// The price at a place.
    ///
    /// # Errors
    /// In a word: `missing` or `no price`.
    pub fn price(&self, pointer: &Pointer, name: &str) -> Result<Rate, &'static str> {
        let text = self.scalar(pointer, name).ok_or("missing")?;
        Rate::parse_feed(&text).map_err(|_| "no price")
    }

    /// The time at a place: Unix seconds or milliseconds, as a number or as text, or RFC 3339.
    #[must_use]
    pub fn time(&self, pointer: &Pointer, name: &str) -> Option<Moment> {
        let text = self.scalar(pointer, name)?;
        if let Ok(at) = OffsetDateTime::parse(&text, &Rfc3339) {
            let ms = at.unix_timestamp_nanos().checked_div(1_000_000)?;
            return i64::try_from(ms).ok().map(Moment::from_unix_ms);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        if whole >= MILLISECONDS {
            return Some(Moment::from_unix_ms(whole));
        }
        let ms: String = fraction.chars().chain("000".chars()).take(3).collect();
        Some(Moment::from_unix_s(whole).plus_ms(ms.parse().ok()?))
    }

    /// The digits of a number, or a text.
    fn scalar(&self, pointer: &Pointer, name: &str) -> Option<String> {
        let mut place = self;
        for step in &pointer.0 {
            let step = step.replace("{code}", name).replace("{lower}", &name.to_ascii_lowercase());
            place = place.part(&step)?;
        }
        let raw = place.raw.get();
        match raw.as_bytes().first()? {
            b'"' => serde_json::from_str(raw).ok(),
            b'0'..=b'9' | b'-' => Some(raw.to_owned()),
            _ => None,
        }
    }

    fn part(&self, step: &str) -> Option<&Self> {
        match self.parts.get_or_init(|| Self::parts(self.raw)) {
            Parts::Object(members) => members.get(step),
            Parts::Array(items) => items.get(step.parse::<usize>().ok()?),
            Parts::None => None,
        }
    }

    fn parts(raw: &'a RawValue) -> Parts<'a> {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'{') => {
                serde_json::from_str::<HashMap<String, &'a RawValue>>(text).map_or(Parts::None, |members| {
                    Parts::Object(members.into_iter().map(|(name, raw)| (name, Self::of(raw))).collect())
                })
            }
            Some(b'[') => serde_json::from_str::<Vec<&'a RawValue>>(text)
                .map_or(Parts::None, |items| Parts::Array(items.into_iter().map(Self::of).collect())),
            _ => Parts::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    fn price(json: &str, at: &str) -> Result<String, &'static str> {
        Document::parse(json.as_bytes()).unwrap().price(&pointer(at), "BTC").map(|rate| rate.to_string())
    }

    #[test]
    fn prices_are_read_from_their_digits() {
        let read = |number: &str| price(&format!("{{\"data\":[{{\"BTC\": {number} }}]}}"), "/data/0/{code}");
        // A float would make 0.1000000000000000055 or 97000.123456789 of these.
        assert_eq!(read("97000.1234567890123456").unwrap(), "97000.1234567890123");
        assert_eq!(read("0.10000000000000000001").unwrap(), "0.1");
        assert_eq!(read("0.000012345678901234567899").unwrap(), "0.0000123456789012345678");
        assert_eq!(read("1e-7").unwrap(), "0.0000001");
        assert_eq!(read("\"1.5E3\"").unwrap(), "1500");
        for wrong in ["-1", "0", "0.0", "\"NaN\"", "\"Infinity\"", "\"\"", "\" 1\"", "1e999", "\"١\""] {
            assert_eq!(read(wrong), Err("no price"), "{wrong}");
        }
        for wrong in ["null", "true", "{}", "[1]"] {
            assert_eq!(read(wrong), Err("missing"), "{wrong}");
        }
    }

    #[test]
    fn pointers_go_through_objects_arrays_and_escapes() {
        assert_eq!(price(r#"{"a/b":{"~":{"btc":"2"}}}"#, "/a~1b/~0/{lower}").unwrap(), "2");
        assert_eq!(price(r#"{"XBTCUSD":{"c":["3","0.1"]}}"#, "/X{code}USD/c/0").unwrap(), "3");
        for lost in ["/x", "/XBTCUSD/c/2", "/XBTCUSD/c/-1", "/XBTCUSD/c/0/0", "/XBTCUSD"] {
            assert_eq!(price(r#"{"XBTCUSD":{"c":["3","0.1"]}}"#, lost), Err("missing"), "{lost}");
        }
        assert!(Document::parse(b"<html>").is_none());
        assert!(Document::parse(b"{\"a\":1} x").is_none());
        assert!(Pointer::parse("data").is_none());
    }

    #[test]
    fn times_in_every_spelling() {
        let time = |text: &str| {
            Document::parse(format!("{{\"t\":{text}}}").as_bytes())
                .unwrap()
                .time(&pointer("/t"), "BTC")
                .map(Moment::unix_ms)
        };
        assert_eq!(time("1800000000"), Some(1_800_000_000_000));
        assert_eq!(time("1800000000123"), Some(1_800_000_000_123));
        assert_eq!(time("1800000000.5"), Some(1_800_000_000_500));
        assert_eq!(time("\"1800000000.1239\""), Some(1_800_000_000_123));
        assert_eq!(time("\"2027-01-15T08:00:00.250Z\""), Some(1_800_000_000_250));
        assert_eq!(time("\"2027-01-15T09:00:00+01:00\""), Some(1_800_000_000_000));
        for wrong in ["1.8e9", "-1", "\"yesterday\"", "null", "99999999999999999999"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
