//! People for the tests: invited, activated, signed in, each by the RPCs they would use.

use crate::rig::{Answer, Refusal, Rig};
use aws_lc_rs::hmac;
use beem_caller::{Actor, AuthenticatedBy, PrincipalKind};
use beem_database::Sql as _;
use beem_proto::identity::v1 as wire;
use beem_roles::RoleSet;
use data_encoding::BASE32_NOPAD;
use sha2::{Digest as _, Sha256};

pub const PASSWORD: &str = "correct horse battery";
pub const HOME: &str = "203.0.113.9";
pub const ELSEWHERE: &str = "198.51.100.7";

pub const ACTIVATE: &str = "/beem.identity.v1.SignIns/Activate";
pub const CONFIRM: &str = "/beem.identity.v1.SignIns/ConfirmActivation";
pub const SIGN_IN: &str = "/beem.identity.v1.SignIns/SignIn";
pub const SECOND_FACTOR: &str = "/beem.identity.v1.SignIns/PassSecondFactor";
pub const REQUEST_RESET: &str = "/beem.identity.v1.SignIns/RequestPasswordReset";
pub const CONFIRM_RESET: &str = "/beem.identity.v1.SignIns/ConfirmPasswordReset";

/// An Owner and what it knows.
#[derive(Clone, Debug)]
pub struct Person {
    /// Its account's first client, which holds all roles.
    pub client: Actor,
    pub account: String,
    pub id: String,
    pub email: String,
    pub password: String,
    /// Base32.
    pub totp: String,
    pub recovery: Vec<String>,
}

/// RFC 6238, written again.
pub fn totp(secret: &str, at_s: i64) -> String {
    let key = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = hmac::sign(&key, &(at_s / 30).to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let word: [u8; 4] = tag.as_ref()[at..at + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(word) & 0x7FFF_FFFF) % 1_000_000)
}

/// Six digits that are none of the codes around now.
pub fn wrong_code(rig: &Rig, secret: &str) -> String {
    let now = rig.clock.now().unix_s();
    let near: Vec<_> = (-2..=2).map(|step| totp(secret, now + step * 30)).collect();
    (0..10).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
}

/// An account with its Owner invited, and the link's token.
pub async fn invited(rig: &Rig, name: &str, email: &str) -> (Person, String) {
    let asked = wire::CreateAccountRequest { owner_email: email.into(), ..rig.new_account(name) };
    let made = rig.create_account(&asked).await.unwrap().body;
    let person = Person {
        client: rig.actor(&made.account_id, &made.client_principal_id, RoleSet::ALL),
        account: made.account_id.clone(),
        id: made.owner_principal_id,
        email: email.into(),
        password: PASSWORD.into(),
        totp: String::new(),
        recovery: Vec::new(),
    };
    (person, invite(rig, &made.account_id).await.unwrap())
}

/// A new link for an Owner.
pub async fn invite(rig: &Rig, account: &str) -> Result<String, Refusal> {
    let asked = wire::InviteOwnerRequest { account_id: account.into() };
    let answer: Answer<wire::InviteOwnerResponse> =
        rig.internal("/beem.identity.v1.Directory/InviteOwner", asked).await?;
    Ok(answer.body.activation_token)
}

pub async fn activate(rig: &Rig, token: &str, password: &str) -> Result<wire::ActivateResponse, Refusal> {
    let asked = wire::ActivateRequest { token: token.into(), password: password.into() };
    Ok(rig.visit(HOME, ACTIVATE, asked).await?.body)
}

pub async fn confirm(rig: &Rig, token: &str, code: &str) -> Result<Vec<String>, Refusal> {
    let asked = wire::ConfirmActivationRequest { token: token.into(), code: code.into() };
    let answer: Answer<wire::ConfirmActivationResponse> = rig.visit(HOME, CONFIRM, asked).await?;
    Ok(answer.body.recovery_codes)
}

/// An Owner who has activated.
pub async fn active(rig: &Rig, name: &str, email: &str) -> Person {
    let (mut person, token) = invited(rig, name, email).await;
    person.totp = activate(rig, &token, PASSWORD).await.unwrap().secret;
    person.recovery = confirm(rig, &token, &person.code(rig)).await.unwrap();
    rig.clock.advance_ms(30_000);
    person
}

/// A second user of the person's account, active too: the Owner then is not the last operator.
pub async fn colleague(rig: &Rig, person: &Person, email: &str) -> Person {
    let asked = wire::CreateUserRequest {
        email: email.into(),
        first_name: "Kim".into(),
        last_name: "Second".into(),
        roles: vec!["user:operator".into()],
        ..wire::CreateUserRequest::default()
    };
    let path = "/beem.identity.v1.Users/CreateUser";
    let made: Answer<wire::User> = rig.call(&person.client, email, path, asked).await.unwrap();
    let mut made = Person { id: made.body.id, email: email.into(), recovery: Vec::new(), ..person.clone() };
    let token = known_token(rig, &made.id, "ACTIVATION").await;
    made.totp = activate(rig, &token, PASSWORD).await.unwrap().secret;
    made.recovery = confirm(rig, &token, &made.code(rig)).await.unwrap();
    rig.clock.advance_ms(30_000);
    made
}

/// What a mail would have told: the user's link gets a token that the test knows.
pub async fn known_token(rig: &Rig, user: &str, purpose: &str) -> String {
    let token = format!("{purpose}-{user}-{}", rig.clock.now().unix_ms());
    let (hash, user): (Vec<u8>, uuid::Uuid) = (Sha256::digest(&token).to_vec(), user.parse().unwrap());
    let changed = rig
        .identity
        .db
        .write(|tx| {
            let (hash, purpose) = (hash.clone(), purpose.to_owned());
            Box::pin(async move {
                let sql = "UPDATE links SET token_hash = $1 WHERE user_id = $2 AND purpose = $3";
                tx.run(sql, vec![hash.into(), user.into(), purpose.into()]).await
            })
        })
        .await
        .unwrap();
    assert_eq!(changed, 1, "there is one link of {purpose}");
    token
}

impl Person {
    /// The app's code now. Each counts once: time moves on between two.
    pub fn code(&self, rig: &Rig) -> String {
        totp(&self.totp, rig.clock.now().unix_s())
    }

    pub fn sign_in_request(&self) -> wire::SignInRequest {
        wire::SignInRequest {
            email: self.email.clone(),
            password: self.password.clone(),
            account_id: String::new(),
        }
    }

    /// The first step.
    pub async fn challenge(&self, rig: &Rig, from: &str) -> Result<String, Refusal> {
        sign_in(rig, from, self.sign_in_request()).await
    }

    /// Both steps: the session's token.
    pub async fn sign_in(&self, rig: &Rig, from: &str) -> Result<String, Refusal> {
        rig.clock.advance_ms(30_000);
        let challenge = self.challenge(rig, from).await?;
        Ok(pass(rig, from, &challenge, &self.code(rig)).await?.session_token)
    }

    /// Signed in: the actor that the gateway makes of the session, and its token.
    pub async fn entered(&self, rig: &Rig) -> (Actor, String) {
        let token = self.sign_in(rig, HOME).await.unwrap();
        let session = credential(rig, &token).await.unwrap();
        (self.actor(rig, &session.session_id), token)
    }

    pub fn actor(&self, rig: &Rig, session: &str) -> Actor {
        Actor {
            kind: PrincipalKind::User,
            authenticated_by: AuthenticatedBy::Session,
            name: self.email.clone(),
            key_fingerprint: String::new(),
            session: Some(session.parse().unwrap()),
            ..rig.actor(&self.account, &self.id, RoleSet::ALL)
        }
    }
}

pub async fn sign_in(rig: &Rig, from: &str, asked: wire::SignInRequest) -> Result<String, Refusal> {
    let answer: Answer<wire::SignInResponse> = rig.visit(from, SIGN_IN, asked).await?;
    Ok(answer.body.challenge)
}

pub async fn pass(
    rig: &Rig,
    from: &str,
    challenge: &str,
    code: &str,
) -> Result<wire::PassSecondFactorResponse, Refusal> {
    let asked = wire::PassSecondFactorRequest { challenge: challenge.into(), code: code.into() };
    Ok(rig.visit(from, SECOND_FACTOR, asked).await?.body)
}

/// What the gateway reads of a session token.
pub async fn credential(rig: &Rig, token: &str) -> Result<wire::SessionCredential, Refusal> {
    let asked = wire::GetSessionRequest { token_hash: Sha256::digest(token).to_vec() };
    Ok(rig.internal("/beem.identity.v1.Directory/GetSession", asked).await?.body)
}

/// The account's user with some access changed, by the account's first client.
pub async fn update_user(rig: &Rig, key: &str, person: &Person, patch: wire::UpdateUserRequest) {
    let asked = wire::UpdateUserRequest { id: person.id.clone(), ..patch };
    let path = "/beem.identity.v1.Users/UpdateUser";
    let _: Answer<wire::User> = rig.call(&person.client, key, path, asked).await.unwrap();
}

pub async fn enable(rig: &Rig, key: &str, person: &Person, enabled: bool) {
    let present = crate::clients::mask(&["enabled"]);
    update_user(rig, key, person, wire::UpdateUserRequest { enabled, present, ..Default::default() }).await;
}

pub async fn delete_user(rig: &Rig, person: &Person) {
    let asked = wire::DeleteUserRequest { id: person.id.clone() };
    let path = "/beem.identity.v1.Users/DeleteUser";
    let _: Answer<wire::User> = rig.call(&person.client, "delete", path, asked).await.unwrap();
}

/// How many passwords were hashed so far.
pub fn hashes(rig: &Rig) -> u32 {
    let text = rig.identity.telemetry.prometheus_text();
    let line = text.lines().find(|line| line.starts_with("beem_identity_password_hashes_total"));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |n| n.parse().unwrap())
}
