//! The little hooks needs of identity: whom to tell when a hook was disabled. The feeds of other services are
//! [`beem_events::PeerFeed`], the audit trail is [`beem_writes::audit_task`].

use beem_fault::{Fault, Result};
use beem_ids::AccountId;
use beem_link::Link;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_proto::identity::v1::{ListOperatorsRequest, Operator};

/// Who may see to a hook.
const ROLE: &str = "hook:operator";

/// The way to identity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    link: Link,
}

impl Identity {
    #[must_use]
    pub const fn new(link: Link) -> Self {
        Self { link }
    }

    /// The account's users that are active, enabled and hold `hook:operator`.
    ///
    /// # Errors
    /// `unavailable` or `deadline` when identity is away.
    pub async fn operators(&self, account: AccountId) -> Result<Vec<Operator>> {
        let request = ListOperatorsRequest { account_id: account.to_string(), role: ROLE.to_owned() };
        let answer = DirectoryClient::new(self.link.clone()).list_operators(request).await;
        Ok(answer.map_err(Fault::from)?.into_inner().operators)
    }
}
