//! A person under test: invited, activated by the link that came as a mail, with a password and a second factor of its own.

use crate::caller::{Caller, Session, Visitor, ask};
use crate::forge::unique;
use crate::mailbox::Mailbox;
use crate::totp;
use crate::wire::Answer;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

pub const USERS: &str = "/platform/v1/users";
pub const ME: &str = "/platform/v1/me";
pub const ACTIVATIONS: &str = "/platform/v1/activations";
pub const CONFIRM: &str = "/platform/v1/activations/confirm";
pub const SESSIONS: &str = "/platform/v1/sessions";
pub const SECOND_FACTOR: &str = "/platform/v1/sessions/second-factor";
pub const RESETS: &str = "/platform/v1/password-resets";
pub const CONFIRM_RESET: &str = "/platform/v1/password-resets/confirm";
pub const PASSWORD: &str = "/platform/v1/password";
pub const RENEWAL: &str = "/platform/v1/me/second-factor";
pub const AUDIT: &str = "/platform/v1/audit-events";

/// What proves a second factor.
#[derive(Clone, Debug)]
pub struct Factor {
    pub key: Vec<u8>,
    /// As it was shown.
    pub secret: String,
    pub recovery: Vec<String>,
    last_step: i64,
}

/// Cheap to clone; the clones share their codes.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub account_id: String,
    pub email: String,
    pub password: String,
    pub visitor: Visitor,
    factor: Arc<Mutex<Factor>>,
}

/// A password that is nobody else's.
#[must_use]
pub fn new_password() -> String {
    format!("horse {} staple", &unique()[..16])
}

/// An address that is nobody else's.
#[must_use]
pub fn new_email() -> String {
    format!("p{}@people.example", &unique()[..20])
}

/// What CreateUser takes, with these fields beside.
#[must_use]
pub fn new_user(fields: &Value) -> Value {
    let mut body = json!({ "email": new_email(), "firstName": "Ada", "lastName": "Lovelace" });
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// First half of an activation: a second factor not yet proven.
pub async fn begin(visitor: &Visitor, token: &str, password: &str) -> Factor {
    let answer =
        visitor.post(ACTIVATIONS, &json!({ "token": token, "password": password })).await.expect(200);
    Factor::of(&answer)
}

impl Factor {
    /// Of an answer that shows `secret`.
    #[must_use]
    pub fn of(answer: &Value) -> Self {
        let secret = answer["secret"].as_str().unwrap().to_owned();
        let url = answer["otpauthUrl"].as_str().unwrap();
        assert!(url.starts_with("otpauth://totp/") && url.contains(&format!("secret={secret}")), "{url}");
        Self { key: totp::base32(&secret), secret, recovery: Vec::new(), last_step: 0 }
    }

    /// A code that nobody has used: of this step or the next, which both stay good for a while; a recovery code when
    /// they are used up.
    pub fn next_code(&mut self) -> String {
        let step = totp::step_now().max(self.last_step + 1);
        if step > totp::step_now() + 1 {
            return self.recovery.pop().expect("a recovery code is left");
        }
        self.last_step = step;
        totp::code(&self.key, step)
    }

    /// Second half of an activation.
    pub async fn confirm(&mut self, visitor: &Visitor, token: &str) -> Answer {
        let code = self.next_code();
        let answer = visitor.post(CONFIRM, &json!({ "token": token, "code": code })).await;
        if answer.status == 200 {
            let codes = answer.json()["recoveryCodes"].clone();
            self.recovery = serde_json::from_value(codes).unwrap();
            assert_eq!(self.recovery.len(), 10);
        }
        answer
    }
}

impl Person {
    /// Activates by a token, and signs in once to learn who it is.
    pub async fn activate(visitor: &Visitor, email: &str, token: &str) -> Self {
        let person = Self::enroll(visitor, email, token).await;
        let me = person.sign_in().await.get(ME).await.expect(200);
        let text = |name: &str| me[name].as_str().unwrap().to_owned();
        Self { id: text("principalId"), account_id: text("accountId"), ..person }
    }

    /// Activates by a token; its ids are not known yet.
    pub async fn enroll(visitor: &Visitor, email: &str, token: &str) -> Self {
        let password = new_password();
        let mut factor = begin(visitor, token, &password).await;
        factor.confirm(visitor, token).await.expect(200);
        let (email, visitor) = (email.to_owned(), visitor.clone());
        let (id, account_id) = (String::new(), String::new());
        Self { id, account_id, email, password, visitor, factor: Arc::new(Mutex::new(factor)) }
    }

    /// Invited by somebody who may, with these fields of CreateUser beside; activated.
    pub async fn join(inviter: &dyn Caller, visitor: &Visitor, mailbox: &Mailbox, fields: &Value) -> Self {
        let made = ask(inviter, "POST", USERS, &new_user(fields)).await.expect(201);
        let email = made["email"].as_str().unwrap();
        let person = Self::enroll(visitor, email, &mailbox.token(email, 1).await).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { id: text("id"), account_id: text("accountId"), ..person }
    }

    /// The next code of the second factor.
    #[must_use]
    pub fn code(&self) -> String {
        self.factor.lock().unwrap().next_code()
    }

    /// A recovery code, used up.
    #[must_use]
    pub fn recovery_code(&self) -> String {
        self.factor.lock().unwrap().recovery.pop().expect("a recovery code is left")
    }

    /// All that proves it at this moment.
    #[must_use]
    pub fn factor(&self) -> Factor {
        self.factor.lock().unwrap().clone()
    }

    /// Goes on with another second factor.
    pub fn took(&self, factor: Factor) {
        *self.factor.lock().unwrap() = factor;
    }

    /// The same person with another password.
    #[must_use]
    pub fn with_password(&self, password: &str) -> Self {
        Self { password: password.to_owned(), ..self.clone() }
    }

    /// The same person, or somebody with its secrets, elsewhere.
    #[must_use]
    pub fn at(&self, visitor: &Visitor) -> Self {
        Self { visitor: visitor.clone(), ..self.clone() }
    }

    /// Another person with the same secrets.
    #[must_use]
    pub fn with_email(&self, email: &str) -> Self {
        Self { email: email.to_owned(), ..self.clone() }
    }

    /// Where its account of itself is.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{USERS}/{}", self.id)
    }

    /// What SignIn takes.
    #[must_use]
    pub fn credentials(&self) -> Value {
        json!({ "email": self.email, "password": self.password })
    }

    /// The first step of signing in: the challenge.
    pub async fn challenge(&self) -> String {
        let answer = self.visitor.post(SESSIONS, &self.credentials()).await.expect(200);
        answer["challenge"].as_str().unwrap().to_owned()
    }

    /// The second step.
    pub async fn pass(&self, challenge: &str, code: &str) -> Answer {
        self.visitor.post(SECOND_FACTOR, &json!({ "challenge": challenge, "code": code })).await
    }

    /// Both steps.
    pub async fn sign_in(&self) -> Session {
        let challenge = self.challenge().await;
        let answer = self.pass(&challenge, &self.code()).await.expect(200);
        let token = answer["sessionToken"].as_str().unwrap();
        assert_eq!(token.len(), 43, "256 bits in base64url");
        assert!(answer["expiresAt"].is_string());
        self.visitor.with_token(token)
    }
}

/// The id of this very session.
pub async fn own_session(session: &Session) -> String {
    let list = session.get(SESSIONS).await.expect(200);
    let found = list["content"].as_array().unwrap().iter().find(|s| s["current"] == true).unwrap().clone();
    found["id"].as_str().unwrap().to_owned()
}
