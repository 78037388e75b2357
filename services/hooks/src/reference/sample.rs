//! A body of each type of events that are made, as it is posted: for those who write a receiver. Nothing of it exists.

use crate::domain::{EventType, body};
use beem_clock::Moment;
use beem_events::Event;
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, EventId};
use beem_proto::identity::v1 as identity;
use beem_proto::ledger::v1 as ledger;
use beem_proto::{AnswerJson, Contract, to_timestamp};
use serde_json::Value;
use uuid::{Uuid, uuid};

const ACCOUNT: Uuid = uuid!("019ad930-c578-7c15-a4f2-60b1d7e89a03");
const OPERATOR: Uuid = uuid!("019ad931-b3c0-7d02-8a44-1f5c9be20c77");

/// 2 March 2026, 09:15:04.512 UTC: when what a sample tells of happened.
const TIME: Moment = Moment::from_unix_ms(1_772_442_904_512);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The body of an event of this type; None while no such events are made.
///
/// # Errors
/// `internal` for a type that has a message and no sample.
pub fn sample(contract: &Contract, ty: &EventType) -> Result<Option<String>> {
    let Some(message) = ty.message else { return Ok(None) };
    let json = AnswerJson::new(contract, message).map_err(Fault::internal)?;
    let (event_id, sequence, data) = match ty.event {
        "layer1:ledger:wallet:created" => {
            (uuid!("019cadd4-67c0-7a6e-b1d3-94c05e7f21a8"), 1, json.of(&wallet()))
        }
        "layer1:ledger:conversion:executed" => {
            (uuid!("019cadd4-67c0-70c9-8f0e-d25b83a6174c"), 1, json.of(&quote()))
        }
        "layer1:identity:client:key-rotated" => {
            (uuid!("019cadd4-67c0-7f31-9c58-0a7ce6b4d392"), 2, json.of(&client()))
        }
        other => return Err(Fault::internal(format!("{other} has no sample"))),
    };
    let data: Value = data.map_err(Fault::internal)?;
    let event = Event {
        position: 0,
        event_id: EventId(event_id),
        account_id: AccountId(ACCOUNT),
        event: ty.event.to_owned(),
        source: ty.source.to_owned(),
        entity_id: String::new(),
        sequence,
        time: TIME,
        data: data.to_string(),
    };
    body(&event).map(Some)
}

fn wallet() -> ledger::Wallet {
    let nothing = || "0.00".to_owned();
    ledger::Wallet {
        id: "019cadd4-67bd-7b21-9e47-5c08f1a2d6e3".to_owned(),
        account_id: ACCOUNT.to_string(),
        currency: "EUR".to_owned(),
        name: "Sales".to_owned(),
        balance: Some(ledger::Balance { total: nothing(), available: nothing(), reserved: nothing() }),
        date_created: Some(to_timestamp(TIME.unix_ms())),
    }
}

fn quote() -> ledger::Quote {
    let money = |currency: &str, amount: &str| {
        Some(ledger::Money { currency: currency.to_owned(), amount: amount.to_owned() })
    };
    ledger::Quote {
        id: "019cadd4-36ec-7e50-87b6-2d41c9f0ae15".to_owned(),
        status: "EXECUTED".to_owned(),
        from_wallet_id: "019b11d7-a7c0-7193-ae0b-63d8c4715f2a".to_owned(),
        to_wallet_id: "019cadd4-67bd-7b21-9e47-5c08f1a2d6e3".to_owned(),
        amount_in: money("USDC", "1000.000000"),
        amount_out: money("EUR", "845.11"),
        rate: "0.84936".to_owned(),
        fee: money("USDC", "5.000000"),
        reference: "March rent".to_owned(),
        expires_at: Some(to_timestamp(TIME.plus_ms(17_500).unix_ms())),
        spread: money("EUR", "2.13"),
        date_created: Some(to_timestamp(TIME.plus_ms(-12_500).unix_ms())),
        date_executed: Some(to_timestamp(TIME.unix_ms())),
    }
}

fn client() -> identity::Client {
    let used = |time: Moment| {
        let address = "203.0.113.24".to_owned();
        Some(identity::LastUse { time: Some(to_timestamp(time.unix_ms())), address })
    };
    let roles = ["layer1:role:ledger:viewer", "layer1:role:payment:operator"].map(str::to_owned).to_vec();
    identity::Client {
        id: "019ade58-0fc0-7c8d-b630-e9142f70a5bd".to_owned(),
        client_id: "019ade58-0fc0-7247-a9cf-3b06d8517ee4".to_owned(),
        account_id: ACCOUNT.to_string(),
        name: "Shop".to_owned(),
        enabled: true,
        public_key: concat!(
            "-----BEGIN PUBLIC KEY-----\n",
            "MCowBQYDK2VwAyEA4l8fE6eVxXWeDBe9AYzKmLSrpAyUm/XFFqgamevOdOE=\n",
            "-----END PUBLIC KEY-----\n",
        )
        .to_owned(),
        key_algorithm: "ed25519".to_owned(),
        key_fingerprint: "e83ec82d7c5a24c5abfddd14c6fc33f16a7891c9dc98c6bf8cffcffc79ccf97d".to_owned(),
        retiring_key: Some(identity::RetiringKey {
            key_fingerprint: "f0956c0aa3a05db1d974bd2632888bb7c532748921e9d86161f41d692ecbfb74".to_owned(),
            key_algorithm: "ed25519".to_owned(),
            not_after: Some(to_timestamp(TIME.plus_ms(DAY_MS).unix_ms())),
        }),
        network_whitelist: vec!["203.0.113.0/24".to_owned()],
        role_count: u32::try_from(roles.len()).unwrap_or(0),
        roles,
        roles_version: 7,
        created_by: OPERATOR.to_string(),
        date_created: Some(to_timestamp(TIME.plus_ms(-90 * DAY_MS).unix_ms())),
        last_used: used(TIME.plus_ms(-4_512)),
        first_used: used(TIME.plus_ms(-89 * DAY_MS - 4_512)),
        date_deleted: None,
    }
}

#[cfg(test)]
mod tests;
