//! Every sample is what the schema of its type says, and its data is its message.

use super::*;
use crate::domain::CATALOGUE;
use crate::reference::schema;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use beem_proto::schema::Comments;
use prost_reflect::DynamicMessage;
use serde_json::{Map, json};
use sha2::{Digest as _, Sha256};

/// As much of JSON Schema as our schemas use; anything else fails the test.
struct Checker<'a> {
    defs: &'a Map<String, Value>,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        for (keyword, said) in schema.as_object().unwrap() {
            self.keyword(schema, keyword, said, value).map_err(|wrong| match wrong.strip_prefix('.') {
                Some(inner) => format!("{at}.{inner}"),
                None => format!("{at}: {wrong}"),
            })?;
        }
        Ok(())
    }

    fn keyword(&self, schema: &Value, keyword: &str, said: &Value, value: &Value) -> Result<(), String> {
        let holds = match keyword {
            "$schema" | "$defs" | "title" | "description" => true,
            "additionalProperties" => said == true,
            "$ref" => {
                let name = said.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                return self
                    .check(&self.defs[name], value, ".")
                    .map_err(|wrong| wrong.replacen("..", ".", 1));
            }
            "const" => value == said,
            "enum" => said.as_array().unwrap().contains(value),
            "type" => is(said.as_str().unwrap(), value),
            "minimum" => value.as_f64() >= said.as_f64(),
            "maximum" => value.as_f64() <= said.as_f64(),
            "pattern" => {
                assert_eq!(said, r"^-?[0-9]+(\.[0-9]+)?$", "another pattern: check it, too");
                let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let Some(text) = value.as_str() else { return Ok(()) };
                let text = text.strip_prefix('-').unwrap_or(text);
                text.split_once('.').map_or(digits(text), |(whole, rest)| digits(whole) && digits(rest))
            }
            "format" => match said.as_str().unwrap() {
                "uuid" => value.as_str().is_none_or(|text| text.parse::<AccountId>().is_ok()),
                "date-time" => {
                    value.as_str().is_none_or(|text| text.parse::<prost_types::Timestamp>().is_ok())
                }
                "decimal" | "int64" => true,
                other => panic!("what is the format {other}?"),
            },
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                !value.is_object() || said.as_array().unwrap().iter().all(has)
            }
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    // Nobody else's schema takes less than this one: what it does not know is a mistake of ours.
                    let known = said.get(name).ok_or_else(|| format!(".{name}: is not in the schema"))?;
                    self.check(known, member, &format!(".{name}"))?;
                }
                true
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    self.check(said, item, "[]")?;
                }
                true
            }
            other => panic!("what does {other} say in {schema}?"),
        };
        if holds { Ok(()) } else { Err(format!("{value} is not {keyword} {said}")) }
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("what is the type {other}?"),
    }
}

fn check(schema: &Value, body: &Value) -> Result<(), String> {
    Checker { defs: schema["$defs"].as_object().unwrap() }.check(schema, body, "")
}

fn made() -> Vec<(&'static EventType, Value, Value)> {
    let contract = Contract::load().unwrap();
    let comments = Comments::of(&contract.pool);
    let made = CATALOGUE.iter().filter(|ty| ty.message.is_some()).map(|ty| {
        let body = sample(&contract, ty).unwrap().unwrap();
        let schema = schema(&contract, &comments, ty).unwrap().unwrap();
        (ty, schema, serde_json::from_str(&body).unwrap())
    });
    made.collect()
}

#[test]
fn every_sample_is_what_its_schema_says() {
    let made = made();
    assert!(made.len() >= 3);
    for (ty, schema, body) in made {
        check(&schema, &body).unwrap_or_else(|wrong| panic!("{}{wrong}", ty.event));
        assert_eq!(body["eventId"], json!(Uuid::parse_str(body["eventId"].as_str().unwrap()).unwrap()));
    }
}

#[test]
fn the_check_finds_what_is_wrong() {
    for (ty, schema, body) in made() {
        let broken = |pointer: &str, value: Value| {
            let mut body = body.clone();
            *body.pointer_mut(pointer).unwrap() = value;
            check(&schema, &body).unwrap_err()
        };
        broken("/event", json!("layer1:hook:test"));
        broken("/eventId", json!("7"));
        broken("/sequence", json!(0));
        broken("/timestamp", json!("yesterday"));
        broken("/data", json!([]));
        broken("/data/id", json!(7));
        broken("/data", json!({}));
        if ty.event == "layer1:ledger:conversion:executed" {
            let wrong = broken("/data/amountIn/amount", json!("1,5"));
            assert!(wrong.contains("pattern"), "{wrong}");
            broken("/data/status", json!("DONE"));
            broken("/data/fee", json!({"currency": "EUR", "amount": "1", "more": true}));
        }
    }
}

#[test]
fn the_data_of_every_sample_is_its_message() {
    let contract = Contract::load().unwrap();
    for (ty, _, body) in made() {
        let message = contract.pool.get_message_by_name(ty.message.unwrap()).unwrap();
        let read = DynamicMessage::deserialize(message, body["data"].clone());
        read.unwrap_or_else(|wrong| panic!("{}: {wrong}", ty.event));
    }
}

#[test]
fn a_type_that_is_made_has_a_sample() {
    let contract = Contract::load().unwrap();
    let without = CATALOGUE.iter().find(|ty| ty.message.is_none()).unwrap();
    assert!(sample(&contract, without).unwrap().is_none());
    let new = EventType { message: Some("beem.ledger.v1.Wallet"), ..*without };
    assert!(sample(&contract, &new).is_err());
}

#[test]
fn the_numbers_of_the_samples_add_up() {
    let client = client();
    let pem: String = client.public_key.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64_STANDARD.decode(pem).unwrap();
    assert_eq!(hex::encode(Sha256::digest(der)), client.key_fingerprint);
    assert!(client.roles.iter().all(|role| beem_roles::Role::parse(role).is_some()));
    let number = |money: Option<ledger::Money>| money.unwrap().amount.parse::<f64>().unwrap();
    let quote = quote();
    let net = number(quote.amount_in) - number(quote.fee);
    let received = net * quote.rate.parse::<f64>().unwrap();
    assert!((received - number(quote.amount_out)).abs() < 0.01);
}
