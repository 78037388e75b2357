//! What the body of an event promises, as JSON Schema (2020-12): the envelope, and in it the object as its GET answers it.
//! Made from the contract, so that it says what the reference says. Bodies may grow: nothing forbids further members.

use crate::domain::EventType;
use beem_fault::{Fault, Result};
use beem_proto::Contract;
use beem_proto::schema::{Comments, Schemas, put, visible};
use prost_reflect::MessageDescriptor;
use serde_json::{Value, json};

/// The message that stands for the envelope.
const ENVELOPE: &str = "beem.hooks.v1.Event";

/// The schema of whole bodies of this type; None while no such events are made.
///
/// # Errors
/// `internal` when the contract has no such message.
pub fn schema(contract: &Contract, comments: &Comments, ty: &EventType) -> Result<Option<Value>> {
    let Some(message) = ty.message else { return Ok(None) };
    let (envelope, data) = (find(contract, ENVELOPE)?, find(contract, message)?);
    let mut schemas = Schemas::new(comments, "#/$defs/", [], [data.clone()]);
    let mut schema = schemas.schema(&envelope, &visible(&envelope).collect::<Vec<_>>());
    let data = schemas.reference(&data, &visible(&data).collect::<Vec<_>>());
    let narrower = json!({
        "source": {"const": ty.source},
        "event": {"const": ty.event},
        "eventId": {"format": "uuid"},
        "accountId": {"format": "uuid"},
        "sequence": {"minimum": 1},
        "data": data,
    });
    narrow(&mut schema, narrower);
    put(&mut schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
    put(&mut schema, "title", ty.event);
    put(&mut schema, "description", ty.description);
    // A body has every member, also those that a message could leave out.
    let always: Vec<_> = visible(&envelope).map(|field| field.json_name().to_owned()).collect();
    put(&mut schema, "required", always);
    put(&mut schema, "additionalProperties", true);
    put(&mut schema, "$defs", schemas.into_components());
    Ok(Some(schema))
}

fn find(contract: &Contract, message: &str) -> Result<MessageDescriptor> {
    let found = contract.pool.get_message_by_name(message);
    found.ok_or_else(|| Fault::internal(format!("the contract has no {message}")))
}

/// Says more of these properties. A reference stands beside a description only.
fn narrow(schema: &mut Value, narrower: Value) {
    let Value::Object(narrower) = narrower else { return };
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (name, more) in narrower {
        let Value::Object(more) = more else { continue };
        let Some(Value::Object(property)) = properties.get_mut(&name) else { continue };
        if more.contains_key("$ref") {
            property.retain(|keyword, _| keyword == "description");
        }
        property.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CATALOGUE;

    #[test]
    fn a_wallet_is_what_its_get_answers() {
        let contract = Contract::load().unwrap();
        let comments = Comments::of(&contract.pool);
        let ty = EventType::find("layer1:ledger:wallet:created").unwrap();
        let schema = schema(&contract, &comments, ty).unwrap().unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(
            schema["properties"]["event"],
            json!({
                "type": "string", "const": ty.event, "description": "Its type: \"layer1:ledger:wallet:created\".",
            })
        );
        assert_eq!(
            schema["properties"]["data"],
            json!({
                "$ref": "#/$defs/Wallet", "description": "The object as its GET answers it, as of then.",
            })
        );
        assert_eq!(schema["required"].as_array().unwrap().len(), 7);
        let wallet = &schema["$defs"]["Wallet"];
        assert_eq!(wallet["required"], json!(["id", "accountId", "currency", "name"]));
        assert_eq!(wallet["properties"]["balance"], json!({"$ref": "#/$defs/Balance"}));
        let total = &schema["$defs"]["Balance"]["properties"]["total"];
        assert_eq!((&total["type"], &total["format"]), (&json!("string"), &json!("decimal")));
    }

    #[test]
    fn what_is_made_has_a_schema_and_nothing_else_has() {
        let contract = Contract::load().unwrap();
        let comments = Comments::of(&contract.pool);
        for ty in CATALOGUE {
            let schema = schema(&contract, &comments, ty).unwrap();
            assert_eq!(schema.is_some(), ty.message.is_some(), "{}", ty.event);
        }
        let unknown = EventType { message: Some("beem.ledger.v1.Nothing"), ..CATALOGUE[0] };
        assert!(super::schema(&contract, &comments, &unknown).is_err());
    }
}
