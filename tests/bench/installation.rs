//! An installation with a given number of users and clients, half of each, and the requests that are timed against it.

use crate::bulk::{Lot, Tables};
use crate::enumeration::Places;
use crate::grpc_load::Internal;
use crate::http_load::{Connection, bytes};
use beem_clock::Entropy;
use beem_proto::authz::v1::GetStandingRequest;
use beem_proto::identity::v1::GetSessionRequest;
use beem_tests::cluster_keys::ClusterKeys;
use beem_tests::grpc::GrpcCall;
use beem_tests::people::{ME, SECOND_FACTOR, SESSIONS, USERS};
use beem_tests::rig::Shape;
use beem_tests::{Caller, Client, Creds, Person, Rig, Session, Visitor};
use prost::Message;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use tokio::time::Instant;

const CLIENTS: &str = "/platform/v1/clients";

/// People who can sign in. Each is used every other round, so that their codes last.
pub const PEOPLE: usize = 14;

/// Rows of a page that is timed, and of one that is only passed on the way to the middle.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 500;

/// Kinds of ids; clients take one more for their keyids.
const BULK_USERS: u16 = 1;
const BULK_CLIENTS: u16 = 2;

/// What is timed. Cold: neither the credential nor the standing is in any cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    ListUsers,
    ListUsersMiddle,
    ListClients,
    ListClientsMiddle,
    GetUser,
    BearerWarm,
    BearerCold,
    SignedCold,
    /// Asked of identity by gRPC; of a cluster only.
    GetSession,
    /// Asked of authz by gRPC; of a cluster only.
    GetStanding,
}

impl Operation {
    pub const ALL: [Self; 10] = [
        Self::ListUsers,
        Self::ListUsersMiddle,
        Self::ListClients,
        Self::ListClientsMiddle,
        Self::GetUser,
        Self::BearerWarm,
        Self::BearerCold,
        Self::SignedCold,
        Self::GetSession,
        Self::GetStanding,
    ];

    pub const fn label(self) -> &'static str {
        match self {
            Self::ListUsers => "ListUsers, 20, first page",
            Self::ListUsersMiddle => "ListUsers, 20, in the middle",
            Self::ListClients => "ListClients, 20, first page",
            Self::ListClientsMiddle => "ListClients, 20, in the middle",
            Self::GetUser => "GetUser, any",
            Self::BearerWarm => "GET /me, one session, warm",
            Self::BearerCold => "GET /me, any session, cold",
            Self::SignedCold => "GetClient, any client, cold",
            Self::GetSession => "GetSession at identity, any",
            Self::GetStanding => "GetStanding at authz, any",
        }
    }

    pub const fn is_cold(self) -> bool {
        matches!(self, Self::BearerCold | Self::SignedCold)
    }

    const fn is_internal(self) -> bool {
        matches!(self, Self::GetSession | Self::GetStanding)
    }
}

/// See the module.
pub struct Installation {
    owner: Client,
    /// The key of all clients in bulk.
    model: Creds,
    people: Vec<Person>,
    session: Session,
    tables: Tables,
    users: usize,
    clients: usize,
    /// Of users in bulk; each is presented once.
    tokens: Vec<String>,
    presented: usize,
    signed: usize,
    signed_in: usize,
    /// Of the last first step, and where it came from.
    challenge: (Value, Visitor),
    places: Places,
    middle_of_users: String,
    middle_of_clients: String,
    connection: Connection,
    internal: Option<Internal>,
    // Last: it ends when all that speaks with it has.
    _rig: Rig,
}

impl Installation {
    /// Fills a new one: `principals` in all, and `sessions` that can be presented.
    pub async fn fill(rig: Rig, principals: usize, sessions: usize) -> Result<Self, String> {
        let owner = rig.client();
        let model = owner.new_client(&json!({ "roles": ["client:viewer"] })).await;
        let mut people = Vec::with_capacity(PEOPLE);
        while people.len() < PEOPLE {
            people.push(rig.join(&owner, &Value::Null).await);
        }
        let first = people.first().ok_or("nobody")?;
        let session = first.sign_in().await;
        // Beside the copies: the Owner and the people; the first client and the model.
        let (users, clients) =
            ((principals / 2).saturating_sub(1 + PEOPLE), (principals / 2).saturating_sub(2));
        let mut tables = Tables::open(&rig).await?;
        let lot = Lot { kind: BULK_USERS, model: &first.id, count: users };
        tables.copy_users(&lot).await?;
        tables.copy_clients(&Lot { kind: BULK_CLIENTS, model: &model.id, count: clients }).await?;
        let tokens = tables.sessions(&lot, sessions).await?;
        tables.settle().await?;
        let internal = match &rig.shape {
            Shape::Clustered(cluster) => Some(Internal::new(ClusterKeys::read(cluster.folder()))),
            Shape::Embedded(_) => None,
        };
        Ok(Self {
            middle_of_users: middle(&owner, USERS, principals / 4).await?,
            middle_of_clients: middle(&owner, CLIENTS, principals / 4).await?,
            connection: Connection::open(owner.gateway.address).await?,
            challenge: (Value::Null, rig.visitor()),
            owner,
            model,
            people,
            session,
            tables,
            users,
            clients,
            tokens,
            presented: 0,
            signed: 0,
            signed_in: 0,
            places: Places::default(),
            internal,
            _rig: rig,
        })
    }

    pub const fn serves(&self, operation: Operation) -> bool {
        self.internal.is_some() || !operation.is_internal()
    }

    /// One request of that kind; what it took, microseconds.
    pub async fn time(&mut self, operation: Operation) -> Result<f64, String> {
        let said = match operation {
            Operation::GetSession | Operation::GetStanding => self.time_call(operation).await,
            Operation::ListUsers
            | Operation::ListUsersMiddle
            | Operation::ListClients
            | Operation::ListClientsMiddle
            | Operation::GetUser
            | Operation::BearerWarm
            | Operation::BearerCold
            | Operation::SignedCold => {
                let request = self.request(operation)?;
                self.time_request(&request).await
            }
        };
        said.map(us).map_err(|e| format!("{}: {e}", operation.label()))
    }

    /// First step of signing in, microseconds: of the person whose turn it is, until [`Installation::time_second_factor`].
    pub async fn time_password(&mut self) -> Result<f64, String> {
        let person = self.people.get(self.signed_in % PEOPLE).ok_or("nobody")?;
        let visitor = self.places.next(&person.visitor);
        let request = bytes(&visitor.wire("POST", SESSIONS, &person.credentials(), None));
        let taken = self.time_request(&request).await.map_err(|e| format!("SignIn: {e}"))?;
        let challenge = self.connection.json()?.get("challenge").cloned();
        self.challenge = (challenge.unwrap_or_default(), visitor);
        Ok(us(taken))
    }

    /// Second step, after the first; then it is the next one's turn.
    pub async fn time_second_factor(&mut self) -> Result<f64, String> {
        let person = self.people.get(self.signed_in % PEOPLE).ok_or("nobody")?;
        self.signed_in += 1;
        let (challenge, visitor) = &self.challenge;
        let body = json!({ "challenge": challenge, "code": person.code() });
        let request = bytes(&visitor.wire("POST", SECOND_FACTOR, &body, None));
        self.time_request(&request).await.map(us).map_err(|e| format!("PassSecondFactor: {e}"))
    }

    fn request(&mut self, operation: Operation) -> Result<Vec<u8>, String> {
        let page = |path: &str, token: &str| format!("{path}?max={PAGE}&pageToken={token}");
        let target = match operation {
            Operation::ListUsers => format!("{USERS}?max={PAGE}"),
            Operation::ListUsersMiddle => page(USERS, &self.middle_of_users),
            Operation::ListClients => format!("{CLIENTS}?max={PAGE}"),
            Operation::ListClientsMiddle => page(CLIENTS, &self.middle_of_clients),
            Operation::GetUser => format!("{USERS}/{}", self.tables.id(BULK_USERS, any(self.users))),
            Operation::SignedCold => {
                self.signed += 1;
                let client = self.copy(self.signed % self.clients + 1);
                return Ok(signed(&client, &format!("{CLIENTS}/{}", client.creds.id)));
            }
            Operation::BearerCold => {
                let token = self.tokens.get(self.presented).ok_or("no session is left")?;
                self.presented += 1;
                let visitor = &self.session.visitor;
                return Ok(bytes(&visitor.with_token(token).wire("GET", ME, &Value::Null, None)));
            }
            Operation::BearerWarm | Operation::GetSession | Operation::GetStanding => {
                return Ok(bytes(&self.session.wire("GET", ME, &Value::Null, None)));
            }
        };
        Ok(signed(&self.owner, &target))
    }

    /// A client in bulk.
    fn copy(&self, n: usize) -> Client {
        let (id, client_id) = (self.tables.id(BULK_CLIENTS, n), self.tables.id(BULK_CLIENTS + 1, n));
        Client { creds: Creds { id, client_id, ..self.model.clone() }, gateway: self.owner.gateway.clone() }
    }

    async fn time_request(&mut self, request: &[u8]) -> Result<Duration, String> {
        let began = Instant::now();
        self.connection.exchange(request).await?;
        Ok(began.elapsed())
    }

    async fn time_call(&self, operation: Operation) -> Result<Duration, String> {
        let internal = self.internal.as_ref().ok_or("not of this shape")?;
        let (channel, call): (_, GrpcCall) = if operation == Operation::GetSession {
            let token = self.tokens.get(any(self.tokens.len()) - 1).ok_or("no session")?;
            let message = GetSessionRequest { token_hash: Sha256::digest(token.as_bytes()).to_vec() };
            let path = "/beem.identity.v1.Directory/GetSession";
            (&internal.identity, internal.call("identity", path, &message.encode_to_vec()))
        } else {
            let message = GetStandingRequest { principal_id: self.tables.id(BULK_USERS, any(self.users)) };
            let path = "/beem.authz.v1.Standings/GetStanding";
            (&internal.authz, internal.call("authz", path, &message.encode_to_vec()))
        };
        let began = Instant::now();
        call.send(channel).await.map_err(|e| e.to_string())?;
        Ok(began.elapsed())
    }
}

/// The token of a page after so many rows.
async fn middle(owner: &Client, path: &str, rows: usize) -> Result<String, String> {
    let (mut token, mut passed) = (String::new(), 0);
    while passed < rows {
        let max = LARGEST_PAGE.min(rows - passed);
        let page = owner.get(&format!("{path}?max={max}&pageToken={token}")).await.expect(200);
        page.get("nextPageToken").and_then(Value::as_str).unwrap_or_default().clone_into(&mut token);
        if token.is_empty() {
            return Err(format!("{path} ends before {rows} rows"));
        }
        passed += max;
    }
    Ok(token)
}

/// A signed GET.
fn signed(client: &Client, target: &str) -> Vec<u8> {
    bytes(&client.forge("GET", target).sign())
}

/// One of the numbers from 1 to `count`.
fn any(count: usize) -> usize {
    usize::try_from(u32::from_be_bytes(Entropy::System.bytes())).unwrap_or(0) % count.max(1) + 1
}

fn us(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e6
}
