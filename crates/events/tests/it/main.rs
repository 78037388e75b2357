//! Events on real databases: every test is one story, told on SQLite and on PostgreSQL.

mod audit;
mod consumer;
mod feed;
mod rig;
mod sequencer;
