//! What is told of the types of events to those who write a receiver: of each type that is made, a schema of its body and a
//! sample of one, both from the contract.

mod sample;
mod schema;

pub use sample::sample;
pub use schema::schema;
