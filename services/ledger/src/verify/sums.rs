//! In every currency what left accounts came to others: all balances of one moment are zero together.

use super::{LedgerVerifier, Stretch};
use crate::store::proof;
use beem_fault::{Fault, Result};
use beem_money::Amount;
use std::collections::BTreeMap;

/// Rows in one query.
const ROWS: i64 = 10_000;

impl LedgerVerifier {
    pub(super) async fn sums(&self) -> Result<Stretch> {
        let sums = self.database.read_consistently(|at| {
            Box::pin(async move {
                let mut sums: BTreeMap<String, Option<Amount>> = BTreeMap::new();
                let (mut after, mut rows) = (None, 0_u64);
                loop {
                    let page = proof::totals_after(at, after, ROWS).await?;
                    let Some((last, ..)) = page.last() else { return Ok::<_, Fault>((sums, rows)) };
                    after = Some(*last);
                    for (_, currency, total) in page {
                        rows = rows.saturating_add(1);
                        let sum = sums.entry(currency).or_insert(Some(Amount::ZERO));
                        *sum = sum.zip(total).and_then(|(sum, total)| wrapping_add(sum, total));
                    }
                }
            })
        });
        let (sums, rows) = sums.await?;
        let mut stretch = Stretch { rows, ..Stretch::default() };
        for (currency, sum) in sums {
            match sum {
                Some(sum) if sum.is_zero() => {}
                Some(sum) => {
                    stretch.found("balances", &currency, format!("do not add up: {sum} minor units too much"))
                }
                None => stretch.found("balances", &currency, "cannot be added up"),
            }
        }
        Ok(stretch)
    }
}

/// Sums may pass through what an amount cannot hold, whatever the order of the accounts; the end counts.
#[expect(clippy::unnecessary_wraps, reason = "beside an amount that cannot be read")]
fn wrapping_add(one: Amount, other: Amount) -> Option<Amount> {
    Some(Amount::from_minor(one.minor().wrapping_add(other.minor())))
}
