//! SignIn: the password. Whoever has the address, one computation judges it, and as many rows are written: a challenge
//! alone tells the right password from a wrong one.

use super::people::{bucket, invalid};
use super::{Operations, check_size};
use crate::domain::attempts::Pace;
use crate::domain::{Place, User};
use crate::grpc::convert;
use crate::passwords::PasswordHash;
use crate::store::attempts::{self, BucketKey};
use crate::store::{challenges, credentials, places, users};
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
        let (folded, place) = (&asked.email.folded(), Place::of(visitor.address));
        let counted = &self.db.write(|tx| Box::pin(count(tx, folded, place))).await?;
        let hash = match self.means.passwords.hash(folded, &asked.password).await {
            Ok(hash) => hash,
            Err(fault) => {
                // It was not judged.
                self.db.write(|tx| Box::pin(give_back(tx, *counted))).await?;
                return Err(fault);
            }
        };
        let known = users::of_address(self.db.read(), folded).await?;
        let secrets = credentials::of_address(self.db.read(), folded).await?;
        let fits = |user: &&User| {
            let secret = secrets.iter().find(|secret| secret.user == user.id);
            secret.is_some_and(|secret| hash.is(&secret.password_hash))
                && user.network.allows(visitor.address)
                && asked.account.is_none_or(|account| account == user.account)
        };
        let mut fitting = known.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(invalid()),
            (Some(user), None) => {
                let hash = &hash;
                let challenge = self.db.write(|tx| Box::pin(challenge(tx, user, hash))).await?;
                Ok(wire::SignInResponse { challenge })
            }
            (Some(_), Some(_)) => {
                Err(Fault::field("accountId", "say which: the address is that of users of several accounts"))
            }
        }
    }
}

/// Counts the try before it is judged: from this place, and with this address.
async fn count(tx: &Tx<'_>, folded: &str, place: Place) -> Result<[BucketKey; 2]> {
    let known = places::is_known_to_address(tx, folded, place, tx.now()).await?;
    let (from, with) = (bucket::address(place), bucket::sign_in(folded, known.then_some(place)));
    attempts::reserve(tx, from, Pace::ADDRESS).await?;
    attempts::reserve(tx, with, Pace::SIGN_IN).await?;
    Ok([from, with])
}

async fn give_back(tx: &Tx<'_>, counted: [BucketKey; 2]) -> Result<()> {
    for key in counted {
        attempts::give_back(tx, key).await?;
    }
    Ok(())
}

/// For the user as it is now: the password may have been changed while it was judged.
async fn challenge(tx: &Tx<'_>, user: &User, hash: &PasswordHash) -> Result<String> {
    let secrets = credentials::locked(tx, user.id).await?;
    if !secrets.is_some_and(|secrets| hash.is(&secrets.password_hash)) {
        return Err(invalid());
    }
    challenges::issue(tx, user.id).await.map(|token| token.expose().to_owned())
}

/// A sign-in, or what counts like one, was right: nobody is slowed down for it, and the place is known from now on.
///
/// # Errors
/// As the database says.
pub async fn was_right(tx: &Tx<'_>, user: &User, place: Place, known: bool) -> Result<()> {
    attempts::give_back(tx, bucket::address(place)).await?;
    attempts::forget(tx, bucket::sign_in(&user.email.folded(), known.then_some(place))).await?;
    attempts::forget(tx, bucket::second_factor(user.id, known.then_some(place))).await?;
    places::remember(tx, user.id, place).await
}
