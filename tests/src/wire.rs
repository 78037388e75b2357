//! One HTTP/1.1 exchange on a connection of its own, written byte by byte: no library between a test and the gateway tidies
//! up what the test wants to send.

use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer takes longer, on however busy a machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A request as it goes out. `Host`, `Connection` and `Content-Length` are added when `headers` does not name them.
#[derive(Clone, Debug)]
pub struct Wire {
    pub address: SocketAddr,
    pub method: String,
    /// Path and query.
    pub target: String,
    /// What `Host` says.
    pub host: String,
    /// In the order in which they go out.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Wire {
    #[must_use]
    pub fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        let host = address.to_string();
        Self {
            address,
            method: method.into(),
            target: target.into(),
            host,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// One more line, beside any of that name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Without any line of that name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    /// With exactly one line of that name.
    #[must_use]
    pub fn replace(self, name: &str, value: impl Into<String>) -> Self {
        self.without(name).header(name, value)
    }

    /// The value of the first line of that name; it has to be there.
    #[must_use]
    pub fn value(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no {name} in {self:?}")).1.clone()
    }

    /// With a line of that name changed.
    #[must_use]
    pub fn change(self, name: &str, change: impl FnOnce(String) -> String) -> Self {
        let value = change(self.value(name));
        self.replace(name, value)
    }

    /// With another body, and nothing else changed.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn head(&self) -> String {
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !has("host") {
            head += &format!("Host: {}\r\n", self.host);
        }
        if !has("content-length") && !has("transfer-encoding") && !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        if !has("connection") {
            head += "Connection: close\r\n";
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    /// Sends it and reads the whole answer.
    pub async fn send(&self) -> Answer {
        let exchange = async {
            self.try_send().await.unwrap_or_else(|e| panic!("{} {}: {e}", self.method, self.target))
        };
        let answer = tokio::time::timeout(LIMIT, exchange).await;
        answer.unwrap_or_else(|_| panic!("{} {}: no answer", self.method, self.target))
    }

    /// The same for when the server may be away.
    ///
    /// # Errors
    /// When no connection is to be had, or no whole answer comes.
    pub async fn try_send(&self) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let bytes = [self.head().into_bytes(), self.body.clone()].concat();
        // An edge that refuses at once may close before all is written: its answer is what counts.
        let _ = stream.write_all(&bytes).await;
        let mut received = Vec::new();
        let read = stream.read_to_end(&mut received).await;
        if received.is_empty() {
            read?;
        }
        Answer::parse(&received).ok_or_else(|| std::io::Error::other("no whole answer"))
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let (head, body) = (std::str::from_utf8(bytes.get(..end)?).ok()?, bytes.get(end + 4..)?);
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Self { status, headers, body: body.to_vec() };
        if answer.header("transfer-encoding").is_some() {
            answer.body = unchunked(&answer.body)?;
        } else if let Some(length) = answer.header("content-length").and_then(|v| v.parse::<usize>().ok()) {
            if answer.body.len() < length {
                return None;
            }
            answer.body.truncate(length);
        }
        Some(answer)
    }

    /// The first of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {} {}", self.status, self.text()))
    }

    /// The problem's code; empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The body, which has to come with that status.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The problem, which has to be of that status and code, and of the one shape all problems have.
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text());
        if let Err(why) = self.problem_shape() {
            panic!("{why}: {}", self.text());
        }
        self.json()
    }

    /// What of RFC 9457 and 2.1 of the contract a problem does not keep.
    ///
    /// # Errors
    /// The first thing.
    pub fn problem_shape(&self) -> Result<(), String> {
        if self.header("content-type") != Some("application/problem+json") {
            return Err(format!("content-type {:?}", self.header("content-type")));
        }
        let body: Value = serde_json::from_slice(&self.body).map_err(|e| e.to_string())?;
        let mut members: Vec<&str> =
            body.as_object().into_iter().flatten().map(|(k, _)| k.as_str()).collect();
        members.sort_unstable();
        if members != ["code", "detail", "errors", "requestId", "status", "title", "type"] {
            return Err(format!("members {members:?}"));
        }
        let code = body["code"].as_str().ok_or("code")?;
        if body["type"] != format!("https://beem.dev/problems/{code}") {
            return Err(format!("type {}", body["type"]));
        }
        if body["status"] != self.status {
            return Err("status".into());
        }
        if self.header("x-request-id").is_none() || body["requestId"].as_str() != self.header("x-request-id")
        {
            return Err(format!(
                "requestId {} but X-Request-Id {:?}",
                body["requestId"],
                self.header("x-request-id")
            ));
        }
        let said = |v: &Value| v.as_str().is_some_and(|s| !s.is_empty());
        if !said(&body["title"]) || !said(&body["detail"]) {
            return Err("an empty title or detail".into());
        }
        let errors = body["errors"].as_array().ok_or("errors")?;
        for error in errors {
            if !(said(&error["field"]) && said(&error["code"]) && said(&error["detail"])) {
                return Err(format!("error {error}"));
            }
        }
        Ok(())
    }
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..end)?).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}
