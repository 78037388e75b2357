//! Reads a body into a tree. Not serde_json's own values: those keep the last of two equal keys in silence, and put
//! numbers through a float, while amounts must be read from their digits. Escapes in texts are serde_json's.

use super::path::Path;
use super::{JSON_DEPTH_MAX, JSON_VALUES_MAX};
use beem_fault::{Code, Fault, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One JSON value; borrows from the body where it can.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// The digits as sent; valid by the grammar of RFC 8259 section 6.
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Object<'a>),
}

pub(super) type Object<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

impl Json<'_> {
    /// For errors: "a number".
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Reads the whole of a body.
///
/// # Errors
/// `malformed-json` with line and column, or with the path of a key that stands twice.
pub(super) fn parse(body: &[u8]) -> Result<Json<'_>> {
    let text = std::str::from_utf8(body)
        .map_err(|e| Fault::new(Code::MalformedJson, format!("byte {} is not UTF-8", e.valid_up_to())))?;
    let mut reader = Reader { text, at: 0, values: 0 };
    let value = reader.value(0, &Path::Root)?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.malformed("nothing may follow the value")),
    }
}

struct Reader<'a> {
    text: &'a str,
    /// Byte position; always at a character boundary.
    at: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize, path: &Path<'_>) -> Result<Json<'a>> {
        self.values = self.values.saturating_add(1);
        if self.values > JSON_VALUES_MAX {
            return Err(self.malformed(&format!("more than {JSON_VALUES_MAX} values")));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(depth.saturating_add(1), path),
            Some(b'[') => self.list(depth.saturating_add(1), path),
            Some(b'"') => self.text().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => Err(self.malformed("expected a value")),
        }
    }

    fn object(&mut self, depth: usize, path: &Path<'_>) -> Result<Json<'a>> {
        self.enter(depth)?;
        let mut members = Object::new();
        if self.close(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.malformed("expected a key in double quotes"));
            }
            let key = self.text()?;
            let here = Path::Field(path, &key);
            // Compared after escapes are resolved: "a" and "\u0061" are one key.
            if members.contains_key(&key) {
                return Err(Fault::field_as(Code::MalformedJson, here.text(), "the key stands twice"));
            }
            self.space();
            self.expect(b':')?;
            let value = self.value(depth, &here)?;
            members.insert(key, value);
            if self.close(b'}') {
                return Ok(Json::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn list(&mut self, depth: usize, path: &Path<'_>) -> Result<Json<'a>> {
        self.enter(depth)?;
        let mut items = Vec::new();
        if self.close(b']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth, &Path::Item(path, items.len()))?);
            if self.close(b']') {
                return Ok(Json::List(items));
            }
            self.expect(b',')?;
        }
    }

    fn enter(&mut self, depth: usize) -> Result<()> {
        if depth > JSON_DEPTH_MAX {
            return Err(self.malformed(&format!("nested deeper than {JSON_DEPTH_MAX}")));
        }
        self.step();
        Ok(())
    }

    /// Takes the closing bracket, if that is what comes next.
    fn close(&mut self, bracket: u8) -> bool {
        self.space();
        let here = self.peek() == Some(bracket);
        if here {
            self.step();
        }
        here
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.malformed(&format!("expected `{}`", char::from(byte))));
        }
        self.step();
        Ok(())
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>> {
        if !self.rest().starts_with(word) {
            return Err(self.malformed("expected a value"));
        }
        self.at = self.at.saturating_add(word.len());
        Ok(value)
    }

    fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        self.skip(|b| b == b'-', 1);
        let leading_zero = self.peek() == Some(b'0');
        if self.skip(|b| b.is_ascii_digit(), if leading_zero { 1 } else { usize::MAX }) == 0 {
            return Err(self.malformed("expected a digit"));
        }
        if self.skip(|b| b == b'.', 1) == 1 && self.skip(|b| b.is_ascii_digit(), usize::MAX) == 0 {
            return Err(self.malformed("expected a digit"));
        }
        if self.skip(|b| matches!(b, b'e' | b'E'), 1) == 1 {
            self.skip(|b| matches!(b, b'+' | b'-'), 1);
            if self.skip(|b| b.is_ascii_digit(), usize::MAX) == 0 {
                return Err(self.malformed("expected a digit"));
            }
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn text(&mut self) -> Result<Cow<'a, str>> {
        let start = self.at;
        self.step();
        let mut escaped = false;
        loop {
            self.skip(|b| b != b'"' && b != b'\\' && b >= b' ', usize::MAX);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.step();
                    // Whatever is escaped, the quote above all, ends nothing. A wide character is no escape: serde_json says so.
                    self.skip(|_| true, 1);
                }
                Some(_) => return Err(self.malformed("a control character stands in a string")),
                None => return Err(self.malformed("the string does not end")),
            }
        }
        self.step();
        if !escaped {
            let inner = start.saturating_add(1)..self.at.saturating_sub(1);
            return Ok(Cow::Borrowed(self.text.get(inner).unwrap_or_default()));
        }
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(quoted)
            .map(Cow::Owned)
            .map_err(|_| self.malformed("the string has an invalid escape"))
    }

    /// Takes up to `most` bytes that fit; says how many.
    fn skip(&mut self, fits: impl Fn(u8) -> bool, most: usize) -> usize {
        let count = self.rest().bytes().take(most).take_while(|b| fits(*b)).count();
        self.at = self.at.saturating_add(count);
        count
    }

    fn space(&mut self) {
        self.skip(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'), usize::MAX);
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn malformed(&self, problem: &str) -> Fault {
        let before = self.text.as_bytes().get(..self.at).unwrap_or_default();
        let line = before.iter().filter(|b| **b == b'\n').count().saturating_add(1);
        let column = before.iter().rev().take_while(|b| **b != b'\n').count().saturating_add(1);
        Fault::new(Code::MalformedJson, format!("line {line} column {column}: {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(body: &str) -> Fault {
        let fault = parse(body.as_bytes()).unwrap_err();
        assert_eq!(fault.code, Code::MalformedJson, "{body}");
        fault
    }

    /// The tree as serde_json would have it, to compare; None when it holds a key twice or is too deep.
    fn same(json: &Json<'_>) -> serde_json::Value {
        match json {
            Json::Null => serde_json::Value::Null,
            Json::Bool(b) => (*b).into(),
            Json::Number(digits) => serde_json::from_str(digits).unwrap(),
            Json::Text(text) => text.as_ref().into(),
            Json::List(items) => items.iter().map(same).collect(),
            Json::Object(members) => {
                serde_json::Value::Object(members.iter().map(|(k, v)| (k.to_string(), same(v))).collect())
            }
        }
    }

    #[test]
    fn digits_survive() {
        let body = b" [0, -0, 12345678901234567890123.10, 1e400] ";
        let digits = ["0", "-0", "12345678901234567890123.10", "1e400"].map(Json::Number);
        assert_eq!(parse(body).unwrap(), Json::List(digits.into()));
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(error("{\n  \"a\": tru\n}").detail, "line 2 column 8: expected a value");
        assert_eq!(error("{\"a\":1,}").detail, "line 1 column 8: expected a key in double quotes");
        assert_eq!(error("").detail, "line 1 column 1: expected a value");
        assert_eq!(error("{} x").detail, "line 1 column 4: nothing may follow the value");
        assert!(parse(b"\"\xff\"").unwrap_err().detail.contains("byte 1 is not UTF-8"));
    }

    #[test]
    fn equal_keys_are_refused_at_any_depth() {
        assert_eq!(error(r#"{"a":1,"\u0061":2}"#).fields[0].field, "a");
        assert_eq!(error(r#"{"x":[{}, {"b":{"c":1,"d":1,"c":1}}]}"#).fields[0].field, "x[1].b.c");
        parse(br#"{"a":{"a":1},"b":{"a":1}}"#).unwrap();
    }

    #[test]
    fn nesting_and_number_of_values_are_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        parse(nested(JSON_DEPTH_MAX).as_bytes()).unwrap();
        assert!(error(&nested(JSON_DEPTH_MAX + 1)).detail.contains("deeper"));
        assert!(error(&nested(100_000)).detail.contains("deeper"));
        assert!(error(&format!("[{}0]", "0,".repeat(JSON_VALUES_MAX))).detail.contains("values"));
    }

    #[test]
    fn agrees_with_serde_json_on_hard_cases() {
        let cases = [
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "1e",
            "1e+",
            "1E-2",
            "-0.0e0",
            "nul",
            "nullx",
            "[1 2]",
            "[,]",
            "{,}",
            "{\"a\"}",
            "{a:1}",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"\\u12\"",
            "\"\\",
            "\"\\\"",
            "\"é\\é\"",
            "\"a\u{1}\"",
            "\u{feff}{}",
            "[\"\\\\\"]",
            "// x",
            "'a'",
            "NaN",
            "\"\u{7f}\"",
            "{\"a\":}",
            "[1,]",
            "\t[ ]\r\n",
            "\u{a0}1",
        ];
        for case in cases {
            let (ours, theirs) = (parse(case.as_bytes()), serde_json::from_str::<serde_json::Value>(case));
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{case:?}: {ours:?} {theirs:?}");
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                assert_eq!(same(&ours), theirs, "{case:?}");
            }
        }
    }

    proptest! {
        /// Any text at all: no panic, and never more accepted than by serde_json.
        #[test]
        fn never_laxer_than_serde_json(text in r#"[\[\]{}:,"\\/ua0-9.eE+\-tfn \n\u{1}é]{0,24}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match parse(text.as_bytes()) {
                Ok(ours) => prop_assert_eq!(same(&ours), theirs.unwrap()),
                Err(fault) if fault.fields.is_empty() => {
                    // serde_json refuses what does not fit a float; for us that is the field's business.
                    prop_assert!(theirs.is_err(), "{} {:?}", fault, text);
                }
                Err(_) => {}
            }
        }
    }
}
