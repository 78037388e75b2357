//! The way out against receivers on real sockets: what they may do to a sender, and where it must not be led.

mod misbehaviour;
mod names;
mod places;
mod tls;

use crate::rig::Scripted;
use beem_clock::Moment;
use beem_hooks::HooksSettings;
use beem_hooks::outbound::{Outbound, Sent};
use reqwest::header::HeaderMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const NOW: Moment = Moment::from_unix_s(1_800_000_000);
const BODY: &str = r#"{"event":"layer1:hook:test","data":{"z": 1.10}}"#;

/// More time to answer than a busy machine needs, and this machine allowed.
fn settings() -> HooksSettings {
    HooksSettings { allow_loopback: true, answer_within_s: 5, ..HooksSettings::default() }
}

/// Where it is time that ends it: one second to answer.
fn hasty() -> HooksSettings {
    HooksSettings { answer_within_s: 1, ..settings() }
}

/// The way out, and whom it asks for addresses.
struct Way {
    outbound: Outbound,
    resolver: Arc<Scripted>,
}

impl Way {
    fn with(settings: &HooksSettings) -> Self {
        let resolver = Arc::new(Scripted::default());
        Self { outbound: Outbound::new(settings, resolver.clone()).unwrap(), resolver }
    }

    fn new() -> Self {
        Self::with(&settings())
    }

    async fn send(&self, url: &str) -> Sent {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "an-id".parse().unwrap());
        self.outbound.send(url, headers, BODY, NOW).await
    }

    /// Why there was no answer.
    async fn failure(&self, url: &str) -> String {
        let sent = self.send(url).await;
        assert_eq!((sent.finding.status_code, &sent.answer), (None, &None), "{sent:?}");
        sent.finding.error.unwrap()
    }

    /// Sends to a server that takes one connection and does with it as it is told, once the request's head has come.
    async fn against<T>(&self, scheme: &str, told: impl AsyncFnOnce(TcpStream) -> T) -> (Sent, T) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 64];
            stream.read_exact(&mut head).await.unwrap();
            told(stream).await
        };
        tokio::join!(self.send(&url), serving)
    }

    /// The same with an answer of these bytes, after which the connection ends.
    async fn against_bytes(&self, scheme: &str, answer: &[u8]) -> Sent {
        let (sent, ()) = self
            .against(scheme, async |mut stream: TcpStream| {
                stream.write_all(answer).await.unwrap();
                stream.flush().await.unwrap();
                let mut rest = Vec::new();
                // An end of ours alone: a reset could overtake the answer.
                stream.shutdown().await.unwrap();
                drop(stream.read_to_end(&mut rest).await);
            })
            .await;
        sent
    }
}
