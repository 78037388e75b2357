//! A client as JSON, for events: exactly what the gateway answers to GetClient, made from the same descriptors by the
//! same rules (2.1 of the public contract).

use beem_fault::{Fault, Result};
use beem_proto::Contract;
use beem_proto::identity::v1 as wire;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};

/// Writes clients as JSON. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientJson {
    descriptor: MessageDescriptor,
}

impl ClientJson {
    /// # Errors
    /// `internal` when the contract has no such message.
    pub fn new(contract: &Contract) -> Result<Self> {
        let descriptor = contract.pool.get_message_by_name("beem.identity.v1.Client");
        let descriptor = descriptor.ok_or_else(|| Fault::internal("the contract has no client"))?;
        Ok(Self { descriptor })
    }

    /// # Errors
    /// `internal` when it does not come out as JSON.
    pub fn of(&self, client: &wire::Client) -> Result<serde_json::Value> {
        let bytes = client.encode_to_vec();
        let message =
            DynamicMessage::decode(self.descriptor.clone(), bytes.as_slice()).map_err(Fault::internal)?;
        // Defaults are written, absent optional fields are not; 64-bit integers are numbers.
        let options = SerializeOptions::new().skip_default_fields(false).stringify_64_bit_integers(false);
        message.serialize_with_options(serde_json::value::Serializer, &options).map_err(Fault::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reads_as_its_get_answers_it() {
        let json = ClientJson::new(&Contract::load().unwrap()).unwrap();
        let client = wire::Client {
            id: "i".into(),
            roles_version: 7,
            date_created: Some(beem_proto::to_timestamp(1_800_000_000_000)),
            ..wire::Client::default()
        };
        let expected = serde_json::json!({
            "id": "i", "clientId": "", "accountId": "", "name": "", "enabled": false, "publicKey": "",
            "keyAlgorithm": "", "keyFingerprint": "", "networkWhitelist": [], "roles": [], "roleCount": 0,
            "rolesVersion": 7, "createdBy": "", "dateCreated": "2027-01-15T08:00:00Z",
        });
        assert_eq!(json.of(&client).unwrap(), expected);
    }
}
