//! The chain of audit rows, and what can be told from it. Every account has one; rows of no known account have theirs, under
//! the nil UUID. A row's hash is SHA-256 over
//!
//! - the line `beem.authz.v1.AuditEvent\n`, then
//! - each of these, preceded by its length in bytes as four bytes, most significant first: the hash of the row before (32
//!   zero bytes for the first), the account's id (16 bytes), the sequence (8 bytes, most significant first), the row's id (16
//!   bytes), its time (Unix milliseconds, 8 bytes, most significant first), and as UTF-8: the actor's principal id, kind and
//!   name, action, the target's type and id, outcome, before, after (JSON as it came, empty for none), address, key
//!   fingerprint, request id.
//!
//! So no row can be changed, taken out or put in without changing every hash behind it, and a signed head tells what the
//! hash at its place was.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

const CONTEXT: &[u8] = b"beem.authz.v1.AuditEvent\n";
/// Before the first row.
const GENESIS: [u8; 32] = [0; 32];
/// How many rows to either side are tried to tell what was done to a chain.
pub const NEIGHBOURS: i64 = 100;

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: Uuid,
    pub time_ms: i64,
    /// Empty for the installation.
    pub actor_id: String,
    pub actor_kind: String,
    pub actor_name: String,
    pub action: String,
    pub target_type: String,
    pub target_id: String,
    pub outcome: String,
    /// JSON objects, or empty.
    pub before: String,
    pub after: String,
    pub address: String,
    pub key_fingerprint: String,
    pub request_id: String,
}

/// A row in its place, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainedRow {
    /// From 1; what is stored may be anything.
    pub sequence: i64,
    pub entry: AuditEntry,
    pub hash: Vec<u8>,
}

/// How far a chain goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub sequence: i64,
    pub hash: Vec<u8>,
}

impl End {
    /// Of a chain without rows.
    #[must_use]
    pub fn genesis() -> Self {
        Self { sequence: 0, hash: GENESIS.to_vec() }
    }

    /// The next row.
    #[must_use]
    pub fn append(&self, account: Uuid, entry: AuditEntry) -> ChainedRow {
        let sequence = self.sequence.saturating_add(1);
        ChainedRow { sequence, hash: hash(&self.hash, account, sequence, &entry), entry }
    }

    fn is_followed_by(&self, account: Uuid, row: &ChainedRow) -> bool {
        row.hash == hash(&self.hash, account, self.sequence.saturating_add(1), &row.entry)
    }
}

impl ChainedRow {
    /// The chain's end, were this its last row.
    #[must_use]
    pub fn end(&self) -> End {
        End { sequence: self.sequence, hash: self.hash.clone() }
    }
}

/// See the module.
fn hash(previous: &[u8], account: Uuid, sequence: i64, row: &AuditEntry) -> Vec<u8> {
    let (sequence, time) = (sequence.to_be_bytes(), row.time_ms.to_be_bytes());
    let facts: [&[u8]; 17] = [
        previous,
        account.as_bytes(),
        &sequence,
        row.id.as_bytes(),
        &time,
        row.actor_id.as_bytes(),
        row.actor_kind.as_bytes(),
        row.actor_name.as_bytes(),
        row.action.as_bytes(),
        row.target_type.as_bytes(),
        row.target_id.as_bytes(),
        row.outcome.as_bytes(),
        row.before.as_bytes(),
        row.after.as_bytes(),
        row.address.as_bytes(),
        row.key_fingerprint.as_bytes(),
        row.request_id.as_bytes(),
    ];
    let mut digest = Sha256::new();
    digest.update(CONTEXT);
    for fact in facts {
        digest.update(u32::try_from(fact.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(fact);
    }
    digest.finalize().to_vec()
}

/// What was done to a chain, at the first place where it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub sequence: i64,
    /// The row there, when there is one.
    pub row: Option<Uuid>,
    pub detail: String,
}

impl Flaw {
    pub(crate) fn at(sequence: i64, row: Option<Uuid>, detail: impl Into<String>) -> Self {
        Self { sequence, row, detail: detail.into() }
    }
}

/// Whether `row` comes next after `end`.
///
/// # Errors
/// What is wrong by the place alone, or None: then [`diagnose`] looks at its neighbours.
pub fn follows(end: &End, account: Uuid, row: &ChainedRow) -> Result<(), Option<Flaw>> {
    let expected = end.sequence.saturating_add(1);
    if row.sequence > expected {
        let last = row.sequence.saturating_sub(1);
        let which = if last == expected { "this row is".to_owned() } else { format!("rows to {last} are") };
        return Err(Some(Flaw::at(expected, None, format!("removed: {which} missing"))));
    }
    if row.sequence < expected {
        return Err(Some(Flaw::at(row.sequence, Some(row.entry.id), "inserted: the chain begins at 1")));
    }
    if end.is_followed_by(account, row) { Ok(()) } else { Err(None) }
}

/// What was done to a chain whose row does not fit to `end`, the row before it. `back` are the rows up to that
/// one, in order and [`NEIGHBOURS`] at most; `ahead` are those after the row.
#[must_use]
pub fn diagnose(
    account: Uuid,
    back: &[ChainedRow],
    end: &End,
    row: &ChainedRow,
    ahead: &[ChainedRow],
) -> Flaw {
    // It fits to an earlier place: what lies between was put in, with hashes made for it.
    let first = back.first().is_none_or(|row| row.sequence == 1).then(End::genesis);
    let earlier = back.iter().rev().map(ChainedRow::end).chain(first).filter(|e| e.sequence < end.sequence);
    for place in earlier {
        if place.is_followed_by(account, row) {
            let at = place.sequence.saturating_add(1);
            let inserted = back.iter().find(|row| row.sequence == at).map(|row| row.entry.id);
            return Flaw::at(at, inserted, format!("inserted: rows to {} were put in", end.sequence));
        }
    }
    // A later row fits to this place: what lies between was put in.
    if let Some(next) = ahead.iter().find(|next| end.is_followed_by(account, next)) {
        let last = next.sequence.saturating_sub(1);
        return Flaw::at(row.sequence, Some(row.entry.id), format!("inserted: rows to {last} were put in"));
    }
    // The next row fits to this one, had they later places: some before were taken out and the rest renumbered.
    if let Some(next) = ahead.first() {
        for missing in 1..=NEIGHBOURS {
            let once = End { sequence: row.sequence.saturating_add(missing), hash: row.hash.clone() };
            if once.is_followed_by(account, next) {
                let detail = format!("removed: {missing} before this row, and the rest renumbered");
                return Flaw::at(row.sequence, Some(row.entry.id), detail);
            }
        }
    }
    let detail = "changed: this row, or the one before it together with its hash";
    Flaw::at(row.sequence, Some(row.entry.id), detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Uuid = Uuid::from_u128(7);

    fn entry(n: u128) -> AuditEntry {
        AuditEntry {
            id: Uuid::from_u128(n),
            time_ms: 1_700_000_000_000,
            actor_id: "p".into(),
            actor_kind: "USER".into(),
            actor_name: "ada@example.com".into(),
            action: "CreateClient".into(),
            target_type: "client".into(),
            target_id: "c".into(),
            outcome: "done".into(),
            before: String::new(),
            after: r#"{"name":"tills"}"#.into(),
            address: "192.0.2.7".into(),
            key_fingerprint: String::new(),
            request_id: "r".into(),
        }
    }

    fn chain(rows: u128) -> Vec<ChainedRow> {
        let mut end = End::genesis();
        let mut chain = Vec::new();
        for n in 1..=rows {
            let row = end.append(ACCOUNT, entry(n));
            end = row.end();
            chain.push(row);
        }
        chain
    }

    /// The first flaw of a chain.
    fn flaw(rows: &[ChainedRow]) -> Option<(i64, String)> {
        let mut end = End::genesis();
        for (n, row) in rows.iter().enumerate() {
            if let Err(flaw) = follows(&end, ACCOUNT, row) {
                let found = flaw.unwrap_or_else(|| diagnose(ACCOUNT, &rows[..n], &end, row, &rows[n + 1..]));
                return Some((found.sequence, found.detail.split(':').next().unwrap().to_owned()));
            }
            end = row.end();
        }
        None
    }

    fn renumber(rows: &mut [ChainedRow]) {
        for (n, row) in (1..).zip(rows) {
            row.sequence = n;
        }
    }

    #[test]
    fn the_encoding_is_for_ever() {
        let digest: String = chain(1)[0].hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, "bffe2d5586eb82be673bcb0ecd48cb37d61122468ca0ef9a02698ceee848e6c2");
    }

    #[test]
    fn every_fact_is_in_the_hash() {
        let whole = chain(1)[0].hash.clone();
        let changes: [fn(&mut AuditEntry); 14] = [
            |e| e.id = Uuid::from_u128(99),
            |e| e.time_ms += 1,
            |e| e.actor_id.push('x'),
            |e| e.actor_kind = "CLIENT".into(),
            |e| e.actor_name.push('x'),
            |e| e.action.push('x'),
            |e| e.target_type.push('x'),
            |e| e.target_id.push('x'),
            |e| e.outcome = "role-missing".into(),
            |e| e.before.push_str("{}"),
            |e| e.after.clear(),
            |e| e.address.push('0'),
            |e| e.key_fingerprint.push('x'),
            |e| e.request_id.clear(),
        ];
        for change in changes {
            let mut other = entry(1);
            change(&mut other);
            assert_ne!(End::genesis().append(ACCOUNT, other).hash, whole);
        }
        // A byte that moves from one field to the next is another row.
        let moved = AuditEntry { action: "CreateClientc".into(), target_type: "lient".into(), ..entry(1) };
        assert_ne!(End::genesis().append(ACCOUNT, moved).hash, whole);
        assert_ne!(End::genesis().append(Uuid::nil(), entry(1)).hash, whole);
    }

    #[test]
    fn what_was_done_is_told_where_it_was_done() {
        let whole = chain(12);
        assert_eq!(flaw(&whole), None);
        for at in 0..12 {
            let place = i64::try_from(at).unwrap() + 1;
            let mut changed = whole.clone();
            changed[at].entry.outcome = "own-principal".into();
            assert_eq!(flaw(&changed), Some((place, "changed".into())));
            let mut removed = whole.clone();
            removed.remove(at);
            assert_eq!(flaw(&removed), (at < 11).then(|| (place, "removed".into())), "{at}");
            renumber(&mut removed);
            if at < 10 {
                assert_eq!(flaw(&removed), Some((place, "removed".into())), "{at}, renumbered");
            }
            for with_its_hash in [false, true] {
                let mut inserted = whole.clone();
                let before = if at == 0 { End::genesis() } else { whole[at - 1].end() };
                let mut row = before.append(ACCOUNT, entry(77));
                if !with_its_hash {
                    row.hash[0] ^= 1;
                }
                inserted.insert(at, row);
                renumber(&mut inserted);
                assert_eq!(flaw(&inserted), Some((place, "inserted".into())), "{at} {with_its_hash}");
            }
        }
    }

    #[test]
    fn a_changed_row_with_its_hash_shows_at_the_next() {
        let mut rows = chain(5);
        let before = rows[1].end();
        rows[2] = before.append(ACCOUNT, entry(99));
        assert_eq!(flaw(&rows), Some((4, "changed".into())));
    }
}
