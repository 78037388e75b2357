//! `google.protobuf.Struct` as the JSON object it stands for, and back. Its numbers are floats: whole ones are written as
//! whole numbers, as they were when they went in, and what JSON has no number for is null, so that one odd value in a row
//! never makes a list unreadable.

use super::{JsonError, Result, display, json};
use prost_reflect::DynamicMessage;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Value as Json};

/// How deep an object is one; what is deeper is text. A message can only be so deep.
const DEEPEST: u8 = 16;

/// Up to here every whole number has its own float: 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes an object, its members in the order of their names.
pub(super) fn object(message: &DynamicMessage, out: &mut Vec<u8>) -> Result<()> {
    members(&message.transcode_to::<Struct>().map_err(|e| JsonError::of(e.to_string()))?, out)
}

fn members(object: &Struct, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'{');
    for (at, (name, member)) in object.fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json(name, out)?;
        out.push(b':');
        value(member, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn value(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => out.extend_from_slice(b"null"),
        Some(Kind::BoolValue(b)) => json(b, out)?,
        Some(Kind::NumberValue(n)) if n.fract() == 0.0 && n.abs() <= WHOLE_MAX => display(&(n + 0.0), out)?,
        // serde_json writes null for what is not finite.
        Some(Kind::NumberValue(n)) => json(n, out)?,
        Some(Kind::StringValue(text)) => json(text, out)?,
        Some(Kind::StructValue(inner)) => members(inner, out)?,
        Some(Kind::ListValue(list)) => {
            out.push(b'[');
            for (at, item) in list.values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                self::value(item, out)?;
            }
            out.push(b']');
        }
    }
    Ok(())
}

/// The message of an object.
#[must_use]
pub fn to_struct(members: Map<String, Json>) -> Struct {
    struct_at(members, 1)
}

fn struct_at(members: Map<String, Json>, depth: u8) -> Struct {
    Struct { fields: members.into_iter().map(|(name, member)| (name, value_at(member, depth))).collect() }
}

fn value_at(json: Json, depth: u8) -> Value {
    let next = depth.saturating_add(1);
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(flag),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(_) | Json::Object(_) if depth >= DEEPEST => Kind::StringValue(json.to_string()),
        Json::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(|json| value_at(json, next)).collect(),
        }),
        Json::Object(members) => Kind::StructValue(struct_at(members, next)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: Option<Kind>) -> String {
        let mut out = Vec::new();
        value(&Value { kind }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_as_they_went_in_and_nothing_is_unreadable() {
        let number = |n| written(Some(Kind::NumberValue(n)));
        assert_eq!(number(3.0), "3");
        assert_eq!(number(-0.0), "0");
        assert_eq!(number(0.5), "0.5");
        assert_eq!(number(WHOLE_MAX), "9007199254740992");
        assert_eq!(number(1e300), "1e+300");
        assert_eq!(number(f64::NAN), "null");
        assert_eq!(number(f64::NEG_INFINITY), "null");
        assert_eq!(written(None), "null");
        assert_eq!(written(Some(Kind::NullValue(0))), "null");
    }

    #[test]
    fn objects_and_lists_are_plain_json() {
        let text = |t: &str| Value { kind: Some(Kind::StringValue(t.into())) };
        let list = prost_types::ListValue { values: vec![text("a\"b"), Value { kind: None }] };
        let inner = Struct { fields: [("list".into(), Value { kind: Some(Kind::ListValue(list)) })].into() };
        let outer = Struct {
            fields: [
                ("z".into(), Value { kind: Some(Kind::BoolValue(true)) }),
                ("a".into(), Value { kind: Some(Kind::StructValue(inner)) }),
            ]
            .into(),
        };
        assert_eq!(written(Some(Kind::StructValue(outer))), r#"{"a":{"list":["a\"b",null]},"z":true}"#);
    }

    #[test]
    fn an_object_comes_back_as_it_was_and_one_too_deep_as_text_below() {
        let there_and_back = |json: Json| {
            let Json::Object(members) = json else { panic!("no object") };
            let mut out = Vec::new();
            super::members(&to_struct(members), &mut out).unwrap();
            serde_json::from_slice::<Json>(&out).unwrap()
        };
        let plain = serde_json::json!({"a": [1, 2.5, null, {"b": true}], "c": "\u{fc}", "d": {}, "e": 9_007_199_254_740_992_u64});
        assert_eq!(there_and_back(plain.clone()), plain);
        let deep = (0..40).fold(serde_json::json!(1), |inner, _| serde_json::json!({ "in": inner }));
        let mut shown = &there_and_back(deep);
        let mut depth = 0;
        while let Some(inner) = shown.get("in") {
            (shown, depth) = (inner, depth + 1);
        }
        assert_eq!(depth, DEEPEST);
        assert!(shown.as_str().unwrap().starts_with("{\"in\":"));
    }
}
