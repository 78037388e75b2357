//! A person with a mailbox, a password and an authenticator app.

use crate::rig::{Answer, Refusal, Rig};
use aws_lc_rs::hmac;
use beem_proto::identity::v1 as wire;
use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};

const PASSWORD: &str = "correct horse battery staple";
const HOME: &str = "203.0.113.9";

/// What somebody signs in with.
#[derive(Clone, Debug)]
pub struct Person {
    pub email: String,
    pub secret: Vec<u8>,
}

/// First half of an activation.
pub async fn propose(rig: &Rig, token: &str) -> Result<wire::ActivateResponse, Refusal> {
    let asked = wire::ActivateRequest { token: token.into(), password: PASSWORD.into() };
    let path = "/beem.identity.v1.SignIns/Activate";
    rig.visit::<_, wire::ActivateResponse>(HOME, path, asked).await.map(|a| a.body)
}

/// Both halves.
pub async fn activate(rig: &Rig, email: &str, token: &str) -> Person {
    let secret = BASE32_NOPAD.decode(propose(rig, token).await.unwrap().secret.as_bytes()).unwrap();
    let person = Person { email: email.into(), secret };
    let asked = wire::ConfirmActivationRequest { token: token.into(), code: code(rig, &person) };
    let path = "/beem.identity.v1.SignIns/ConfirmActivation";
    let confirmed: Answer<wire::ConfirmActivationResponse> = rig.visit(HOME, path, asked).await.unwrap();
    assert_eq!(confirmed.body.recovery_codes.len(), 10);
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
    let first: Answer<wire::SignInResponse> =
        rig.visit(HOME, "/beem.identity.v1.SignIns/SignIn", asked).await?;
    let asked = wire::PassSecondFactorRequest { challenge: first.body.challenge, code: code(rig, person) };
    let second: Answer<wire::PassSecondFactorResponse> =
        rig.visit(HOME, "/beem.identity.v1.SignIns/PassSecondFactor", asked).await?;
    Ok(second.body.session_token)
}

/// What the gateway is told of a session token.
pub async fn session(rig: &Rig, token: &str) -> Result<wire::SessionCredential, Refusal> {
    let asked = wire::GetSessionRequest { token_hash: Sha256::digest(token.as_bytes()).to_vec() };
    rig.internal("/beem.identity.v1.Directory/GetSession", asked).await.map(|a| a.body)
}

/// The code of now (RFC 6238).
pub fn code(rig: &Rig, person: &Person) -> String {
    let step = rig.clock.now().unix_s() / 30;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &person.secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[19] & 0x0F);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7FFF_FFFF;
    format!("{:06}", word % 1_000_000)
}
