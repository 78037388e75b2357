//! The signed heads: each by one of the ledger's keys, numbered without gaps, over the one before and over the entries it
//! names. Whether these entries are those of the books is seen where the books are walked through.

use super::{LedgerVerifier, Place, Stretch, add};
use crate::heads::{digest, is_signed, to_wire};
use crate::store::heads::{self as store, Head};
use beem_database::Sql;
use beem_fault::{Fault, Result};
use beem_proto::ledger::v1 as wire;
use ed25519_dalek::VerifyingKey;

/// The head before: none of it is known when it cannot be believed.
struct Before {
    number: i64,
    digest: Option<Vec<u8>>,
}

impl LedgerVerifier {
    /// Heads beyond a number.
    pub(super) async fn heads(&self, after: i64, max: i64) -> Result<Stretch> {
        let keys = self.keys.as_slice();
        let stretch = self.database.read_consistently(|at| {
            Box::pin(async move {
                let mut before = before(at, after, keys).await?;
                let mut stretch = Stretch::default();
                for head in store::after(at, after, max).await? {
                    let entries = store::entries(at, head.number).await?;
                    let rows = u64::try_from(entries.len()).map_err(Fault::internal)?;
                    stretch.rows = stretch.rows.saturating_add(rows).saturating_add(1);
                    let expected = before.number.saturating_add(1);
                    if head.number != expected {
                        stretch.found("heads", expected, "removed: heads behind this number are there");
                        before.digest = None;
                    }
                    let signed = is_signed(&to_wire(&head), keys);
                    let whole = before
                        .digest
                        .take()
                        .map(|before| digest(head.number, head.time_ms, &before, &entries));
                    if !signed {
                        stretch.found("heads", head.number, "forged: no key of the ledger signed it");
                    } else if whole.is_some_and(|whole| whole != head.digest) {
                        stretch.found(
                            "heads",
                            head.number,
                            "changed: its entries are not those that were signed",
                        );
                    }
                    before = Before { number: head.number, digest: signed.then_some(head.digest) };
                    stretch.on = Some(Place::Heads(head.number));
                    // One may be large.
                    if stretch.rows >= max.unsigned_abs() {
                        break;
                    }
                }
                Ok(stretch)
            })
        });
        stretch.await
    }

    /// Heads from elsewhere must be there and be the same. That the newest of them are missing is told once.
    pub(super) async fn kept_heads(
        &self,
        kept: &[wire::LedgerHead],
        findings: &mut Vec<wire::LedgerFinding>,
    ) -> Result<()> {
        let mut kept: Vec<_> = kept.iter().collect();
        kept.sort_by_key(|head| head.number);
        let finding = |head: &wire::LedgerHead, detail: &str| wire::LedgerFinding {
            table: "heads".into(),
            row: head.number.to_string(),
            detail: detail.into(),
        };
        for head in kept {
            if !is_signed(head, &self.keys) {
                add(
                    findings,
                    finding(head, "forged: no key of the ledger signed the one that was kept elsewhere"),
                );
                continue;
            }
            let number = i64::try_from(head.number).unwrap_or(i64::MAX);
            match store::by_number(self.database.read(), number).await? {
                None => {
                    add(findings, finding(head, "cut: the one that was kept elsewhere is missing here"));
                    return Ok(());
                }
                Some(stored) if (&stored.digest, stored.time_ms) != (&head.digest, head.time_ms) => {
                    add(findings, finding(head, "changed: it is not the one that was kept elsewhere"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// The head with this number; none, before the first.
async fn before(on: &impl Sql, number: i64, keys: &[VerifyingKey]) -> Result<Before> {
    if number == 0 {
        return Ok(Before { number, digest: Some(Vec::new()) });
    }
    let head = store::by_number(on, number).await?.filter(|head| is_signed(&to_wire(head), keys));
    Ok(Before { number, digest: head.map(|head| head.digest) })
}

/// Whether a head can be believed: it is signed, and so are its entries as they are.
pub(super) async fn is_genuine(on: &impl Sql, number: i64, keys: &[VerifyingKey]) -> Result<bool> {
    let Some(head) = store::by_number(on, number).await? else { return Ok(false) };
    let Some(previous) = before(on, number.saturating_sub(1), keys).await?.digest else { return Ok(false) };
    let Head { number, time_ms, .. } = head;
    let entries = store::entries(on, number).await?;
    Ok(is_signed(&to_wire(&head), keys) && digest(number, time_ms, &previous, &entries) == head.digest)
}
