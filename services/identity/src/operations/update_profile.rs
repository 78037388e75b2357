//! UpdateProfile: the caller's own names. They open nothing, so authz is not asked.

use super::change::{self, Target, Trail};
use super::{Operations, RESUMED_RUN, get_profile, request};
use crate::domain::UserPatch;
use crate::grpc::convert;
use crate::store::users;
use beem_caller::Actor;
use beem_database::Tx;
use beem_database::claims::{self, Outcome, RequestKey, fingerprint};
use beem_fault::{Fault, Result};
use beem_proto::identity::v1 as wire;
use prost::Message as _;
use serde_json::json;

/// The RPC.
const UPDATE_PROFILE: &str = "beem.identity.v1.Profiles/UpdateProfile";

impl Operations {
    /// Carries it out under the actor's request key: at most once, and every repeat gives the first answer.
    pub async fn update_profile(&self, actor: &Actor, bytes: &[u8]) -> Outcome {
        let patch = match parse(actor, bytes) {
            Ok(patch) => patch,
            Err(fault) => return Outcome { result: Err(fault), replayed: false },
        };
        let _entered = match self.let_in(UPDATE_PROFILE, Some(Target::User(actor.principal)), actor) {
            Ok(entered) => entered,
            Err(fault) => return Outcome { result: Err(fault), replayed: false },
        };
        let key = RequestKey {
            principal: actor.principal.to_string(),
            rpc: UPDATE_PROFILE.to_owned(),
            key: actor.request_key.clone(),
            fingerprint: fingerprint(UPDATE_PROFILE, bytes),
        };
        let (deadline, patch) = (beem_runtime::deadline(RESUMED_RUN), &patch);
        claims::once(&self.db, &key, deadline, |tx| Box::pin(rename(tx, actor, patch))).await
    }
}

fn parse(actor: &Actor, bytes: &[u8]) -> Result<UserPatch> {
    if actor.request_key.is_empty() {
        return Err(Fault::internal("a write came without a request key"));
    }
    super::check_size(bytes)?;
    convert::profile_patch(&request::<wire::UpdateProfileRequest>(bytes)?)
}

async fn rename(tx: &Tx<'_>, actor: &Actor, patch: &UserPatch) -> Result<Vec<u8>> {
    let before = users::get(tx, actor.account, actor.principal).await?;
    users::rename(tx, before.id, patch.first_name.as_ref(), patch.last_name.as_ref()).await?;
    let after = users::get(tx, actor.account, actor.principal).await?;
    let told = |user: &crate::domain::User| {
        Some(json!({ "firstName": user.first_name.as_str(), "lastName": user.last_name.as_str() }))
    };
    let trail = Trail::of(actor.clone(), "UpdateProfile", Target::User(before.id));
    change::record_done(tx, &trail, told(&before), told(&after)).await?;
    Ok(get_profile::of_user(actor, &after).encode_to_vec())
}
