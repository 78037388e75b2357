//! PassSecondFactor: the code, and with it a session. Only whoever passed both steps learns that a user is disabled.

use super::change::{self, Target, Trail};
use super::people::{Proof, bucket, hidden, invalid, overtaken};
use super::{Operations, sign_in};
use crate::domain::attempts::Pace;
use crate::domain::{MOST_SESSIONS, Place, Session, Token, TokenHash, User};
use crate::grpc::convert;
use crate::store::credentials::{self, Secrets};
use crate::store::{attempts, challenges, places, sessions, users};
use beem_caller::Visitor;
use beem_clock::Moment;
use beem_database::Tx;
use beem_fault::{Code, Fault, Result};
use beem_ids::SessionId;
use beem_proto::identity::v1 as wire;
use beem_proto::to_timestamp;

/// Whose challenge it is, as of before the code is judged.
struct Tried {
    user: User,
    secrets: Secrets,
    /// Whether the user has signed in from here lately.
    known: bool,
}

/// What is to become a session.
struct Entry<'a> {
    challenge: TokenHash,
    tried: &'a Tried,
    proof: Proof,
    /// The user's version when its standing was asked for.
    version: i64,
    visitor: &'a Visitor,
    place: Place,
}

impl Operations {
    /// # Errors
    /// `validation-failed` for what is no code; `rate-limited`; `credentials-invalid` for an unknown challenge, a wrong code
    /// and a network that is not the user's; `principal-disabled`.
    pub async fn pass_second_factor(
        &self,
        visitor: &Visitor,
        asked: &wire::PassSecondFactorRequest,
    ) -> Result<wire::PassSecondFactorResponse> {
        let (challenge, code) = convert::second_factor(asked)?;
        let place = Place::of(visitor.address);
        let hash = &challenge;
        let tried = self.db.write(|tx| Box::pin(count(tx, hash, place))).await?;
        let tried = tried.ok_or_else(invalid)?;
        let now = self.db.clock().now();
        let proof = self.means.judge_code(self.db.read(), &tried.secrets, code, now).await?;
        let proof = proof.ok_or_else(invalid)?;
        if !tried.user.network.allows(visitor.address) {
            return Err(invalid());
        }
        self.make_room(&tried.user).await?;
        let version = credentials::of(self.db.read(), tried.user.id).await?.ok_or_else(invalid)?;
        let version = version.credential_version;
        let standing = self.means.authz.standing(tried.user.account, tried.user.id).await.map_err(hidden)?;
        if !standing.enabled {
            return Err(Fault::new(Code::PrincipalDisabled, "the user is disabled"));
        }
        let entry = &Entry { challenge, tried: &tried, proof, version, visitor, place };
        let (token, expires) = self.db.write(|tx| Box::pin(self.enter(tx, entry))).await?;
        Ok(wire::PassSecondFactorResponse {
            session_token: token.expose().to_owned(),
            expires_at: Some(to_timestamp(expires.unix_ms())),
        })
    }

    /// The oldest sessions end where there are as many as may be.
    async fn make_room(&self, user: &User) -> Result<()> {
        let (life, now) = (self.means.life, self.db.clock().now());
        let live = sessions::of_user(self.db.read(), user.id, life, now).await?;
        let oldest: &Vec<SessionId> = &live.into_iter().skip(MOST_SESSIONS.saturating_sub(1)).collect();
        if oldest.is_empty() {
            return Ok(());
        }
        let end = async |tx: &Tx<'_>| {
            for id in oldest {
                sessions::end(tx, user.id, *id).await?;
            }
            Ok(())
        };
        self.ending_sessions(user, |tx| Box::pin(end(tx))).await
    }

    /// Challenge and code are used up, and there is a session, or neither.
    async fn enter(&self, tx: &Tx<'_>, entry: &Entry<'_>) -> Result<(Token, Moment)> {
        let Entry { challenge, tried: Tried { user, known, .. }, proof, version, visitor, place } = entry;
        let secrets = credentials::locked(tx, user.id).await?.ok_or_else(invalid)?;
        if secrets.credential_version != *version {
            // Disabling it, for one, has just ended its sessions: this one would be left.
            return Err(overtaken());
        }
        if !challenges::consume(tx, challenge).await? || !proof.consume(tx, user.id).await? {
            return Err(invalid());
        }
        let now = tx.now();
        let session = Session {
            id: SessionId::draw(now, tx.entropy()),
            user: user.id,
            account: user.account,
            created: now,
            expires: now.plus_ms(self.means.life.longest_ms),
            used: now,
            address: visitor.address,
            user_agent: visitor.user_agent.clone(),
        };
        let token = sessions::insert(tx, &session).await?;
        sign_in::was_right(tx, user, *place, *known).await?;
        credentials::signed_in(tx, user.id, visitor.address).await?;
        let trail =
            Trail::of_visitor(user, (*visitor).clone(), "SignIn", Target::Session(session.id, user.id));
        change::record_done(tx, &trail, None, None).await?;
        Ok((token, session.expires))
    }
}

/// Counts the code before it is judged, against the challenge and the user.
async fn count(tx: &Tx<'_>, challenge: &TokenHash, place: Place) -> Result<Option<Tried>> {
    let Some(id) = challenges::try_once(tx, challenge).await? else { return Ok(None) };
    let (user, secrets) = (users::of_any_account(tx, id).await?, credentials::of(tx, id).await?);
    let (Some(user), Some(secrets)) = (user, secrets) else { return Ok(None) };
    let known = places::is_known(tx, id, place, tx.now()).await?;
    let bucket = bucket::second_factor(id, known.then_some(place));
    attempts::reserve(tx, bucket, Pace::SECOND_FACTOR).await?;
    Ok(Some(Tried { user, secrets, known }))
}
