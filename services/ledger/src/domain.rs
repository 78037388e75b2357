//! What the ledger knows without any database: ledger accounts, transfers, holds, entries and their chain, and the book that
//! decides. Pure: time and ids are arguments, the same orders on the same balances give the same entries.

mod account;
mod book;
mod digest;
mod entry;
mod exchange;
mod hold;
mod lock;
mod order;
mod outbound;
mod quote;
mod settlement;
mod transfer;

pub use account::{LedgerAccount, Purpose};
pub use book::{Balance, Book, Changes, Updated};
pub use digest::{Digest, Hash};
pub use entry::{Entry, EntryKind, Subject};
pub use exchange::{Exchange, Exchanged};
pub use hold::{Hold, HoldEnd, HoldState, NewHold};
pub use lock::{Lock, LockSide};
pub use order::{Order, Step};
pub use outbound::{FeePayer, Leg, Outbound, Paying, Plan, PostedOutbound, worth_ceil};
pub use quote::{Executed, Offer, Quote, QuoteStatus, Wanted};
pub use settlement::{Credited, Crediting, Promised, Reason, Settlement, SettlementState};
pub use transfer::{Cause, Counterpart, Kind, MAX_REFERENCE, NewTransfer, Transfer};
