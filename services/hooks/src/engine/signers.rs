//! Keys of hooks that are ready to sign. Opening and parsing them costs about as much as a signature does, so they are kept.

use crate::keys::Signer;
use crate::store::keys::StoredKey;
use beem_fault::Result;
use beem_ids::HookId;
use beem_sealing::Sealing;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The keys of so many hooks at most: when there are more, all are forgotten and read anew.
pub struct Signers {
    most: usize,
    known: Mutex<HashMap<(HookId, u64), Arc<Signer>>>,
}

impl Signers {
    /// For so many lanes, each of which has two keys at most.
    pub fn new(lanes: usize) -> Self {
        Self { most: lanes.saturating_mul(2), known: Mutex::default() }
    }

    /// The signer of a hook's key.
    ///
    /// # Errors
    /// `internal` when it does not open.
    pub fn of(&self, key: &StoredKey, sealing: &Sealing) -> Result<Arc<Signer>> {
        let name = (key.hook, key.number);
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Arc::clone(known));
        }
        let signer = Arc::new(key.signer(sealing)?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(name, Arc::clone(&signer));
        Ok(signer)
    }
}
