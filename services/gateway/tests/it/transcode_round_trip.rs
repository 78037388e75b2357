//! Generated things: JSON to protobuf to JSON gives the same JSON, and both directions agree with prost-reflect's own
//! proto3 JSON, apart from what we do on purpose (enum prefixes, 64-bit numbers, `present`).

use crate::contracts;
use beem_gateway::routes::{Match, Routes};
use beem_gateway::transcode::{decode, encode};
use beem_proto::Contract;
use http::HeaderMap;
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static SAMPLE: LazyLock<(Contract, Routes)> = LazyLock::new(|| {
    let contract = contracts::sample();
    let routes = Routes::from_contract(&contract).unwrap();
    (contract, routes)
});

const INTEGER_MAX: i64 = 1 << 53;

fn details() -> impl Strategy<Value = Value> {
    let leaf = (any_text(), prop::option::of(any_text()))
        .prop_map(|(address, tag)| details_of(address, tag, vec![]));
    leaf.prop_recursive(4, 16, 3, |inner| {
        (any_text(), prop::option::of(any_text()), prop::collection::vec(inner, 0..3))
            .prop_map(|(address, tag, parts)| details_of(address, tag, parts))
    })
}

fn details_of(address: String, tag: Option<String>, parts: Vec<Value>) -> Value {
    let mut object = json!({"address": address, "parts": parts});
    if let Some(tag) = tag {
        object["tag"] = tag.into();
    }
    object
}

/// Text with everything that needs an escape in it; not U+0000, which requests may not hold.
fn any_text() -> impl Strategy<Value = String> {
    r#"[a-z"\\/\u{1}\n\u{7f}é€😀\u{2028}]{0,12}"#
}

/// Exact in few digits: serde_json's own reading of long ones is off by the last bit.
fn ratio() -> impl Strategy<Value = f64> {
    any::<i32>().prop_map(|n| f64::from(n) / 256.0)
}

fn status() -> impl Strategy<Value = Value> {
    prop::sample::select(vec!["ACTIVE", "CLOSED"]).prop_map(Value::from)
}

fn time() -> impl Strategy<Value = Value> {
    // 0001-01-01 to 9999-12-31, in milliseconds.
    (-62_135_596_800_000_i64..253_402_300_800_000).prop_map(|ms| {
        let at = prost_types::Timestamp {
            seconds: ms.div_euclid(1000),
            nanos: i32::try_from(ms.rem_euclid(1000)).unwrap() * 1_000_000,
        };
        at.to_string().into()
    })
}

/// A whole thing, as an answer holds it: defaults written.
fn thing() -> impl Strategy<Value = Value> {
    let always = (
        (any_text(), any::<bool>(), any::<i32>(), -INTEGER_MAX..=INTEGER_MAX),
        (any::<u32>(), 0..=INTEGER_MAX, ratio(), status()),
        (prop::collection::vec(any_text(), 0..4), prop::collection::vec(details(), 0..3)),
        prop::collection::vec(status(), 0..3),
    );
    let sometimes = (
        prop::option::of(details()),
        prop::option::of(time()),
        prop::option::of(any::<bool>()),
        prop::option::of(prop_oneof![
            any_text().prop_map(|t| ("left", Value::from(t))),
            any::<u32>().prop_map(|n| ("right", Value::from(n))),
        ]),
    );
    (always, sometimes).prop_map(|(((id, enabled, small, large), (count, total, ratio, status), (roles, list), history), sometimes)| {
        let mut thing = json!({
            "id": id, "enabled": enabled, "small": small, "large": large, "count": count, "total": total,
            "ratio": ratio, "data": "AP8=", "status": status, "roles": roles, "list": list, "history": history,
        });
        let (details, time, maybe, choice) = sometimes;
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                thing[name] = value;
            }
        };
        put("payOutDetails", details);
        put("dateCreated", time);
        put("maybe", maybe.map(Value::from));
        if let Some((name, value)) = choice {
            put(name, Some(value));
        }
        thing
    })
}

fn sent(body: &str) -> Vec<u8> {
    let Match::Found(found) = SAMPLE.1.find(&http::Method::POST, "/t/v1/things") else { panic!("no route") };
    decode(&found, None, &HeaderMap::new(), body.as_bytes()).unwrap_or_else(|f| panic!("{body}: {f}"))
}

/// Our JSON as prost-reflect wants it: enum prefixes.
fn prefixed(thing: &Value) -> Value {
    let full = |status: &Value| Value::from(format!("THING_STATUS_{}", status.as_str().unwrap()));
    let mut thing = thing.clone();
    thing["status"] = full(&thing["status"]);
    thing["history"] = thing["history"].as_array().unwrap().iter().map(full).collect();
    thing
}

proptest! {
    #[test]
    fn json_to_protobuf_to_json_is_the_same(thing in thing()) {
        let bytes = sent(&thing.to_string());
        let method = SAMPLE.0.methods().find(|m| m.name == "GetThing").unwrap();
        let back: Value = serde_json::from_slice(&encode(method, &bytes).unwrap()).unwrap();
        let mut wanted = thing;
        wanted["totals"] = Value::Object(Map::new());
        prop_assert_eq!(back, wanted);
    }

    #[test]
    fn decoding_agrees_with_prost_reflect(thing in thing()) {
        let input = SAMPLE.0.pool.get_message_by_name("beem.sample.v1.CreateThingRequest").unwrap();
        let theirs = DynamicMessage::deserialize(input.clone(), prefixed(&thing)).unwrap();
        let mut ours = DynamicMessage::decode(input, sent(&thing.to_string()).as_slice()).unwrap();
        ours.clear_field_by_name("present");
        prop_assert_eq!(ours.encode_to_vec(), theirs.encode_to_vec());
    }

    #[test]
    fn encoding_agrees_with_prost_reflect(thing in thing()) {
        let method = SAMPLE.0.methods().find(|m| m.name == "GetThing").unwrap();
        let message = DynamicMessage::deserialize(method.descriptor.output(), prefixed(&thing)).unwrap();
        let options = SerializeOptions::new().stringify_64_bit_integers(false).skip_default_fields(false);
        let theirs = message.serialize_with_options(serde_json::value::Serializer, &options).unwrap();
        let ours: Value = serde_json::from_slice(&encode(method, &message.encode_to_vec()).unwrap()).unwrap();
        prop_assert_eq!(prefixed(&ours), theirs);
    }
}
