//! The book: balances and holds in memory, and the decisions about them. Whoever has locked the rows puts them in, carries
//! orders out one after the other, and saves what has changed. A refused order leaves no trace, and the ones after it go on.

use super::digest::Hash;
use super::entry::{Entry, EntryKind, Subject};
use super::hold::{Hold, HoldEnd, HoldState, NewHold};
use super::order::{Order, Step};
use super::transfer::{Kind, NewTransfer, Transfer};
use beem_clock::Moment;
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, HoldId, LedgerAccountId, TransferId};
use beem_money::{Amount, CurrencyCode};
use std::collections::BTreeMap;
use std::ops::Range;

/// The balance of a ledger account, and the end of its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    pub account: LedgerAccountId,
    /// None for the system's.
    pub owner: Option<AccountId>,
    pub currency: CurrencyCode,
    pub total: Amount,
    pub reserved: Amount,
    /// As it stands in its row: see [`Balance::lowest`].
    pub floor: Option<Amount>,
    /// The number of its newest entry; 0 for none.
    pub sequence: i64,
    /// That entry's hash, or the account's genesis.
    pub hash: Hash,
    /// That entry's time, or when the account was opened.
    pub time: Moment,
}

impl Balance {
    /// None when it cannot be told in an [`Amount`].
    #[must_use]
    pub fn available(&self) -> Option<Amount> {
        self.total.checked_sub(self.reserved)
    }

    /// What is available never goes below this: nothing for a wallet, whatever its row says; None for no limit.
    #[must_use]
    pub fn lowest(&self) -> Option<Amount> {
        if self.owner.is_some() { Some(Amount::ZERO) } else { self.floor }
    }
}

/// A balance that was changed, and the sequence it had in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    pub balance: Balance,
    pub was: i64,
}

/// What has to be saved, all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub transfers: Vec<Transfer>,
    /// In the order of their accounts, and of each in that of their sequence: the order of their key.
    pub entries: Vec<Entry>,
    /// In the order of their accounts.
    pub balances: Vec<Updated>,
    pub placed: Vec<Hold>,
    /// Holds that were there and have ended.
    pub ended: Vec<Hold>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Book {
    now: Moment,
    time: Moment,
    balances: BTreeMap<LedgerAccountId, Updated>,
    holds: BTreeMap<HoldId, Slot>,
    transfers: Vec<Transfer>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Slot {
    hold: Hold,
    /// It was placed in this book.
    placed: bool,
    changed: bool,
}

/// What an order changed, as it was before.
#[derive(Default)]
struct Before {
    balances: Vec<Updated>,
    holds: Vec<(HoldId, Option<Slot>)>,
    transfers: usize,
    entries: usize,
}

impl Book {
    /// Opens the book with locked balances and holds. `now` is read once they are locked, so that what is entered later
    /// has a later time, however long somebody waited for a lock.
    #[must_use]
    pub fn open(now: Moment, balances: Vec<Balance>, holds: Vec<Hold>) -> Self {
        let balances = balances.into_iter().map(|b| (b.account, Updated { was: b.sequence, balance: b }));
        let slot = |hold: Hold| (hold.new.id, Slot { hold, placed: false, changed: false });
        Self {
            now,
            time: now,
            balances: balances.collect(),
            holds: holds.into_iter().map(slot).collect(),
            transfers: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// The time of all that the newest order entered: when the book was opened, or that of the newest entry of any account
    /// of the order if that is later, since time in an account never goes back, whatever clocks do.
    #[must_use]
    pub const fn time(&self) -> Moment {
        self.time
    }

    #[must_use]
    pub fn balance(&self, account: LedgerAccountId) -> Option<&Balance> {
        self.balances.get(&account).map(|updated| &updated.balance)
    }

    #[must_use]
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id).map(|slot| &slot.hold)
    }

    /// Every entry so far; [`Book::carry_out`] says which are whose.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Carries an order out under its effect key, or refuses it and leaves everything as it was. The range is that of its
    /// entries.
    ///
    /// # Errors
    /// `not-found` for a wallet, system account or hold that does not exist for its owner; `insufficient-funds`;
    /// `hold-ended`; `validation-failed` naming `currency`, `amount` or `same-wallet`; `unavailable` for what a system
    /// account has no room for and for a hold whose time to expire has not come; `internal` for an order that contradicts
    /// itself.
    pub fn carry_out(&mut self, effect: &str, order: &Order) -> Result<Range<usize>> {
        let held = order.holds().filter_map(|id| self.hold(id)).map(|hold| hold.new.account);
        let newest = order.accounts().chain(held).filter_map(|account| self.balance(account)).map(|b| b.time);
        self.time = newest.fold(self.now, Moment::max);
        let mut before =
            Before { transfers: self.transfers.len(), entries: self.entries.len(), ..Before::default() };
        let first = self.entries.len();
        let outcome = self.steps(effect, order, &mut before);
        if let Err(fault) = outcome {
            self.undo(before);
            return Err(fault);
        }
        Ok(first..self.entries.len())
    }

    /// What has changed since it was opened.
    #[must_use]
    pub fn changes(self) -> Changes {
        let (mut placed, mut ended) = (Vec::new(), Vec::new());
        for slot in self.holds.into_values() {
            if slot.placed {
                placed.push(slot.hold);
            } else if slot.changed {
                ended.push(slot.hold);
            }
        }
        let changed = |updated: &Updated| updated.balance.sequence != updated.was;
        let balances = self.balances.into_values().filter(changed).collect();
        let mut entries = self.entries;
        entries.sort_unstable_by_key(|entry| (entry.account, entry.sequence));
        Changes { transfers: self.transfers, entries, balances, placed, ended }
    }

    fn steps(&mut self, effect: &str, order: &Order, before: &mut Before) -> Result<()> {
        if order.steps.is_empty() {
            return Err(Fault::internal("an order without steps"));
        }
        // What posted holds have given back for transfers that are still to follow.
        let mut owed: BTreeMap<LedgerAccountId, Amount> = BTreeMap::new();
        for step in &order.steps {
            match step {
                Step::Transfer(transfer) => {
                    self.transfer((effect, order.owner), transfer.clone(), before)?;
                    if let Some(left) = owed.get_mut(&transfer.debit) {
                        *left = left.checked_sub(transfer.amount).ok_or_else(too_large)?;
                    }
                }
                Step::Reserve(hold) => self.reserve((effect, order.owner), hold, before)?,
                Step::PostHold { hold, amount, transfer, credit, kind } => {
                    let posting = (*transfer, *credit, *kind);
                    self.post_hold((effect, order.owner), *hold, *amount, posting, before)?;
                }
                Step::EndHold { hold, end } => {
                    let account = self.end_hold(order.owner, *hold, *end, before)?;
                    if let HoldEnd::Posted(amount) = end {
                        let left = owed.entry(account).or_default();
                        *left = left.checked_add(*amount).ok_or_else(too_large)?;
                    }
                }
            }
        }
        // What was posted of a hold has left its wallet, no more and no less.
        if owed.values().any(|left| !left.is_zero()) {
            return Err(Fault::internal("a posted hold and its transfers do not agree"));
        }
        Ok(())
    }

    fn transfer(
        &mut self,
        (effect, owner): (&str, AccountId),
        new: NewTransfer,
        before: &mut Before,
    ) -> Result<()> {
        if !new.amount.is_positive() {
            return Err(Fault::field("amount", "above zero"));
        }
        if new.debit == new.credit {
            return Err(Fault::new(Code::SameWallet, "a transfer has two different sides"));
        }
        for side in [new.debit, new.credit] {
            self.check(owner, side, new.currency)?;
        }
        let digest = new.digest(effect);
        let left = new.amount.checked_neg().ok_or_else(too_large)?;
        let (kind, subject) = (EntryKind::Moved(new.kind), Subject::Transfer(new.id));
        let debit = Change { kind, subject, digest, amount: left, reserved: Amount::ZERO };
        let debit_sequence = self.enter(new.debit, &debit, before)?;
        let credit = Change { amount: new.amount, ..debit };
        let credit_sequence = self.enter(new.credit, &credit, before)?;
        let effect = effect.to_owned();
        self.transfers.push(Transfer { new, effect, debit_sequence, credit_sequence, time: self.time });
        Ok(())
    }

    fn reserve(
        &mut self,
        (effect, owner): (&str, AccountId),
        new: &NewHold,
        before: &mut Before,
    ) -> Result<()> {
        if !new.amount.is_positive() {
            return Err(Fault::field("amount", "above zero"));
        }
        if new.expires.is_some_and(|at| at <= self.now) {
            return Err(Fault::field("expiresAt", "in the future"));
        }
        if self.holds.contains_key(&new.id) {
            return Err(Fault::internal("two holds under one id"));
        }
        let balance = self.balance(new.account).filter(|b| b.owner == Some(owner));
        let currency = balance.ok_or_else(|| Fault::not_found("wallet"))?.currency;
        let mut hold = Hold {
            new: new.clone(),
            effect: effect.to_owned(),
            owner,
            currency,
            created: self.time,
            created_sequence: 0,
            state: HoldState::Active,
            posted: Amount::ZERO,
            ended: None,
        };
        let change = Change {
            kind: EntryKind::Hold,
            subject: Subject::Hold(new.id),
            digest: hold.digest(),
            amount: Amount::ZERO,
            reserved: new.amount,
        };
        hold.created_sequence = self.enter(new.account, &change, before)?;
        before.holds.push((new.id, None));
        self.holds.insert(new.id, Slot { hold, placed: true, changed: false });
        Ok(())
    }

    fn post_hold(
        &mut self,
        (effect, owner): (&str, AccountId),
        id: HoldId,
        amount: Option<Amount>,
        (transfer, credit, kind): (TransferId, LedgerAccountId, Kind),
        before: &mut Before,
    ) -> Result<()> {
        let hold = self.hold_of(owner, id)?;
        let amount = amount.unwrap_or(hold.new.amount);
        let new = NewTransfer {
            id: transfer,
            debit: hold.new.account,
            credit,
            currency: hold.currency,
            amount,
            kind,
            reference: hold.new.reference.clone(),
            cause: hold.new.cause.clone(),
            counterpart: None,
        };
        self.end_hold(owner, id, HoldEnd::Posted(amount), before)?;
        self.transfer((effect, owner), new, before)
    }

    /// The hold's wallet.
    fn end_hold(
        &mut self,
        owner: AccountId,
        id: HoldId,
        end: HoldEnd,
        before: &mut Before,
    ) -> Result<LedgerAccountId> {
        let hold = self.hold_of(owner, id)?.clone();
        let account = hold.new.account;
        match (hold.state, end) {
            (HoldState::Active, HoldEnd::Voided) => {}
            (HoldState::Active, HoldEnd::Expired) => {
                if hold.new.expires.is_none_or(|at| at > self.now) {
                    return Err(Fault::unavailable("the hold's time has not come by this clock"));
                }
            }
            (HoldState::Active, HoldEnd::Posted(amount)) => {
                if hold.new.expires.is_some_and(|at| at <= self.now) {
                    return Err(ended("the hold has expired"));
                }
                if !amount.is_positive() || amount > hold.new.amount {
                    return Err(Fault::field("amount", "above zero and at most what is held"));
                }
            }
            (HoldState::Voided, HoldEnd::Voided) => return Ok(account),
            (HoldState::Posted | HoldState::Voided | HoldState::Expired, HoldEnd::Expired) => {
                return Ok(account);
            }
            (HoldState::Posted, HoldEnd::Voided | HoldEnd::Posted(_)) => {
                return Err(ended("the hold was posted"));
            }
            (HoldState::Voided, HoldEnd::Posted(_)) => return Err(ended("the hold was voided")),
            (HoldState::Expired, HoldEnd::Voided | HoldEnd::Posted(_)) => {
                return Err(ended("the hold has expired"));
            }
        }
        let change = Change {
            kind: EntryKind::Release,
            subject: Subject::Hold(id),
            digest: hold.end_digest(end.state(), end.posted()),
            amount: Amount::ZERO,
            reserved: hold.new.amount.checked_neg().ok_or_else(too_large)?,
        };
        let sequence = self.enter(account, &change, before)?;
        let time = self.time;
        if let Some(slot) = self.holds.get_mut(&id) {
            before.holds.push((id, Some(slot.clone())));
            slot.changed = true;
            slot.hold.state = end.state();
            slot.hold.posted = end.posted();
            slot.hold.ended = Some((time, sequence));
        }
        Ok(account)
    }

    fn hold_of(&self, owner: AccountId, id: HoldId) -> Result<&Hold> {
        self.hold(id).filter(|hold| hold.owner == owner).ok_or_else(|| Fault::not_found("hold"))
    }

    fn check(&self, owner: AccountId, account: LedgerAccountId, currency: CurrencyCode) -> Result<()> {
        let balance = self.balance(account).filter(|b| b.owner.is_none_or(|of| of == owner));
        let balance = balance.ok_or_else(|| Fault::not_found("wallet"))?;
        if balance.currency == currency {
            return Ok(());
        }
        Err(Fault::field("currency", format!("the wallet is in {}", balance.currency)))
    }

    /// Enters one change into an account; the number of the entry.
    fn enter(&mut self, account: LedgerAccountId, change: &Change, before: &mut Before) -> Result<i64> {
        let updated = self.balances.get_mut(&account).ok_or_else(|| Fault::not_found("wallet"))?;
        let balance = &updated.balance;
        let full = || if balance.owner.is_some() { too_large() } else { no_room() };
        let total = balance.total.checked_add(change.amount).ok_or_else(full)?;
        let reserved = balance.reserved.checked_add(change.reserved).ok_or_else(full)?;
        let sequence = balance.sequence.checked_add(1).ok_or_else(|| Fault::internal("no more entries"))?;
        let available = total.checked_sub(reserved).ok_or_else(full)?;
        let falls = change.amount.is_negative() || change.reserved.is_positive();
        if falls && balance.lowest().is_some_and(|lowest| available < lowest) {
            return Err(insufficient(balance));
        }
        if reserved.is_negative() {
            return Err(Fault::internal("more given back than was reserved"));
        }
        let mut entry = Entry {
            account,
            sequence,
            time: self.time,
            kind: change.kind,
            subject: change.subject,
            amount: change.amount,
            reserved_change: change.reserved,
            total,
            reserved,
            hash: Hash::default(),
        };
        entry.hash = entry.hash_after(&balance.hash, &change.digest);
        before.balances.push(updated.clone());
        let balance = &mut updated.balance;
        (balance.total, balance.reserved, balance.sequence) = (total, reserved, sequence);
        (balance.hash, balance.time) = (entry.hash, entry.time);
        self.entries.push(entry);
        Ok(sequence)
    }

    fn undo(&mut self, before: Before) {
        self.transfers.truncate(before.transfers);
        self.entries.truncate(before.entries);
        // Newest first, so that the oldest state of each is what stays.
        for updated in before.balances.into_iter().rev() {
            self.balances.insert(updated.balance.account, updated);
        }
        for (id, slot) in before.holds.into_iter().rev() {
            match slot {
                Some(slot) => self.holds.insert(id, slot),
                None => self.holds.remove(&id),
            };
        }
    }
}

/// What is to happen to one account.
#[derive(Clone, Copy)]
struct Change {
    kind: EntryKind,
    subject: Subject,
    digest: Hash,
    amount: Amount,
    reserved: Amount,
}

fn too_large() -> Fault {
    Fault::field("amount", "too large")
}

/// Of a system account: no fault of the caller's, and not to be remembered as one.
fn no_room() -> Fault {
    Fault::unavailable("a system account has no room for this amount")
}

fn ended(detail: &str) -> Fault {
    Fault::new(Code::HoldEnded, detail)
}

/// A client is told of its wallet only; how much the system has is nobody's business.
fn insufficient(balance: &Balance) -> Fault {
    let detail = match balance.owner {
        Some(_) => "the wallet does not have that much available",
        None => "the installation cannot cover this now",
    };
    Fault::new(Code::InsufficientFunds, detail)
}

#[cfg(test)]
mod tests;
