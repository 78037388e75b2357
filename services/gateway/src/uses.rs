//! When and from where clients and sessions were last accepted: gathered in process, one entry each, and sent to identity every few
//! seconds, so that a request never waits for it. A crash loses seconds of it: of a client it is only shown to people, and a session that is used again is noted again.

use beem_caller::Actor;
use beem_clock::Moment;
use beem_ids::{PrincipalId, SessionId};
use beem_link::Link;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_proto::identity::v1::{ClientUse, ReportUseRequest, SessionUse};
use beem_proto::to_timestamp;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two reports.
const EVERY: Duration = Duration::from_secs(2);

/// Clients noted between two reports and in one message, and as many sessions; beyond it uses are not noted.
const NOTED_MAX: usize = 500;

/// The last use of each.
#[derive(Default)]
struct Noted {
    clients: HashMap<PrincipalId, ClientUse>,
    sessions: HashMap<SessionId, SessionUse>,
}

/// Cheap to clone; clones gather together.
#[derive(Clone)]
pub struct Uses {
    noted: Arc<Mutex<Noted>>,
    directory: DirectoryClient<Link>,
}

impl Uses {
    #[must_use]
    pub fn new(identity: Link) -> Self {
        Self { noted: Arc::default(), directory: DirectoryClient::new(identity) }
    }

    /// Notes that the actor was accepted now.
    pub fn note(&self, actor: &Actor, now: Moment) {
        let (time, address) = (Some(to_timestamp(now.unix_ms())), actor.address.to_string());
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = actor.session {
            let used = SessionUse { session_id: session.to_string(), time, address };
            note(&mut noted.sessions, session, used);
        } else {
            let key_fingerprint = actor.key_fingerprint.clone();
            let used =
                ClientUse { principal_id: actor.principal.to_string(), time, address, key_fingerprint };
            note(&mut noted.clients, actor.principal, used);
        }
    }

    /// Reports until cancelled, and once more then.
    pub async fn report(self, cancel: CancellationToken) {
        loop {
            let last = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                () = cancel.cancelled() => true,
            };
            let noted = {
                let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *noted)
            };
            if !noted.clients.is_empty() || !noted.sessions.is_empty() {
                let request = ReportUseRequest {
                    uses: noted.clients.into_values().collect(),
                    session_uses: noted.sessions.into_values().collect(),
                };
                if let Err(status) = self.directory.clone().report_use(request).await {
                    tracing::debug!(%status, "last uses could not be reported");
                }
            }
            if last {
                return;
            }
        }
    }
}

fn note<K: Eq + Hash, U>(noted: &mut HashMap<K, U>, of: K, used: U) {
    if noted.len() < NOTED_MAX || noted.contains_key(&of) {
        noted.insert(of, used);
    }
}
