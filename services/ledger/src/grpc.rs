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
use beem_database::claims::Outcome;
use beem_events::{Feed, FeedServer};
use beem_proto::events::v1::feed_server;
use beem_proto::ledger::v1::{
    books_server, credits_server, currencies_server, postings_server, quotes_server, rates_server,
    settlements_server, wallets_server,
};
use beem_runtime::Reply;
use prost::Message;
use tonic::service::Routes;

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

/// What a claim or an effect ended with.
fn answered<A: Message + Default>(outcome: Outcome) -> Reply<A> {
    beem_runtime::answered(outcome.result, outcome.replayed)
}
