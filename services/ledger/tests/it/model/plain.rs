//! The ledger in a hundred lines, for comparison: balances and holds in maps, copied before every order and put back when
//! it is refused. It shares nothing with the book but the words in which orders are written.

use beem_clock::Moment;
use beem_fault::Code;
use beem_ids::{AccountId, HoldId, LedgerAccountId};
use beem_ledger::domain::{HoldEnd, HoldState, NewHold, NewTransfer, Order, Step};
use beem_money::CurrencyCode;
use std::collections::HashMap;

#[derive(Clone, Debug)]
pub struct Purse {
    pub owner: Option<AccountId>,
    pub currency: CurrencyCode,
    pub floor: Option<i128>,
    pub total: i128,
    pub reserved: i128,
    /// Entries it has had.
    pub entries: i64,
}

#[derive(Clone, Debug)]
pub struct Held {
    pub new: NewHold,
    pub owner: AccountId,
    pub state: HoldState,
    pub posted: i128,
}

#[derive(Clone, Debug, Default)]
pub struct Plain {
    pub purses: HashMap<LedgerAccountId, Purse>,
    pub holds: HashMap<HoldId, Held>,
    /// What came of each key, and which request it was.
    keys: HashMap<String, ([u8; 32], Result<i128, Code>)>,
}

/// An answer is what the watched account has after the order.
pub struct Told {
    pub result: Result<i128, Code>,
    pub replayed: bool,
}

impl Purse {
    /// What is said when an amount has no room in it.
    fn full(&self) -> Code {
        if self.owner.is_some() { Code::ValidationFailed } else { Code::Unavailable }
    }
}

impl Plain {
    pub fn new(purses: HashMap<LedgerAccountId, Purse>) -> Self {
        Self { purses, ..Self::default() }
    }

    pub fn settle(
        &mut self,
        key: &str,
        print: [u8; 32],
        order: &Order,
        watched: LedgerAccountId,
        now: Moment,
    ) -> Told {
        if let Some((first, result)) = self.keys.get(key) {
            return match *first == print {
                true => Told { result: *result, replayed: true },
                false => Told { result: Err(Code::IdempotencyKeyReused), replayed: false },
            };
        }
        let before = (self.purses.clone(), self.holds.clone());
        let done = order.steps.iter().try_for_each(|step| self.step(order.owner, step, now));
        if done.is_err() {
            (self.purses, self.holds) = before;
        }
        let result = done.map(|()| self.purses[&watched].total);
        // A system account that is full, a clock that is behind: nobody's refusal.
        if result != Err(Code::Unavailable) {
            self.keys.insert(key.to_owned(), (print, result));
        }
        Told { result, replayed: false }
    }

    fn step(&mut self, owner: AccountId, step: &Step, now: Moment) -> Result<(), Code> {
        match step {
            Step::Transfer(transfer) => self.transfer(owner, transfer),
            Step::Reserve(new) => self.reserve(owner, new, now),
            Step::EndHold { hold, end } => self.end(owner, *hold, *end, now),
            Step::PostHold { hold, amount, transfer, credit, kind } => {
                let held = self
                    .holds
                    .get(hold)
                    .filter(|held| held.owner == owner)
                    .ok_or(Code::NotFound)?
                    .new
                    .clone();
                let amount = amount.unwrap_or(held.amount);
                self.end(owner, *hold, HoldEnd::Posted(amount), now)?;
                let currency = self.purses[&held.account].currency;
                let (reference, cause) = (held.reference, held.cause);
                let (id, debit, credit, kind) = (*transfer, held.account, *credit, *kind);
                let new = NewTransfer {
                    id,
                    debit,
                    credit,
                    currency,
                    amount,
                    kind,
                    reference,
                    cause,
                    counterpart: None,
                };
                self.transfer(owner, &new)
            }
        }
    }

    fn transfer(&mut self, owner: AccountId, new: &NewTransfer) -> Result<(), Code> {
        let amount = new.amount.minor();
        if amount <= 0 {
            return Err(Code::ValidationFailed);
        }
        if new.debit == new.credit {
            return Err(Code::SameWallet);
        }
        for side in [new.debit, new.credit] {
            let purse = self.purses.get(&side).ok_or(Code::NotFound)?;
            if purse.owner.is_some_and(|of| of != owner) {
                return Err(Code::NotFound);
            }
            if purse.currency != new.currency {
                return Err(Code::ValidationFailed);
            }
        }
        let debit = self.purses.get_mut(&new.debit).unwrap();
        let full = debit.full();
        let left = debit.total.checked_sub(amount).ok_or(full)?;
        let available = left.checked_sub(debit.reserved).ok_or(full)?;
        if debit.floor.is_some_and(|floor| available < floor) {
            return Err(Code::InsufficientFunds);
        }
        (debit.total, debit.entries) = (left, debit.entries + 1);
        let credit = self.purses.get_mut(&new.credit).unwrap();
        credit.total = credit.total.checked_add(amount).ok_or(credit.full())?;
        credit.entries += 1;
        Ok(())
    }

    fn reserve(&mut self, owner: AccountId, new: &NewHold, now: Moment) -> Result<(), Code> {
        let amount = new.amount.minor();
        if amount <= 0 || new.expires.is_some_and(|at| at <= now) {
            return Err(Code::ValidationFailed);
        }
        let purse =
            self.purses.get_mut(&new.account).filter(|p| p.owner == Some(owner)).ok_or(Code::NotFound)?;
        let reserved = purse.reserved.checked_add(amount).ok_or(Code::ValidationFailed)?;
        let available = purse.total.checked_sub(reserved).ok_or(Code::ValidationFailed)?;
        if available < 0 {
            return Err(Code::InsufficientFunds);
        }
        purse.reserved = reserved;
        purse.entries += 1;
        let held = Held { new: new.clone(), owner, state: HoldState::Active, posted: 0 };
        self.holds.insert(new.id, held);
        Ok(())
    }

    fn end(&mut self, owner: AccountId, id: HoldId, end: HoldEnd, now: Moment) -> Result<(), Code> {
        let held = self.holds.get_mut(&id).filter(|held| held.owner == owner).ok_or(Code::NotFound)?;
        if held.state != HoldState::Active {
            let harmless =
                end == HoldEnd::Expired || (end == HoldEnd::Voided && held.state == HoldState::Voided);
            return if harmless { Ok(()) } else { Err(Code::HoldEnded) };
        }
        if let HoldEnd::Posted(amount) = end {
            if held.new.expires.is_some_and(|at| at <= now) {
                return Err(Code::HoldEnded);
            }
            if amount.minor() <= 0 || amount > held.new.amount {
                return Err(Code::ValidationFailed);
            }
            held.posted = amount.minor();
        }
        if end == HoldEnd::Expired && held.new.expires.is_none_or(|at| at > now) {
            return Err(Code::Unavailable);
        }
        held.state = end.state();
        let purse = self.purses.get_mut(&held.new.account).unwrap();
        purse.reserved -= held.new.amount.minor();
        purse.entries += 1;
        Ok(())
    }
}
