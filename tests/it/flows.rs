//! The main paths from outside, as a story each: who a caller is and what it may do, the life of a client, lists, the keys
//! that make writes safe to repeat, the pages, and what a restart leaves.

mod account;
mod clients;
mod idempotency;
mod installation;
mod lists;
mod pages;
mod roles;
mod second_client;
