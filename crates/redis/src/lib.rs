//! The connection to Redis that cache, limits and replay store share. Redis is a cache and a counter, never the truth:
//! so every answer is bounded in time, and when Redis is away callers are told at once instead of each finding out.
//!
//! A breaker stands in front. After [`FAILURES_TO_OPEN`] failures in a row Redis counts as away: calls end with [`Away`]
//! immediately, and every [`PROBE_EVERY`] one background probe makes a *new* connection (the old one may hang in a dead
//! network path) and pings. The first probe that is answered closes the breaker. Each change of state is logged once.

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisResult, ScriptInvocation};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Failures in a row after which Redis counts as away: one lost packet does not.
pub const FAILURES_TO_OPEN: u32 = 3;
/// How often a background probe looks whether it is back.
pub const PROBE_EVERY: Duration = Duration::from_millis(200);
/// How long a probe may take, TLS handshake included.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// The bound of an answer unless told.
pub const ANSWER_LIMIT: Duration = Duration::from_millis(50);

/// Redis did not answer in time, refused, or counts as away. Whether a command took effect is unknown.
#[derive(Clone, Debug, thiserror::Error)]
#[error("redis is away: {0}")]
pub struct Away(String);

/// The URL is not one of Redis.
#[derive(Debug, thiserror::Error)]
#[error("not a redis url (redis://, rediss://, redis+unix://): {0}")]
pub struct BadUrl(String);

/// A connection to one Redis, made on first use. Cheap to clone; clones share connection and breaker.
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    key_prefix: String,
    answer_limit: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<ConnectionManager>,
    failures: u32,
    /// Set while Redis counts as away: when the next probe may start.
    next_probe: Option<Instant>,
}

impl Redis {
    /// Nothing connects yet. `key_prefix` stands before every key, so that installations can share a server.
    ///
    /// # Errors
    /// When the URL cannot be one; the text carries no password.
    pub fn new(url: &str, key_prefix: &str, answer_limit: Duration) -> Result<Self, BadUrl> {
        let info = url.into_connection_info().map_err(|e| BadUrl(e.to_string()))?;
        let client = Client::open(info).map_err(|e| BadUrl(e.to_string()))?;
        let state = Mutex::new(State::default());
        Ok(Self { shared: Arc::new(Shared { client, key_prefix: key_prefix.into(), answer_limit, state }) })
    }

    /// A key of ours: prefix, area, rest.
    #[must_use]
    pub fn key(&self, area: &str, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.shared.key_prefix.len() + area.len() + rest.len() + 1);
        key.extend_from_slice(self.shared.key_prefix.as_bytes());
        key.extend_from_slice(area.as_bytes());
        key.push(b':');
        key.extend_from_slice(rest);
        key
    }

    /// One command and its answer.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        self.ask(async |mut connection| command.query_async(&mut connection).await).await
    }

    /// One script, loaded when Redis does not have it.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Away> {
        self.ask(async |mut connection| script.invoke_async(&mut connection).await).await
    }

    /// Whether Redis answers now.
    ///
    /// # Errors
    /// [`Away`].
    pub async fn ping(&self) -> Result<(), Away> {
        self.query::<String>(&redis::cmd("PING")).await.map(drop)
    }

    /// Whether Redis counts as away at the moment.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.shared.state().next_probe.is_some()
    }

    async fn ask<T, F: Future<Output = RedisResult<T>>>(
        &self,
        command: impl FnOnce(ConnectionManager) -> F,
    ) -> Result<T, Away> {
        let connection = self.admit()?;
        match timeout(self.shared.answer_limit, command(connection)).await {
            Ok(Ok(answer)) => {
                self.shared.state().failures = 0;
                Ok(answer)
            }
            Ok(Err(e)) => Err(self.shared.failed(e.to_string())),
            Err(_) => {
                Err(self.shared.failed(format!("no answer in {} ms", self.shared.answer_limit.as_millis())))
            }
        }
    }

    /// The connection, or that Redis counts as away; then it may be time for a probe.
    fn admit(&self) -> Result<ConnectionManager, Away> {
        let mut state = self.shared.state();
        let Some(next_probe) = state.next_probe else {
            if let Some(connection) = &state.connection {
                return Ok(connection.clone());
            }
            let connection = self.shared.connect(self.shared.answer_limit)?;
            state.connection = Some(connection.clone());
            return Ok(connection);
        };
        let now = Instant::now();
        if now >= next_probe {
            state.next_probe = Some(now + PROBE_LIMIT + PROBE_EVERY);
            let shared = self.shared.clone();
            #[expect(
                clippy::disallowed_methods,
                reason = "ends by itself within PROBE_LIMIT; nothing to drain"
            )]
            tokio::spawn(async move { shared.probe().await });
        }
        Err(Away("it did not answer before".into()))
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No retries in the manager: the breaker is the policy.
    fn connect(&self, connect_limit: Duration) -> Result<ConnectionManager, Away> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(connect_limit))
            .set_response_timeout(None);
        ConnectionManager::new_lazy_with_config(self.client.clone(), config).map_err(|e| Away(e.to_string()))
    }

    fn failed(&self, cause: String) -> Away {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_TO_OPEN && state.next_probe.is_none() {
            state.next_probe = Some(Instant::now() + PROBE_EVERY);
            state.connection = None;
            tracing::warn!(cause, "redis is away");
        }
        Away(cause)
    }

    async fn probe(&self) {
        let answered = match self.connect(PROBE_LIMIT) {
            Ok(mut connection) => {
                let ping = redis::cmd("PING");
                let pong = timeout(PROBE_LIMIT, ping.query_async::<String>(&mut connection)).await;
                pong.is_ok_and(|p| p.is_ok()).then_some(connection)
            }
            Err(_) => None,
        };
        let mut state = self.state();
        if answered.is_some() {
            *state = State { connection: answered, failures: 0, next_probe: None };
            tracing::info!("redis answers again");
        } else {
            state.next_probe = Some(Instant::now() + PROBE_EVERY);
        }
    }
}

impl std::fmt::Debug for Redis {
    /// Without the URL: it may carry a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("key_prefix", &self.shared.key_prefix)
            .field("away", &self.is_away())
            .finish()
    }
}
