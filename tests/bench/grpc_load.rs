//! GetClient called at identity as the gateway calls it, without the gateway: the same mutual TLS, service token and sealed
//! actor, all requests on one HTTP/2 connection as a gateway's are.

use beem_caller::{Actor, AuthenticatedBy, PrincipalKind, Subject};
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

/// Calls of the gateway's own, with no actor behind them.
pub struct Internal {
    keys: ClusterKeys,
    pub identity: Channel,
    pub authz: Channel,
}

impl Internal {
    pub fn new(keys: ClusterKeys) -> Self {
        let (identity, authz) = (keys.channel("identity"), keys.channel("authz"));
        Self { keys, identity, authz }
    }

    pub fn call(&self, service: &str, path: &str, message: &[u8]) -> GrpcCall {
        let request = RequestId::draw(Clock::System.now(), &Entropy::System);
        GrpcCall::new(path, message)
            .text(beem_caller::metadata::SERVICE_TOKEN, self.keys.identity("gateway").token_for(service))
            .text(beem_caller::metadata::AUDIENCE, service)
            .text(beem_caller::metadata::REQUEST_ID, request.to_string())
    }
}

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
        let request = actor.request.to_string();
        let sealed = self.keys.sealer().seal(&Subject::Actor(actor), "identity", GET_CLIENT, &message, now);
        let sealed = sealed.map_err(|e| e.to_string())?;
        Ok(GrpcCall::new(GET_CLIENT, &message)
            .text(beem_caller::metadata::SERVICE_TOKEN, self.keys.identity("gateway").token_for("identity"))
            .text(beem_caller::metadata::AUDIENCE, "identity")
            .text(beem_caller::metadata::REQUEST_ID, request)
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
        session: None,
    })
}
