//! CreateStanding: a new principal's first standing, under the role-held rule.

use super::{Authz, Write, granter};
use crate::domain::{self, NewStanding};
use crate::{store, wire};
use beem_database::claims::Outcome;
use beem_ids::PrincipalId;
use prost::Message as _;

pub(crate) async fn create_standing(
    authz: &Authz,
    write: &Write,
    new: NewStanding,
    actor: Option<PrincipalId>,
) -> Outcome {
    let work = authz.once_on(write, new.principal, |tx| {
        Box::pin(async move {
            let policy = store::lock_account(tx, new.account).await?;
            let granter = granter(tx, new.account, actor).await?;
            let standing = domain::create(&new, &granter, policy)?;
            store::insert(tx, &standing).await?;
            Ok(wire::standing(&standing).encode_to_vec())
        })
    });
    work.await
}
