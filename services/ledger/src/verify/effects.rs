//! Every transfer and hold from its effect key: whatever it says it was carried out for is there and says so, too. Without
//! this a quote that is set back to pending, a deposit set back to suspense or a row that is taken out would be found by
//! nobody, since the walk through those tables begins at their rows.

use super::Stretch;
use crate::domain::SettlementState;
use crate::store::{outbounds, proof, quotes, settlements};
use beem_database::Sql;
use beem_database::claims::effects;
use beem_fault::Result;
use beem_proto::ledger::v1 as wire;
use prost::Message as _;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

const UNKNOWN: &str = "changed or inserted: no effect has its key";

/// What does not fit, by the transfer or hold that shows it: table, row, detail.
#[derive(Default)]
struct Found(Vec<(Uuid, &'static str, String, String)>);

impl Found {
    fn push(&mut self, shown_by: Uuid, table: &'static str, row: impl ToString, detail: impl Into<String>) {
        self.0.push((shown_by, table, row.to_string(), detail.into()));
    }
}

/// What was carried out for what, and whether that agrees. `table` is `transfers` or `holds`.
pub async fn judge(on: &impl Sql, table: &'static str, ids: &[Uuid], stretch: &mut Stretch) -> Result<()> {
    let mut found = Found::default();
    let rows = proof::effect_keys(on, table, ids).await?;
    let mut of: HashMap<&str, Vec<(Uuid, &str)>> = HashMap::new();
    for (id, effect) in &rows {
        let (rpc, key) = effect.split_once(':').unwrap_or((effect, ""));
        of.entry(rpc).or_default().push((*id, key));
    }
    for (rpc, rows) in of {
        match rpc {
            "PostBatches" | "PostHold" | "Reserve" => answered(on, (table, rpc), &rows, &mut found).await?,
            "ExecuteQuote" => of_quotes(on, &rows, &mut found).await?,
            "SettleInbound" | "Credit" => of_settlements(on, rpc, &rows, &mut found).await?,
            "ReserveOutbound" | "PostOutbound" => of_outbounds(on, rpc, &rows, &mut found).await?,
            // Remembered for 24 hours only; a live installation has none.
            "CreateCredit" => {}
            _ => rows.iter().for_each(|(id, _)| found.push(*id, table, id, UNKNOWN)),
        }
    }
    // In the order of the rows, whatever they were carried out for and however long the stretches are.
    found.0.sort();
    found.0.into_iter().for_each(|(_, table, row, detail)| stretch.found(table, row, detail));
    Ok(())
}

/// Of those remembered for ever under their key: the answer names this very row.
async fn answered(
    on: &impl Sql,
    (table, rpc): (&'static str, &str),
    rows: &[(Uuid, &str)],
    found: &mut Found,
) -> Result<()> {
    let keys: BTreeSet<String> = rows.iter().map(|(_, key)| format!("{rpc}:{key}")).collect();
    let answers = effects::answers(on, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    for (id, key) in rows {
        if !answers.get(&format!("{rpc}:{key}")).is_some_and(|answer| names(rpc, answer, *id)) {
            let detail = "inserted, or its effect was removed or changed: no answer names it";
            found.push(*id, table, id, detail);
        }
    }
    Ok(())
}

fn names(rpc: &str, answer: &[u8], id: Uuid) -> bool {
    match rpc {
        "PostBatches" => wire::BatchOutcome::decode(answer)
            .is_ok_and(|outcome| outcome.transfer_ids.iter().any(|of| *of == id.to_string())),
        "Reserve" => wire::Hold::decode(answer).is_ok_and(|hold| hold.id == id.to_string()),
        // Its hold, which ends once, says which transfer it was.
        _ => wire::Hold::decode(answer).is_ok(),
    }
}

async fn of_quotes(on: &impl Sql, rows: &[(Uuid, &str)], found: &mut Found) -> Result<()> {
    let ids: Vec<Uuid> = rows.iter().filter_map(|(_, key)| key.parse().ok()).collect();
    let there = proof::rows_of(on, ("quotes", "id", quotes::COLUMNS), &ids).await?;
    for (transfer, key) in rows {
        let row = key.parse().ok().and_then(|id: Uuid| there.get(&id));
        let wrong = match row.map(quotes::read) {
            None => format!("removed: transfer {transfer} carried it out"),
            Some(Ok((quote, _))) if quote.executed.is_none() => {
                format!("changed: it says that it is pending, and transfer {transfer} carried it out")
            }
            // What else may be wrong with it is told of where quotes are looked at.
            Some(_) => continue,
        };
        found.push(*transfer, "quotes", key, wrong);
    }
    Ok(())
}

async fn of_settlements(on: &impl Sql, rpc: &str, rows: &[(Uuid, &str)], found: &mut Found) -> Result<()> {
    let keys: Vec<&str> = rows.iter().map(|(_, key)| *key).collect();
    let there = proof::settlements_of(on, &keys).await?;
    for (transfer, key) in rows {
        match there.get(*key).map(settlements::read) {
            // One that names the transfer under another key was changed: that is seen by its digest. What credited a
            // deposit that is gone is told of by what booked it.
            None if rpc == "Credit" || proof::is_booked_by(on, *transfer).await? => {}
            None => {
                found.push(*transfer, "settlements", key, format!("removed: transfer {transfer} booked it"));
            }
            Some(Ok((one, _))) if rpc == "Credit" && matches!(one.state, SettlementState::Suspended(_)) => {
                let detail =
                    format!("changed: it says that it is in suspense, and transfer {transfer} credited it");
                found.push(*transfer, "settlements", one.id, detail);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn of_outbounds(on: &impl Sql, rpc: &str, rows: &[(Uuid, &str)], found: &mut Found) -> Result<()> {
    // A hold is that of its payout; a transfer's key names the hold.
    let hold = |(id, key): &(Uuid, &str)| if rpc == "ReserveOutbound" { Some(*id) } else { key.parse().ok() };
    let ids: Vec<Uuid> = rows.iter().filter_map(hold).collect();
    let there = proof::rows_of(on, ("outbounds", "hold_id", outbounds::COLUMNS), &ids).await?;
    for row in rows {
        let Some(id) = hold(row) else {
            found.push(row.0, "transfers", row.0, UNKNOWN);
            continue;
        };
        match there.get(&id).map(outbounds::read) {
            None => found.push(row.0, "outbounds", id, "removed: its hold or its transfers are there"),
            Some(Ok((one, _))) if rpc == "PostOutbound" && one.posted.is_none() => {
                found.push(row.0, "outbounds", id, format!("changed: transfer {} posted it", row.0));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
