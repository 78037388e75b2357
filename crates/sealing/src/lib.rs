//! Secrets at rest: what a service must be able to read again (a second factor's secret, a mail that carries a code, an
//! answer that holds a token) is sealed under one key before it goes into a table, and opened when it is read.
//!
//! ```text
//! byte 0      version, 1
//! bytes 1-8   id of the key: the first 8 bytes of SHA-256 over a label and the key
//! bytes 9-20  nonce, drawn for each value
//! the rest    AES-256-GCM-SIV (RFC 8452) of the plain bytes, with its 16 bytes of tag; the header and the *context*
//!             are its associated data
//! ```
//!
//! The context says where a value lives, as in `identity.users.totp:<user id>`: a sealed value that was moved to another
//! row or another column does not open. It is not stored; whoever opens says it again.
//!
//! Each key is used through two keys derived from it, one for sealing and one for digests. GCM-SIV, because a nonce that comes twice then tells no more than that two values are the same, whatever happened to
//! the randomness of a restored machine.
//!
//! **Rotation.** There are at most two keys and the first seals. A new key goes before the old one, everything is sealed
//! again ([`Sealing::reseal`]), and then the old key goes. Where several processes share a database, the new key first
//! goes *behind* the old one everywhere: each can then open what the first to change has sealed. [`Sealing::replace`]
//! swaps the keys of every clone, for a process whose key file is rotated under it.
//!
//! What need not be read again is not sealed but hashed; what is only compared and could be guessed (a request that
//! holds a password) is known by [`Sealing::digest`], which nobody computes without the key.

mod error;
mod key;
mod sealing;

pub use error::Unopened;
pub use key::{KeyId, SealingKey};
pub use sealing::{OVERHEAD, Sealing, key_of};
/// What [`Sealing::open`] gives: it is overwritten when it is dropped.
pub use zeroize::Zeroizing;
