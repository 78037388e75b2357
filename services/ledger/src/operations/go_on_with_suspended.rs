//! What the ledger does by itself about deposits in suspense: those that were left under way, and those that may go on by now.

use super::Operations;
use crate::domain::{Reason, Settlement, SettlementState};
use crate::store::settlements::{self, Left, Place, Stuck};
use beem_fault::Result;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Deposits tried in one round at most.
const ROUND: usize = 100;
/// How many of them may be ones that were left under way: they come first, and leave room for the others.
const UNDER_WAY: usize = 50;

/// How far the rounds of this process have come: each goes on where the one before ended, and begins anew at the end, so
/// that whatever keeps some deposits for ever keeps no others.
#[derive(Debug)]
pub struct Rounds(Mutex<Place>);

impl Default for Rounds {
    fn default() -> Self {
        Self(Mutex::new(Place::FIRST))
    }
}

impl Operations {
    /// One round: tries to credit deposits that were left between their two steps, then ones that wait. The first of a pair
    /// that finds no rate, and the first of a currency that finds no liquidity, speaks for all others of this round. One that
    /// cannot be looked at does not keep the others.
    ///
    /// # Errors
    /// The first one's, once all have been tried.
    pub async fn go_on_with_suspended(&self, rounds: &Rounds) -> Result<()> {
        let mut round = Round { left: Left::default(), tried: HashSet::new(), outcome: Ok(()) };
        self.go_on_from(&mut round, Stuck::UnderWay, Place::FIRST, UNDER_WAY).await?;
        let place = *rounds.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.go_on_from(&mut round, Stuck::Whyever, place, ROUND).await?;
        *rounds.0.lock().unwrap_or_else(PoisonError::into_inner) = place;
        round.outcome
    }

    /// Until so many have been tried in this round; where the next one is to go on.
    async fn go_on_from(
        &self,
        round: &mut Round,
        stuck: Stuck,
        mut place: Place,
        until: usize,
    ) -> Result<Place> {
        loop {
            let wanted = until.saturating_sub(round.tried.len());
            if wanted == 0 {
                return Ok(place);
            }
            let batch = settlements::waiting(self.0.db.read(), stuck, place, &round.left, wanted).await?;
            let all = batch.len() < wanted;
            let mut left = false;
            for (at, settlement) in batch {
                place = at;
                if round.tried.insert(at) {
                    left = round.take(settlement, |settlement| self.go_on(settlement)).await;
                }
                if left {
                    break;
                }
            }
            // One that left others out may have left out those that followed it in the batch.
            if all && !left {
                return Ok(Place::FIRST);
            }
        }
    }
}

struct Round {
    left: Left,
    tried: HashSet<Place>,
    outcome: Result<()>,
}

impl Round {
    /// Tries one; whether others are left for this round because of it.
    async fn take<F>(&mut self, settlement: Result<Settlement>, go_on: impl FnOnce(Settlement) -> F) -> bool
    where
        F: Future<Output = Result<Settlement>>,
    {
        let tried = match settlement {
            Ok(settlement) => go_on(settlement).await,
            Err(fault) => Err(fault),
        };
        match tried {
            Ok(Settlement {
                state: SettlementState::Suspended(Reason::NoLiquidity),
                wallet_currency,
                ..
            }) => self.left.without_liquidity.insert(wallet_currency),
            Ok(Settlement {
                state: SettlementState::Suspended(Reason::NoRate),
                currency,
                wallet_currency,
                ..
            }) => self.left.without_rate.insert((currency, wallet_currency)),
            Ok(_) => false,
            Err(fault) => {
                if self.outcome.is_ok() {
                    self.outcome = Err(fault);
                }
                false
            }
        }
    }
}
