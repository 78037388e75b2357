//! One request to a receiver, and what came of it.

use super::resolve::{Judged, Resolver};
use super::target::{Refusal, Target};
use super::{Policy, answer, authorities, reason};
use crate::HooksSettings;
use crate::domain::Finding;
use beem_clock::Moment;
use beem_fault::{Fault, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Client, Response, redirect, retry};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Name, address, connection and handshake; part of what a receiver has to answer.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);

/// A connection that nothing is sent over is closed.
const IDLE_AT_MOST: Duration = Duration::from_secs(30);

const USER_AGENT: &str = concat!("BEEM-Hooks/", env!("CARGO_PKG_VERSION"));

/// Sends to receivers. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Outbound {
    client: Client,
    policy: Policy,
    answer_within_s: u32,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub finding: Finding,
    /// The first 4 KiB of the answer as text.
    pub answer: Option<String>,
    pub duration_ms: u32,
    /// It failed for a reason of ours, and says nothing about the receiver.
    pub ours: bool,
}

/// Why there is no answer.
struct Failure {
    error: String,
    ours: bool,
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self { error, ours: false }
    }
}

impl Outbound {
    /// # Errors
    /// `validation-failed` about `authorities_file`; `internal` when the client cannot be made.
    pub fn new(settings: &HooksSettings, resolver: Arc<dyn Resolver>) -> Result<Self> {
        let policy = Policy { allow_loopback: settings.allow_loopback };
        let client = Client::builder()
            .tls_backend_preconfigured(authorities::tls(&settings.authorities_file)?)
            .dns_resolver(Judged { resolver, policy })
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name again.
            .no_proxy()
            .http1_only()
            .retry(retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(CONNECTED_WITHIN)
            .pool_idle_timeout(IDLE_AT_MOST)
            .pool_max_idle_per_host(usize::try_from(settings.at_once_per_hook).map_err(Fault::internal)?)
            .user_agent(USER_AGENT)
            .build()
            .map_err(Fault::internal)?;
        Ok(Self { client, policy, answer_within_s: settings.answer_within_s })
    }

    /// Posts a body of JSON. It never errs: whatever goes wrong is what came of it. It lasts one second longer than a
    /// receiver has to answer at most. `now` is what a date in `Retry-After` is compared with.
    pub async fn send(&self, url: &str, headers: HeaderMap, body: impl Into<Body>, now: Moment) -> Sent {
        let began = Instant::now();
        let (finding, answer, ours) = match self.answer(url, headers, body.into()).await {
            Ok(response) => {
                let (finding, answer) = read(response, now.plus_ms(elapsed_ms(began).into())).await;
                (finding, answer, false)
            }
            Err(Failure { error, ours }) => {
                (Finding { status_code: None, error: Some(error), retry_after_s: None }, None, ours)
            }
        };
        Sent { finding, answer, duration_ms: elapsed_ms(began), ours }
    }

    /// The answer as far as its headers.
    async fn answer(&self, url: &str, mut headers: HeaderMap, body: Body) -> Result<Response, Failure> {
        // An address in the URL does not pass the resolver, and the policy may have changed since the hook was made.
        let target = Target::judged(url, self.policy).map_err(|refusal| match refusal {
            Refusal::Form(detail) => format!("the URL is not allowed: {detail}"),
            Refusal::Network(network) => format!("the address is in {network}"),
        })?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = self.client.post(target.into_url()).headers(headers).body(body).send();
        match timeout(Duration::from_secs(self.answer_within_s.into()), request).await {
            Ok(answered) => answered.map_err(|error| Failure {
                error: reason::of_failure(&error),
                ours: reason::is_ours(&error),
            }),
            Err(_) => Err(format!("no answer within {} s", self.answer_within_s).into()),
        }
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("policy", &self.policy).finish_non_exhaustive()
    }
}

async fn read(response: Response, now: Moment) -> (Finding, Option<String>) {
    let code = response.status();
    let (error, retry_after_s) = if code.is_success() {
        (None, None)
    } else {
        (Some(reason::of_status(code.as_u16())), answer::retry_after_s(response.headers(), now))
    };
    let finding = Finding { status_code: Some(code.as_u16().into()), error, retry_after_s };
    (finding, answer::beginning(response).await)
}

fn elapsed_ms(began: Instant) -> u32 {
    u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX)
}
