//! Orders: linked steps that somebody asks the book to carry out.

use super::hold::{HoldEnd, NewHold};
use super::transfer::{Kind, NewTransfer};
use beem_ids::{AccountId, HoldId, LedgerAccountId, TransferId};
use beem_money::Amount;

/// Linked steps: all or nothing, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The account in whose name it is: wallets and holds of others do not exist for it.
    pub owner: AccountId,
    pub steps: Vec<Step>,
}

/// One step of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Transfer(NewTransfer),
    Reserve(NewHold),
    /// Ends a hold with one transfer of `amount` of it (None: all), and gives the rest back.
    PostHold {
        hold: HoldId,
        amount: Option<Amount>,
        transfer: TransferId,
        credit: LedgerAccountId,
        kind: Kind,
    },
    /// Ends a hold. Posted: transfers that follow in the order take that much from its wallet. Voiding what is voided, and
    /// expiring what has ended, changes nothing.
    EndHold {
        hold: HoldId,
        end: HoldEnd,
    },
}

impl Order {
    /// The ledger accounts it names; those of its holds come with the holds.
    pub fn accounts(&self) -> impl Iterator<Item = LedgerAccountId> {
        self.steps
            .iter()
            .flat_map(|step| match step {
                Step::Transfer(transfer) => [Some(transfer.debit), Some(transfer.credit)],
                Step::Reserve(hold) => [Some(hold.account), None],
                Step::PostHold { credit, .. } => [Some(*credit), None],
                Step::EndHold { .. } => [None, None],
            })
            .flatten()
    }

    /// The holds it ends.
    pub fn holds(&self) -> impl Iterator<Item = HoldId> {
        self.steps.iter().filter_map(|step| match step {
            Step::PostHold { hold, .. } | Step::EndHold { hold, .. } => Some(*hold),
            Step::Transfer(_) | Step::Reserve(_) => None,
        })
    }
}
