//! ListBalances: what the account's wallets hold, or held at a time, oldest wallet first.
//!
//! Now is one statement over the balances, so that a transfer between two wallets of a page is seen on both sides or on
//! neither. A time before now is told from the entries alone: the newest of each wallet that is not later.

use super::Operations;
use crate::domain::{Balance, LedgerAccount};
use crate::store::accounts;
use crate::store::entries::{self, Held, HeldIn};
use beem_caller::Actor;
use beem_clock::Moment;
use beem_database::page::{Page, PageQuery};
use beem_fault::{Fault, Result};
use beem_proto::ledger::v1 as wire;
use beem_proto::{from_timestamp, to_timestamp};

/// Every wallet that most accounts have.
const DEFAULT_MAX: u32 = 500;

impl Operations {
    /// # Errors
    /// `validation-failed` for the bounds of a page.
    pub async fn list_balances(
        &self,
        actor: &Actor,
        asked: &wire::ListBalancesRequest,
    ) -> Result<wire::ListBalancesResponse> {
        let (db, now) = (&self.0.db, self.0.clock.now());
        let past = asked.at.as_ref().map(|at| Moment::from_unix_ms(from_timestamp(at)));
        let past = past.filter(|at| *at < now);
        let query = PageQuery {
            max: Some(asked.max.unwrap_or(DEFAULT_MAX)),
            page_token: &asked.page_token,
            offset: None,
            order: "asc",
        };
        // As it was asked: a time that comes to pass between two pages stays the same list.
        let at_ms = asked.at.as_ref().map_or(i64::MIN, from_timestamp);
        let filter = [actor.account.0.as_bytes().as_slice(), &at_ms.to_be_bytes()].concat();
        let page = Page::parse(query, "ListBalances", &filter)?;
        let (wallets, next_page_token) = match past {
            Some(at) => entries::held_at(db.read(), actor.account, at, &page).await?,
            None => {
                let (wallets, next) = accounts::wallets(db.read(), actor.account, &page).await?;
                (wallets.iter().map(held_now).collect(), next)
            }
        };
        let balances = wallets.iter().map(|wallet| self.held(wallet)).collect::<Result<_>>()?;
        let at = Some(to_timestamp(past.unwrap_or(now).unix_ms()));
        Ok(wire::ListBalancesResponse { at, balances, next_page_token })
    }

    fn held(&self, wallet: &HeldIn) -> Result<wire::WalletBalance> {
        let currency = self.0.stored_currency(wallet.currency)?;
        let Held { total, reserved } = wallet.held;
        let available = total.checked_sub(reserved).ok_or_else(|| Fault::internal("a balance overflows"))?;
        Ok(wire::WalletBalance {
            wallet_id: wallet.wallet.to_string(),
            currency: wallet.currency.to_string(),
            total: currency.format(total),
            available: currency.format(available),
            reserved: currency.format(reserved),
        })
    }
}

fn held_now((wallet, balance): &(LedgerAccount, Balance)) -> HeldIn {
    let held = Held { total: balance.total, reserved: balance.reserved };
    HeldIn { wallet: wallet.id, currency: wallet.currency, created: wallet.created, held }
}
