//! Proves the books from their entries, page by page, while writes go on. Every stretch is read from one moment of the
//! database, with all that it is compared with, so honest books have no findings at any moment.
//!
//! | part | what it proves |
//! | --- | --- |
//! | [`heads`] | signatures, numbers, the chain of digests; heads that were kept elsewhere are there |
//! | [`chain`] | each account from its own row through every entry to its balance; entries agree with their transfer or hold, and with the heads that reach them |
//! | [`places`] | every transfer and hold has its entries, where it says |
//! | [`effects`] | every transfer and hold is of an effect, a quote, a deposit or a payout that says so, too |
//! | [`conversions`] | quotes, promised rates, deposits and payouts are as they were written, and moved what they say |
//! | [`sums`] | debits equal credits in every currency |
//!
//! From the first two: a hold is placed once and ends at most once, and what is reserved is the sum of the active ones,
//! because each entry that reserves is that of one hold, and the other way round; the same for transfers and both their
//! sides. What only follows from another finding is not told: of each account the first wrong entry, of each other row one.

mod chain;
mod conversions;
mod diagnose;
mod effects;
mod heads;
mod place;
mod places;
mod sums;

use beem_database::Database;
use beem_fault::{Fault, Result};
use beem_proto::ledger::v1 as wire;
use ed25519_dalek::VerifyingKey;
use place::Place;
use std::collections::HashSet;

/// Rows looked at in one call of [`LedgerVerifier::page`], about: a head is looked at with all its entries, and the sums are
/// made in one go.
pub const LARGEST_STRETCH: u32 = 10_000;
/// Heads given in one call, at most.
const MOST_KEPT: usize = 500;
/// Rows in one query.
const BATCH: u64 = 500;

/// Judges the books in the ledger's database; see the module. Everything but the keys may be in the hands of whoever wrote to
/// the database.
#[derive(Clone)]
pub struct LedgerVerifier {
    database: Database,
    /// Those that heads were ever signed with.
    keys: Vec<VerifyingKey>,
}

/// Judges the whole books, telling `found` whatever does not fit, each row once; how many entries and other rows there were.
/// For a process that has the database to itself, and as well beside one that serves. At most 500 kept heads.
///
/// # Errors
/// `validation-failed` for too many heads; `unavailable` when the database is away.
pub async fn verify_ledger(
    database: &Database,
    keys: &[VerifyingKey],
    kept: &[wire::LedgerHead],
    mut found: impl FnMut(wire::LedgerFinding),
) -> Result<(u64, u64)> {
    let verifier = LedgerVerifier::new(database.clone(), keys.to_vec());
    let (mut entries, mut rows) = (0_u64, 0_u64);
    let mut told = HashSet::new();
    let mut request = wire::VerifyLedgerRequest { kept_heads: kept.to_vec(), ..Default::default() };
    loop {
        let page = verifier.page(&request).await?;
        entries = entries.saturating_add(page.entries);
        rows = rows.saturating_add(page.rows);
        for finding in page.findings {
            if told.insert((finding.table.clone(), finding.row.clone())) {
                found(finding);
            }
        }
        if page.next_page_token.is_empty() {
            return Ok((entries, rows));
        }
        request = wire::VerifyLedgerRequest { page_token: page.next_page_token, ..Default::default() };
    }
}

/// What a stretch came to.
#[derive(Default)]
struct Stretch {
    findings: Vec<wire::LedgerFinding>,
    entries: u64,
    rows: u64,
    /// Where this part goes on; None: it is done.
    on: Option<Place>,
}

impl Stretch {
    fn found(&mut self, table: &str, row: impl ToString, detail: impl Into<String>) {
        let finding =
            wire::LedgerFinding { table: table.into(), row: row.to_string(), detail: detail.into() };
        add(&mut self.findings, finding);
    }
}

/// One finding a row.
fn add(findings: &mut Vec<wire::LedgerFinding>, new: wire::LedgerFinding) {
    if !findings.iter().any(|one| one.table == new.table && one.row == new.row) {
        findings.push(new);
    }
}

impl LedgerVerifier {
    #[must_use]
    pub const fn new(database: Database, keys: Vec<VerifyingKey>) -> Self {
        Self { database, keys }
    }

    /// As `Books.VerifyLedger`. The same row may be found in two pages.
    ///
    /// # Errors
    /// `validation-failed` for what the request may not say; `unavailable` when the database is away.
    pub async fn page(&self, request: &wire::VerifyLedgerRequest) -> Result<wire::VerifyLedgerResponse> {
        let budget = match request.max_rows {
            0 => LARGEST_STRETCH,
            1..=LARGEST_STRETCH => request.max_rows,
            _ => return Err(Fault::field("maxRows", format!("at most {LARGEST_STRETCH}"))),
        };
        if request.kept_heads.len() > MOST_KEPT {
            return Err(Fault::field("keptHeads", format!("at most {MOST_KEPT}")));
        }
        let mut answer = wire::VerifyLedgerResponse::default();
        let (mut at, before) = match request.page_token.as_str() {
            "" => (Place::Heads(0), false),
            token if request.kept_heads.is_empty() => Place::parse(token)?,
            _ => return Err(Fault::field("keptHeads", "with the first call only")),
        };
        self.kept_heads(&request.kept_heads, &mut answer.findings).await?;
        loop {
            let looked_at = answer.rows.saturating_add(answer.entries);
            let left = u64::from(budget).saturating_sub(looked_at);
            let found = before || !answer.findings.is_empty();
            if left == 0 {
                answer.next_page_token = at.token(found);
                return Ok(answer);
            }
            let stretch = self.stretch(at, left.min(BATCH), found).await?;
            answer.entries = answer.entries.saturating_add(stretch.entries);
            answer.rows = answer.rows.saturating_add(stretch.rows);
            stretch.findings.into_iter().for_each(|finding| add(&mut answer.findings, finding));
            at = match stretch.on.or_else(|| at.next()) {
                Some(next) => next,
                None => return Ok(answer),
            };
        }
    }

    async fn stretch(&self, at: Place, max: u64, found: bool) -> Result<Stretch> {
        let max = i64::try_from(max).map_err(Fault::internal)?;
        match at {
            Place::Heads(after) => self.heads(after, max).await,
            Place::Accounts(walk) => self.chain(walk, max).await,
            Place::Transfers(after) => self.transfers(after, max).await,
            Place::Holds(after) => self.holds(after, max).await,
            Place::Quotes(after) => self.quotes(after, max).await,
            Place::RateLocks(after) => self.rate_locks(after, max).await,
            Place::Settlements(after) => self.settlements(after, max).await,
            Place::Outbounds(after) => self.outbounds(after, max).await,
            // Any other finding is the reason, or hides it.
            Place::Sums if found => Ok(Stretch::default()),
            Place::Sums => self.sums().await,
        }
    }
}
