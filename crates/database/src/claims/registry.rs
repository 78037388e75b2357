//! What this process is doing under which key. It decides nothing (the database does); it spares connections by
//! letting those of one key queue here, and knows at once when a saga's caller has gone away.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::Instant;
use uuid::Uuid;

/// Beyond these, leases lapse by themselves.
const MOST_ABANDONED: usize = 1000;

type Gate = tokio::sync::Mutex<()>;

/// Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Inner>);

#[derive(Default)]
struct Inner {
    gates: Mutex<HashMap<String, Weak<Gate>>>,
    running: Mutex<HashSet<Uuid>>,
    abandoned: Mutex<Vec<Abandoned>>,
    wake: Notify,
}

/// A saga whose run was dropped half way: its lease can be given back before it lapses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abandoned {
    pub(crate) saga_id: Uuid,
    pub(crate) fence: i64,
}

/// The turn under a key; the next one's begins when it is dropped.
pub(crate) struct Turn {
    registry: Registry,
    name: String,
    gate: Option<Arc<Gate>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Registry {
    /// Waits for the turn; none when the deadline came first.
    pub(crate) async fn turn(&self, name: String, deadline: Instant) -> Option<Turn> {
        let gate = {
            let mut gates = locked(&self.0.gates);
            gates.get(&name).and_then(Weak::upgrade).unwrap_or_else(|| {
                let gate = Arc::new(Gate::new(()));
                gates.insert(name.clone(), Arc::downgrade(&gate));
                gate
            })
        };
        let mut turn = Turn { registry: self.clone(), name, gate: Some(gate.clone()), held: None };
        turn.held = Some(tokio::time::timeout_at(deadline, gate.lock_owned()).await.ok()?);
        Some(turn)
    }

    pub(crate) fn start(&self, saga_id: Uuid) {
        locked(&self.0.running).insert(saga_id);
    }

    pub(crate) fn is_running(&self, saga_id: Uuid) -> bool {
        locked(&self.0.running).contains(&saga_id)
    }

    pub(crate) fn stop(&self, saga_id: Uuid) {
        locked(&self.0.running).remove(&saga_id);
    }

    pub(crate) fn abandon(&self, saga: Abandoned) {
        let mut abandoned = locked(&self.0.abandoned);
        if abandoned.len() < MOST_ABANDONED {
            abandoned.push(saga);
        }
        drop(abandoned);
        self.0.wake.notify_one();
    }

    /// Those that could not be given back are tried again at the next look; nobody is woken for them.
    pub(crate) fn put_back(&self, sagas: impl IntoIterator<Item = Abandoned>) {
        let mut abandoned = locked(&self.0.abandoned);
        let room = MOST_ABANDONED.saturating_sub(abandoned.len());
        abandoned.extend(sagas.into_iter().take(room));
    }

    /// How many sagas run here.
    pub(crate) fn running(&self) -> usize {
        locked(&self.0.running).len()
    }

    pub(crate) fn take_abandoned(&self) -> Vec<Abandoned> {
        std::mem::take(&mut *locked(&self.0.abandoned))
    }

    /// Until a saga is abandoned.
    pub(crate) async fn something_abandoned(&self) {
        self.0.wake.notified().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        self.gate = None;
        let mut gates = locked(&self.registry.0.gates);
        if gates.get(&self.name).is_some_and(|gate| gate.strong_count() == 0) {
            gates.remove(&self.name);
        }
    }
}

/// Nothing below can panic half way through a change, so a poisoned lock is as good as a sound one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn turns_follow_each_other_and_leave_nothing_behind() {
        let registry = Registry::default();
        let soon = || Instant::now() + Duration::from_millis(50);
        let first = registry.turn("k".into(), soon()).await.unwrap();
        assert!(registry.turn("k".into(), soon()).await.is_none(), "the deadline comes first");
        assert!(registry.turn("other".into(), soon()).await.is_some());
        let next = tokio::join!(registry.turn("k".into(), soon()), async { drop(first) }).0;
        assert!(next.is_some());
        drop(next);
        assert!(locked(&registry.0.gates).is_empty());
    }
}
