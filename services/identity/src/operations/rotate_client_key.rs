//! RotateClientKey: authz judges who gives whom a key and draws the new version, so that gateways no longer trust the key
//! they remember; then identity puts the new key in place, with its event, audit row and answer.

use super::change::{self, Target, Trail};
use super::{Means, request, view};
use crate::domain::{Client, Principal as _, Rotation, judge_rotation};
use crate::grpc::convert;
use crate::peers;
use crate::store;
use beem_caller::Actor;
use beem_database::sagas::{Saga, SagaRun};
use beem_events::{NewEvent, append};
use beem_fault::{Fault, Result};
use beem_ids::PrincipalId;
use beem_proto::authz::v1::PrepareChangeRequest;
use beem_proto::identity::v1 as wire;
use futures::future::BoxFuture;
use prost::Message as _;

/// The RPC.
pub const ROTATE_CLIENT_KEY: &str = "beem.identity.v1.Clients/RotateClientKey";

/// The event, named as BEEM names its own.
const KEY_ROTATED: &str = "layer1:identity:client:key-rotated";

/// Whose key becomes which.
///
/// # Errors
/// `validation-failed` naming the fields; `not-found` for what is no id.
pub fn parse(payload: &[u8]) -> Result<(PrincipalId, Rotation)> {
    let asked: wire::RotateClientKeyRequest = request(payload)?;
    Ok((convert::client_id(&asked.id)?, convert::rotation(&asked)?))
}

/// The saga.
pub struct RotateClientKey(pub Means);

impl Saga for RotateClientKey {
    fn rpc(&self) -> &'static str {
        ROTATE_CLIENT_KEY
    }

    fn waits(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, run: &'a SagaRun) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let actor = change::actor(run)?;
            let (id, rotation) = &parse(run.payload())?;
            let id = *id;
            let trail = Trail::of(actor.clone(), "RotateClientKey", Target::Client(id));
            change::carry_out(run, &trail, self.rotate(run, &trail, &actor, id, rotation)).await
        })
    }
}

impl RotateClientKey {
    async fn rotate(
        &self,
        run: &SagaRun,
        trail: &Trail,
        actor: &Actor,
        id: PrincipalId,
        rotation: &Rotation,
    ) -> Result<Vec<u8>> {
        let judge = |client: &Client| judge_rotation(client, rotation);
        change::begin_on(run, actor.account, id, self.0.change_patience, judge).await?;
        let before = self.0.record_before::<Client>(run, actor.account, id).await?;
        let change = PrepareChangeRequest {
            effect_key: run.effect_key("prepare"),
            account_id: actor.account.to_string(),
            principal_id: id.to_string(),
            actor_principal_id: actor.principal.to_string(),
            rekey: true,
            ..PrepareChangeRequest::default()
        };
        let standing = &peers::decode(&run.step("prepare", || self.0.authz.prepare_change(change)).await?)?;
        run.finish(|tx| {
            let before = before.clone();
            Box::pin(async move {
                let client = store::clients::get(tx, actor.account, id).await?;
                let client = client.rotated(rotation, standing.credential_version, tx.now());
                store::clients::change(tx, &client, run.id()).await?;
                let answer = view::answer(tx, &client, standing, tx.now()).await?;
                let after = client.record(standing.roles, standing.enabled);
                change::end_done(tx, run, trail, Some(before), Some(after)).await?;
                let event = NewEvent {
                    account_id: actor.account,
                    event: KEY_ROTATED.to_owned(),
                    source: "identity".to_owned(),
                    entity_id: id.to_string(),
                    data: self.0.json.of(&answer).map_err(Fault::internal)?,
                };
                append(tx, event).await?;
                Ok(answer.encode_to_vec())
            })
        })
        .await
    }
}
