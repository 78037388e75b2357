//! A person who was invited by mail, with a password and an authenticator app: what [`crate::people`] does, for a user that a
//! test of users made.

use crate::people::{self, HOME, PASSWORD};
use crate::rig::{Refusal, Rig};
use beem_proto::identity::v1 as wire;
use data_encoding::BASE32_NOPAD;

/// What somebody signs in with.
#[derive(Clone, Debug)]
pub struct Person {
    pub email: String,
    pub secret: Vec<u8>,
}

/// First half of an activation.
pub async fn propose(rig: &Rig, token: &str) -> Result<wire::ActivateResponse, Refusal> {
    people::activate(rig, token, PASSWORD).await
}

/// Both halves.
pub async fn activate(rig: &Rig, email: &str, token: &str) -> Person {
    let secret = BASE32_NOPAD.decode(propose(rig, token).await.unwrap().secret.as_bytes()).unwrap();
    let person = Person { email: email.into(), secret };
    assert_eq!(people::confirm(rig, token, &code(rig, &person)).await.unwrap().len(), 10);
    person
}

/// Both steps of signing in, once the next code is there; the session's token.
pub async fn sign_in(rig: &Rig, person: &Person) -> Result<String, Refusal> {
    rig.clock.advance_ms(30_000);
    let asked = wire::SignInRequest {
        email: person.email.clone(),
        password: PASSWORD.into(),
        ..wire::SignInRequest::default()
    };
    let challenge = people::sign_in(rig, HOME, asked).await?;
    Ok(people::pass(rig, HOME, &challenge, &code(rig, person)).await?.session_token)
}

/// What the gateway is told of a session token.
pub async fn session(rig: &Rig, token: &str) -> Result<wire::SessionCredential, Refusal> {
    people::credential(rig, token).await
}

/// The code of now.
pub fn code(rig: &Rig, person: &Person) -> String {
    people::totp(&BASE32_NOPAD.encode(&person.secret), rig.clock.now().unix_s())
}
