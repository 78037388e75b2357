//! What proves a person: sessions by the hash of their token, from identity, kept in process. A kept one is used only
//! while the standing announces no change since (`credential_version`), so that an ended session and a narrowed network
//! hold as soon as the standing says so. Tokens themselves are never kept.

use beem_clock::Moment;
use beem_fault::{Code, Fault};
use beem_ids::{AccountId, PrincipalId, SessionId};
use beem_link::Link;
use beem_proto::from_timestamp;
use beem_proto::identity::v1::directory_client::DirectoryClient;
use beem_proto::identity::v1::{GetSessionRequest, SessionCredential as Wire};
use beem_whitelist::Whitelist;
use moka::future::Cache;
use std::sync::Arc;
use std::time::Duration;

/// SHA-256 of a token's text.
pub type TokenHash = [u8; 32];

/// A session as the gateway judges it.
#[derive(Debug)]
pub struct Session {
    pub id: SessionId,
    pub principal: PrincipalId,
    pub account: AccountId,
    /// The user's e-mail address.
    pub name: String,
    pub whitelist: Whitelist,
    /// The standing's `credential_version` this was read at.
    pub version: u64,
    pub expires_at: Moment,
    /// As known when this was read: uses since then have moved it on.
    pub idle_until: Moment,
}

impl Session {
    /// Whether its time is over, as far as this reading of it tells.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        now >= self.expires_at || now >= self.idle_until
    }
}

/// A session, and whether it was just read from identity.
#[derive(Clone, Debug)]
pub struct Held {
    pub session: Arc<Session>,
    pub just_read: bool,
}

/// Reads sessions and keeps them. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    directory: DirectoryClient<Link>,
    kept: Cache<TokenHash, Arc<Session>>,
    /// Tokens that nobody has. A new session's is known to nobody before it exists, so this keeps out guesses only.
    unknown: Cache<TokenHash, ()>,
}

/// For how long, and how many.
const UNKNOWN_KEPT: Duration = Duration::from_secs(1);
const UNKNOWN_MAX: u64 = 10_000;

impl Sessions {
    #[must_use]
    pub fn new(identity: Link, kept: u32, kept_s: u32) -> Self {
        let kept = Cache::builder()
            .max_capacity(u64::from(kept))
            .time_to_live(Duration::from_secs(u64::from(kept_s)))
            .build();
        let unknown = Cache::builder().max_capacity(UNKNOWN_MAX).time_to_live(UNKNOWN_KEPT).build();
        Self { directory: DirectoryClient::new(identity), kept, unknown }
    }

    /// The kept session, or the one identity has. None: no such session, or it has ended.
    ///
    /// # Errors
    /// `unavailable` and `deadline` when identity cannot be asked.
    pub async fn get(&self, token: TokenHash) -> Result<Option<Held>, Fault> {
        match self.kept.get(&token).await {
            Some(session) => Ok(Some(Held { session, just_read: false })),
            None if self.unknown.contains_key(&token) => Ok(None),
            None => self.read(token).await,
        }
    }

    /// The one identity has now.
    ///
    /// # Errors
    /// As [`Sessions::get`].
    pub async fn read(&self, token: TokenHash) -> Result<Option<Held>, Fault> {
        let request = GetSessionRequest { token_hash: token.to_vec() };
        match self.directory.clone().get_session(request).await.map_err(Fault::from) {
            Ok(answer) => {
                let session = Arc::new(parse(&answer.into_inner())?);
                Ok(Some(Held { session, just_read: true }))
            }
            Err(fault) if fault.code == Code::NotFound => {
                self.kept.invalidate(&token).await;
                self.unknown.insert(token, ()).await;
                Ok(None)
            }
            Err(fault) => Err(crate::forward::ours(fault)),
        }
    }

    /// Whatever is kept of a token is read again at its next use.
    pub async fn forget(&self, token: TokenHash) {
        self.kept.invalidate(&token).await;
    }

    /// Keeps a session that was just read, unless the standing already announces a newer state: then it may be about to end.
    pub async fn keep(&self, token: TokenHash, held: &Held, credential_version: u64) {
        if held.just_read && held.session.version >= credential_version {
            self.kept.insert(token, Arc::clone(&held.session)).await;
        }
    }
}

fn parse(wire: &Wire) -> Result<Session, Fault> {
    let bad = |what: &'static str| Fault::internal(format!("identity sent a session with a bad {what}"));
    // A session without an end is no session: an absent time is a bug of ours, and never "for ever".
    let time = |at: &Option<prost_types::Timestamp>| {
        at.as_ref().map(|t| Moment::from_unix_ms(from_timestamp(t))).ok_or_else(|| bad("time"))
    };
    Ok(Session {
        id: wire.session_id.parse().map_err(|_| bad("id"))?,
        principal: wire.principal_id.parse().map_err(|_| bad("principal"))?,
        account: wire.account_id.parse().map_err(|_| bad("account"))?,
        name: wire.name.clone(),
        whitelist: Whitelist::parse(&wire.network_whitelist).map_err(|_| bad("network list"))?,
        version: wire.version,
        expires_at: time(&wire.expires_at)?,
        idle_until: time(&wire.idle_until)?,
    })
}
