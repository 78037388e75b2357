//! A client as its readers see it: identity's row, authz's standing, and its uses, put together.

use crate::domain::Client;
use crate::grpc::convert;
use crate::peers::{Authz, Standing};
use crate::store;
use crate::store::uses::Uses;
use beem_clock::Moment;
use beem_fault::{Fault, Result};
use beem_ids::{AccountId, PrincipalId};
use beem_proto::identity::v1 as wire;
use sea_orm::ConnectionTrait;

/// Everything an answer about a client is made of.
#[derive(Clone, Copy, Debug)]
pub struct ClientView<'a> {
    pub client: &'a Client,
    pub standing: &'a Standing,
    pub uses: Option<&'a Uses>,
    /// When it is looked at: a key may have retired by then.
    pub now: Moment,
}

/// One client's answer, its standing known.
///
/// # Errors
/// As the database says.
pub async fn answer(
    on: &impl ConnectionTrait,
    client: &Client,
    standing: &Standing,
    now: Moment,
) -> Result<wire::Client> {
    let uses = store::uses::of(on, &[client.id]).await?;
    Ok(convert::client(&ClientView { client, standing, uses: uses.get(&client.id), now }))
}

/// The answers of several clients of one account, with one call to authz.
///
/// # Errors
/// `unavailable` or `deadline` when authz or the database is away.
pub async fn answers(
    on: &impl ConnectionTrait,
    authz: &Authz,
    account: AccountId,
    clients: &[Client],
    now: Moment,
) -> Result<Vec<wire::Client>> {
    let ids: Vec<PrincipalId> = clients.iter().map(|c| c.id).collect();
    let standings = authz.standings(account, &ids).await?;
    let uses = store::uses::of(on, &ids).await?;
    let view = |client: &Client| {
        let standing = standings.get(&client.id);
        let standing = standing.ok_or_else(|| Fault::internal("a client without a standing"))?;
        Ok(convert::client(&ClientView { client, standing, uses: uses.get(&client.id), now }))
    };
    clients.iter().map(view).collect()
}
