//! SignIn: the password. Whoever has the address, one computation judges it, and as many rows are written: a challenge
//! alone tells the right password from a wrong one.

use super::people::{self, bucket, invalid};
use super::{Operations, check_size};
use crate::domain::{Place, User};
use crate::grpc::convert;
use crate::passwords::{Line, PasswordHash, Salt};
use crate::store::attempts;
use crate::store::challenges::{self, Challenge};
use crate::store::credentials::{self, Secrets};
use crate::store::{places, users};
use beem_caller::Visitor;
use beem_database::Tx;
use beem_fault::{Fault, Result};
use beem_proto::identity::v1 as wire;
use prost::Message as _;

impl Operations {
    /// # Errors
    /// `validation-failed` for what no sign-in looks like, and, after the right password, naming `accountId` when it does
    /// not say whose; `rate-limited`; `credentials-invalid` for all that is wrong.
    pub async fn sign_in(
        &self,
        visitor: &Visitor,
        asked: &wire::SignInRequest,
    ) -> Result<wire::SignInResponse> {
        check_size(&asked.encode_to_vec())?;
        let asked = convert::sign_in(asked)?;
        let (folded, from, now) = (&asked.email.folded(), visitor.address, self.db.clock().now());
        let known = places::is_known_to_address(self.db.read(), folded, Place::of(from), now).await?;
        let counted = people::counted(&self.db, &bucket::sign_in(folded, from, known)).await?;
        let secrets = credentials::of_address(self.db.read(), folded).await?;
        let hashes = match self.hashes(folded, &secrets, &asked.password).await {
            Ok(hashes) => hashes,
            Err(fault) => {
                // It was not judged.
                people::undo(&self.db, &counted).await?;
                return Err(fault);
            }
        };
        let users = users::of_address(self.db.read(), folded).await?;
        let fits = |user: &&User| {
            let secret = secrets.iter().find(|secret| secret.user == user.id);
            secret.is_some_and(|secret| any_is(&hashes, secret))
                && user.network.allows(from)
                && asked.account.is_none_or(|account| account == user.account)
        };
        let mut fitting = users.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(invalid()),
            (Some(user), None) => {
                let (hashes, right) = (&hashes, &Challenge { user: user.id, address: from, known });
                let challenge = self.db.write(|tx| Box::pin(challenge(tx, right, hashes))).await?;
                Ok(wire::SignInResponse { challenge })
            }
            (Some(_), Some(_)) => {
                Err(Fault::field("accountId", "say which: the address is that of users of several accounts"))
            }
        }
    }

    /// The password under every salt there is for the address: one, whoever has it, but for users of several accounts who
    /// came to two.
    async fn hashes(&self, folded: &str, secrets: &[Secrets], password: &str) -> Result<Vec<PasswordHash>> {
        let mut salts: Vec<Salt> = secrets.iter().filter_map(|s| Salt::of(&s.password_hash)).collect();
        salts.sort_unstable();
        salts.dedup();
        if salts.is_empty() {
            salts.push(Salt::of_nobody(&self.means.sealing, folded));
        }
        let mut hashes = Vec::with_capacity(salts.len());
        for salt in salts {
            hashes.push(self.means.passwords.hash(Line::SignIn, salt, password).await?);
        }
        Ok(hashes)
    }
}

fn any_is(hashes: &[PasswordHash], secrets: &Secrets) -> bool {
    hashes.iter().any(|hash| hash.is(&secrets.password_hash))
}

/// For the user as it is now: the password may have been changed while it was judged.
async fn challenge(tx: &Tx<'_>, right: &Challenge, hashes: &[PasswordHash]) -> Result<String> {
    let secrets = credentials::locked(tx, right.user).await?;
    if !secrets.is_some_and(|secrets| any_is(hashes, &secrets)) {
        return Err(invalid());
    }
    challenges::issue(tx, right).await.map(|token| token.expose().to_owned())
}

/// The sign-in that began with this challenge was right: what was counted for it is not any more. Others' tries are, and
/// whoever waits because of them goes on waiting.
///
/// # Errors
/// As the database says.
pub async fn was_right(tx: &Tx<'_>, user: &User, challenge: &Challenge) -> Result<()> {
    for bucket in bucket::sign_in(&user.email.folded(), challenge.address, challenge.known) {
        if challenge.known {
            attempts::forget(tx, bucket.key).await?;
        } else {
            attempts::give_back(tx, bucket.key).await?;
        }
    }
    Ok(())
}
