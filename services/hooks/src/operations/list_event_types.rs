//! ListEventTypes: what hooks can ask for, with a schema and a sample of each type that is made already.

use super::Operations;
use crate::domain::{CATALOGUE, EventType};
use crate::reference::{sample, schema};
use beem_fault::{Fault, Result};
use beem_proto::hooks::v1 as wire;
use beem_proto::schema::Comments;
use beem_proto::{Contract, to_struct};
use prost_types::Struct;
use serde_json::Value;

/// Every type, as it is answered.
pub struct EventTypes(Vec<wire::EventType>);

impl EventTypes {
    /// By the contract.
    ///
    /// # Errors
    /// `internal` for a type whose message the contract has not, or that has no sample.
    pub fn of(contract: &Contract) -> Result<Self> {
        let comments = Comments::of(&contract.pool);
        CATALOGUE.iter().map(|ty| answer(contract, &comments, ty)).collect::<Result<_>>().map(Self)
    }
}

fn answer(contract: &Contract, comments: &Comments, ty: &EventType) -> Result<wire::EventType> {
    let sample = sample(contract, ty)?;
    let sample = sample.map(|body| serde_json::from_str(&body).map_err(Fault::internal)).transpose()?;
    Ok(wire::EventType {
        event: ty.event.to_owned(),
        description: ty.description.to_owned(),
        source: ty.source.to_owned(),
        roles: ty.area.readers().iter().map(|role| role.full()).collect(),
        available: ty.message.is_some(),
        schema: schema(contract, comments, ty)?.and_then(object),
        sample: sample.and_then(object),
    })
}

fn object(json: Value) -> Option<Struct> {
    match json {
        Value::Object(members) => Some(to_struct(members)),
        _ => None,
    }
}

impl Operations {
    /// In the order of their areas.
    #[must_use]
    pub fn list_event_types(&self) -> wire::ListEventTypesResponse {
        wire::ListEventTypesResponse { content: self.0.event_types.0.clone() }
    }
}
