//! Where a hook's deliveries go and what signs them.

use super::{LOOK, Works};
use crate::domain::{EventCodes, Health};
use crate::keys::Signer;
use crate::store::{due, keys};
use beem_fault::Result;
use beem_ids::HookId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What was read is not acted on for longer: a hook may have been disabled, its URL or its keys changed. A receiver that is
/// quick is done with a page before that.
const FRESH: Duration = LOOK;

/// A receiver, as it was a moment ago.
pub struct Receiver {
    pub hook: HookId,
    pub url: String,
    /// What it asks for now: what it asked for once was perhaps another receiver's to see.
    pub codes: EventCodes,
    pub active: Arc<Signer>,
    pub retiring: Option<Arc<Signer>>,
    read_at: Instant,
}

impl Receiver {
    /// As it is now, and how it has been doing. None when nothing is sent to it.
    ///
    /// # Errors
    /// As the database says; `internal` for keys that do not open.
    pub async fn read(works: &Works, hook: HookId) -> Result<Option<(Self, Health)>> {
        let (db, now, read_at) = (works.db.read(), works.db.clock().now(), Instant::now());
        // Before the hook: one that is deleted in between is seen to be, and not to have lost its keys.
        let current = keys::current(db, hook, now).await;
        let Some((url, codes, health)) = due::receiver(db, hook).await? else { return Ok(None) };
        let (active, retiring) = current?;
        let signer = |key| works.signers.of(key, &works.sealing);
        let (active, retiring) = (signer(&active)?, retiring.as_ref().map(signer).transpose()?);
        Ok(Some((Self { hook, url, codes, active, retiring, read_at }, health)))
    }

    /// Whether it may be acted on.
    pub fn is_fresh(&self) -> bool {
        self.read_at.elapsed() < FRESH
    }
}
