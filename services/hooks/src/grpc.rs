//! The gRPC services: decode, call, encode. Only this module and `peers` see tonic.

pub mod convert;
pub mod deliveries;
pub mod events;
mod hooks;
mod upkeep;

use crate::operations::Operations;
use beem_database::claims::Outcome;
use beem_proto::hooks::v1::{events_server, hooks_server, upkeep_server};
use beem_runtime::Reply;
use prost::Message;
use tonic::service::Routes;

/// All gRPC services of hooks.
#[derive(Clone)]
pub struct Grpc(pub Operations);

/// Them all.
pub fn routes(grpc: &Grpc) -> Routes {
    Routes::new(hooks_server::HooksServer::new(grpc.clone()))
        .add_service(events_server::EventsServer::new(grpc.clone()))
        .add_service(upkeep_server::UpkeepServer::new(grpc.clone()))
}

/// Their full names.
pub fn names() -> Vec<&'static str> {
    vec![hooks_server::SERVICE_NAME, events_server::SERVICE_NAME, upkeep_server::SERVICE_NAME]
}

/// What a claim ended with.
fn answered<A: Message + Default>(outcome: Outcome) -> Reply<A> {
    beem_runtime::answered(outcome.result, outcome.replayed)
}
