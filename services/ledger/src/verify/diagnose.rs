//! What an entry must be after the one before it, and who is to blame when it is not: the entry, what it is about, or the
//! account's own row.

use crate::domain::{Entry, EntryKind, Hash, Hold, LedgerAccount, Transfer};
use crate::store::proof::{self, About, FoundAccount, FoundBalance, FoundEntry, Key};
use beem_clock::Moment;
use beem_database::Sql;
use beem_fault::Result;
use beem_money::{Amount, CurrencyCode};
use uuid::Uuid;

/// Entries behind a gap that are tried for the one that is missing there.
const AHEAD: i64 = 100;

/// The end of the part of a chain that is right.
#[derive(Clone, Debug)]
pub struct Link {
    pub sequence: i64,
    pub hash: Hash,
    total: Amount,
    reserved: Amount,
    time: Moment,
}

/// Who is to blame.
pub enum Blame {
    /// The entry of this number, in words.
    Entry(i64, String),
    /// A row of another table, in words. The entry is as it was.
    Row(&'static str, Uuid, String),
}

impl Link {
    pub fn genesis(account: &LedgerAccount) -> Self {
        let (total, reserved) = (Amount::ZERO, Amount::ZERO);
        Self { sequence: 0, hash: account.genesis(), total, reserved, time: account.created }
    }

    pub const fn at(entry: &Entry) -> Self {
        let Entry { sequence, hash, total, reserved, time, .. } = *entry;
        Self { sequence, hash, total, reserved, time }
    }

    /// Whether the balance says that the account ends here.
    pub fn is_end(&self, balance: &FoundBalance) -> bool {
        let FoundBalance { sequence, hash, total, reserved, time, .. } = *balance;
        (sequence, hash, total, reserved, time)
            == (self.sequence, self.hash, self.total, self.reserved, self.time)
    }

    /// Whether number, time and running values go on.
    pub fn leads_to(&self, entry: &Entry) -> bool {
        entry.sequence == self.sequence.saturating_add(1) && entry.time >= self.time && self.adds_up_to(entry)
    }

    fn adds_up_to(&self, entry: &Entry) -> bool {
        self.total.checked_add(entry.amount) == Some(entry.total)
            && self.reserved.checked_add(entry.reserved_change) == Some(entry.reserved)
    }
}

/// Whether the hash is over the one before and over what it is about as that is.
pub fn fits(link: &Link, entry: &Entry, about: &About) -> bool {
    digest(entry, about).is_some_and(|digest| entry.hash == entry.hash_after(&link.hash, &digest))
}

fn digest(entry: &Entry, about: &About) -> Option<Hash> {
    match (entry.kind, about) {
        (EntryKind::Moved(_), About::Transfer(transfer)) => Some(transfer.new.digest(&transfer.effect)),
        (EntryKind::Hold, About::Hold(hold)) => Some(hold.digest()),
        (EntryKind::Release, About::Hold(hold)) => Some(hold.end_digest(hold.state, hold.posted)),
        _ => None,
    }
}

/// Whether what it is about says the same of it: where it stands, when, and what it changes.
pub fn told(entry: &Entry, about: &About, currency: Option<CurrencyCode>) -> bool {
    match about {
        About::Transfer(transfer) => {
            let new = &transfer.new;
            let side = match (entry.account == new.debit, entry.account == new.credit) {
                (true, false) => new.amount.checked_neg().map(|left| (transfer.debit_sequence, left)),
                (false, true) => Some((transfer.credit_sequence, new.amount)),
                _ => None,
            };
            side == Some((entry.sequence, entry.amount))
                && new.amount.is_positive()
                && entry.reserved_change.is_zero()
                && entry.kind == EntryKind::Moved(new.kind)
                && entry.time == transfer.time
                && currency.is_none_or(|currency| currency == new.currency)
        }
        About::Hold(hold) => {
            let held = hold.new.amount;
            let place = match entry.kind {
                EntryKind::Hold => Some((hold.created, hold.created_sequence, Some(held))),
                EntryKind::Release => hold.ended.map(|(at, sequence)| (at, sequence, held.checked_neg())),
                EntryKind::Moved(_) => None,
            };
            place == Some((entry.time, entry.sequence, Some(entry.reserved_change)))
                && entry.account == hold.new.account
                && held.is_positive()
                && entry.amount.is_zero()
                && currency.is_none_or(|currency| currency == hold.currency)
        }
        About::Unreadable | About::Missing => false,
    }
}

/// Who is to blame that `found` does not follow `link`.
pub async fn blame(on: &impl Sql, link: &Link, account: &FoundAccount, found: &FoundEntry) -> Result<Blame> {
    let number = link.sequence.saturating_add(1);
    let (id, _, sequence) = found.key;
    let entry = |sequence: i64, detail: &str| Ok(Blame::Entry(sequence, detail.to_owned()));
    let there = proof::numbered(on, id, number).await?;
    let fitting = |one: &FoundEntry| one.entry.as_ref().is_some_and(|entry| fits(link, entry, &one.about));
    if sequence != number {
        return misplaced(on, link, found, &there).await;
    }
    if there.iter().any(|other| other.key != found.key && fitting(other)) {
        return entry(number, "inserted: there is another one of this number, which fits");
    }
    let Some(read) = &found.entry else { return entry(number, "changed: it cannot be read") };
    if !link.adds_up_to(read) {
        return entry(number, "changed: it does not add up with the one before");
    }
    let changed = || entry(number, "changed: its hash does not fit");
    match &found.about {
        About::Missing => {
            let subject = read.subject.id();
            entry(number, &format!("changed, or removed: what it is about, {subject}, is missing"))
        }
        About::Unreadable => {
            let table = if matches!(read.kind, EntryKind::Moved(_)) { "transfers" } else { "holds" };
            Ok(Blame::Row(table, read.subject.id(), "changed: it cannot be read".into()))
        }
        About::Transfer(transfer) if fits(link, read, &found.about) => {
            let detail = format!("changed: it does not say what its entry {id} {number} says");
            Ok(Blame::Row("transfers", transfer.new.id.0, detail))
        }
        About::Transfer(transfer) => {
            if !stands_otherwise(on, transfer, found.key).await? {
                let detail = "changed: the hashes of its entries are over another one";
                return Ok(Blame::Row("transfers", transfer.new.id.0, detail.into()));
            }
            let first = link.sequence == 0 && told(read, &found.about, None);
            if first && is_followed(on, account, found.key, read).await? {
                let detail = "changed: its first entry does not follow from it";
                return Ok(Blame::Row("ledger_accounts", id, detail.into()));
            }
            changed()
        }
        About::Hold(hold) if fits(link, read, &found.about) => {
            let detail = format!("changed: it does not say what its entry {id} {number} says");
            Ok(Blame::Row("holds", hold.new.id.0, detail))
        }
        About::Hold(hold) => {
            let changed_itself = is_denied_otherwise(on, link, read, hold).await?
                || (may_be_of(read, hold) && is_followed(on, account, found.key, read).await?);
            if changed_itself {
                let detail = format!("changed: the hash of its entry {id} {number} is over another one");
                return Ok(Blame::Row("holds", hold.new.id.0, detail));
            }
            changed()
        }
    }
}

/// What was done where another number stands than the one that comes next; `there` are those that have it.
async fn misplaced(on: &impl Sql, link: &Link, found: &FoundEntry, there: &[FoundEntry]) -> Result<Blame> {
    let number = link.sequence.saturating_add(1);
    let (id, _, sequence) = found.key;
    let entry = |sequence: i64, detail: &str| Ok(Blame::Entry(sequence, detail.to_owned()));
    let fitting = |one: &FoundEntry| one.entry.as_ref().is_some_and(|entry| fits(link, entry, &one.about));
    let ahead = proof::entries_after(on, Some(found.key), AHEAD).await?;
    for one in std::iter::once(found).chain(ahead.iter().filter(|one| one.key.0 == id && one.key.2 != number))
    {
        let renumbered = one.entry.clone().map(|entry| Entry { sequence: number, ..entry });
        if renumbered.is_some_and(|entry| fits(link, &entry, &one.about)) {
            return entry(number, &format!("changed: its number is {}", one.key.2));
        }
    }
    let twins = proof::numbered(on, id, sequence).await?.len() > 1;
    match (there.iter().any(fitting), there.is_empty(), sequence > number) {
        (true, _, true) if twins => entry(sequence, "inserted: there is another one of this number"),
        (true, _, true) => entry(sequence, "changed: it stands before others in time"),
        (true, _, false) | (false, _, false) => entry(sequence, "inserted: this number was before"),
        (false, false, true) => entry(number, "changed: its time is another"),
        (false, true, true) => {
            let last = sequence.saturating_sub(1);
            entry(number, &format!("removed: entries to {last} are missing"))
        }
    }
}

/// Whether a hold's other entry is over another hold as well. When that one comes right behind, it does not fit either if
/// only the hash of this one was changed.
async fn is_denied_otherwise(on: &impl Sql, link: &Link, entry: &Entry, hold: &Hold) -> Result<bool> {
    let about = About::Hold(Box::new(hold.clone()));
    let account = entry.account.0;
    let placed = (account, hold.created.unix_ms(), hold.created_sequence);
    let ended = hold.ended.map(|(at, sequence)| (account, at.unix_ms(), sequence));
    let here = (account, entry.time.unix_ms(), entry.sequence);
    let Some(other) = std::iter::once(placed).chain(ended).find(|key| *key != here) else { return Ok(false) };
    let Some(found) = proof::entry_at(on, other).await? else { return Ok(false) };
    let Some(read) = found.entry.as_ref().filter(|read| read.subject == entry.subject) else {
        return Ok(false);
    };
    let hash = digest(entry, &about).map(|digest| entry.hash_after(&link.hash, &digest));
    if let Some(hash) = hash
        && other.2 == here.2.saturating_add(1)
        && fits(&Link { hash, ..Link::at(entry) }, read, &about)
    {
        return Ok(false);
    }
    Ok(!told_by_itself(on, &found, &about).await?)
}

/// Whether an entry has the shape and place of one about this hold, whatever the amounts.
fn may_be_of(entry: &Entry, hold: &Hold) -> bool {
    let place = match entry.kind {
        EntryKind::Hold if entry.reserved_change.is_positive() => Some((hold.created, hold.created_sequence)),
        // It may have been made active again.
        EntryKind::Release if entry.reserved_change.is_negative() => {
            Some(hold.ended.unwrap_or((entry.time, entry.sequence)))
        }
        EntryKind::Hold | EntryKind::Release | EntryKind::Moved(_) => None,
    };
    entry.amount.is_zero() && place == Some((entry.time, entry.sequence))
}

/// Whether one of a transfer's sides, but that at `key`, has an entry whose hash is over the transfer as it is.
pub async fn stands_otherwise(on: &impl Sql, transfer: &Transfer, key: Key) -> Result<bool> {
    let time = transfer.time.unix_ms();
    let new = &transfer.new;
    for side in [(new.debit.0, time, transfer.debit_sequence), (new.credit.0, time, transfer.credit_sequence)]
    {
        if side == key {
            continue;
        }
        let Some(found) = proof::entry_at(on, side).await? else { continue };
        let about = About::Transfer(Box::new(transfer.clone()));
        if told_by_itself(on, &found, &about).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one of a transfer's sides, but that at `key`, has an entry about it whose hash is over another one.
pub async fn is_denied(on: &impl Sql, transfer: &Transfer, key: Key) -> Result<bool> {
    let (time, new) = (transfer.time.unix_ms(), &transfer.new);
    let about = About::Transfer(Box::new(transfer.clone()));
    for side in [(new.debit.0, time, transfer.debit_sequence), (new.credit.0, time, transfer.credit_sequence)]
    {
        let Some(found) = proof::entry_at(on, side).await?.filter(|_| side != key) else { continue };
        let is_about = found.entry.as_ref().is_some_and(|entry| entry.subject.id() == new.id.0);
        if is_about && !told_by_itself(on, &found, &about).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the first link of an account, its first entry or its balance, is over this row.
pub async fn begins_with(on: &impl Sql, row: &LedgerAccount, balance: &FoundBalance) -> Result<bool> {
    let genesis = Link::genesis(row);
    Ok(match proof::entry_behind(on, (row.id.0, i64::MIN, i64::MIN)).await? {
        Some(first) => first.entry.as_ref().is_some_and(|entry| fits(&genesis, entry, &first.about)),
        None => balance.hash == genesis.hash,
    })
}

/// Whether the hashes of a hold's entries are over the hold as it is.
pub async fn is_as_entered(on: &impl Sql, hold: &Hold) -> Result<bool> {
    let account = hold.new.account.0;
    let placed = (account, hold.created.unix_ms(), hold.created_sequence);
    let ended = hold.ended.map(|(at, sequence)| (account, at.unix_ms(), sequence));
    for key in std::iter::once(placed).chain(ended) {
        let Some(found) = proof::entry_at(on, key).await? else { return Ok(false) };
        if !told_by_itself(on, &found, &About::Hold(Box::new(hold.clone()))).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the hash of an entry is over the one before it and over this.
async fn told_by_itself(on: &impl Sql, found: &FoundEntry, about: &About) -> Result<bool> {
    let Some(entry) = &found.entry else { return Ok(false) };
    Ok(match link_before(on, found.key).await? {
        Some(link) => fits(&link, entry, about) && told(entry, about, None),
        None => false,
    })
}

/// Whether an entry fits where it stands.
pub async fn is_sound(on: &impl Sql, found: &FoundEntry) -> Result<bool> {
    told_by_itself(on, found, &found.about).await
}

async fn link_before(on: &impl Sql, key: Key) -> Result<Option<Link>> {
    if key.2 > 1 {
        let before = proof::entry_before(on, key).await?;
        return Ok(before.and_then(|before| before.entry.as_ref().map(Link::at)));
    }
    let account = proof::account(on, key.0).await?.account.flatten();
    Ok(account.as_ref().map(Link::genesis))
}

/// Whether what comes after an entry knows its hash: the next one, or the balance.
async fn is_followed(on: &impl Sql, account: &FoundAccount, key: Key, entry: &Entry) -> Result<bool> {
    let link = Link::at(entry);
    Ok(match proof::entry_behind(on, key).await? {
        Some(next) => next.entry.as_ref().is_some_and(|entry| fits(&link, entry, &next.about)),
        None => account.balance.iter().flatten().any(|balance| balance.hash == entry.hash),
    })
}
