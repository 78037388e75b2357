//! What the whole must withstand: processes and servers that are stopped, killed and started again while it works. Each test
//! has an installation of its own, down to PostgreSQL and Redis.

mod guests;
mod hooks;
mod hooks_received;
mod hooks_redis;
pub mod installation;
mod keep_alive;
mod kills;
mod ledger;
mod ledger_books;
mod ledger_workers;
mod outages;
mod people;
mod stops;
pub mod trying;
mod writers;
