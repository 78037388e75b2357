//! Entries: what happened to one ledger account, in order, each with the running values and a hash over the one before.

use super::digest::{Digest, Hash};
use super::transfer::Kind;
use beem_clock::Moment;
use beem_ids::{HoldId, LedgerAccountId, TransferId};
use beem_money::Amount;
use uuid::Uuid;

/// What made an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A transfer of that kind.
    Moved(Kind),
    /// A hold was placed.
    Hold,
    /// A hold was given back, to be posted in the same order or not.
    Release,
}

impl EntryKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved(kind) => kind.as_str(),
            Self::Hold => "HOLD",
            Self::Release => "RELEASE",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "HOLD" => Some(Self::Hold),
            "RELEASE" => Some(Self::Release),
            _ => Kind::parse(text).map(Self::Moved),
        }
    }
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Transfer(TransferId),
    Hold(HoldId),
}

impl Subject {
    #[must_use]
    pub const fn id(self) -> Uuid {
        match self {
            Self::Transfer(id) => id.0,
            Self::Hold(id) => id.0,
        }
    }
}

/// An entry. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub account: LedgerAccountId,
    /// From 1, without gaps.
    pub sequence: i64,
    /// Never before that of the entry before it.
    pub time: Moment,
    pub kind: EntryKind,
    pub subject: Subject,
    /// Change of the total: negative when it left.
    pub amount: Amount,
    /// Change of what is reserved.
    pub reserved_change: Amount,
    /// After it.
    pub total: Amount,
    pub reserved: Amount,
    pub hash: Hash,
}

impl Entry {
    /// Its hash, given that of the entry before it (its account's genesis for the first) and the digest of what it is about.
    #[must_use]
    pub fn hash_after(&self, previous: &Hash, subject_digest: &Hash) -> Hash {
        Digest::of("beem.ledger.v1 entry")
            .bytes(previous)
            .bytes(self.account.0.as_bytes())
            .number(self.sequence)
            .number(self.time.unix_ms())
            .text(self.kind.as_str())
            .bytes(self.subject.id().as_bytes())
            .bytes(subject_digest)
            .amount(self.amount)
            .amount(self.reserved_change)
            .amount(self.total)
            .amount(self.reserved)
            .done()
    }
}
