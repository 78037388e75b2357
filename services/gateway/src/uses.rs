//! When and from where clients were last accepted: gathered in process, one entry a client, and sent to identity every few
//! seconds, so that a request never waits for it. A crash loses seconds of it: it is shown to people, nothing relies on it.

use beem_caller::Actor;
use beem_clock::Moment;
use beem_ids::PrincipalId;
use beem_link::Link;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_proto::identity::v1::{ClientUse, ReportUseRequest};
use beem_proto::to_timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two reports.
const EVERY: Duration = Duration::from_secs(2);

/// Clients noted between two reports, and clients in one message; beyond it uses are not noted.
const NOTED_MAX: usize = 500;

/// Cheap to clone; clones gather together.
#[derive(Clone)]
pub struct Uses {
    noted: Arc<Mutex<HashMap<PrincipalId, ClientUse>>>,
    directory: DirectoryClient<Link>,
}

impl Uses {
    #[must_use]
    pub fn new(identity: Link) -> Self {
        Self { noted: Arc::default(), directory: DirectoryClient::new(identity) }
    }

    /// Notes that the actor was accepted now.
    pub fn note(&self, actor: &Actor, now: Moment) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < NOTED_MAX || noted.contains_key(&actor.principal) {
            let used = ClientUse {
                principal_id: actor.principal.to_string(),
                time: Some(to_timestamp(now.unix_ms())),
                address: actor.address.to_string(),
                key_fingerprint: actor.key_fingerprint.clone(),
            };
            noted.insert(actor.principal, used);
        }
    }

    /// Reports until cancelled, and once more then.
    pub async fn report(self, cancel: CancellationToken) {
        loop {
            let last = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                () = cancel.cancelled() => true,
            };
            let noted: HashMap<_, _> = {
                let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *noted)
            };
            if !noted.is_empty() {
                let request = ReportUseRequest { uses: noted.into_values().collect() };
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
