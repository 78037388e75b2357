//! A person's way in: the token of a session, then what everybody is judged by. Whatever is wrong with a token, the
//! answer is one and the same: it tells neither what is wrong nor whether there ever was such a session.

use super::admission::living;
use super::{Attempt, Authenticator, Counted, Denied, sent_key};
use crate::sessions::{Held, Session, TokenHash};
use crate::standings::Standing;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use beem_caller::{Actor, AuthenticatedBy, PrincipalKind};
use beem_fault::{Code, Fault};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// Bytes of a token before they became base64url.
const TOKEN_BYTES: usize = 32;

/// A session that holds, with the standing it was judged by.
struct Proven {
    held: Held,
    standing: Standing,
}

impl Authenticator {
    pub(super) async fn by_session(
        &self,
        attempt: &Attempt<'_>,
        counted: &mut Counted,
    ) -> Result<Actor, Denied> {
        let token = presented(attempt.request.headers).ok_or_else(invalid)?;
        let held = self.sessions.get(token).await?.ok_or_else(invalid)?;
        let Proven { held, standing } = self.prove_session(attempt, token, held).await?;
        self.sessions.keep(token, &held, standing.credential_version).await;
        let mut actor = actor(attempt, &held.session, &standing);
        self.admit(attempt, &actor, &standing, &held.session.whitelist, counted).await?;
        if attempt.write {
            let sent = sent_key(attempt.request.headers).map_err(|fault| Denied::of(&actor, fault))?;
            actor.request_key = sent.unwrap_or_else(|| format!("d:{}", attempt.id));
        }
        Ok(actor)
    }

    /// After a request that may have ended its own session: whoever signed out is signed out here at once, and elsewhere as
    /// soon as the standing says so.
    pub async fn forget_session(&self, headers: &HeaderMap) {
        if let Some(token) = presented(headers) {
            self.sessions.forget(token).await;
        }
    }

    /// Reads again what was kept and may have changed: a session older than the standing, which may have ended since, and
    /// one past its time, which may have been used at another gateway.
    async fn prove_session(
        &self,
        attempt: &Attempt<'_>,
        token: TokenHash,
        mut held: Held,
    ) -> Result<Proven, Fault> {
        let principal = held.session.principal;
        let mut standing = living(self.standings.read(principal).await?, invalid)?;
        let older = |held: &Held, standing: &Standing| held.session.version < standing.credential_version;
        if !held.just_read && (older(&held, &standing) || held.session.is_over(attempt.now)) {
            held = self.sessions.read(token).await?.ok_or_else(invalid)?;
        }
        if attempt.fresh {
            standing = living(self.standings.fresh(principal).await?, invalid)?;
            // Read before this standing was asked for, so it may be what the standing's change has ended.
            if older(&held, &standing) {
                held = self.sessions.read(token).await?.ok_or_else(invalid)?;
            }
        }
        if held.session.is_over(attempt.now) || held.session.principal != principal {
            return Err(invalid());
        }
        Ok(Proven { held, standing })
    }
}

/// The hash of the one bearer token of these headers (RFC 6750, 2.1). The token itself goes no further than here.
fn presented(headers: &HeaderMap) -> Option<TokenHash> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (sent.next()?.to_str().ok()?, sent.next()) else { return None };
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim_matches(' ');
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let whole = scheme.eq_ignore_ascii_case("bearer") && bytes.len() == TOKEN_BYTES;
    whole.then(|| Sha256::digest(token).into())
}

/// Without a request key, which only what is let in gets.
fn actor(attempt: &Attempt<'_>, session: &Session, standing: &Standing) -> Actor {
    Actor {
        account: session.account,
        principal: session.principal,
        kind: PrincipalKind::User,
        authenticated_by: AuthenticatedBy::Session,
        name: session.name.clone(),
        roles: standing.roles,
        standing_version: standing.version,
        address: attempt.address,
        request: attempt.id,
        key_fingerprint: String::new(),
        request_key: String::new(),
        session: Some(session.id),
    }
}

fn invalid() -> Fault {
    Fault::new(Code::SessionInvalid, "the session is not known here, or it has ended: sign in")
}
