//! Requests over kept HTTP/1.1 connections, with next to nothing done per request on this side: the bytes are ready before,
//! and of an answer only its status and length are read.

use beem_tests::Wire;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer takes longer.
const LIMIT: Duration = Duration::from_secs(20);

const HEAD_END: &[u8] = b"\r\n\r\n";

/// One connection, one request at a time.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|e| format!("{address}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Ok(Self { stream, received: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its whole answer, which has to be 200.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(), String> {
        self.exchange_for(request, 200).await
    }

    /// The same for another status.
    pub async fn exchange_for(&mut self, request: &[u8], status: u16) -> Result<(), String> {
        let exchange = tokio::time::timeout(LIMIT, self.try_exchange(request)).await;
        exchange.map_err(|_| "no answer".to_owned())??;
        let expected = self.received.starts_with(format!("HTTP/1.1 {status} ").as_bytes());
        if expected { Ok(()) } else { Err(String::from_utf8_lossy(&self.received).into_owned()) }
    }

    /// The body of the last answer.
    pub fn json(&self) -> Result<Value, String> {
        let end = self.received.windows(HEAD_END.len()).position(|w| w == HEAD_END);
        let body = end.and_then(|end| self.received.get(end + HEAD_END.len()..)).unwrap_or_default();
        serde_json::from_slice(body).map_err(|e| e.to_string())
    }

    async fn try_exchange(&mut self, request: &[u8]) -> Result<(), String> {
        self.stream.write_all(request).await.map_err(|e| e.to_string())?;
        self.received.clear();
        loop {
            let read = self.stream.read_buf(&mut self.received).await.map_err(|e| e.to_string())?;
            if whole(&self.received)? {
                return Ok(());
            }
            if read == 0 {
                return Err("the connection ended".into());
            }
        }
    }
}

/// A request as it goes out.
pub fn bytes(wire: &Wire) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", wire.method, wire.target, wire.host);
    for (name, value) in &wire.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !wire.body.is_empty() {
        head += &format!("content-length: {}\r\n", wire.body.len());
    }
    [(head + "\r\n").as_bytes(), &wire.body].concat()
}

/// Whether these are all bytes of an answer that gives its length.
fn whole(received: &[u8]) -> Result<bool, String> {
    let Some(end) = received.windows(HEAD_END.len()).position(|w| w == HEAD_END) else { return Ok(false) };
    let head = String::from_utf8_lossy(received.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: Option<usize> = length.and_then(|text| text.trim().parse().ok());
    let length = length.ok_or_else(|| format!("an answer without a length:\n{head}"))?;
    Ok(received.len() >= end + HEAD_END.len() + length)
}
