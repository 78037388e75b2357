//! The yardsticks: `reqwest` in a loop, and the same with the one signature that costs anything.

use super::receivers::Receivers;
use crate::measure::as_f64;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// As the engine's settings have them: to one receiver, and in all.
const AT_ONCE: usize = 8;
const AT_ONCE_IN_ALL: usize = 512;

/// What a loop does for each request.
#[derive(Clone)]
pub enum Loop {
    Posts,
    /// Posts with an `x-signature`, RSA of 2048 bits over the body as each delivery has.
    Signs(Arc<KeyPair>),
}

impl Loop {
    /// With a key of its own.
    pub fn signing() -> Result<Self, String> {
        KeyPair::generate(KeySize::Rsa2048).map(|key| Self::Signs(Arc::new(key))).map_err(|e| e.to_string())
    }

    fn signature(&self, body: &str) -> Result<Option<String>, String> {
        let Self::Signs(key) = self else { return Ok(None) };
        let mut signature = vec![0; key.public_modulus_len()];
        let signed = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body.as_bytes(), &mut signature);
        signed.map(|()| Some(STANDARD.encode(signature))).map_err(|e| e.to_string())
    }
}

/// Requests a second, on a runtime of as many threads as the machine has, as a process of its own would have.
pub async fn bare(
    receivers: &Receivers,
    kind: Loop,
    body_bytes: usize,
    lasting: Duration,
) -> Result<f64, String> {
    let urls = receivers.urls();
    let each = AT_ONCE.min(AT_ONCE_IN_ALL / urls.len().max(1));
    let before = receivers.received();
    let (give, take) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || drop(give.send(loops(&urls, each, &kind, &"x".repeat(body_bytes), lasting))));
    let took = take.await.map_err(|e| e.to_string())??;
    let requests = u64::try_from(receivers.received() - before).unwrap_or(u64::MAX);
    receivers.take();
    Ok(as_f64(requests) / took.as_secs_f64())
}

fn loops(
    urls: &[String],
    each: usize,
    kind: &Loop,
    body: &str,
    lasting: Duration,
) -> Result<Duration, String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().http1_only().pool_max_idle_per_host(each).build();
        let client = client.map_err(|e| e.to_string())?;
        let goes_on = Arc::new(AtomicBool::new(true));
        let began = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for url in urls {
            for _ in 0..each {
                let (client, url, body) = (client.clone(), url.clone(), body.to_owned());
                let (kind, goes_on) = (kind.clone(), Arc::clone(&goes_on));
                tasks.spawn(async move {
                    while goes_on.load(Ordering::Relaxed) {
                        let mut request = client.post(&url).body(body.clone());
                        if let Some(signature) = kind.signature(&body)? {
                            request = request.header("x-signature", signature);
                        }
                        request.send().await.map_err(|e| e.to_string())?;
                    }
                    Ok::<(), String>(())
                });
            }
        }
        tokio::time::sleep(lasting).await;
        goes_on.store(false, Ordering::Relaxed);
        let took = began.elapsed();
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|e| e.to_string())??;
        }
        Ok(took)
    })
}
