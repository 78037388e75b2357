//! No answer tells whether an address exists: what differs between known and unknown, invited, disabled and deleted is the
//! request's id alone, down to the bytes and the header fields.

use beem_tests::people::{
    ACTIVATIONS, CONFIRM, CONFIRM_RESET, RESETS, SECOND_FACTOR, SESSIONS, USERS, begin, new_email,
    new_password, new_user,
};
use beem_tests::{Answer, Client, Person, Rig, on_both_peoples_shapes};
use serde_json::{Value, json};

/// An answer without what is different each time.
fn told(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let id = answer.header("x-request-id").unwrap();
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| name != "date" && name != "x-request-id");
    (answer.status, headers, answer.text().replace(id, "ID"))
}

/// Each of these, sent from somewhere of its own, is answered alike.
async fn alike(rig: &Rig, target: &str, status: u16, bodies: &[(&str, Value)]) {
    let mut first = None;
    for (what, body) in bodies {
        let answer = rig.visitor().post(target, body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        let told = told(&answer);
        assert_eq!(&told, first.get_or_insert_with(|| told.clone()), "{what} at {target}");
    }
}

/// One address of every kind, the active one's password beside.
struct Addresses {
    owner: Client,
    active: Person,
    disabled: Person,
    deleted: Person,
    invited: String,
}

impl Addresses {
    async fn new(rig: &Rig) -> Self {
        let owner = rig.as_client(&rig.new_account());
        let [active, disabled, deleted] = [
            rig.join(&owner, &Value::Null).await,
            rig.join(&owner, &Value::Null).await,
            rig.join(&owner, &Value::Null).await,
        ];
        owner.patch(&disabled.path(), &json!({ "enabled": false })).await.expect(200);
        owner.delete(&deleted.path()).await.expect(200);
        let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
        let invited = made["email"].as_str().unwrap().to_owned();
        rig.mailbox.wait(&invited, 1).await;
        Self { owner, active, disabled, deleted, invited }
    }

    fn each(&self) -> [(&'static str, String); 5] {
        [
            ("unknown", new_email()),
            ("active", self.active.email.clone()),
            ("disabled", self.disabled.email.clone()),
            ("deleted", self.deleted.email.clone()),
            ("invited", self.invited.clone()),
        ]
    }
}

async fn sign_in_tells_nothing(rig: &Rig) {
    let addresses = Addresses::new(rig).await;
    let wrong = |email: &str| json!({ "email": email, "password": "certainly not this one" });
    let mut bodies: Vec<_> = addresses.each().map(|(what, email)| (what, wrong(&email))).into();
    bodies.push(("deleted, right password", addresses.deleted.credentials()));
    let narrow = rig.join(&addresses.owner, &json!({ "networkWhitelist": ["10.0.0.0/8"] })).await;
    addresses.owner.patch(&narrow.path(), &json!({ "networkWhitelist": ["192.0.2.0/24"] })).await.expect(200);
    bodies.push(("right password, wrong network", narrow.credentials()));
    bodies.push(("another account", {
        let mut body = addresses.active.credentials();
        body["accountId"] = json!(rig.main.account_id);
        body
    }));
    alike(rig, SESSIONS, 401, &bodies).await;
    // In capitals it is the same person.
    let mut shouted = addresses.active.credentials();
    shouted["email"] = json!(addresses.active.email.to_uppercase());
    addresses.active.visitor.post(SESSIONS, &shouted).await.expect(200);
}

/// Who has the password and the code of a disabled user hears that it is disabled, at the earliest; a session they get not.
async fn a_disabled_user_does_not_get_in(rig: &Rig) {
    let Addresses { owner, disabled, .. } = Addresses::new(rig).await;
    let first = disabled.visitor.post(SESSIONS, &disabled.credentials()).await;
    if first.status == 200 {
        let challenge = first.json()["challenge"].as_str().unwrap().to_owned();
        disabled.pass(&challenge, "000000").await.refused(401, "credentials-invalid");
        disabled.pass(&challenge, &disabled.code()).await.refused(403, "principal-disabled");
    } else {
        first.refused(401, "credentials-invalid");
    }
    owner.patch(&disabled.path(), &json!({ "enabled": true })).await.expect(200);
    disabled.sign_in().await;
}

async fn the_second_step_tells_nothing(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let person = rig.join(&owner, &Value::Null).await;
    let (challenge, used) = (person.challenge().await, person.challenge().await);
    person.pass(&used, &person.code()).await.expect(200);
    let body = |challenge: &str, code: &str| json!({ "challenge": challenge, "code": code });
    let bodies = [
        ("guessed challenge", body(&challenge.chars().rev().collect::<String>(), "000000")),
        ("wrong code", body(&challenge, "000000")),
        ("recovery code that is none", body(&challenge, "aaaa-aaaa-aaaa-aaaa")),
        ("used challenge", body(&used, "000000")),
    ];
    alike(rig, SECOND_FACTOR, 401, &bodies).await;
}

/// Always 200, and a mail only to who is there.
async fn a_password_reset_tells_nothing(rig: &Rig) {
    let addresses = Addresses::new(rig).await;
    let mut each = addresses.each();
    // The one who gets a mail comes last: when it is there, the others have had their turn.
    each.swap(1, 4);
    let before: Vec<usize> = each.iter().map(|(_, email)| rig.mailbox.to(email).len()).collect();
    let bodies = each.each_ref().map(|(what, email)| (*what, json!({ "email": email })));
    alike(rig, RESETS, 200, &bodies).await;
    rig.mailbox.wait(&addresses.active.email, 2).await;
    for ((what, email), before) in each.iter().zip(before) {
        let more = rig.mailbox.to(email).len() - before;
        assert_eq!(more, usize::from(*what == "active"), "{what}");
    }
}

async fn links_tell_nothing(rig: &Rig) {
    let addresses = Addresses::new(rig).await;
    let invite = async || {
        let made = addresses.owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
        let email = made["email"].as_str().unwrap().to_owned();
        (format!("{USERS}/{}", made["id"].as_str().unwrap()), rig.mailbox.token(&email, 1).await)
    };
    let (resent, replaced) = invite().await;
    addresses.owner.post(&format!("{resent}/invitation"), &Value::Null).await.expect(200);
    let (gone, deleted) = invite().await;
    addresses.owner.delete(&gone).await.expect(200);
    let (_, alive) = invite().await;
    let used = rig.mailbox.token(&addresses.active.email, 1).await;
    let guessed: String = alive.chars().rev().collect();
    begin(&rig.visitor(), &alive, &new_password()).await;
    let dead = [("guessed", &guessed), ("replaced", &replaced), ("deleted", &deleted), ("used", &used)];
    let password = new_password();
    let bodies = dead.map(|(what, token)| (what, json!({ "token": token, "password": password })));
    alike(rig, ACTIVATIONS, 401, &bodies).await;
    let code = |token: &str| json!({ "token": token, "code": "000000" });
    let mut bodies: Vec<_> = dead.map(|(what, token)| (what, code(token))).into();
    bodies.push(("alive, wrong code", code(&alive)));
    alike(rig, CONFIRM, 401, &bodies).await;

    let person = &addresses.active;
    rig.visitor().post(RESETS, &json!({ "email": person.email })).await.expect(200);
    let alive = rig.mailbox.token(&person.email, 2).await;
    let reset = |token: &str| json!({ "token": token, "password": password, "code": "000000" });
    let bodies = [
        ("guessed", reset(&guessed)),
        ("an invitation's", reset(&replaced)),
        ("alive, wrong code", reset(&alive)),
    ];
    alike(rig, CONFIRM_RESET, 401, &bodies).await;
}

on_both_peoples_shapes!(
    sign_in_tells_nothing,
    a_disabled_user_does_not_get_in,
    the_second_step_tells_nothing,
    a_password_reset_tells_nothing,
    links_tell_nothing,
);
