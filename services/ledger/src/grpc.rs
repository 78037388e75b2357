//! The gRPC services: decode, call, encode. Only this module sees tonic.

mod books;
pub mod convert;
mod credits;
mod postings;
mod quotes;
mod rates;
mod settlements;
mod wallets;

use crate::operations::Operations;
use crate::verify::LedgerVerifier;
use beem_caller::metadata;
use beem_database::claims::Outcome;
use beem_events::{Feed, FeedServer};
use beem_fault::{Fault, Kind};
use beem_proto::events::v1::feed_server;
use beem_proto::ledger::v1::{
    books_server, credits_server, currencies_server, postings_server, quotes_server, rates_server,
    settlements_server, wallets_server,
};
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::service::Routes;
use tonic::{Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// All of the ledger's gRPC services.
#[derive(Clone)]
pub struct Grpc(pub Operations);

/// Them all, with the feed of events and the proof of the books.
pub fn routes(grpc: &Grpc, feed: Feed, verifier: LedgerVerifier) -> Routes {
    Routes::new(wallets_server::WalletsServer::new(grpc.clone()))
        .add_service(currencies_server::CurrenciesServer::new(grpc.clone()))
        .add_service(quotes_server::QuotesServer::new(grpc.clone()))
        .add_service(credits_server::CreditsServer::new(grpc.clone()))
        .add_service(postings_server::PostingsServer::new(grpc.clone()))
        .add_service(settlements_server::SettlementsServer::new(grpc.clone()))
        .add_service(rates_server::RatesServer::new(grpc.clone()))
        .add_service(books_server::BooksServer::new(books::Books { operations: grpc.0.clone(), verifier }))
        .add_service(FeedServer::new(feed).into_service())
}

/// Their full names.
pub fn names() -> Vec<&'static str> {
    vec![
        wallets_server::SERVICE_NAME,
        currencies_server::SERVICE_NAME,
        quotes_server::SERVICE_NAME,
        credits_server::SERVICE_NAME,
        postings_server::SERVICE_NAME,
        settlements_server::SERVICE_NAME,
        rates_server::SERVICE_NAME,
        books_server::SERVICE_NAME,
        feed_server::SERVICE_NAME,
    ]
}

/// What a claim or an effect ended with, marked when it is an earlier answer.
fn answered<A: Message + Default>(outcome: Outcome) -> Answer<A> {
    let answer = outcome.result.and_then(|bytes| A::decode(bytes.as_slice()).map_err(Fault::internal));
    match answer {
        Ok(answer) => {
            let mut response = Response::new(answer);
            beem_runtime::mark_replayed(&mut response, outcome.replayed);
            Ok(response)
        }
        Err(fault) => {
            let mut status = refused(fault);
            if outcome.replayed {
                status.metadata_mut().insert(metadata::REPLAYED, MetadataValue::from_static("true"));
            }
            Err(status)
        }
    }
}

/// The one place where a fault leaves the ledger, and so where a failure is logged.
fn refused(fault: Fault) -> Status {
    match fault.kind() {
        Kind::Internal => tracing::error!(?fault, "a call failed"),
        Kind::Unavailable | Kind::Deadline => tracing::warn!(?fault, "a call could not be served now"),
        Kind::Invalid
        | Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::Method
        | Kind::Conflict
        | Kind::TooLarge
        | Kind::Edge
        | Kind::Rule
        | Kind::Limit => tracing::debug!(%fault, "a call was refused"),
    }
    fault.into()
}
