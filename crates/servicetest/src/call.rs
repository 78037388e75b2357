//! One call, sealed as the gateway seals it, and what came back.

use crate::SEAL;
use beem_caller::{Actor, AuthenticatedBy, PrincipalKind, Sealer, Subject, metadata};
use beem_clock::{Clock, Entropy, Moment};
use beem_fault::Fault;
use beem_ids::{AccountId, PrincipalId, RequestId};
use beem_link::Link;
use beem_roles::RoleSet;
use http::uri::PathAndQuery;
use prost::Message;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status, Streaming};

/// An answer, and whether it was an earlier one.
#[derive(Clone, Debug)]
pub struct Answer<A> {
    pub body: A,
    pub replayed: bool,
}

/// A refusal, and whether it was an earlier one.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub fault: Fault,
    pub replayed: bool,
}

pub type Reply<A> = Result<Answer<A>, Refusal>;

impl Refusal {
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.fault.code.as_str()
    }

    /// The fields it names.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        self.fault.fields.iter().map(|f| f.field.as_str()).collect()
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let replayed = status.metadata().get(metadata::REPLAYED).is_some();
        Self { fault: status.into(), replayed }
    }
}

/// A client of a new account with every role, as the gateway proved it.
#[must_use]
pub fn actor(clock: &Clock, entropy: &Entropy) -> Actor {
    let now = clock.now();
    Actor {
        account: AccountId::draw(now, entropy),
        principal: PrincipalId::draw(now, entropy),
        kind: PrincipalKind::Client,
        authenticated_by: AuthenticatedBy::Signature,
        name: "a client".into(),
        roles: RoleSet::ALL,
        standing_version: 1,
        address: Ipv4Addr::new(203, 0, 113, 9).into(),
        request: RequestId::draw(now, entropy),
        key_fingerprint: "ab".repeat(32),
        request_key: String::new(),
        session: None,
    }
}

/// The request of somebody outside, sealed as the gateway seals it.
pub fn sealed<Q: Message>(
    audience: &str,
    subject: &Subject,
    method: &str,
    asked: Q,
    now: Moment,
) -> Request<Q> {
    let sealer = Sealer::new(BTreeMap::from([(audience.to_owned(), SEAL)]));
    let sealed = sealer.seal(subject, audience, method, &asked.encode_to_vec(), now).unwrap();
    let mut request = Request::new(asked);
    let bin = request.metadata_mut();
    bin.insert_bin(metadata::ACTOR, MetadataValue::from_bytes(&sealed.actor));
    bin.insert_bin(metadata::ACTOR_SEAL, MetadataValue::from_bytes(&sealed.seal));
    request
}

/// Calls.
///
/// # Errors
/// What was refused.
pub async fn unary<Q, A>(link: Link, method: &'static str, request: Request<Q>) -> Reply<A>
where
    Q: Message + Clone + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = tonic::client::Grpc::new(link);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    let answer = grpc.unary(request, PathAndQuery::from_static(method), codec).await?;
    let replayed = answer.metadata().get(metadata::REPLAYED).is_some();
    Ok(Answer { body: answer.into_inner(), replayed })
}

/// The same for a stream of answers.
///
/// # Errors
/// What was refused before the first of them.
pub async fn stream<Q, A>(
    link: Link,
    method: &'static str,
    request: Request<Q>,
) -> Result<Streaming<A>, Refusal>
where
    Q: Message + Clone + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = tonic::client::Grpc::new(link);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    let answer = grpc.server_streaming(request, PathAndQuery::from_static(method), codec).await?;
    Ok(answer.into_inner())
}
