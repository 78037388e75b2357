//! Requests whose caller's standing is cached nowhere: a crowd of clients, each used again only when the gateway's own copy
//! of its standing is too old, on a Redis that is flushed all the time. Keys stay parsed: what is cold is the standing.

use crate::http_load::{Connection, bytes};
use crate::measure::Meter;
use beem_testkit::redis;
use beem_tests::Client;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, sleep_until};

/// How many clients there are: with [`REST`] the most that can be measured is 3,000 requests a second.
const CROWD: usize = 1_650;

/// Between two uses of a client: longer than a gateway's copy of a standing is used (half a second).
const REST: Duration = Duration::from_millis(550);

/// Between two flushes of Redis: far shorter than [`REST`].
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Clients made at the same time.
const MAKERS: usize = 16;

/// The clients, and each one's next request.
pub struct Crowd {
    clients: Vec<Client>,
    requests: RefCell<VecDeque<Next>>,
}

struct Next {
    not_before: Instant,
    request: Vec<u8>,
}

impl Crowd {
    /// Makes the clients through the public API.
    pub async fn make(owner: &Client) -> Self {
        let made = stream::iter(0..CROWD).map(|_| async {
            let creds = owner.new_client(&json!({ "roles": ["client:viewer"] })).await;
            Client { creds, gateway: owner.gateway.clone() }
        });
        Self { clients: made.buffer_unordered(MAKERS).collect().await, requests: RefCell::default() }
    }

    /// Uses every client once, so that its keys are parsed, and signs a request of each for the next round.
    pub async fn prepare(&self, sign: impl Fn(&Client) -> Vec<u8>) -> Result<(), String> {
        let signed: Vec<Vec<u8>> = self.clients.iter().map(sign).collect();
        let address = self.address()?;
        let shares = signed.chunks(CROWD.div_ceil(MAKERS)).map(|share| async move {
            let mut connection = Connection::open(address).await?;
            for request in share {
                connection.exchange(request).await?;
            }
            Ok::<_, String>(())
        });
        stream::iter(shares).buffer_unordered(MAKERS).try_collect::<Vec<()>>().await?;
        let not_before = Instant::now() + REST;
        self.requests.replace(signed.into_iter().map(|request| Next { not_before, request }).collect());
        Ok(())
    }

    /// One worker.
    pub async fn work(&self, meter: &Meter) -> Result<(), String> {
        let mut connection = Connection::open(self.address()?).await?;
        while meter.goes_on() {
            let next = self.requests.borrow_mut().pop_front();
            let Next { not_before, request } = next.ok_or("more workers than clients")?;
            sleep_until(not_before).await;
            connection.exchange(&request).await?;
            meter.count();
            self.requests.borrow_mut().push_back(Next { not_before: Instant::now() + REST, request });
        }
        Ok(())
    }

    /// One more worker: empties Redis.
    pub async fn flush(&self, meter: &Meter) -> Result<(), String> {
        let path =
            std::env::var_os(redis::SHARED_ENV).ok_or("run `cargo xtask bench`, which starts Redis")?;
        let failed = |e: std::io::Error| format!("redis: {e}");
        let mut stream = UnixStream::connect(path).await.map_err(failed)?;
        while meter.goes_on() {
            stream.write_all(b"FLUSHALL\r\n").await.map_err(failed)?;
            let mut answer = [0; b"+OK\r\n".len()];
            stream.read_exact(&mut answer).await.map_err(failed)?;
            sleep(FLUSH_EVERY).await;
        }
        Ok(())
    }

    fn address(&self) -> Result<SocketAddr, String> {
        self.clients.first().map(|client| client.gateway.address).ok_or_else(|| "no clients".into())
    }
}

/// A client's signed GET of itself.
pub fn get_itself(client: &Client) -> Vec<u8> {
    let forge = client.forge("GET", &format!("/platform/v1/clients/{}", client.creds.id));
    // Without a nonce a GET may be sent again as it is.
    bytes(&forge.with(|f| f.nonce = None).sign())
}
