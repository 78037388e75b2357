//! What somebody began before they were shut out leads nowhere afterwards; and of two who do the same thing at once, one
//! does it.

use beem_tests::people::{
    ACTIVATIONS, CONFIRM, CONFIRM_RESET, Factor, ME, PASSWORD, RENEWAL, RESETS, USERS, begin, new_password,
    new_user,
};
use beem_tests::{Client, Household, Person, Rig, on_both_peoples_shapes, trail};
use futures::future::join_all;
use serde_json::{Value, json};

/// Everything a thief with a session, the password and the mailbox has begun.
struct Begun {
    person: Person,
    challenge: String,
    reset: String,
    renewal: String,
    factor: Factor,
}

impl Begun {
    async fn new(rig: &Rig, owner: &Client) -> Self {
        let person = rig.join(owner, &Value::Null).await;
        let session = person.sign_in().await;
        let answer = session.post(RENEWAL, &json!({ "code": person.recovery_code() })).await.expect(200);
        rig.visitor().post(RESETS, &json!({ "email": person.email })).await.expect(200);
        let reset = rig.mailbox.token(&person.email, 2).await;
        let renewal = answer["token"].as_str().unwrap().to_owned();
        let challenge = person.challenge().await;
        Self { person, challenge, reset, renewal, factor: Factor::of(&answer) }
    }

    /// None of it leads in, or changes anything.
    async fn leads_nowhere(mut self) {
        let renewed = self.factor.confirm(&self.person.visitor, &self.renewal).await;
        renewed.refused(401, "credentials-invalid");
        let body =
            json!({ "token": self.reset, "password": new_password(), "code": self.person.recovery_code() });
        self.person.visitor.post(CONFIRM_RESET, &body).await.refused(401, "credentials-invalid");
        let passed = self.person.pass(&self.challenge, &self.person.recovery_code()).await;
        assert!(matches!(passed.status, 401 | 403), "{}", passed.text());
    }
}

async fn a_reset_second_factor_ends_what_was_begun(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let begun = Begun::new(rig, &owner).await;
    let person = begun.person.clone();
    owner.post(&format!("{}/second-factor/reset", person.path()), &Value::Null).await.expect(200);
    begun.leads_nowhere().await;
    let again =
        Person::activate(&rig.visitor(), &person.email, &rig.mailbox.token(&person.email, 3).await).await;
    again.sign_in().await.get(ME).await.expect(200);
}

async fn deletion_ends_what_was_begun(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let begun = Begun::new(rig, &owner).await;
    owner.delete(&begun.person.path()).await.expect(200);
    begun.leads_nowhere().await;
}

/// Whoever changes their password because somebody is in, has them out.
async fn another_password_ends_what_was_begun(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let begun = Begun::new(rig, &owner).await;
    let person = begun.person.clone();
    let new = new_password();
    let body = json!({ "currentPassword": person.password, "newPassword": new, "code": person.code() });
    person.sign_in().await.post(PASSWORD, &body).await.expect(200);
    begun.leads_nowhere().await;
    person.with_password(&new).sign_in().await.get(ME).await.expect(200);
}

/// The thief asked for the link, too: the first to use it leaves none to the other.
async fn a_reset_password_ends_what_was_begun(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let begun = Begun::new(rig, &owner).await;
    let person = begun.person.clone();
    let new = new_password();
    let body = json!({ "token": begun.reset, "password": new, "code": person.recovery_code() });
    rig.visitor().post(CONFIRM_RESET, &body).await.expect(200);
    begun.leads_nowhere().await;
    person.with_password(&new).sign_in().await.get(ME).await.expect(200);
}

async fn of_many_invitations_of_one_address_one_is_made(rig: &Rig) {
    let Household { client, .. } = rig.household().await;
    let body = new_user(&json!({}));
    let email = body["email"].as_str().unwrap();
    let everywhere: Vec<Client> = rig.everywhere(&client.creds).collect();
    let askers: Vec<&Client> = everywhere.iter().cycle().take(4).collect();
    let answers = join_all(askers.iter().map(|c| c.post(USERS, &body))).await;
    let mut made = 0;
    for answer in &answers {
        if answer.status == 201 {
            made += 1;
        } else {
            answer.refused(409, "email-taken");
        }
    }
    assert_eq!(made, 1);
    let token = rig.mailbox.token(email, 1).await;
    Person::activate(&rig.visitor(), email, &token).await;
    assert_eq!(rig.mailbox.to(email).len(), 1);
}

async fn of_many_who_confirm_at_once_one_does(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
    let email = made["email"].as_str().unwrap();
    let token = rig.mailbox.token(email, 1).await;
    let mut factor = begin(&rig.visitor(), &token, &new_password()).await;
    let body = json!({ "token": token, "code": factor.next_code() });
    let visitors: Vec<_> = (0..4).map(|n| rig.visitor().at(&rig.gateways[n % rig.gateways.len()])).collect();
    let answers = join_all(visitors.iter().map(|v| v.post(CONFIRM, &body))).await;
    for answer in answers.iter().filter(|a| a.status != 200) {
        answer.refused(401, "credentials-invalid");
    }
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
    let password = json!({ "token": token, "password": new_password() });
    rig.visitor().post(ACTIVATIONS, &password).await.refused(401, "credentials-invalid");
}

/// A user is no client and the other way round; and a row names the request it tells of.
async fn users_and_clients_are_not_each_other(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let person = rig.join(&owner, &Value::Null).await;
    let client = owner.new_client(&json!({})).await;
    let clients = "/platform/v1/clients";
    for wrong in [format!("{clients}/{}", person.id), format!("{USERS}/{}", client.id)] {
        owner.get(&wrong).await.refused(404, "not-found");
        owner.patch(&wrong, &json!({ "enabled": false })).await.refused(404, "not-found");
        owner.delete(&wrong).await.refused(404, "not-found");
    }
    let answer = owner.patch(&person.path(), &json!({ "firstName": "Augusta" })).await;
    let request = answer.header("x-request-id").unwrap().to_owned();
    beem_tests::eventually("the row of that request", || async {
        trail(&owner, "action=UpdateUser")
            .await
            .iter()
            .any(|r| r["requestId"] == request.as_str())
            .then_some(())
    })
    .await;
}

on_both_peoples_shapes!(
    a_reset_second_factor_ends_what_was_begun,
    deletion_ends_what_was_begun,
    another_password_ends_what_was_begun,
    a_reset_password_ends_what_was_begun,
    of_many_invitations_of_one_address_one_is_made,
    of_many_who_confirm_at_once_one_does,
    users_and_clients_are_not_each_other,
);
