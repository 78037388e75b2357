//! PassSecondFactor: the code, and with it a session. Only whoever passed both steps learns that a user is disabled.

use super::change::{self, Target, Trail};
use super::people::{self, Proof, bucket, hidden, invalid, overtaken};
use super::{Operations, sign_in};
use crate::domain::{MOST_SESSIONS, Place, Session, Token, TokenHash, User};
use crate::grpc::convert;
use crate::store::attempts::{self, Bucket, Counted};
use crate::store::challenges::{self, Challenge};
use crate::store::credentials::{self, Secrets};
use crate::store::{places, sessions, users};
use beem_caller::Visitor;
use beem_clock::Moment;
use beem_database::Tx;
use beem_fault::{Code, Fault, Result};
use beem_ids::SessionId;
use beem_proto::identity::v1 as wire;
use beem_proto::to_timestamp;

/// Whose challenge it is, as of before the code is judged.
struct Tried {
    challenge: Challenge,
    user: User,
    secrets: Secrets,
    /// Whether the user has signed in from here lately.
    known: bool,
    counted: Counted,
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
        let tried = self.tried(&challenge, place).await?;
        let now = self.db.clock().now();
        let proof = self.means.judge_code(self.db.read(), &tried.secrets, code, now).await?;
        let proof = proof.ok_or_else(invalid)?;
        if !tried.user.network.allows(visitor.address) {
            return Err(invalid());
        }
        let user = &tried.user;
        let version = credentials::of(self.db.read(), user.id).await?.ok_or_else(invalid)?.credential_version;
        let standing = self.means.authz.standing(user.account, user.id).await.map_err(hidden)?;
        if !standing.enabled {
            let disabled = Fault::new(Code::PrincipalDisabled, "the user is disabled");
            let trail = Trail::of_visitor(user, visitor.clone(), "SignIn", Target::User(user.id));
            people::record_failed(&self.db, &trail, &disabled).await?;
            return Err(disabled);
        }
        let entry = &Entry { challenge, tried: &tried, proof, version, visitor, place };
        let entered = match self.db.write(|tx| Box::pin(self.enter(tx, entry, false))).await? {
            Some(entered) => Some(entered),
            // The oldest ends for it, and the version that this takes is raised first.
            None => self.ending_sessions(user, |tx| Box::pin(self.enter(tx, entry, true))).await?,
        };
        let (token, expires) = entered.ok_or_else(overtaken)?;
        Ok(wire::PassSecondFactorResponse {
            session_token: token.expose().to_owned(),
            expires_at: Some(to_timestamp(expires.unix_ms())),
        })
    }

    /// Counts the code before it is judged, against the challenge and the user. What is made up, or too early, is found by
    /// reading alone.
    async fn tried(&self, hash: &TokenHash, place: Place) -> Result<Tried> {
        let (on, now) = (self.db.read(), self.db.clock().now());
        let challenge = challenges::find(on, hash, now).await?.ok_or_else(invalid)?;
        let known = places::is_known(on, challenge.user, place, now).await?;
        let bucket = bucket::second_factor(challenge.user, known.then_some(place));
        attempts::check(on, bucket, now).await?;
        let user = users::of_any_account(on, challenge.user).await?.ok_or_else(invalid)?;
        let counted = self.db.write(|tx| Box::pin(count(tx, hash, bucket))).await?;
        let (secrets, counted) = counted.ok_or_else(invalid)?;
        Ok(Tried { challenge, user, secrets, known, counted })
    }

    /// Ends the oldest sessions, so that there is room for one more; false when there are too many and they are not to end.
    async fn make_room(&self, tx: &Tx<'_>, user: &User, end: bool) -> Result<bool> {
        let live = sessions::of_user(tx, user.id, self.means.life, tx.now()).await?;
        let mut oldest = live.into_iter().skip(MOST_SESSIONS.saturating_sub(1)).peekable();
        if oldest.peek().is_some() && !end {
            return Ok(false);
        }
        for id in oldest {
            sessions::end(tx, user.id, id).await?;
        }
        Ok(true)
    }

    /// Challenge and code are used up, and there is a session, or neither. None when there is no room for it.
    async fn enter(
        &self,
        tx: &Tx<'_>,
        entry: &Entry<'_>,
        end_oldest: bool,
    ) -> Result<Option<(Token, Moment)>> {
        let Entry { challenge, tried, proof, version, visitor, place } = entry;
        let user = &tried.user;
        let secrets = credentials::locked(tx, user.id).await?.ok_or_else(invalid)?;
        if secrets.credential_version != *version {
            // Disabling it, for one, has just ended its sessions: this one would be left.
            return Err(overtaken());
        }
        if !self.make_room(tx, user, end_oldest).await? {
            return Ok(None);
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
            ended: None,
        };
        let token = sessions::insert(tx, &session).await?;
        sign_in::was_right(tx, user, &tried.challenge).await?;
        match tried.known {
            true => attempts::forget(tx, bucket::second_factor(user.id, Some(*place)).key).await?,
            false => attempts::undo(tx, &tried.counted).await?,
        }
        places::remember(tx, user.id, *place).await?;
        credentials::signed_in(tx, user.id, visitor.address).await?;
        let trail =
            Trail::of_visitor(user, (*visitor).clone(), "SignIn", Target::Session(session.id, user.id));
        change::record_done(tx, &trail, None, None).await?;
        Ok(Some((token, session.expires)))
    }
}

async fn count(tx: &Tx<'_>, hash: &TokenHash, bucket: Bucket) -> Result<Option<(Secrets, Counted)>> {
    let Some(challenge) = challenges::try_once(tx, hash).await? else { return Ok(None) };
    let Some(secrets) = credentials::of(tx, challenge.user).await? else { return Ok(None) };
    Ok(Some((secrets, attempts::reserve(tx, bucket).await?)))
}
