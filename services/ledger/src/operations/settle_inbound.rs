//! SettleInbound: a deposit is booked to suspense whatever else is the case, and then goes on to its wallet.
//!
//! Two steps, each in a transaction of its own under a key of its own, so that a process that dies between them has booked
//! the deposit: whoever asks again, or the task, takes the second one. Deposits pay the spread of their pair and no fee:
//! what they are credited is what their rate says.

use super::{Means, Operations, refused};
use crate::domain::{
    Cause, Credited, Crediting, Kind, Order, Promised, Reason, Settlement, SettlementState, Step,
};
use crate::grpc::convert;
use crate::store::{accounts, engine, locks, settlements};
use beem_clock::Moment;
use beem_database::claims::{Outcome, fingerprint};
use beem_database::{Tx, kind_of};
use beem_fault::{Code, Fault, Kind as FaultKind, Result};
use beem_ids::{AccountId, LedgerAccountId, RateLockId, SettlementId};
use beem_money::{Amount, ConversionError, CurrencyCode, Terms};
use beem_proto::ledger::v1 as wire;
use prost::Message as _;
use std::error::Error as _;
use std::fmt;

const KINDS: [Kind; 2] = [Kind::Deposit, Kind::PaymentIn];

/// A deposit that is to be booked, well formed.
struct Inbound {
    effect_key: String,
    owner: AccountId,
    wallet: LedgerAccountId,
    wallet_currency: CurrencyCode,
    network: String,
    currency: CurrencyCode,
    amount: Amount,
    kind: Kind,
    reference: String,
    cause: Cause,
    keep: bool,
    lock: Option<RateLockId>,
    seen: Option<Moment>,
}

/// It was not credited; this undoes the try and is remembered by nobody.
#[derive(Debug)]
struct Stays(Reason);

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a deposit stays in suspense: {}", self.0.as_str())
    }
}

impl std::error::Error for Stays {}

impl Operations {
    /// Books a deposit once under its effect key, and tries to credit it. The answer is the settlement as it is now, a
    /// repeat's too: its facts never change, where it is does. What is wrong with the request itself, a wallet that is not
    /// there included, is refused without being remembered: the money is a fact and can be asked for rightly.
    pub async fn settle_inbound(&self, asked: &wire::SettleInboundRequest) -> Outcome {
        let inbound = match self.inbound(asked).await {
            Ok(inbound) => inbound,
            Err(fault) => return refused(fault),
        };
        let booked = self.book(&inbound, fingerprint("SettleInbound", &asked.encode_to_vec())).await;
        if booked.result.is_err() {
            return booked;
        }
        let answer = async {
            let settlement = self.settlement(&inbound.effect_key).await?;
            if inbound.keep && !booked.replayed {
                self.alarm(&settlement, Reason::Kept);
            }
            let settlement = self.go_on(settlement).await?;
            Ok(self.0.settlement_view(&settlement)?.encode_to_vec())
        };
        Outcome { result: answer.await, replayed: booked.replayed }
    }

    /// A deposit's settlement.
    ///
    /// # Errors
    /// `not-found`; `internal` when its row is not as it was written.
    pub(super) async fn settlement(&self, effect_key: &str) -> Result<Settlement> {
        let found = settlements::by_key(self.0.db.read(), effect_key).await?;
        found.ok_or_else(|| Fault::not_found("settlement"))
    }

    /// Credits it, once, if it may and can be; how it is now.
    ///
    /// # Errors
    /// What keeps it from being known whether it can; then it is in suspense or credited, and may be tried again.
    pub(super) async fn go_on(&self, settlement: Settlement) -> Result<Settlement> {
        if !settlement.may_go_on() {
            return Ok(settlement);
        }
        match self.credit_deposit(&settlement).await {
            Ok(()) => {}
            Err(fault) => match fault.source().and_then(|source| source.downcast_ref::<Stays>()) {
                Some(Stays(reason)) if settlement.state == SettlementState::Suspended(*reason) => {
                    return Ok(settlement);
                }
                Some(Stays(reason)) => self.stays(&settlement, *reason).await?,
                None => return Err(fault),
            },
        }
        self.settlement(&settlement.effect_key).await
    }

    async fn inbound(&self, asked: &wire::SettleInboundRequest) -> Result<Inbound> {
        let means = &self.0;
        let effect_key = convert::effect_key(&asked.effect_key)?.to_owned();
        let owner = convert::id("accountId", &asked.account_id)?;
        let wallet = convert::wallet_id(&asked.wallet_id)?;
        let currency = means.currency("currency", &asked.currency)?;
        convert::network(means, "network", currency, &asked.network)?;
        let lock = match asked.rate_lock_id.as_str() {
            "" => None,
            id => Some(convert::id("rateLockId", id)?),
        };
        let wallet_currency = match accounts::wallet(means.db.read(), owner, wallet).await {
            Ok((wallet, _)) => wallet.currency,
            Err(fault) if fault.code == Code::NotFound => {
                // The key's first request had a wallet.
                let used = settlements::by_key(means.db.read(), &effect_key).await?.is_some();
                let reused =
                    || Fault::new(Code::IdempotencyKeyReused, "this key was used for another request");
                return Err(if used { reused() } else { fault });
            }
            Err(fault) => return Err(fault),
        };
        Ok(Inbound {
            effect_key,
            owner,
            wallet,
            wallet_currency,
            network: asked.network.clone(),
            currency: currency.code,
            amount: convert::amount("amount", currency, &asked.amount)?,
            kind: convert::kind("kind", &asked.kind, &KINDS)?,
            reference: convert::reference("reference", &asked.reference)?,
            cause: convert::cause("cause", asked.cause.as_ref())?,
            keep: asked.keep,
            lock,
            seen: convert::moment(asked.seen_at.as_ref()),
        })
    }

    /// The first step: chain clearing → suspense.
    async fn book(&self, inbound: &Inbound, fingerprint: [u8; 32]) -> Outcome {
        let key = &format!("SettleInbound:{}", inbound.effect_key);
        self.effect(key, fingerprint, |tx| {
            Box::pin(async move {
                let mut settlement = inbound.settlement(tx, promised(tx, inbound).await?);
                let steps = vec![Step::Transfer(settlement.booking())];
                let order = Order { owner: inbound.owner, steps };
                let entered = engine::carry_out(tx, key, &order).await;
                settlement.created = entered.map_err(|fault| unbooked(inbound, fault))?.time;
                settlements::insert(tx, &settlement).await?;
                Ok(settlement.id.0.as_bytes().to_vec())
            })
        })
        .await
    }

    /// The second step: suspense → wallet.
    async fn credit_deposit(&self, settlement: &Settlement) -> Result<()> {
        let means = &self.0;
        let crediting = means.price(settlement).map_err(stays)?;
        let steps = crediting.transfers.iter().cloned().map(Step::Transfer).collect();
        let order = Order { owner: settlement.owner, steps };
        let (order, crediting) = (&order, &crediting);
        let key = &format!("Credit:{}", settlement.effect_key);
        let fingerprint = fingerprint("Credit", &settlement.digest());
        let outcome = self.effect(key, fingerprint, |tx| {
            Box::pin(async move {
                let now = settlements::lock(tx, settlement.id).await?;
                if !now.may_go_on() {
                    return Err(Fault::internal(format!("settlement {} may not be credited", now.id)));
                }
                let entered = engine::carry_out(tx, key, order).await.map_err(undone)?;
                let credited = Credited {
                    amount: crediting.amount,
                    rate: crediting.rate,
                    transfer: crediting.transfer,
                    at: entered.time,
                };
                settlements::settle(tx, settlement.id, &credited).await?;
                Ok(crediting.transfer.0.as_bytes().to_vec())
            })
        });
        let outcome = outcome.await;
        outcome.result?;
        if outcome.replayed && self.settlement(&settlement.effect_key).await?.may_go_on() {
            let detail = format!("settlement {} was credited and says that it was not", settlement.id);
            return Err(Fault::internal(detail));
        }
        Ok(())
    }

    /// Says why it stays; the first time, aloud.
    async fn stays(&self, settlement: &Settlement, reason: Reason) -> Result<()> {
        let id = settlement.id;
        let suspended = self.0.db.write(|tx| Box::pin(settlements::suspend(tx, id, reason))).await?;
        if suspended {
            self.alarm(settlement, reason);
        }
        Ok(())
    }

    /// Once for a settlement and a reason.
    fn alarm(&self, settlement: &Settlement, reason: Reason) {
        let (id, key, reason) = (settlement.id, &settlement.effect_key, reason.as_str());
        tracing::warn!(settlement = %id, effect_key = %key, reason, "a deposit stays in suspense");
        self.0.telemetry.meters().counter("beem.ledger.deposits.suspended", &[("reason", reason)]);
    }
}

impl Means {
    /// At what it would be credited now.
    fn price(&self, settlement: &Settlement) -> Result<Crediting, Reason> {
        let now = self.clock.now();
        let currency = |code| self.stored_currency(code).map_err(|_| Reason::NoRate);
        let (from, to) = (currency(settlement.currency)?, currency(settlement.wallet_currency)?);
        let terms = match settlement.promised {
            Some(Promised { mid, spread_millionths, .. }) => {
                Terms { from, to, mid, spread_millionths, fee_millionths: 0 }
            }
            None => {
                let terms = self.rates.terms(from, to, now).map_err(|_| Reason::NoRate)?;
                Terms { fee_millionths: 0, ..terms }
            }
        };
        settlement.crediting(&terms, now, &self.entropy).map_err(|wrong| match wrong {
            ConversionError::TooSmall => Reason::TooSmall,
            ConversionError::TooLarge => Reason::TooLarge,
        })
    }
}

impl Inbound {
    fn settlement(&self, tx: &Tx<'_>, promised: Option<Promised>) -> Settlement {
        let (now, entropy) = (tx.now(), tx.entropy());
        let reason = if self.keep { Reason::Kept } else { Reason::UnderWay };
        let id = SettlementId::draw(now, entropy);
        Settlement {
            id,
            effect_key: self.effect_key.clone(),
            owner: self.owner,
            wallet: self.wallet,
            wallet_currency: self.wallet_currency,
            network: self.network.clone(),
            currency: self.currency,
            amount: self.amount,
            kind: self.kind,
            reference: self.reference.clone(),
            cause: self.cause.clone(),
            promised,
            suspense: Settlement::suspense_id(id),
            created: now,
            state: SettlementState::Suspended(reason),
        }
    }
}

/// What the lock promised, if it is of the pair, and had been given and not expired when the deposit was seen. A lock that is of no use
/// keeps no deposit from being booked.
async fn promised(tx: &Tx<'_>, inbound: &Inbound) -> Result<Option<Promised>> {
    let Some(id) = inbound.lock else { return Ok(None) };
    let lock = match locks::get(tx, id).await {
        Ok(lock) => lock,
        Err(fault) if fault.kind() == FaultKind::Internal && kind_of(&fault).is_none() => {
            tracing::error!(?fault, "a promised rate cannot be used, the deposit takes the current one");
            None
        }
        Err(fault) => return Err(fault),
    };
    let seen = inbound.seen.unwrap_or_else(|| tx.now());
    let fits = lock.filter(|lock| lock.from == inbound.currency && lock.to == inbound.wallet_currency);
    let holds = fits.filter(|lock| lock.created <= seen && seen < lock.expires);
    Ok(holds.map(|lock| Promised { lock: id, mid: lock.mid, spread_millionths: lock.spread_millionths }))
}

/// A deposit is never refused for want of room in our own accounts, and so never remembered as refused.
fn unbooked(inbound: &Inbound, fault: Fault) -> Fault {
    if !fault.is_refusal() {
        return fault;
    }
    let (key, currency) = (&inbound.effect_key, inbound.currency);
    tracing::error!(effect_key = %key, %currency, %fault, "a deposit cannot be booked, is the overdraft too small?");
    Fault::unavailable(fault)
}

fn stays(reason: Reason) -> Fault {
    Fault::unavailable(Stays(reason))
}

/// What the book refused: the deposit stays where it is. What is not about funds or the wallet's room is a fault of ours: the
/// wallet was there when the deposit was booked.
fn undone(fault: Fault) -> Fault {
    let too_large = || fault.fields.iter().any(|wrong| wrong.field == "amount");
    if fault.code == Code::InsufficientFunds {
        stays(Reason::NoLiquidity)
    } else if fault.code == Code::ValidationFailed && too_large() {
        stays(Reason::TooLarge)
    } else if fault.is_refusal() {
        tracing::error!(%fault, "the books refuse to credit a deposit that is in suspense");
        Fault::internal(fault)
    } else {
        fault
    }
}
