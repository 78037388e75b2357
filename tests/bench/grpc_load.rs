//! GetClient called at identity as the gateway calls it, without the gateway: the same mutual TLS, service token and sealed
//! actor, all requests on one HTTP/2 connection as a gateway's are.

use beem_caller::{Actor, AuthenticatedBy, PrincipalKind};
use beem_clock::{Clock, Entropy, Moment};
use beem_ids::RequestId;
use beem_proto::identity::v1::GetClientRequest;
use beem_roles::{Role, RoleSet};
use beem_tests::Creds;
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::grpc::GrpcCall;
use prost::Message;
use tonic::transport::Channel;

const GET_CLIENT: &str = "/beem.identity.v1.Clients/GetClient";

/// The connection, and what it takes to speak on it.
pub struct Direct {
    keys: ClusterKeys,
    pub channel: Channel,
}

impl Direct {
    pub fn new(keys: ClusterKeys) -> Self {
        let channel = keys.channel("identity");
        Self { keys, channel }
    }

    /// A client reading itself. Good for 30 s, as its seal is, and as often as wanted.
    pub fn call(&self, client: &Creds) -> Result<GrpcCall, String> {
        let now = Clock::System.now();
        let message = GetClientRequest { id: client.id.clone() }.encode_to_vec();
        let actor = actor(client, now)?;
        let sealed = self.keys.sealer().seal(&actor, "identity", GET_CLIENT, &message, now);
        let sealed = sealed.map_err(|e| e.to_string())?;
        Ok(GrpcCall::new(GET_CLIENT, &message)
            .text(beem_caller::metadata::SERVICE_TOKEN, self.keys.identity("gateway").token_for("identity"))
            .text(beem_caller::metadata::AUDIENCE, "identity")
            .text(beem_caller::metadata::REQUEST_ID, actor.request.to_string())
            .binary(beem_caller::metadata::ACTOR, sealed.actor)
            .binary(beem_caller::metadata::ACTOR_SEAL, sealed.seal))
    }
}

fn actor(client: &Creds, now: Moment) -> Result<Actor, String> {
    Ok(Actor {
        account: client.account_id.parse().map_err(|_| "no account id")?,
        principal: client.id.parse().map_err(|_| "no principal id")?,
        kind: PrincipalKind::Client,
        authenticated_by: AuthenticatedBy::Signature,
        name: client.client_id.clone(),
        roles: [Role::ClientViewer].into_iter().collect::<RoleSet>(),
        standing_version: 1,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        request: RequestId::draw(now, &Entropy::System),
        key_fingerprint: client.key.public().fingerprint().to_string(),
        request_key: String::new(),
    })
}
