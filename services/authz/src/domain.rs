//! Standings and the decisions about them: pure functions from what is stored and what is asked to what becomes of it, or
//! to a refusal.

mod behind;
mod catalogue;
mod change;
mod grant;
#[cfg(test)]
mod invariants;
mod standing;
mod trail;

pub use behind::Behind;
pub use catalogue::{BUNDLES, Bundle, Entry, entry};
pub use change::{Change, Circumstances, Growth, Prepared, commit, prepare};
pub use grant::{Granter, NewStanding, create, may_set_policy};
pub use standing::{GrantPolicy, Refusal, Standing};
pub use trail::{AuditEntry, ChainedRow, End, Flaw, NEIGHBOURS, diagnose, follows};
