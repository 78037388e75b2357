//! The way from identity to authz, which a test can close, cut or have answer otherwise.

use beem_fault::{Code, Fault};
use beem_link::LocalService;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;

/// What happens to identity's calls of authz.
#[derive(Clone, Debug, Default)]
struct GateState {
    away: bool,
    /// The n-th call from now never comes back: before it reached authz, or after authz did it.
    hang: Option<(usize, Reached)>,
    /// Calls of this name are answered so.
    refused: Option<(&'static str, Code)>,
    calls: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    No,
    Yes,
}

/// The way from identity to authz.
#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<Mutex<GateState>>,
    hanging: Arc<Notify>,
}

impl Gate {
    pub fn close(&self) {
        self.state.lock().unwrap().away = true;
    }

    pub fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.away = false;
        state.hang = None;
        state.refused = None;
    }

    pub fn hang_at(&self, call: usize, reached: Reached) {
        let mut state = self.state.lock().unwrap();
        state.calls.clear();
        state.hang = Some((call, reached));
    }

    /// Authz says so to every call of this name.
    pub fn refuse(&self, call: &'static str, code: Code) {
        self.state.lock().unwrap().refused = Some((call, code));
    }

    /// Until the call that was to hang does.
    pub async fn hanging(&self) {
        self.hanging.notified().await;
    }

    /// The calls since the last look.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    pub async fn pass(self, request: http::Request<Body>, inner: LocalService) -> http::Response<Body> {
        let (away, refused, hangs) = {
            let mut state = self.state.lock().unwrap();
            let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let place = state.calls.len();
            let refused = state.refused.filter(|(call, _)| *call == name).map(|(_, code)| code);
            state.calls.push(name);
            (state.away, refused, state.hang.filter(|(n, _)| *n == place).map(|(_, reached)| reached))
        };
        if away {
            return Status::unavailable("authz is away").into_http();
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
