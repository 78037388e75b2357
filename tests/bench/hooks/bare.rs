//! The yardstick: `reqwest` in a loop.

use super::receivers::Receivers;
use crate::measure::as_f64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// As the engine's settings have them: to one receiver, and in all.
const AT_ONCE: usize = 8;
const AT_ONCE_IN_ALL: usize = 512;

/// Requests a second, on a runtime of as many threads as the machine has, as a process of its own would have.
pub async fn bare(receivers: &Receivers, body_bytes: usize, lasting: Duration) -> Result<f64, String> {
    let urls = receivers.urls();
    let each = AT_ONCE.min(AT_ONCE_IN_ALL / urls.len().max(1));
    let before = receivers.received();
    let (give, take) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || drop(give.send(loops(&urls, each, body_bytes, lasting))));
    let took = take.await.map_err(|e| e.to_string())??;
    let requests = u64::try_from(receivers.received() - before).unwrap_or(u64::MAX);
    receivers.take();
    Ok(as_f64(requests) / took.as_secs_f64())
}

fn loops(urls: &[String], each: usize, body_bytes: usize, lasting: Duration) -> Result<Duration, String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().http1_only().pool_max_idle_per_host(each).build();
        let client = client.map_err(|e| e.to_string())?;
        let (goes_on, body) = (Arc::new(AtomicBool::new(true)), "x".repeat(body_bytes));
        let began = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for url in urls {
            for _ in 0..each {
                let (client, url, body, goes_on) =
                    (client.clone(), url.clone(), body.clone(), Arc::clone(&goes_on));
                tasks.spawn(async move {
                    while goes_on.load(Ordering::Relaxed) {
                        client.post(&url).body(body.clone()).send().await.map_err(|e| e.to_string())?;
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
