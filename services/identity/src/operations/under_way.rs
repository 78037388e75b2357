//! Changes under way in this process, by what they change and who asked for them. Changes of one thing happen one after the
//! other and wait for each other only so long; so that nobody keeps the others out by asking without end (whoever is to be
//! disabled, say, by renaming themselves), at most two of one actor are let in. Anybody else waits behind those at most.

use super::change::Target;
use beem_fault::{Code, Fault, Result};
use beem_ids::PrincipalId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Changes of one thing that one actor has under way at most: one that is made, and one that waits.
const MOST: usize = 2;

/// Whose changes of what: the row's name, and the actor.
type Line = (String, PrincipalId);

/// Those under way by RPC and request key, and how many hold each: a repeat waits for the first and not for its target.
type Keys = HashMap<String, usize>;

/// What is under way. Cheap to clone; as large as the calls under way are many.
#[derive(Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashMap<Line, Keys>>>);

/// One change under way, until it is dropped.
pub struct Entered {
    under_way: UnderWay,
    line: Line,
    key: String,
}

impl UnderWay {
    /// Lets a change in; `key` is its RPC and request key.
    ///
    /// # Errors
    /// `request-in-progress` when the actor has enough of them under way.
    pub fn enter(&self, target: Target, actor: PrincipalId, key: String) -> Result<Entered> {
        let line = (target.to_string(), actor);
        let mut lines = self.lines();
        let known = lines.get(&line);
        if known.is_some_and(|keys| keys.len() >= MOST && !keys.contains_key(&key)) {
            return Err(Fault::new(
                Code::RequestInProgress,
                "you have changes of it under way already; nothing was done, try again",
            ));
        }
        let holders = lines.entry(line.clone()).or_default().entry(key.clone()).or_default();
        *holders = holders.saturating_add(1);
        drop(lines);
        Ok(Entered { under_way: self.clone(), line, key })
    }

    /// Nothing here can panic half way through a change, so a poisoned lock is as good as a sound one.
    fn lines(&self) -> MutexGuard<'_, HashMap<Line, Keys>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut lines = self.under_way.lines();
        let Some(keys) = lines.get_mut(&self.line) else { return };
        if let Some(holders) = keys.get_mut(&self.key) {
            *holders = holders.saturating_sub(1);
        }
        keys.retain(|_, holders| *holders > 0);
        if keys.is_empty() {
            lines.remove(&self.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_clock::{Entropy, Moment};

    #[test]
    fn two_of_an_actor_for_a_thing_are_let_in() {
        let entropy = Entropy::seeded(8);
        let draw = || PrincipalId::draw(Moment::from_unix_s(1_800_000_000), &entropy);
        let (x, y, client, user) = (draw(), draw(), Target::Client(draw()), Target::User(draw()));
        let under_way = UnderWay::default();
        let one = under_way.enter(client, x, "1".into()).unwrap();
        let two = under_way.enter(client, x, "2".into()).unwrap();
        assert_eq!(under_way.enter(client, x, "3".into()).err().unwrap().code, Code::RequestInProgress);
        let others =
            (under_way.enter(client, y, "3".into()).unwrap(), under_way.enter(user, x, "3".into()).unwrap());
        let repeated = under_way.enter(client, x, "1".into()).unwrap();
        drop(one);
        assert!(under_way.enter(client, x, "3".into()).is_err(), "its repeat is still there");
        drop(repeated);
        drop(under_way.enter(client, x, "3".into()).unwrap());
        drop((two, others));
        assert!(under_way.lines().is_empty(), "nothing is kept of what has gone");
    }
}
