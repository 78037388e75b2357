//! GetClientCredential: what proves a client and from where it may call, for the gateway, from the table.

use super::Operations;
use crate::grpc::convert;
use crate::store;
use beem_fault::{Fault, Result};
use beem_proto::identity::v1 as wire;

impl Operations {
    /// # Errors
    /// `not-found` for an unknown and for a deleted client alike.
    pub async fn get_client_credential(
        &self,
        asked: &wire::GetClientCredentialRequest,
    ) -> Result<wire::Credential> {
        let client_id = asked.client_id.parse().map_err(|_| Fault::not_found("client"))?;
        let found = store::clients::of_any_account(self.db.read(), client_id).await?;
        let client = found.ok_or_else(|| Fault::not_found("client"))?;
        Ok(convert::credential(&client, self.db.clock().now()))
    }
}
