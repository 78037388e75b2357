//! People: what they send to show who they are, and their sessions. Wire to domain and back.

use super::timestamp;
use crate::domain::{Email, Password, Problems, SecondFactor, Session, TokenHash, token};
use beem_clock::Moment;
use beem_fault::Result;
use beem_ids::{AccountId, SessionId};
use beem_proto::identity::v1 as wire;

/// A sign-in, well formed.
#[derive(Clone)]
pub struct SignIn {
    pub email: Email,
    /// As sent: whether it is right is all that is asked.
    pub password: String,
    pub account: Option<AccountId>,
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn sign_in(asked: &wire::SignInRequest) -> Result<SignIn> {
    let mut wrong = Problems::default();
    let email = wrong.take("email", Email::parse(&asked.email));
    if asked.password.is_empty() {
        wrong.add("password", "is missing");
    }
    let account = match asked.account_id.as_str() {
        "" => None,
        id => wrong.take("accountId", id.parse()),
    };
    wrong.settle(email.map(|email| SignIn { email, password: asked.password.clone(), account }))
}

/// A challenge and a code.
///
/// # Errors
/// `validation-failed` naming the fields.
pub fn second_factor(asked: &wire::PassSecondFactorRequest) -> Result<(TokenHash, SecondFactor)> {
    let mut wrong = Problems::default();
    let code = wrong.take("code", SecondFactor::parse(&asked.code));
    wrong.settle(code.map(|code| (token::hash(&asked.challenge), code)))
}

/// A link's token and a password to be.
///
/// # Errors
/// `validation-failed` naming the fields.
pub fn activation(asked: &wire::ActivateRequest) -> Result<(TokenHash, Password)> {
    let mut wrong = Problems::default();
    let password = wrong.take("password", Password::parse(&asked.password));
    wrong.settle(password.map(|password| (token::hash(&asked.token), password)))
}

/// A link's token and a code of the second factor to be; None for a code that no app gives.
///
/// # Errors
/// `validation-failed` naming the fields.
pub fn confirmation(asked: &wire::ConfirmActivationRequest) -> Result<(TokenHash, SecondFactor)> {
    let mut wrong = Problems::default();
    let code = wrong.take("code", SecondFactor::parse(&asked.code));
    wrong.settle(code.map(|code| (token::hash(&asked.token), code)))
}

/// # Errors
/// `validation-failed` naming the field.
pub fn reset_request(asked: &wire::RequestPasswordResetRequest) -> Result<Email> {
    let mut wrong = Problems::default();
    let email = wrong.take("email", Email::parse(&asked.email));
    wrong.settle(email)
}

/// A password reset, well formed.
pub struct PasswordReset {
    pub token: TokenHash,
    pub password: Password,
    pub code: SecondFactor,
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn password_reset(asked: &wire::ConfirmPasswordResetRequest) -> Result<PasswordReset> {
    let mut wrong = Problems::default();
    let password = wrong.take("password", Password::parse(&asked.password));
    let code = wrong.take("code", SecondFactor::parse(&asked.code));
    let token = token::hash(&asked.token);
    wrong.settle((|| Some(PasswordReset { token, password: password?, code: code? }))())
}

/// A change of one's own password, well formed.
pub struct PasswordChange {
    pub current: String,
    pub new: Password,
    pub code: SecondFactor,
}

/// # Errors
/// `validation-failed` naming the fields.
pub fn password_change(asked: &wire::ChangePasswordRequest) -> Result<PasswordChange> {
    let mut wrong = Problems::default();
    if asked.current_password.is_empty() {
        wrong.add("currentPassword", "is missing");
    }
    let new = wrong.take("newPassword", Password::parse(&asked.new_password));
    let code = wrong.take("code", SecondFactor::parse(&asked.code));
    let current = asked.current_password.clone();
    wrong.settle((|| Some(PasswordChange { current, new: new?, code: code? }))())
}

/// # Errors
/// `validation-failed` naming the field.
pub fn renewal(asked: &wire::RenewSecondFactorRequest) -> Result<SecondFactor> {
    let mut wrong = Problems::default();
    let code = wrong.take("code", SecondFactor::parse(&asked.code));
    wrong.settle(code)
}

/// A session as its owner sees it. `current` is that of the request. Its last use is told to the minute.
#[must_use]
pub fn session(session: &Session, current: Option<SessionId>) -> wire::Session {
    let used_s = session.used.unix_s();
    let minute = Moment::from_unix_s(used_s.saturating_sub(used_s.rem_euclid(60)));
    wire::Session {
        id: session.id.to_string(),
        created_at: Some(timestamp(session.created)),
        last_used_at: Some(timestamp(minute)),
        address: session.address.to_string(),
        user_agent: session.user_agent.clone(),
        current: current == Some(session.id),
    }
}
