//! ReserveOutbound: everything about a payout's money is fixed and its funds are held. Money goes out only at a rate that is
//! current or was promised: without one, or with a promise that does not hold, nothing is reserved.
//!
//! Payouts pay the spread of their pair and no fee: what leaves the wallet is what their rate says.

use super::{Means, Operations, refused};
use crate::domain::{
    Cause, FeePayer, HoldState, Leg, NewHold, Order, Outbound, Plan, Purpose, Step, worth_ceil,
};
use crate::grpc::convert;
use crate::store::{accounts, engine, locks, outbounds};
use beem_clock::Moment;
use beem_database::Tx;
use beem_database::claims::{Outcome, fingerprint};
use beem_fault::{Code, Fault, Result};
use beem_ids::{AccountId, HoldId, LedgerAccountId, RateLockId};
use beem_money::{Amount, Currency, Rate, Terms};
use beem_proto::ledger::v1 as wire;
use prost::Message as _;

/// A payout that is asked for, well formed.
struct Asked<'a> {
    effect_key: &'a str,
    owner: AccountId,
    wallet: LedgerAccountId,
    network: &'a str,
    from: &'a Currency,
    pay: (&'a Currency, Amount),
    fee_cap: (&'a Currency, Amount),
    fee_payer: FeePayer,
    base: &'a Currency,
    reference: String,
    cause: Cause,
    lock: Option<RateLockId>,
}

impl Operations {
    /// Holds what a payout may take, once under its effect key; answers it as it was reserved. What is wrong with the
    /// request itself, a wallet that is not there included, is refused without being remembered; so is
    /// `rate-unavailable`. `insufficient-funds` is of the wallet, or of the installation, which does not reserve for a
    /// conversion what it could not cover now. It holds nothing of its own for it: when others take it meanwhile, posting is
    /// `unavailable` until it is there again.
    pub async fn reserve_outbound(&self, asked: &wire::ReserveOutboundRequest) -> Outcome {
        let payout = match self.payout(asked).await {
            Ok(payout) => payout,
            Err(fault) => return refused(fault),
        };
        let (means, payout) = (&self.0, &payout);
        let key = &format!("ReserveOutbound:{}", payout.effect_key);
        let fingerprint = fingerprint("ReserveOutbound", &asked.encode_to_vec());
        self.effect(key, fingerprint, |tx| {
            Box::pin(async move {
                let promised = payout.promised(tx).await?;
                let mut outbound =
                    means.fix(payout, promised, HoldId::draw(tx.now(), tx.entropy()), tx.now())?;
                let hold = NewHold {
                    id: outbound.hold,
                    account: outbound.wallet,
                    amount: outbound.held,
                    reference: payout.reference.clone(),
                    cause: payout.cause.clone(),
                    expires: None,
                };
                let order = Order { owner: payout.owner, steps: vec![Step::Reserve(hold)] };
                outbound.created = engine::carry_out(tx, key, &order).await?.time;
                covered(tx, &outbound).await?;
                outbounds::insert(tx, &outbound).await?;
                Ok(means.outbound_view(&outbound, HoldState::Active)?.encode_to_vec())
            })
        })
        .await
    }

    async fn payout<'a>(&'a self, asked: &'a wire::ReserveOutboundRequest) -> Result<Asked<'a>> {
        let means = &self.0;
        let effect_key = convert::effect_key(&asked.effect_key)?;
        let owner = convert::id("accountId", &asked.account_id)?;
        let wallet = convert::wallet_id(&asked.wallet_id)?;
        let pay = asked.pay.as_ref().ok_or_else(|| Fault::field("pay", "is missing"))?;
        let paid = means.currency("pay.currency", &pay.currency)?;
        let amount = convert::amount("pay.amount", paid, &pay.amount)?;
        convert::network(means, "network", paid, &asked.network)?;
        let fee_cap = match &asked.fee_cap {
            None => (paid, Amount::ZERO),
            Some(cap) => {
                let currency = means.currency("feeCap.currency", &cap.currency)?;
                let wrong = |wrong: beem_money::AmountError| Fault::field("feeCap.amount", wrong.to_string());
                (currency, currency.parse(&cap.amount).map_err(wrong)?)
            }
        };
        let fee_payer = FeePayer::parse(&asked.fee_payer)
            .ok_or_else(|| Fault::field("feePayer", "one of MERCHANT, RECIPIENT"))?;
        if fee_payer == FeePayer::Recipient {
            if fee_cap.0.code != paid.code {
                return Err(Fault::field("feeCap.currency", "the paid one, when the recipient bears fees"));
            }
            if fee_cap.1 >= amount {
                return Err(Fault::field("feeCap.amount", "less than what is paid"));
            }
        }
        let lock = match asked.rate_lock_id.as_str() {
            "" => None,
            id => Some(convert::id("rateLockId", id)?),
        };
        let base = means.currency("baseCurrency", &asked.base_currency)?;
        let reference = convert::reference("reference", &asked.reference)?;
        let cause = convert::cause("cause", asked.cause.as_ref())?;
        let (found, _) = accounts::wallet(means.db.read(), owner, wallet).await?;
        let from = means.stored_currency(found.currency)?;
        let (network, pay) = (asked.network.as_str(), (paid, amount));
        Ok(Asked {
            effect_key,
            owner,
            wallet,
            network,
            from,
            pay,
            fee_cap,
            fee_payer,
            base,
            reference,
            cause,
            lock,
        })
    }
}

/// Whether our own accounts could give now what it would be converted to.
async fn covered(tx: &Tx<'_>, outbound: &Outbound) -> Result<()> {
    for (currency, worth) in outbound.liquidity() {
        let liquidity = accounts::balance(tx, Purpose::Liquidity.id(currency, "")).await?;
        let after = worth.and_then(|worth| liquidity.available()?.checked_sub(worth));
        if after.is_none_or(|after| liquidity.lowest().is_some_and(|lowest| after < lowest)) {
            let detail = "the installation cannot cover this now";
            return Err(Fault::new(Code::InsufficientFunds, detail));
        }
    }
    Ok(())
}

impl Asked<'_> {
    /// The middle rate and the spread that were promised for what is paid.
    async fn promised(&self, tx: &Tx<'_>) -> Result<Option<(Rate, u32)>> {
        let Some(id) = self.lock else { return Ok(None) };
        let wrong = |detail: &str| Fault::field("rateLockId", detail);
        let lock = locks::get(tx, id).await?.ok_or_else(|| wrong("no such promised rate"))?;
        if (lock.from, lock.to) != (self.from.code, self.pay.0.code) {
            return Err(wrong("a rate from the wallet's currency to the paid one"));
        }
        if tx.now() >= lock.expires {
            return Err(wrong("the promised rate has expired"));
        }
        Ok(Some((lock.mid, lock.spread_millionths)))
    }
}

impl Means {
    /// Every amount of it.
    fn fix(
        &self,
        asked: &Asked<'_>,
        promised: Option<(Rate, u32)>,
        hold: HoldId,
        now: Moment,
    ) -> Result<Outbound> {
        let (paid, pay) = asked.pay;
        let (fee_currency, fee_cap) = asked.fee_cap;
        let pay_leg = self.leg("pay.amount", asked.from, paid, pay, promised, now)?;
        let fee_leg = match asked.fee_payer {
            FeePayer::Recipient => None,
            FeePayer::Merchant if fee_cap.is_zero() => None,
            FeePayer::Merchant => {
                let promised = promised.filter(|_| fee_currency.code == paid.code);
                self.leg("feeCap.amount", asked.from, fee_currency, fee_cap, promised, now)?
            }
        };
        let taken = |leg: &Option<Leg>, amount| leg.as_ref().map_or(amount, |leg| leg.conversion.amount_in);
        let for_fees = match asked.fee_payer {
            FeePayer::Recipient => Amount::ZERO,
            FeePayer::Merchant => taken(&fee_leg, fee_cap),
        };
        let held = taken(&pay_leg, pay).checked_add(for_fees);
        let held = held.ok_or_else(|| Fault::field("pay.amount", "too large"))?;
        let mid = self.rates.mid(asked.from.code, asked.base.code, now)?.rate;
        let base = worth_ceil(mid, held, asked.from.decimals, asked.base.decimals);
        Ok(Outbound {
            hold,
            owner: asked.owner,
            wallet: asked.wallet,
            network: asked.network.to_owned(),
            wallet_currency: asked.from.code,
            held,
            pay_currency: paid.code,
            pay,
            fee_currency: fee_currency.code,
            fee_cap,
            fee_payer: asked.fee_payer,
            plan: Plan { pay: pay_leg, fee: fee_leg },
            base_currency: asked.base.code,
            base: base.ok_or_else(|| Fault::field("baseCurrency", "the payout is too large for it"))?,
            created: now,
            posted: None,
        })
    }

    /// What buys exactly `amount`; none when it need not be bought.
    fn leg(
        &self,
        field: &str,
        from: &Currency,
        to: &Currency,
        amount: Amount,
        promised: Option<(Rate, u32)>,
        now: Moment,
    ) -> Result<Option<Leg>> {
        if from.code == to.code {
            return Ok(None);
        }
        let terms = match promised {
            Some((mid, spread_millionths)) => Terms { from, to, mid, spread_millionths, fee_millionths: 0 },
            None => Terms { fee_millionths: 0, ..self.rates.terms(from, to, now)? },
        };
        let conversion = terms.buy(amount).map_err(|wrong| Fault::field(field, wrong.to_string()))?;
        Ok(Some(Leg { mid: terms.mid, spread_millionths: terms.spread_millionths, conversion }))
    }

    /// As it is answered.
    ///
    /// # Errors
    /// `internal` when one of its currencies is no longer in the registry.
    pub(super) fn outbound_view(&self, outbound: &Outbound, state: HoldState) -> Result<wire::Outbound> {
        let money = |code, amount| self.stored_currency(code).map(|c| Some(convert::money(c, amount)));
        let (fee, debited) = match &outbound.posted {
            None => (None, None),
            Some(posted) => {
                (money(outbound.fee_currency, posted.fee)?, money(outbound.wallet_currency, posted.debited)?)
            }
        };
        Ok(wire::Outbound {
            hold_id: outbound.hold.to_string(),
            state: state.as_str().to_owned(),
            wallet_id: outbound.wallet.to_string(),
            network: outbound.network.clone(),
            wallet_amount: money(outbound.wallet_currency, outbound.held)?,
            pay: money(outbound.pay_currency, outbound.pay)?,
            fee_cap: money(outbound.fee_currency, outbound.fee_cap)?,
            fee_payer: outbound.fee_payer.as_str().to_owned(),
            rate: outbound.rate().to_string(),
            base_amount: money(outbound.base_currency, outbound.base)?,
            fee,
            debited,
        })
    }
}
