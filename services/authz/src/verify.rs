//! Recomputes the audit trail: every row from the one before it, every head against the row it was signed over, every chain
//! against the end that is recorded. It reads only, page by page, while rows are appended: what was read first is never
//! further along than what is read after it, so an honest trail has no findings at any moment.

use crate::domain::{ChainedRow, End, Flaw, NEIGHBOURS, diagnose, follows};
use crate::heads::{from_wire, is_signed};
use crate::store::{self, Head};
use beem_database::Database;
use beem_fault::{Fault, Result};
use beem_proto::authz::v1 as wire;
use ed25519_dalek::VerifyingKey;
use uuid::Uuid;

/// Rows looked at in one call of [`AuditVerifier::page`], at most.
pub const LARGEST_STRETCH: u32 = 10_000;
/// Heads given in one call, at most.
const MOST_KEPT: usize = 500;
/// Rows or heads in one query.
const BATCH: u64 = 500;

/// Judges the trail in authz's database; see the module. Everything but the keys may be in the hands of whoever wrote to the
/// database.
#[derive(Clone)]
pub struct AuditVerifier {
    database: Database,
    /// Those that heads were ever signed with.
    keys: Vec<VerifyingKey>,
}

/// Judges the whole trail, telling `found` whatever does not fit; how many rows and heads there were. For a process that has
/// the database to itself, and as well beside one that serves. At most 500 kept heads.
///
/// # Errors
/// `validation-failed` for heads that name no account; `unavailable` when the database is away.
pub async fn verify_audit(
    database: &Database,
    keys: &[VerifyingKey],
    kept: &[wire::AuditHead],
    mut found: impl FnMut(wire::AuditFinding),
) -> Result<(u64, u64)> {
    let verifier = AuditVerifier::new(database.clone(), keys.to_vec());
    let (mut rows, mut heads) = (0_u64, 0_u64);
    let mut request = wire::VerifyAuditRequest { kept_heads: kept.to_vec(), ..Default::default() };
    loop {
        let page = verifier.page(&request).await?;
        rows = rows.saturating_add(page.rows);
        heads = heads.saturating_add(page.heads);
        page.findings.into_iter().for_each(&mut found);
        if page.next_page_token.is_empty() {
            return Ok((rows, heads));
        }
        request = wire::VerifyAuditRequest { page_token: page.next_page_token, ..Default::default() };
    }
}

/// Where a page ends and the next one goes on: account, its rows or its heads, the last sequence that was looked at, and
/// whether the chain had been sound up to there.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    account: Uuid,
    heads: bool,
    after: i64,
    sound: bool,
}

/// What became of one query.
enum Step {
    On(Place),
    /// This chain is done.
    Done,
}

impl AuditVerifier {
    #[must_use]
    pub const fn new(database: Database, keys: Vec<VerifyingKey>) -> Self {
        Self { database, keys }
    }

    /// As `Audit.VerifyAudit`.
    ///
    /// # Errors
    /// `validation-failed` for what the request may not say; `unavailable` when the database is away.
    pub async fn page(&self, request: &wire::VerifyAuditRequest) -> Result<wire::VerifyAuditResponse> {
        let budget = match request.max_rows {
            0 => LARGEST_STRETCH,
            1..=LARGEST_STRETCH => request.max_rows,
            _ => return Err(Fault::field("maxRows", format!("at most {LARGEST_STRETCH}"))),
        };
        let mut answer = wire::VerifyAuditResponse::default();
        let mut place = if request.page_token.is_empty() {
            self.kept_heads(&request.kept_heads, &mut answer).await?;
            self.first_after(None).await?
        } else if request.kept_heads.is_empty() {
            Some(Place::parse(&request.page_token)?)
        } else {
            return Err(Fault::field("keptHeads", "with the first call only"));
        };
        while let Some(at) = place {
            let looked_at = answer.rows.saturating_add(answer.heads);
            let left = u64::from(budget).saturating_sub(looked_at);
            if left == 0 {
                answer.next_page_token = at.to_string();
                break;
            }
            let step = if at.heads {
                self.heads(at, left.min(BATCH), &mut answer).await?
            } else {
                self.rows(at, left.min(BATCH), &mut answer).await?
            };
            place = match step {
                Step::On(next) => Some(next),
                Step::Done => self.first_after(Some(at.account)).await?,
            };
        }
        Ok(answer)
    }

    async fn first_after(&self, account: Option<Uuid>) -> Result<Option<Place>> {
        let next = store::next_account(self.database.read(), account).await?;
        Ok(next.map(|account| Place { account, heads: false, after: 0, sound: true }))
    }

    /// A stretch of rows; after the last one, whether the chain ends where it says.
    async fn rows(&self, at: Place, max: u64, answer: &mut wire::VerifyAuditResponse) -> Result<Step> {
        let (on, account) = (self.database.read(), at.account);
        // Before the rows: they reach at least so far.
        let recorded = store::chain(on, account).await?.map(|chain| chain.end);
        let broken = |answer: &mut wire::VerifyAuditResponse, flaw: &Flaw| {
            answer.findings.push(finding(account, flaw));
            Ok(Step::On(Place { heads: true, after: 0, sound: false, ..at }))
        };
        let mut end = match at.after {
            0 => End::genesis(),
            sequence => match store::row_at(on, account, sequence).await? {
                Some((_, hash)) => End { sequence, hash },
                None => return broken(answer, &Flaw::at(sequence, None, "removed: this row is missing")),
            },
        };
        // From the least there is: a row before the first one was put in.
        let after = if at.after == 0 { i64::MIN } else { at.after };
        let rows = store::rows_after(on, account, after, max).await?;
        for (n, row) in rows.iter().enumerate() {
            answer.rows = answer.rows.saturating_add(1);
            let Err(flaw) = follows(&end, account, row) else {
                end = row.end();
                continue;
            };
            let ahead = rows.get(n.saturating_add(1)..).unwrap_or_default();
            let flaw = match flaw {
                Some(flaw) => flaw,
                None => self.diagnose(account, &end, row, ahead).await?,
            };
            return broken(answer, &flaw);
        }
        if !rows.is_empty() {
            return Ok(Step::On(Place { after: end.sequence, ..at }));
        }
        match not_the_end(&end, recorded.as_ref()) {
            Some(flaw) => broken(answer, &flaw),
            None => Ok(Step::On(Place { heads: true, after: 0, ..at })),
        }
    }

    async fn diagnose(
        &self,
        account: Uuid,
        end: &End,
        row: &ChainedRow,
        ahead: &[ChainedRow],
    ) -> Result<Flaw> {
        let on = self.database.read();
        let back = store::rows_before(on, account, row.sequence, NEIGHBOURS).await?;
        let far = u64::try_from(NEIGHBOURS).map_err(Fault::internal)?;
        if u64::try_from(ahead.len()).is_ok_and(|read| read >= far) {
            return Ok(diagnose(account, &back, end, row, ahead));
        }
        let ahead = store::rows_after(on, account, row.sequence, far).await?;
        Ok(diagnose(account, &back, end, row, &ahead))
    }

    /// A stretch of heads. On a chain that is broken only their signatures say anything.
    async fn heads(&self, at: Place, max: u64, answer: &mut wire::VerifyAuditResponse) -> Result<Step> {
        let (on, account) = (self.database.read(), at.account);
        // Before the heads: that one is there.
        let signed = store::chain(on, account).await?.map_or(0, |chain| chain.signed_sequence);
        let heads = store::heads_after(on, account, at.after, max).await?;
        let mut sound = at.sound;
        for stored in &heads {
            answer.heads = answer.heads.saturating_add(1);
            if let Some((flaw, breaks)) = self.judge(&stored.head, stored.row.as_ref(), sound) {
                answer.findings.push(finding(account, &flaw));
                sound = sound && !breaks;
            }
        }
        if let Some(last) = heads.last() {
            return Ok(Step::On(Place { after: last.head.sequence, sound, ..at }));
        }
        if sound && signed > at.after {
            let flaw = Flaw::at(signed, None, "removed: the head that was signed here is missing");
            answer.findings.push(finding(account, &flaw));
        }
        Ok(Step::Done)
    }

    /// What a head tells about the row at its place, and whether that breaks the chain.
    fn judge(&self, head: &Head, row: Option<&(Uuid, Vec<u8>)>, sound: bool) -> Option<(Flaw, bool)> {
        let flaw = |row: Option<Uuid>, detail: &str| Flaw::at(head.sequence, row, detail);
        if !is_signed(head, &self.keys) {
            return Some((flaw(None, "head-forged: no key of authz signed it"), false));
        }
        match row {
            _ if !sound => None,
            None => Some((flaw(None, "cut: the chain does not reach a head that was signed"), true)),
            Some((id, hash)) if *hash != head.hash => {
                let detail =
                    "changed: this row, or one before it, with all hashes up to a head that was signed";
                Some((flaw(Some(*id), detail), true))
            }
            Some(_) => None,
        }
    }

    /// Heads from elsewhere: the chains still reach them.
    async fn kept_heads(
        &self,
        kept: &[wire::AuditHead],
        answer: &mut wire::VerifyAuditResponse,
    ) -> Result<()> {
        if kept.len() > MOST_KEPT {
            return Err(Fault::field("keptHeads", format!("at most {MOST_KEPT}")));
        }
        for (n, head) in kept.iter().enumerate() {
            let head = from_wire(&format!("keptHeads[{n}]"), head)?;
            let row = store::row_at(self.database.read(), head.account, head.sequence).await?;
            if let Some((mut flaw, _)) = self.judge(&head, row.as_ref(), true) {
                flaw.detail.push_str(" (kept elsewhere)");
                answer.findings.push(finding(head.account, &flaw));
            }
        }
        Ok(())
    }
}

/// What is wrong with the end of a chain whose rows end at `end`.
fn not_the_end(end: &End, recorded: Option<&End>) -> Option<Flaw> {
    let next = end.sequence.saturating_add(1);
    match recorded {
        None if end.sequence == 0 => None,
        None => Some(Flaw::at(end.sequence, None, "removed: where the chain ends is not recorded")),
        Some(recorded) if recorded.sequence > end.sequence => {
            Some(Flaw::at(next, None, format!("cut: rows to {} are missing", recorded.sequence)))
        }
        Some(recorded) if recorded.sequence < end.sequence => {
            let first = recorded.sequence.saturating_add(1);
            Some(Flaw::at(first, None, "inserted: the chain ends before this row"))
        }
        Some(recorded) if recorded.hash != end.hash => {
            Some(Flaw::at(end.sequence, None, "changed: the chain ends with another hash"))
        }
        Some(_) => None,
    }
}

fn finding(account: Uuid, flaw: &Flaw) -> wire::AuditFinding {
    wire::AuditFinding {
        account_id: account.to_string(),
        sequence: u64::try_from(flaw.sequence).unwrap_or(0),
        row_id: flaw.row.map(|id| id.to_string()).unwrap_or_default(),
        detail: flaw.detail.clone(),
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (part, sound) = (if self.heads { "heads" } else { "rows" }, u8::from(self.sound));
        write!(f, "{}.{part}.{}.{sound}", self.account, self.after)
    }
}

impl Place {
    fn parse(token: &str) -> Result<Self> {
        let garbled = || Fault::field("pageToken", "not a page token");
        let parts: Vec<_> = token.split('.').collect();
        let [account, part, after, sound] = parts.as_slice() else { return Err(garbled()) };
        Ok(Self {
            account: account.parse().map_err(|_| garbled())?,
            heads: match *part {
                "heads" => true,
                "rows" => false,
                _ => return Err(garbled()),
            },
            after: after.parse().map_err(|_| garbled())?,
            sound: *sound == "1",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back() {
        for (heads, after, sound) in [(false, 0, true), (true, 77, false)] {
            let place = Place { account: Uuid::from_u128(5), heads, after, sound };
            assert_eq!(Place::parse(&place.to_string()).unwrap(), place);
        }
        assert!(Place::parse("5.rows.1").is_err());
    }
}
