//! Rates: prices from scripted sources on this machine, crossed, current, agreed upon or not there; promised rates.

use crate::on_both;
use crate::rig::{Base, Rig};
use beem_ledger::LedgerSettings;
use beem_proto::ledger::v1 as wire;
use futures::future::join_all;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

on_both!(
    a_stale_rate_refuses_quotes_and_the_same_key_works_once_there_is_a_fresh_one,
    a_promised_rate_is_promised_once_per_effect_key,
    promised_rates_have_bounds,
    promised_rates_are_forgotten_a_month_after_they_expired,
);

/// A source of prices whose answers a test sets.
pub struct Source {
    port: u16,
    said: Arc<Mutex<Said>>,
    /// The newest version whose answer has been taken in: the next question came.
    heard: watch::Receiver<u64>,
}

#[derive(Clone, Default)]
struct Said {
    version: u64,
    answer: Vec<u8>,
}

impl Source {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, heard) = watch::channel(0);
        let said: Arc<Mutex<Said>> = Arc::default();
        let answers = Arc::clone(&said);
        let serving = async move {
            let mut last = 0;
            while let Ok((stream, _)) = listener.accept().await {
                told.send_replace(last);
                let Said { version, answer } = answers.lock().unwrap().clone();
                // The reader may hang up before the end.
                let _ = serve(stream, &answer).await;
                last = version;
            }
        };
        drop(beem_runtime::spawn(serving));
        let source = Self { port, said, heard };
        source.away();
        source
    }

    /// Answers with this from now on.
    pub fn say(&self, status: &str, headers: &str, body: &[u8]) {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
        self.said.lock().unwrap().answer = [head.as_bytes(), body].concat();
    }

    /// Prices in US dollars; the texts stand in the document as numbers, digit for digit.
    pub fn prices(&self, prices: &[(&str, &str)]) {
        let members: Vec<String> = prices.iter().map(|(code, usd)| format!("\"{code}\": {usd}")).collect();
        self.say("200 OK", "", format!("{{ \"usd\": {{ {} }} }}", members.join(", ")).as_bytes());
    }

    pub fn away(&self) {
        self.say("503 Service Unavailable", "", b"secret text of the other side");
    }

    /// Until what is said now has been asked for from now on, and taken in.
    pub async fn heard(&self) {
        let version = {
            let mut said = self.said.lock().unwrap();
            said.version += 1;
            said.version
        };
        self.heard.clone().wait_for(|heard| *heard >= version).await.unwrap();
    }

    /// Whether anybody asked.
    fn is_untouched(&self) -> bool {
        !self.heard.has_changed().unwrap()
    }

    fn settings(&self, name: String, more: &Value) -> Value {
        let mut source = json!({
            "name": name, "url": format!("http://127.0.0.1:{}/prices?key=hidden", self.port), "price": "/usd/{code}",
        });
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        source
    }
}

async fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            n => request.extend_from_slice(&piece[..n]),
        }
    }
    stream.write_all(answer).await?;
    stream.shutdown().await
}

/// Settings that ask these sources every second.
pub fn asking(sources: &[&Source], quorum: u32, more: &Value) -> LedgerSettings {
    let all = sources.iter().enumerate().map(|(n, source)| source.settings(format!("source-{n}"), more));
    let all: Value = all.collect();
    let mut settings = LedgerSettings::default();
    settings.rates.feed = "http".into();
    settings.rates.sources = serde_json::from_value(all).unwrap();
    settings.rates.quorum = quorum;
    settings.rates.poll_interval_s = 1;
    settings
}

/// A rig whose ledger has heard these sources once.
async fn listening(base: Base, sources: &[&Source], quorum: u32, more: &Value) -> Rig {
    let rig = Rig::start_with(base, asking(sources, quorum, more), None).await;
    rig.run_task("ledger-rates");
    join_all(sources.iter().map(|source| source.heard())).await;
    rig
}

/// The middle rate, or the code of its absence.
pub async fn rate(rig: &Rig, from: &str, to: &str) -> String {
    let asked = wire::ReadRateRequest { from: from.into(), to: to.into() };
    rig.read_rate(asked).await.map_or_else(|refusal| refusal.code().to_owned(), |answer| answer.body.rate)
}

async fn a_stale_rate_refuses_quotes_and_the_same_key_works_once_there_is_a_fresh_one(rig: Rig) {
    let source = Source::start().await;
    source.prices(&[("BTC", "97000.50"), ("EUR", "1.25")]);
    let rig = listening(rig.base, &[&source], 1, &json!({})).await;
    assert_eq!(rate(&rig, "BTC", "EUR").await, "77600.4");
    let (from, to) = (rig.funded("BTC", "1.00000000").await, rig.wallet("EUR").await);
    let asked = wire::CreateQuoteRequest {
        from_wallet_id: from.clone(),
        to_wallet_id: to,
        amount_in: "0.5".into(),
        ..wire::CreateQuoteRequest::default()
    };
    let quote = rig.create_quote(&rig.owner, "a", asked.clone()).await.unwrap().body;
    assert_eq!(quote.amount_out.unwrap().amount, "38800.20");
    // The source goes away. Its price holds for its time and not a millisecond longer.
    source.away();
    source.heard().await;
    rig.clock.advance_ms(120_000);
    assert_eq!(rate(&rig, "BTC", "EUR").await, "77600.4");
    rig.clock.advance_ms(1);
    assert_eq!(rate(&rig, "BTC", "EUR").await, "rate-unavailable");
    let refusal = rig.create_quote(&rig.owner, "b", asked.clone()).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.replayed), ("rate-unavailable", false));
    let lock = wire::LockRateRequest {
        effect_key: "lock".into(),
        from: "BTC".into(),
        to: "EUR".into(),
        side: "SELL".into(),
        time_to_live_s: 60,
    };
    assert_eq!(rig.lock_rate(lock.clone()).await.unwrap_err().code(), "rate-unavailable");
    assert_eq!(rig.count("quotes").await, 1);
    // A refusal to guess is no answer: the same keys work once there is a price.
    source.prices(&[("BTC", "100000"), ("EUR", "1.25")]);
    source.heard().await;
    let answer = rig.create_quote(&rig.owner, "b", asked).await.unwrap();
    assert_eq!((answer.body.amount_out.unwrap().amount.as_str(), answer.replayed), ("40000.00", false));
    assert_eq!(rig.lock_rate(lock).await.unwrap().body.rate, "80000");
}

#[tokio::test]
async fn prices_are_read_from_their_digits_and_crossed_exactly() {
    let source = Source::start().await;
    source.prices(&[
        ("BTC", "97000.12345678901234567890"),
        ("SOL", "1e-7"),
        ("ETH", "\"0.1000000000000000055\""),
    ]);
    let rig = listening(Base::Sqlite, &[&source], 1, &json!({})).await;
    assert_eq!(rate(&rig, "BTC", "USD").await, "97000.1234567890123");
    assert_eq!(rate(&rig, "SOL", "USD").await, "0.0000001");
    assert_eq!(rate(&rig, "ETH", "USD").await, "0.100000000000000005");
    assert_eq!(rate(&rig, "ETH", "SOL").await, "1000000.00000000005");
    assert_eq!(rate(&rig, "BTC", "BTC").await, "1");
    assert_eq!(rate(&rig, "EUR", "USD").await, "rate-unavailable", "a source that does not have it");
    assert_eq!(rate(&rig, "EUR", "XXX").await, "currency-unknown");
}

#[tokio::test]
async fn the_median_of_what_agrees_and_nothing_when_it_does_not() {
    let [a, b, c] = [Source::start().await, Source::start().await, Source::start().await];
    a.prices(&[("BTC", "100"), ("ETH", "10")]);
    b.prices(&[("BTC", "101"), ("ETH", "10.3")]);
    c.prices(&[("BTC", "100.5")]);
    let rig = listening(Base::Sqlite, &[&a, &b, &c], 2, &json!({})).await;
    assert_eq!(rate(&rig, "BTC", "USD").await, "100.5");
    assert_eq!(rate(&rig, "ETH", "USD").await, "rate-unavailable", "30000 millionths apart");
    // One of three is away: two are enough. Two away are not, once what they said is old.
    b.prices(&[("ETH", "10.1")]);
    c.away();
    b.heard().await;
    rig.clock.advance_ms(120_001);
    a.heard().await;
    b.heard().await;
    assert_eq!(rate(&rig, "BTC", "USD").await, "rate-unavailable", "only one says it");
    assert_eq!(rate(&rig, "ETH", "USD").await, "10.05");
}

#[tokio::test]
async fn what_a_source_must_not_do() {
    let (source, other) = (Source::start().await, Source::start().await);
    other.prices(&[("BTC", "1")]);
    let rig = listening(Base::Sqlite, &[&source], 1, &json!({ "time": "/at" })).await;
    let good = r#"{"usd":{"BTC":100},"at":1800000000}"#;
    let moved = format!("location: http://127.0.0.1:{}/\r\n", other.port);
    let large = format!("{{\"usd\":{{\"BTC\":100}},\"at\":1800000000,\"x\":\"{}\"}}", "x".repeat(4 << 20));
    let wrong: [(&str, &str, &[u8]); 7] = [
        ("302 Found", &moved, good.as_bytes()),
        ("404 Not Found", "", good.as_bytes()),
        ("200 OK", "", large.as_bytes()),
        ("200 OK", "", b"<html>"),
        ("200 OK", "", br#"{"usd":{"BTC":100},"at":1800000061}"#),
        ("200 OK", "", br#"{"usd":{"BTC":100},"at":1799999879}"#),
        ("200 OK", "", br#"{"usd":{"BTC":100}}"#),
    ];
    for (status, headers, body) in wrong {
        source.say(status, headers, body);
        source.heard().await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        assert_eq!(rate(&rig, "BTC", "USD").await, "rate-unavailable", "{status} {shown}");
    }
    assert!(other.is_untouched(), "a redirect was followed");
    source.say("200 OK", "", good.as_bytes());
    source.heard().await;
    assert_eq!(rate(&rig, "BTC", "USD").await, "100");
}

fn locking(key: &str, side: &str, time_to_live_s: u32) -> wire::LockRateRequest {
    wire::LockRateRequest {
        effect_key: key.into(),
        from: "USD".into(),
        to: "EUR".into(),
        side: side.into(),
        time_to_live_s,
    }
}

async fn a_promised_rate_is_promised_once_per_effect_key(rig: Rig) {
    let settings = LedgerSettings { spread_millionths: 10_000, ..LedgerSettings::default() };
    let rig = Rig::start_with(rig.base, settings, None).await;
    for (key, side) in [("k", "SELL"), ("l", "BUY")] {
        let first = rig.lock_rate(locking(key, side, 60)).await.unwrap();
        // 1 / 1.08, less one in a hundred.
        assert_eq!((first.body.rate.as_str(), first.body.side.as_str()), ("0.916666666666666666", side));
        let expires = first.body.expires_at.unwrap();
        assert_eq!(expires.seconds * 1000, rig.clock.now().plus_ms(60_000).unix_ms());
        let again = rig.lock_rate(locking(key, side, 60)).await.unwrap();
        assert_eq!((again.body, again.replayed), (first.body, true));
        let other = rig.lock_rate(locking(key, side, 61)).await.unwrap_err();
        assert_eq!(other.code(), "idempotency-key-reused");
    }
    let twenty = join_all((0..20).map(|_| rig.lock_rate(locking("m", "SELL", 60)))).await;
    assert_eq!(twenty.iter().filter(|answer| !answer.as_ref().unwrap().replayed).count(), 1);
    assert_eq!(rig.count("rate_locks").await, 3);
}

async fn promised_rates_have_bounds(rig: Rig) {
    let field = |asked| {
        let rig = &rig;
        async move { rig.lock_rate(asked).await.unwrap_err().fields().join(",") }
    };
    for wrong in [0, 86_401, u32::MAX] {
        assert_eq!(field(locking(&rig.key(), "SELL", wrong)).await, "timeToLiveS");
    }
    // Mistakes are not remembered: the same key works once the request is right.
    assert_eq!(field(locking("same", "SELL", 0)).await, "timeToLiveS");
    assert_eq!(field(wire::LockRateRequest { to: "XXX".into(), ..locking("same", "BUY", 1) }).await, "to");
    assert_eq!(field(locking("same", "buy", 1)).await, "side");
    assert!(!rig.lock_rate(locking("same", "BUY", 1)).await.unwrap().replayed);
    for good in [1, 86_400] {
        rig.lock_rate(locking(&rig.key(), "SELL", good)).await.unwrap();
    }
    assert_eq!(field(locking("", "SELL", 1)).await, "effectKey");
    assert_eq!(field(locking(&rig.key(), "sell", 1)).await, "side");
    assert_eq!(
        field(wire::LockRateRequest { from: "usd".into(), ..locking(&rig.key(), "BUY", 1) }).await,
        "from"
    );
    assert_eq!(
        field(wire::LockRateRequest { to: "XXX".into(), ..locking(&rig.key(), "BUY", 1) }).await,
        "to"
    );
}

async fn promised_rates_are_forgotten_a_month_after_they_expired(rig: Rig) {
    rig.lock_rate(locking("a", "SELL", 60)).await.unwrap();
    rig.lock_rate(locking("b", "SELL", 61)).await.unwrap();
    rig.clock.advance_ms(60_000 + 30 * 24 * 60 * 60 * 1000);
    assert_eq!(beem_ledger::store::locks::purge(&rig.db, 500).await.unwrap(), 0);
    rig.clock.advance_ms(1);
    assert_eq!(beem_ledger::store::locks::purge(&rig.db, 500).await.unwrap(), 1);
    assert_eq!(rig.count("rate_locks").await, 1);
}
