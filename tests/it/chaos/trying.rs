//! How a careful client writes while things break: the same key again, signed anew, until the outcome is certain.

use beem_tests::{Answer, Client};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Longer than the gateway's own deadline: it answers before.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// Longer than everything that is broken stays broken, leases included.
const PATIENCE: Duration = Duration::from_secs(90);

/// A write, as it can be sent again and again.
#[derive(Clone, Debug)]
pub struct Write {
    pub method: &'static str,
    pub target: String,
    /// Null is none.
    pub body: Value,
    pub key: String,
}

impl Write {
    /// One attempt; the answer, or why there is none.
    pub async fn attempt(&self, client: &Client) -> Result<Answer, String> {
        let forge = client.forge(self.method, &self.target).keyed(&self.key);
        let forge = if self.body.is_null() { forge } else { forge.json(&self.body) };
        attempt(&forge.sign()).await
    }

    /// Again and again, at one gateway after the other, until the answer is certain.
    pub async fn persist(&self, clients: &[Client]) -> Answer {
        let began = Instant::now();
        for client in clients.iter().cycle() {
            let last = match self.attempt(client).await {
                Ok(answer) if is_certain(&answer) => return answer,
                Ok(answer) => answer.text(),
                Err(error) => error,
            };
            assert!(began.elapsed() < PATIENCE, "{self:?}: no certain outcome in time; the last was {last}");
            sleep(PAUSE).await;
        }
        unreachable!("there is a gateway")
    }
}

/// One exchange; why there is no answer.
pub async fn attempt(wire: &beem_tests::Wire) -> Result<Answer, String> {
    match timeout(ANSWER_LIMIT, wire.try_send()).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err("no answer in time".into()),
    }
}

/// Whether it tells what became of the write; everything else invites to try again.
pub fn is_certain(answer: &Answer) -> bool {
    !matches!(
        (answer.status, answer.code().as_str()),
        (503, "unavailable") | (504, "deadline") | (409, "request-in-progress")
    )
}

/// Looks every 50 ms until there is something.
pub async fn within<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
