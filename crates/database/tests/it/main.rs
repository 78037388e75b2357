//! The database layer on real databases: every test is one story, told on SQLite and on PostgreSQL.

mod claims;
mod connect;
mod cut;
mod migrate;
mod page;
mod rig;
mod sagas;
mod transact;
