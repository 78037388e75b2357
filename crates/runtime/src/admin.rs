//! The admin port: `/healthz` (the process lives), `/readyz` (it can serve), `/metrics` (Prometheus text). Plain HTTP for
//! the cluster's own network; it shows no secrets and takes no commands.

use crate::Ready;
use beem_telemetry::Telemetry;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the admin port tells.
#[derive(Clone)]
pub struct Admin {
    /// The parts that must be able to serve; empty while the process starts.
    pub ready: watch::Receiver<Vec<(&'static str, Ready)>>,
    pub telemetry: Telemetry,
    /// Once cancelled the process drains and is no longer ready.
    pub draining: CancellationToken,
}

impl Admin {
    /// Ok when every part can serve; else what is missing, one part a line.
    ///
    /// # Errors
    /// The parts that cannot serve.
    pub async fn readiness(&self) -> Result<(), String> {
        if self.draining.is_cancelled() {
            return Err("draining".into());
        }
        let parts = self.ready.borrow().clone();
        if parts.is_empty() {
            return Err("starting".into());
        }
        let mut missing = Vec::new();
        for (name, ready) in &parts {
            if let Err(why) = ready().await {
                missing.push(format!("{name}: {why}"));
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
    }

    async fn answer(&self, path: &str) -> (StatusCode, String) {
        match path {
            "/healthz" => (StatusCode::OK, "ok\n".into()),
            "/readyz" => match self.readiness().await {
                Ok(()) => (StatusCode::OK, "ready\n".into()),
                Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
            },
            "/metrics" => (StatusCode::OK, self.telemetry.prometheus_text()),
            _ => (StatusCode::NOT_FOUND, "not found\n".into()),
        }
    }
}

/// Serves the admin port until `stop`. It outlives draining, so that probes and scrapes see the end.
pub async fn serve_admin(listener: TcpListener, admin: Admin, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "the admin port could not accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        let admin = admin.clone();
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let admin = admin.clone();
                async move {
                    let (status, text) = admin.answer(request.uri().path()).await;
                    let mut answer = Response::new(Full::new(Bytes::from(text)));
                    *answer.status_mut() = status;
                    Ok::<_, Infallible>(answer)
                }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(%error, "an admin connection ended badly");
            }
        });
    }
}
