//! Every RPC of the contract under every way to call it wrongly, read from the descriptor set: an RPC that has no row in
//! the tables of valid requests fails the test, so that nothing is added without being asked here.

mod hooks;
mod inside;
mod inside_books;
mod inside_people;
mod inside_rows;
mod inside_transport;
mod outside;
pub mod outside_rows;
