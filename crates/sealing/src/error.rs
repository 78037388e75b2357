//! Why sealed bytes did not open, for the log. Never the bytes.

use crate::KeyId;
use beem_fault::Fault;

/// The source of the `internal` fault that [`crate::Sealing::open`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// Sealed under a key that is not held: the wrong key file, or an old key that was removed too early.
    #[error("sealed under key {0}, which is not held")]
    UnknownKey(KeyId),
    /// Changed since it was sealed, or sealed for another row or column.
    #[error("sealed under key {0}, but it does not open here: changed, or sealed for another place")]
    Refused(KeyId),
    /// Too short, or of a version that is not known.
    #[error("not a sealed value")]
    Garbled,
}

impl From<Unopened> for Fault {
    fn from(unopened: Unopened) -> Self {
        Self::internal(unopened)
    }
}
