//! When and from where clients were first and last accepted. Beside the clients' own rows, so that noting a use never
//! waits for a change.

use super::entities::client_uses::{Column, Entity, Model};
use super::garbled;
use crate::domain::Use;
use beem_clock::Moment;
use beem_database::{OrFault as _, Sql as _, Tx};
use beem_fault::{Fault, Result};
use beem_ids::PrincipalId;
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _};
use std::collections::HashMap;

/// First and last use of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses {
    pub first: Use,
    pub last: Use,
}

/// The first never moves forwards and the last never backwards; of a client that is not there nothing is noted.
const NOTE: &str = "
    INSERT INTO client_uses (principal_id, first_ms, first_address, last_ms, last_address)
    SELECT id, CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS TEXT) FROM clients WHERE id = $1
    ON CONFLICT (principal_id) DO UPDATE SET
        first_address = CASE WHEN excluded.first_ms < client_uses.first_ms
            THEN excluded.first_address ELSE client_uses.first_address END,
        first_ms = CASE WHEN excluded.first_ms < client_uses.first_ms
            THEN excluded.first_ms ELSE client_uses.first_ms END,
        last_address = CASE WHEN excluded.last_ms > client_uses.last_ms
            THEN excluded.last_address ELSE client_uses.last_address END,
        last_ms = CASE WHEN excluded.last_ms > client_uses.last_ms
            THEN excluded.last_ms ELSE client_uses.last_ms END";

/// Notes a use.
///
/// # Errors
/// As the database says.
pub async fn note(tx: &Tx<'_>, principal: PrincipalId, seen: Use) -> Result<()> {
    let values = vec![principal.0.into(), seen.at.unix_ms().into(), seen.address.to_string().into()];
    tx.run(NOTE, values).await.map(drop)
}

/// The uses of these clients; those never used are left out.
///
/// # Errors
/// As the database says.
pub async fn of(on: &impl ConnectionTrait, clients: &[PrincipalId]) -> Result<HashMap<PrincipalId, Uses>> {
    let ids = clients.iter().map(|id| id.0);
    let rows = Entity::find().filter(Column::PrincipalId.is_in(ids)).all(on).await.or_fault()?;
    rows.into_iter().map(|row| Ok((PrincipalId(row.principal_id), from_row(&row)?))).collect()
}

fn from_row(row: &Model) -> Result<Uses> {
    let seen = |ms, address: &str| {
        let address = address.parse().map_err(|_| garbled("address"))?;
        Ok::<_, Fault>(Use { at: Moment::from_unix_ms(ms), address })
    };
    Ok(Uses { first: seen(row.first_ms, &row.first_address)?, last: seen(row.last_ms, &row.last_address)? })
}
