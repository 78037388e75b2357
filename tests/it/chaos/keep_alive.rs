//! A connection that is used again and again, and tells apart what a drain must never mix: an answer, a connection that
//! was closed before anything of an answer came, and one that was cut off in the middle.

use beem_tests::Wire;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(30);

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Status and body.
    Answer(u16, String),
    /// The connection ended before one byte of an answer.
    Nothing,
    /// Nobody listens.
    Unreachable,
    /// Half an answer, or none in time.
    Cut(String),
}

/// One client's connection; made when it is needed.
#[derive(Debug, Default)]
pub struct Line {
    stream: Option<BufReader<TcpStream>>,
}

impl Line {
    /// Sends a signed request on the connection there is, or on a new one.
    pub async fn ask(&mut self, wire: &Wire) -> Heard {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(wire.address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).unwrap();
                    BufReader::new(stream)
                }
                Err(_) => return Heard::Unreachable,
            },
        };
        let Ok(heard) = timeout(LIMIT, exchange(&mut stream, wire)).await else {
            return Heard::Cut("no answer in time".into());
        };
        match heard {
            Ok((answer, closes)) => {
                self.stream = (!closes).then_some(stream);
                answer
            }
            Err(error) => Heard::Cut(error.to_string()),
        }
    }
}

async fn exchange(stream: &mut BufReader<TcpStream>, wire: &Wire) -> std::io::Result<(Heard, bool)> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", wire.method, wire.target, wire.host);
    if !wire.body.is_empty() {
        head += &format!("Content-Length: {}\r\n", wire.body.len());
    }
    for (name, value) in &wire.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let bytes = [head.as_bytes(), b"\r\n", &wire.body].concat();
    // A closed connection shows when one reads.
    let _ = stream.write_all(&bytes).await;
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(0) | Err(_) if line.is_empty() => return Ok((Heard::Nothing, true)),
        other => other?,
    };
    let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("half a status line: {line:?}")))?;
    let (mut length, mut closes) = (0, false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::Error::other("half a head"));
        }
        let (name, value) = line.trim_end().split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "content-length" => length = value.trim().parse().map_err(std::io::Error::other)?,
            "connection" => closes = value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((Heard::Answer(status, String::from_utf8_lossy(&body).into_owned()), closes))
}
