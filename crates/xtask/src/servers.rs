//! The PostgreSQL and Redis of a run, for everything it starts.

use anyhow::{Result, anyhow};
use beem_testkit::{postgres, redis};
use std::process::Command;

/// Both servers; gone when this is, or when this process dies.
pub struct Servers {
    pub postgres: postgres::Server,
    pub redis: redis::Server,
}

impl Servers {
    /// Called on the main thread: the servers end with the thread that started them.
    pub fn start(durable: bool) -> Result<Self> {
        let ends_with_thread = true;
        let postgres = postgres::Server::start_with(postgres::Options { durable, ends_with_thread });
        let redis = redis::Server::start_with(redis::Options { ends_with_thread });
        Ok(Self { postgres: postgres.map_err(|e| anyhow!(e))?, redis: redis.map_err(|e| anyhow!(e))? })
    }

    /// Tells a command where they are.
    pub fn export(&self, command: &mut Command) {
        command
            .env(postgres::SHARED_ENV, self.postgres.socket_dir())
            .env(redis::SHARED_ENV, self.redis.socket());
    }
}
