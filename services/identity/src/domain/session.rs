//! A signed-in session: whose it is, since when, and until when it is good.

use beem_clock::Moment;
use beem_ids::{AccountId, PrincipalId, SessionId};
use std::net::IpAddr;

/// Sessions of a user that are good at the same time, at most: the oldest end.
pub const MOST_SESSIONS: usize = 50;

/// A session, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user: PrincipalId,
    pub account: AccountId,
    pub created: Moment,
    /// Whatever happens.
    pub expires: Moment,
    /// Last, as far as it was noted.
    pub used: Moment,
    /// From where it was last used.
    pub address: IpAddr,
    pub user_agent: String,
    /// When it was ended, by whatever but time.
    pub ended: Option<Moment>,
}

impl Session {
    /// Whether nothing can make it good again. One that was idle for too long is not: a use of it may yet be reported.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        self.ended.is_some() || self.expires <= now
    }
}

/// How long sessions are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLife {
    /// After the sign-in.
    pub longest_ms: i64,
    /// After the last use.
    pub idle_ms: i64,
}
