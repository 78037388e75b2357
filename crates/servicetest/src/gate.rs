//! The way from one service to another, which a test can close, cut or have answer otherwise.

use beem_fault::{Code, Fault};
use beem_link::LocalService;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

/// What happens to the calls.
#[derive(Clone, Debug, Default)]
struct GateState {
    away: bool,
    /// The n-th call from now never comes back: before it reached the other, or after that did it.
    hang: Option<(usize, Reached)>,
    /// Calls of this name are answered so.
    refused: Option<(&'static str, Code)>,
    calls: Vec<String>,
}

/// Whether a call that never comes back got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    No,
    Yes,
}

/// The way from one service to another. Cheap to clone.
#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<Mutex<GateState>>,
    hanging: Arc<Notify>,
}

impl Gate {
    /// The service with this gate in front of it.
    #[must_use]
    pub fn before(&self, service: LocalService) -> LocalService {
        let gate = self.clone();
        BoxCloneSyncService::new(tower::service_fn(move |request| {
            let (gate, service) = (gate.clone(), service.clone());
            async move { Ok::<_, Infallible>(gate.pass(request, service).await) }
        }))
    }

    /// From now on the other is away.
    pub fn close(&self) {
        self.state.lock().unwrap().away = true;
    }

    /// As in the beginning: everything passes.
    pub fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.away = false;
        state.hang = None;
        state.refused = None;
    }

    /// The `call`-th call from now, from 0, never comes back.
    pub fn hang_at(&self, call: usize, reached: Reached) {
        let mut state = self.state.lock().unwrap();
        state.calls.clear();
        state.hang = Some((call, reached));
    }

    /// The other says so to every call of this name.
    pub fn refuse(&self, call: &'static str, code: Code) {
        self.state.lock().unwrap().refused = Some((call, code));
    }

    /// Until the call that was to hang does.
    pub async fn hanging(&self) {
        self.hanging.notified().await;
    }

    /// The names of the calls since the last look.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    async fn pass(self, request: http::Request<Body>, inner: LocalService) -> http::Response<Body> {
        let (away, refused, hangs) = {
            let mut state = self.state.lock().unwrap();
            let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let place = state.calls.len();
            let refused = state.refused.filter(|(call, _)| *call == name).map(|(_, code)| code);
            state.calls.push(name);
            (state.away, refused, state.hang.filter(|(n, _)| *n == place).map(|(_, reached)| reached))
        };
        if away {
            return Status::unavailable("it is away").into_http();
        }
        if let Some(code) = refused {
            return Status::from(Fault::new(code, "as told")).into_http();
        }
        match hangs {
            None => inner.oneshot(request).await.unwrap(),
            Some(reached) => {
                if reached == Reached::Yes {
                    drop(inner.oneshot(request).await.unwrap());
                }
                self.hanging.notify_one();
                std::future::pending().await
            }
        }
    }
}
