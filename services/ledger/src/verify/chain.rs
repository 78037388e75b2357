//! The walk through all accounts and all their entries, in the order of their keys: from an account's own row to its balance.

use super::diagnose::{Blame, Link, begins_with, blame, fits, told};
use super::heads::is_genuine;
use super::place::Walk;
use super::{LedgerVerifier, Place, Stretch};
use crate::domain::Purpose;
use crate::store::proof::{self, FoundAccount, FoundEntry, Key};
use beem_database::Sql;
use beem_fault::Result;
use beem_money::Amount;
use ed25519_dalek::VerifyingKey;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What one moment shows from a place on.
struct Seen {
    accounts: Vec<FoundAccount>,
    entries: Vec<FoundEntry>,
    /// The account up to which everything was read.
    upto: Option<Uuid>,
    /// There is more of the last entry's account, perhaps.
    open: Option<Uuid>,
}

impl LedgerVerifier {
    pub(super) async fn chain(&self, walk: Walk, max: i64) -> Result<Stretch> {
        let keys = self.keys.as_slice();
        let stretch = self.database.read_consistently(|at| {
            Box::pin(async move {
                let seen = look(at, walk, max).await?;
                let mut walker = Walker { on: at, keys, stretch: Stretch::default() };
                walker.walk(&seen, walk).await?;
                Ok(walker.stretch)
            })
        });
        stretch.await
    }
}

async fn look(on: &impl Sql, walk: Walk, max: i64) -> Result<Seen> {
    let (from, after) = match walk {
        Walk::Start => (None, None),
        Walk::Behind(key) => (Some((key.0, true)), Some(key)),
        Walk::Done(account) => (Some((account, false)), Some((account, i64::MAX, i64::MAX))),
    };
    let accounts = proof::accounts(on, from, max).await?;
    let mut entries = proof::entries_after(on, after, max).await?;
    let full = |rows: usize| i64::try_from(rows).is_ok_and(|rows| rows >= max);
    let mut upto = accounts.last().map(|last| last.id).filter(|_| full(accounts.len()));
    let mut open = None;
    if let Some(last) = entries.last().map(|last| last.key.0).filter(|_| full(entries.len()))
        && upto.is_none_or(|upto| last <= upto)
    {
        (upto, open) = (Some(last), Some(last));
    }
    entries.retain(|entry| upto.is_none_or(|upto| entry.key.0 <= upto));
    Ok(Seen { accounts, entries, upto, open })
}

struct Walker<'a, C> {
    on: &'a C,
    keys: &'a [VerifyingKey],
    stretch: Stretch,
}

impl<C: Sql> Walker<'_, C> {
    async fn walk(&mut self, seen: &Seen, walk: Walk) -> Result<()> {
        let within = |id: &Uuid| seen.upto.is_none_or(|upto| *id <= upto);
        let ids: BTreeSet<Uuid> = seen
            .accounts
            .iter()
            .map(|account| account.id)
            .chain(seen.entries.iter().map(|entry| entry.key.0))
            .filter(within)
            .collect();
        for id in ids {
            let account = seen.accounts.iter().find(|account| account.id == id);
            let missing = FoundAccount { id, account: None, balance: None, headed: None };
            let account = account.unwrap_or(&missing);
            let entries: Vec<_> = seen.entries.iter().filter(|entry| entry.key.0 == id).collect();
            let behind = match walk {
                Walk::Behind(key) if key.0 == id => Some(key),
                Walk::Behind(_) | Walk::Start | Walk::Done(_) => None,
            };
            let end = self.account(account, &entries, behind).await?;
            match (end, seen.open) {
                (Some(_), Some(open)) if open == id => {
                    let last = entries.last().map(|entry| entry.key).or(behind);
                    self.stretch.on = last.map(|key| Place::Accounts(Walk::Behind(key)));
                    return Ok(());
                }
                (Some(end), _) => self.close(account, &end).await?,
                (None, _) => {}
            }
            self.stretch.rows = self.stretch.rows.saturating_add(1);
        }
        self.stretch.on = seen.upto.map(|upto| Place::Accounts(Walk::Done(upto)));
        Ok(())
    }

    fn at(&mut self, account: Uuid, sequence: i64, detail: &str) {
        self.stretch.found("entries", format!("{account} {sequence}"), detail);
    }

    /// Goes along these entries; where they end, unless something is wrong before.
    async fn account(
        &mut self,
        account: &FoundAccount,
        entries: &[&FoundEntry],
        behind: Option<Key>,
    ) -> Result<Option<Link>> {
        let id = account.id;
        let mut link = match (&account.account, behind) {
            (None, _) => {
                self.stretch.found("ledger_accounts", id, "removed: this account's row is missing");
                return Ok(None);
            }
            (Some(None), _) => {
                self.stretch.found("ledger_accounts", id, "changed: it cannot be read");
                return Ok(None);
            }
            (Some(Some(row)), None) => Link::genesis(row),
            (Some(Some(_)), Some(key)) => {
                let before = proof::entry_at(self.on, key).await?.and_then(|found| found.entry);
                match before {
                    Some(entry) => Link::at(&entry),
                    None => {
                        self.at(id, key.2, "removed: it was there a moment ago");
                        return Ok(None);
                    }
                }
            }
        };
        let mut last = None;
        for entry in entries {
            // Once more, because a second head claims to reach it.
            if last == Some(entry.key) {
                continue;
            }
            last = Some(entry.key);
            self.stretch.entries = self.stretch.entries.saturating_add(1);
            match self.follow(account, &link, entry).await? {
                Some(next) => link = next,
                None => return Ok(None),
            }
        }
        Ok(Some(link))
    }

    /// One entry; None when it is wrong.
    async fn follow(
        &mut self,
        account: &FoundAccount,
        link: &Link,
        found: &FoundEntry,
    ) -> Result<Option<Link>> {
        let id = account.id;
        let ends_here = |link: &Link| account.balance.iter().flatten().any(|end| link.is_end(end));
        if ends_here(link) {
            self.at(id, found.key.2, "inserted: the account ends before it");
            return Ok(None);
        }
        // Unless row and balance disagree, which is told of by itself.
        let of_row = account.account.iter().flatten().map(|row| row.currency).next();
        let of_balance = account.balance.iter().flatten().map(|balance| balance.currency.as_str()).next();
        let currency = of_row.filter(|currency| Some(currency.as_str()) == of_balance);
        let sound = found.entry.as_ref().filter(|entry| {
            link.leads_to(entry)
                && fits(link, entry, &found.about)
                && told(entry, &found.about, currency)
                && (account.account.iter().flatten().all(|row| row.purpose != Purpose::Wallet)
                    || is_covered(entry.total, entry.reserved))
        });
        if sound.is_none() {
            match blame(self.on, link, account, found).await? {
                Blame::Entry(sequence, detail) => {
                    self.at(id, sequence, &detail);
                    return Ok(None);
                }
                Blame::Row(table, row, detail) => self.stretch.found(table, row, detail),
            }
        }
        let Some(entry) = &found.entry else { return Ok(None) };
        if let Some((number, hash)) = &found.head
            && *hash != entry.hash
            && is_genuine(self.on, *number, self.keys).await?
        {
            self.at(id, entry.sequence, &format!("changed: head {number} was signed over another one"));
            return Ok(None);
        }
        Ok(Some(Link::at(entry)))
    }

    /// The end of an account whose entries are right.
    async fn close(&mut self, account: &FoundAccount, end: &Link) -> Result<()> {
        let id = account.id;
        let balance = match &account.balance {
            None => {
                self.stretch.found("balances", id, "removed: the account has none");
                return Ok(());
            }
            Some(None) => {
                self.stretch.found("balances", id, "changed: it cannot be read");
                return Ok(());
            }
            Some(Some(balance)) => balance,
        };
        let next = end.sequence.saturating_add(1);
        let row = account.account.iter().flatten().next();
        let another = match row {
            Some(row) => {
                (row.owner.map(|owner| owner.0), row.currency.as_str())
                    != (balance.owner, balance.currency.as_str())
                    && begins_with(self.on, row, balance).await?
            }
            None => false,
        };
        if another {
            self.stretch.found("balances", id, "changed: it is another account's or currency's");
        } else if balance.sequence > end.sequence && balance.hash != end.hash {
            let detail = format!("cut: entries to {} are missing", balance.sequence);
            self.at(id, next, &detail);
        } else if end.sequence == 0 && balance.hash != end.hash {
            self.stretch.found("ledger_accounts", id, "changed: its balance does not begin with it");
        } else if !end.is_end(balance) {
            let detail = format!("changed: the entries, to {}, end otherwise", end.sequence);
            self.stretch.found("balances", id, detail);
        } else if row.is_some_and(|row| !is_floor(row.purpose, balance.floor)) {
            self.stretch.found("balances", id, "changed: it may fall further than such an account may");
        }
        if let Some(headed) = account.headed.filter(|headed| *headed > end.sequence.max(balance.sequence)) {
            let number = proof::head_at(self.on, id, headed).await?.unwrap_or(0);
            if is_genuine(self.on, number, self.keys).await? {
                let detail = format!("cut: head {number} was signed over entry {headed}");
                self.at(id, next, &detail);
            }
        }
        Ok(())
    }
}

/// How far it may fall: nowhere below nothing, but for those accounts that have no limit or one that is set.
fn is_floor(purpose: Purpose, floor: Option<Amount>) -> bool {
    match purpose {
        Purpose::Wallet | Purpose::Fees | Purpose::Spread | Purpose::Rounding | Purpose::Suspense => {
            floor == Some(Amount::ZERO)
        }
        Purpose::Liquidity => floor.is_none_or(|floor| !floor.is_positive()),
        Purpose::Clearing | Purpose::Gas | Purpose::Sandbox => floor.is_none(),
    }
}

/// A wallet never has less than nothing, nor less than is reserved of it.
fn is_covered(total: Amount, reserved: Amount) -> bool {
    !reserved.is_negative() && total >= reserved
}
