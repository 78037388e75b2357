//! PostBatches: batches of linked transfers, each all or nothing under its own effect key.

use super::{Means, Operations, PATIENCE};
use crate::domain::{NewTransfer, Order, Step};
use crate::grpc::convert;
use crate::store::engine::Job;
use beem_database::claims::{Outcome, fingerprint};
use beem_fault::{Code, Fault, Kind, Result};
use beem_ids::TransferId;
use beem_proto::ledger::v1 as wire;
use prost::Message as _;

/// Batches, and transfers, in one call.
const MOST: usize = 1_000;

impl Operations {
    /// Posts each batch, or gives what became of it the first time. A batch that is not well formed is refused by itself, and
    /// nothing is remembered of it. `service` is who asks.
    ///
    /// # Errors
    /// `validation-failed` for a call that is too large, or a batch without a proper effect key: nothing was done.
    /// `unavailable`, `deadline` or `internal` when that is what became of any batch: others may have been posted.
    pub async fn post_batches(
        &self,
        service: &str,
        asked: &wire::PostBatchesRequest,
    ) -> Result<wire::PostBatchesResponse> {
        check_size(&asked.batches)?;
        let (mut refusals, mut jobs) = (Vec::with_capacity(asked.batches.len()), Vec::new());
        for (i, batch) in asked.batches.iter().enumerate() {
            let at = format!("batches[{i}]");
            convert::effect_key(&batch.effect_key)
                .map_err(|_| Fault::field(format!("{at}.effectKey"), "1 to 200 visible characters"))?;
            match self.0.order(&at, service, batch) {
                Ok(order) => {
                    jobs.push(job(batch, order)?);
                    refusals.push(None);
                }
                Err(fault) if fault.is_refusal() => refusals.push(Some(fault)),
                Err(fault) => return Err(fault),
            }
        }
        let mut settled = self.0.writer.settle(jobs, beem_runtime::deadline(PATIENCE)).await.into_iter();
        let outcomes = refusals.into_iter().map(|refusal| match refusal {
            Some(fault) => Ok(refused(&fault, false)),
            None => outcome(settled.next()),
        });
        Ok(wire::PostBatchesResponse { outcomes: outcomes.collect::<Result<_>>()? })
    }
}

impl Means {
    /// # Errors
    /// What is wrong with the batch itself, by its path.
    fn order(&self, at: &str, service: &str, batch: &wire::Batch) -> Result<Order> {
        let owner = convert::id(&format!("{at}.accountId"), &batch.account_id)?;
        if batch.transfers.is_empty() {
            return Err(Fault::field(format!("{at}.transfers"), "at least one"));
        }
        let now = self.clock.now();
        let steps = batch.transfers.iter().enumerate().map(|(j, transfer)| {
            let id = NewTransfer::draw_id(now, &self.entropy);
            self.transfer(&format!("{at}.transfers[{j}]"), service, transfer, id).map(Step::Transfer)
        });
        Ok(Order { owner, steps: steps.collect::<Result<_>>()? })
    }

    fn transfer(
        &self,
        at: &str,
        service: &str,
        asked: &wire::Transfer,
        id: TransferId,
    ) -> Result<NewTransfer> {
        let field = |name: &str| format!("{at}.{name}");
        let currency = self.currency(&field("currency"), &asked.currency)?;
        Ok(NewTransfer {
            id,
            debit: convert::debit(self, &field("debit"), currency, service, asked.debit.as_ref())?,
            credit: convert::side(self, &field("credit"), currency, asked.credit.as_ref())?,
            currency: currency.code,
            amount: convert::amount(&field("amount"), currency, &asked.amount)?,
            kind: convert::kind(&field("kind"), &asked.kind, &convert::TRANSFER_KINDS)?,
            reference: convert::reference(&field("reference"), &asked.reference)?,
            cause: convert::cause(&field("cause"), asked.cause.as_ref())?,
            counterpart: None,
        })
    }
}

fn check_size(batches: &[wire::Batch]) -> Result<()> {
    if batches.is_empty() || batches.len() > MOST {
        return Err(Fault::field("batches", format!("1 to {MOST} batches")));
    }
    let transfers = batches.iter().map(|batch| batch.transfers.len()).fold(0, usize::saturating_add);
    if transfers > MOST {
        return Err(Fault::field("batches", format!("at most {MOST} transfers in all")));
    }
    Ok(())
}

fn job(batch: &wire::Batch, order: Order) -> Result<Job> {
    let ids = order.steps.iter().map(|step| match step {
        Step::Transfer(transfer) => Ok(transfer.id.to_string()),
        Step::Reserve(_) | Step::PostHold { .. } | Step::EndHold { .. } => {
            Err(Fault::internal("a batch is of transfers"))
        }
    });
    let posted =
        wire::BatchOutcome { transfer_ids: ids.collect::<Result<_>>()?, ..wire::BatchOutcome::default() };
    let answer = posted.encode_to_vec();
    Ok(Job {
        key: format!("PostBatches:{}", batch.effect_key),
        fingerprint: fingerprint("PostBatches", &batch.encode_to_vec()),
        order,
        answer: Box::new(move |_| Ok(answer.clone())),
    })
}

/// # Errors
/// What is no decision: nobody may take it for one.
fn outcome(settled: Option<Outcome>) -> Result<wire::BatchOutcome> {
    let settled = settled.ok_or_else(|| Fault::internal("a batch without an outcome"))?;
    match settled.result {
        Ok(bytes) => {
            let posted = wire::BatchOutcome::decode(bytes.as_slice()).map_err(Fault::internal)?;
            Ok(wire::BatchOutcome { replayed: settled.replayed, ..posted })
        }
        Err(fault) if fault.is_refusal() => Ok(refused(&fault, settled.replayed)),
        Err(fault) => Err(fault),
    }
}

/// The codes are those that the contract names: a more telling one about the request is told in the detail.
fn refused(fault: &Fault, replayed: bool) -> wire::BatchOutcome {
    let code = if fault.kind() == Kind::Invalid { Code::ValidationFailed } else { fault.code };
    wire::BatchOutcome {
        transfer_ids: Vec::new(),
        refused: code.as_str().to_owned(),
        detail: fault.detail.clone(),
        replayed,
    }
}
