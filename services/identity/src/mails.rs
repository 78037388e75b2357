//! The mails identity sends: what each is made of when it is queued, in the write's own transaction, and how it reads when
//! it is sent. A link is made only then, so that it has the gateway's public origin of that time.

use crate::domain::{Token, User};
use crate::operations::Means;
use crate::store::links::Purpose;
use crate::{LinkOrigin, store};
use beem_clock::Moment;
use beem_database::Tx;
use beem_fault::{Fault, Result};
use beem_mail::{Letter, NewMail, Render, Rendered};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

const INVITATION: &str = "invitation";
const ACTIVATION_RESET: &str = "activation-reset";
const PASSWORD_RESET: &str = "password-reset";
const PASSWORD_CHANGED: &str = "password-changed";
const SECOND_FACTOR_CHANGED: &str = "second-factor-changed";

/// What every mail is made of. Sealed while it waits.
#[derive(Serialize, Deserialize)]
struct Content {
    account: String,
    first_name: String,
    last_name: String,
    email: String,
    /// When what the mail tells of happened.
    at_ms: i64,
    link: Option<Link>,
}

#[derive(Serialize, Deserialize)]
struct Link {
    token: String,
    expires_ms: i64,
}

/// Queues the link by which an invited user activates.
///
/// # Errors
/// As the database says.
pub async fn queue_invitation(tx: &Tx<'_>, means: &Means, user: &User, token: &Token) -> Result<()> {
    queue(tx, means, user, INVITATION, Some((token, Purpose::Activation))).await
}

/// Queues the link by which a user activates anew, whose second factor an operator has reset.
///
/// # Errors
/// As the database says.
pub async fn queue_activation_reset(tx: &Tx<'_>, means: &Means, user: &User, token: &Token) -> Result<()> {
    queue(tx, means, user, ACTIVATION_RESET, Some((token, Purpose::Activation))).await
}

/// Queues the link by which a user sets a new password.
///
/// # Errors
/// As the database says.
pub async fn queue_password_reset(tx: &Tx<'_>, means: &Means, user: &User, token: &Token) -> Result<()> {
    queue(tx, means, user, PASSWORD_RESET, Some((token, Purpose::Reset))).await
}

/// Queues the notice that the password was changed.
///
/// # Errors
/// As the database says.
pub async fn queue_password_changed(tx: &Tx<'_>, means: &Means, user: &User) -> Result<()> {
    queue(tx, means, user, PASSWORD_CHANGED, None).await
}

/// Queues the notice that the second factor was changed.
///
/// # Errors
/// As the database says.
pub async fn queue_second_factor_changed(tx: &Tx<'_>, means: &Means, user: &User) -> Result<()> {
    queue(tx, means, user, SECOND_FACTOR_CHANGED, None).await
}

async fn queue(
    tx: &Tx<'_>,
    means: &Means,
    user: &User,
    kind: &'static str,
    link: Option<(&Token, Purpose)>,
) -> Result<()> {
    let account = store::accounts::get(tx, user.account).await?;
    let content = Content {
        account: account.name.to_string(),
        first_name: user.first_name.to_string(),
        last_name: user.last_name.to_string(),
        email: user.email.as_str().to_owned(),
        at_ms: tx.now().unix_ms(),
        link: link.map(|(token, purpose)| Link {
            token: token.expose().to_owned(),
            expires_ms: tx.now().plus_ms(purpose.life_ms()).unix_ms(),
        }),
    };
    let content = serde_json::to_value(content).map_err(Fault::internal)?;
    means.mail.add(tx, &NewMail { to: user.email.as_str().to_owned(), kind, content }).await.map(drop)
}

/// Makes mails of what was queued.
pub struct Letters {
    /// Where links lead to.
    pub origin: LinkOrigin,
}

impl Render for Letters {
    fn render(&self, kind: &str, content: &Json) -> Result<Rendered> {
        let content: Content = serde_json::from_value(content.clone())
            .map_err(|_| Fault::internal(format!("a queued mail of kind {kind} is garbled")))?;
        let origin = (self.origin)();
        let letter = match (kind, &content.link) {
            (INVITATION, Some(link)) => invitation(&content, link, &origin),
            (ACTIVATION_RESET, Some(link)) => activation_reset(&content, link, &origin),
            (PASSWORD_RESET, Some(link)) => password_reset(&content, link, &origin),
            (PASSWORD_CHANGED, None) => password_changed(&content),
            (SECOND_FACTOR_CHANGED, None) => second_factor_changed(&content),
            _ => return Err(Fault::internal(format!("a queued mail of kind {kind} is not one of ours"))),
        };
        Ok(letter.finish())
    }
}

fn begin(content: &Content, subject: &str) -> Letter {
    let Content { first_name, last_name, .. } = content;
    Letter::new(subject)
        .to_name(&format!("{first_name} {last_name}"))
        .paragraph(&format!("Hello {first_name} {last_name},"))
}

fn invitation(content: &Content, link: &Link, origin: &str) -> Letter {
    let Content { account, email, .. } = content;
    let letter = begin(content, &format!("You are invited to {account}")).paragraph(&format!(
        "you are invited to the account {account} as {email}. Choose a password and set up a second factor (an \
         authenticator app) to sign in."
    ));
    activate(letter, link, origin)
        .note("If you did not expect this, do nothing: without the link nobody can use it.")
}

fn activation_reset(content: &Content, link: &Link, origin: &str) -> Letter {
    let Content { account, email, .. } = content;
    let letter = begin(content, &format!("Sign in to {account} anew")).paragraph(&format!(
        "an operator of the account {account} has reset the password and the second factor of {email}, and has ended \
         all its sessions. Choose a new password and set up a new second factor to sign in again."
    ));
    activate(letter, link, origin)
        .note(&format!("If you did not ask for this, ask an operator of {account} about it."))
}

fn activate(letter: Letter, link: &Link, origin: &str) -> Letter {
    let token = &link.token;
    letter
        .button("Activate", &format!("{origin}/activate?token={token}"))
        .paragraph(&format!("The link works once, until {}.", until(link)))
        .paragraph("The same on a command line: set the password, then confirm with a code of the second factor it answers.")
        .code(&post(origin, "activations", &format!(r#"{{"token":"{token}","password":"..."}}"#)))
        .code(&post(origin, "activations/confirm", &format!(r#"{{"token":"{token}","code":"..."}}"#)))
}

fn password_reset(content: &Content, link: &Link, origin: &str) -> Letter {
    let Content { account, email, .. } = content;
    let token = &link.token;
    begin(content, &format!("A new password for {account}"))
        .paragraph(&format!(
            "somebody, hopefully you, asked for a new password of {email} in the account {account}. Setting it takes \
             this link and a code of your second factor."
        ))
        .button("Set a new password", &format!("{origin}/reset?token={token}"))
        .paragraph(&format!("The link works once, until {}.", until(link)))
        .paragraph("The same on a command line:")
        .code(&post(
            origin,
            "password-resets/confirm",
            &format!(r#"{{"token":"{token}","password":"...","code":"..."}}"#),
        ))
        .note("If you did not ask for this, do nothing: your password stays as it is.")
}

fn password_changed(content: &Content) -> Letter {
    let Content { account, email, .. } = content;
    begin(content, &format!("Your password for {account} was changed")).paragraph(&format!(
        "the password of {email} in the account {account} was changed at {}, and its other sessions were ended.",
        time(content.at_ms)
    ))
    .note(&format!("If that was not you, ask an operator of {account} to reset your second factor at once."))
}

fn second_factor_changed(content: &Content) -> Letter {
    let Content { account, email, .. } = content;
    begin(content, &format!("Your second factor for {account} was changed"))
        .paragraph(&format!(
            "the second factor of {email} in the account {account} was changed at {}, and its other sessions were \
             ended. Earlier recovery codes no longer work.",
            time(content.at_ms)
        ))
        .note(&format!("If that was not you, ask an operator of {account} to reset your second factor at once."))
}

fn post(origin: &str, path: &str, body: &str) -> String {
    format!("curl -d '{body}' -H 'Content-Type: application/json' {origin}/platform/v1/{path}")
}

fn until(link: &Link) -> String {
    time(link.expires_ms)
}

/// To the second, in UTC.
fn time(ms: i64) -> String {
    Moment::from_unix_s(Moment::from_unix_ms(ms).unix_s()).rfc3339()
}
