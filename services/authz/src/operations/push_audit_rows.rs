//! PushAuditRows: takes rows into the chains of their accounts, each once by its id. All or none.

use super::Authz;
use crate::domain::{AuditEntry, ChainedRow, End};
use crate::store;
use beem_database::Tx;
use beem_fault::Result;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// In the order sent, each with its account; the nil UUID for none.
pub(crate) async fn push_audit_rows(authz: &Authz, rows: &[(Uuid, AuditEntry)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let began = authz.database.write(|tx| Box::pin(run(tx, rows))).await?;
    if began {
        authz.keeper.chain_began();
    }
    Ok(())
}

/// Whether a chain got its first rows.
async fn run(tx: &Tx<'_>, rows: &[(Uuid, AuditEntry)]) -> Result<bool> {
    let accounts: BTreeSet<_> = rows.iter().map(|(account, _)| *account).collect();
    let mut ends = store::lock_chains(tx, &accounts).await?;
    let began = ends.values().any(|end| end.sequence == 0);
    let ids: Vec<_> = rows.iter().map(|(_, entry)| entry.id).collect();
    // After the lock: what another push of the same rows has appended is seen.
    let mut known = store::known_of_any_account(tx, &ids).await?;
    let mut appended: Vec<(Uuid, ChainedRow)> = Vec::with_capacity(rows.len());
    let mut moved: BTreeMap<Uuid, End> = BTreeMap::new();
    for (account, entry) in rows {
        if !known.insert(entry.id) {
            continue;
        }
        let end = ends.entry(*account).or_insert_with(End::genesis);
        let row = end.append(*account, entry.clone());
        *end = row.end();
        moved.insert(*account, row.end());
        appended.push((*account, row));
    }
    store::append(tx, &appended, &moved).await?;
    Ok(began)
}
