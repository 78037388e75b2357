//! What a receiver answers, well or badly.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

/// Between two bytes of what drips.
const PACE: Duration = Duration::from_millis(50);

/// An answer to one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// As it should be; the connection stays.
    With { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Never anything.
    Hang,
    /// This one, once `Receiver::release` was called after the request had come.
    Held(Box<Answer>),
    /// Reads nothing and says nothing, from the connection on: only as the one answer to all.
    Deaf,
    /// A head that never ends, a byte at a time.
    DripHead,
    /// 200, and a body that never ends, a byte at a time.
    DripBody,
    /// 200, and a body of so many bytes.
    Huge(u64),
    /// 200, and a header of a MiB.
    HugeHead,
    /// Closes without a word.
    CloseEarly,
    /// 200, and closes in the middle of the body it promised.
    CloseMidBody,
    /// No HTTP.
    Garbage,
}

impl Answer {
    pub fn ok() -> Self {
        Self::status(200)
    }

    pub fn status(status: u16) -> Self {
        Self::with(status, &[], "")
    }

    pub fn with(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::With { status, headers, body: body.into() }
    }

    /// 503 that asks for time: seconds, or an HTTP date.
    pub fn retry_after(when: &str) -> Self {
        Self::with(503, &[("retry-after", when)], "busy")
    }

    /// 200, but not before it is released.
    pub fn held() -> Self {
        Self::Held(Box::new(Self::ok()))
    }

    /// Whether the connection can be used again.
    pub(super) async fn write<S>(self, stream: &mut S, released: &mut watch::Receiver<()>) -> io::Result<bool>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let answer = match self {
            Self::Held(answer) => {
                tokio::select! {
                    let_go = released.changed() => let_go.map_err(io::Error::other)?,
                    () = closed(stream) => return Ok(false),
                }
                *answer
            }
            answer => answer,
        };
        match answer {
            Self::With { status, headers, body } => {
                stream.write_all(head(status, &headers, body.len() as u64).as_bytes()).await?;
                stream.write_all(&body).await?;
                stream.flush().await?;
                return Ok(true);
            }
            Self::Hang | Self::Deaf | Self::Held(_) => closed(stream).await,
            Self::DripHead => drip(stream, "HTTP/1.1 200 OK\r\nx-drip: ").await?,
            Self::DripBody => drip(stream, &head(200, &[], 1 << 30)).await?,
            Self::Huge(bytes) => huge(stream, bytes).await?,
            Self::HugeHead => {
                let filler = ("x-filler".to_owned(), "x".repeat(1 << 20));
                stream.write_all(head(200, &[filler], 0).as_bytes()).await?;
                stream.flush().await?;
            }
            Self::CloseEarly => {}
            Self::CloseMidBody => {
                stream.write_all(format!("{}the beginning", head(200, &[], 1_000)).as_bytes()).await?;
                stream.flush().await?;
            }
            Self::Garbage => {
                stream.write_all(b"SSH-2.0-OpenSSH_9.7\r\n\0\x01\x02").await?;
                stream.flush().await?;
            }
        }
        stream.shutdown().await?;
        Ok(false)
    }
}

fn head(status: u16, headers: &[(String, String)], length: u64) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Answered\r\ncontent-length: {length}\r\n{headers}\r\n")
}

/// Until the other side has gone.
pub(super) async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

/// Until the other side has had enough.
async fn drip(stream: &mut (impl AsyncWrite + Unpin), begin: &str) -> io::Result<()> {
    stream.write_all(begin.as_bytes()).await?;
    loop {
        stream.write_all(b"a").await?;
        stream.flush().await?;
        tokio::time::sleep(PACE).await;
    }
}

async fn huge(stream: &mut (impl AsyncWrite + Unpin), bytes: u64) -> io::Result<()> {
    stream.write_all(head(200, &[], bytes).as_bytes()).await?;
    let chunk = vec![b'x'; 1 << 16];
    let mut left = usize::try_from(bytes).unwrap();
    while left > 0 {
        let part = left.min(chunk.len());
        stream.write_all(&chunk[..part]).await?;
        left -= part;
    }
    stream.flush().await
}
