//! The rows of "how money is lost or doubled" that this installation can meet already, each by its number, from outside.
//! Row 5 (one key twice in one batch) has no RPC yet that takes a batch: it is tested where batches are, in
//! `crates/database`.

mod fails_inside;
mod one_effect;
mod seen_from_outside;
