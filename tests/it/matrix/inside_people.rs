//! People whom messages from inside are about: tokens, codes and sessions as the public API gave them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_tests::people::{RESETS, USERS, begin, new_password, new_user, own_session};
use beem_tests::{Client, Rig};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// See the module.
pub struct People {
    /// A user who is only invited, and the token of the invitation.
    pub invited_id: String,
    pub invitation: String,
    /// Another invitation, half way through, and a code that ends it.
    pub begun: String,
    pub begun_code: String,
    /// A person who has signed in twice.
    pub id: String,
    pub email: String,
    pub password: String,
    pub session_id: String,
    pub other_session_id: String,
    /// SHA-256 of the first session's token, as JSON has bytes.
    pub session_hash: String,
    pub challenge: String,
    /// Three, unused.
    pub codes: Vec<String>,
    /// Somebody's link to another password, and a code.
    pub reset: String,
    pub reset_code: String,
}

impl People {
    /// For messages that nobody will read.
    pub fn nobody() -> Self {
        let [id, text] = [uuid::Uuid::now_v7().to_string(), "x".to_owned()];
        let hash = STANDARD.encode([0; 32]);
        Self {
            invited_id: id.clone(),
            invitation: text.clone(),
            begun: text.clone(),
            begun_code: text.clone(),
            id: id.clone(),
            email: "nobody@nowhere.example".into(),
            password: text.clone(),
            session_id: id.clone(),
            other_session_id: id,
            session_hash: hash,
            challenge: text.clone(),
            codes: vec![text.clone(); 3],
            reset: text.clone(),
            reset_code: text,
        }
    }

    /// People of the owner's account, as the messages' order needs them.
    pub async fn gather(rig: &Rig, owner: &Client) -> Self {
        let invite = async || {
            let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
            let text = |name: &str| made[name].as_str().unwrap().to_owned();
            (text("id"), rig.mailbox.token(&text("email"), 1).await)
        };
        let (invited_id, invitation) = invite().await;
        let (_, begun) = invite().await;
        let begun_code = begin(&rig.visitor(), &begun, &new_password()).await.next_code();
        let (person, forgetful) = (rig.join(owner, &Value::Null).await, rig.join(owner, &Value::Null).await);
        rig.visitor().post(RESETS, &json!({ "email": forgetful.email })).await.expect(200);
        let reset = rig.mailbox.token(&forgetful.email, 2).await;
        let (session, other) = (person.sign_in().await, person.sign_in().await);
        Self {
            invited_id,
            invitation,
            begun,
            begun_code,
            session_id: own_session(&session).await,
            other_session_id: own_session(&other).await,
            session_hash: STANDARD.encode(Sha256::digest(&session.token)),
            challenge: person.challenge().await,
            codes: (0..3).map(|_| person.recovery_code()).collect(),
            id: person.id,
            email: person.email,
            password: person.password,
            reset,
            reset_code: forgetful.recovery_code(),
        }
    }
}
