//! Passwords: which are taken, how they are changed, how they are reset.

use beem_tests::people::{
    ACTIVATIONS, CONFIRM_RESET, ME, PASSWORD, RESETS, SESSIONS, USERS, new_password, new_user,
};
use beem_tests::{Person, Rig, on_both_peoples_shapes};
use serde_json::{Value, json};

async fn person(rig: &Rig) -> Person {
    let owner = rig.as_client(&rig.new_account());
    rig.join(&owner, &Value::Null).await
}

async fn weak_passwords_are_refused(rig: &Rig) {
    let owner = rig.as_client(&rig.new_account());
    let made = owner.post(USERS, &new_user(&Value::Null)).await.expect(201);
    let email = made["email"].as_str().unwrap();
    let token = rig.mailbox.token(email, 1).await;
    let try_it = async |password: &str| {
        rig.visitor().post(ACTIVATIONS, &json!({ "token": token, "password": password })).await
    };
    for weak in [
        "",
        "short",
        "9 letters",
        &"x".repeat(129),
        "1234567890",
        "password123",
        "Password1234!",
        "aaaaaaaaaaaa",
        email,
    ] {
        let problem = try_it(weak).await.refused(400, "validation-failed");
        assert_eq!(problem["errors"][0]["field"], "password", "{weak}: {problem}");
        assert!(weak.is_empty() || !problem.to_string().contains(weak), "a password is not repeated");
    }
    for fine in ["zwölf Boxkämpfer", &"long but fine ".repeat(9), "tr0ub4dor & three"] {
        try_it(fine).await.expect(200);
    }
}

async fn a_password_is_changed_with_the_present_one_and_a_code(rig: &Rig) {
    let person = person(rig).await;
    let (session, other) = (person.sign_in().await, person.sign_in().await);
    let new = new_password();
    let change = |current: &str, new: &str, code: &str| json!({ "currentPassword": current, "newPassword": new, "code": code });
    let wrong = change("certainly not this one", &new, &person.code());
    session.post(PASSWORD, &wrong).await.refused(401, "credentials-invalid");
    session
        .post(PASSWORD, &change(&person.password, &new, "000000"))
        .await
        .refused(401, "credentials-invalid");
    let problem =
        session.post(PASSWORD, &change(&person.password, "1234567890", &person.recovery_code())).await;
    assert_eq!(problem.refused(400, "validation-failed")["errors"][0]["field"], "newPassword");
    session.post(PASSWORD, &change(&person.password, &new, &person.recovery_code())).await.expect(200);
    session.get(ME).await.expect(200);
    other.gone("session-invalid").await;
    person.visitor.post(SESSIONS, &person.credentials()).await.refused(401, "credentials-invalid");
    person.with_password(&new).sign_in().await;
    let letter = rig.mailbox.wait(&person.email, 2).await;
    assert!(!letter.text.contains(&new) && !letter.text.contains("token="), "{letter:?}");
}

async fn a_password_is_reset_with_a_mailed_link_and_a_code(rig: &Rig) {
    let person = person(rig).await;
    let session = person.sign_in().await;
    let visitor = rig.visitor();
    visitor.post(RESETS, &json!({ "email": person.email.to_uppercase() })).await.expect(200);
    let letter = rig.mailbox.wait(&person.email, 2).await;
    let token = letter.token();
    assert!(letter.link().starts_with(&format!("{}/reset?token=", rig.gateways[0].url)), "{}", letter.link());
    // The link alone is not enough, and has not ended anything.
    let new = new_password();
    let body = |code: &str, password: &str| json!({ "token": token, "password": password, "code": code });
    visitor.post(CONFIRM_RESET, &body("000000", &new)).await.refused(401, "credentials-invalid");
    visitor
        .post(CONFIRM_RESET, &body(&person.recovery_code(), "1234567890"))
        .await
        .refused(400, "validation-failed");
    session.get(ME).await.expect(200);
    person.sign_in().await;
    visitor.post(CONFIRM_RESET, &body(&person.code(), &new)).await.expect(200);
    session.gone("session-invalid").await;
    person.visitor.post(SESSIONS, &person.credentials()).await.refused(401, "credentials-invalid");
    person.with_password(&new).sign_in().await;
    // Good once.
    let again = body(&person.recovery_code(), &new_password());
    visitor.post(CONFIRM_RESET, &again).await.refused(401, "credentials-invalid");
    rig.mailbox.wait(&person.email, 3).await;
}

/// Somebody else asks again and again: the inbox stays readable, and the answer does not tell.
async fn resets_do_not_flood_an_inbox(rig: &Rig) {
    let person = person(rig).await;
    for _ in 0..8 {
        rig.visitor().post(RESETS, &json!({ "email": person.email })).await.expect(200);
    }
    let another = self::person(rig).await;
    rig.visitor().post(RESETS, &json!({ "email": another.email })).await.expect(200);
    rig.mailbox.wait(&another.email, 2).await;
    let mails = rig.mailbox.to(&person.email).len() - 1;
    assert!((1..=3).contains(&mails), "{mails} mails");
    // The last one is the one that counts.
    let tokens: Vec<String> = rig.mailbox.to(&person.email)[1..].iter().map(|l| l.token()).collect();
    let (last, earlier) = tokens.split_last().unwrap();
    for token in earlier {
        let body = json!({ "token": token, "password": new_password(), "code": person.recovery_code() });
        rig.visitor().post(CONFIRM_RESET, &body).await.refused(401, "credentials-invalid");
    }
    let body = json!({ "token": last, "password": new_password(), "code": person.code() });
    rig.visitor().post(CONFIRM_RESET, &body).await.expect(200);
}

/// One address in two accounts: each its own person; which one is asked for only after the right password.
async fn one_address_in_two_accounts(rig: &Rig) {
    let (one, two) = (rig.as_client(&rig.new_account()), rig.as_client(&rig.new_account()));
    let first = rig.join(&one, &Value::Null).await;
    let email = json!({ "email": first.email.to_uppercase() });
    one.post(USERS, &new_user(&email)).await.refused(409, "email-taken");
    let made = two.post(USERS, &new_user(&email)).await.expect(201);
    let token = rig.mailbox.token(&first.email, 2).await;
    let body = json!({ "token": token, "password": first.password });
    let answer = rig.visitor().post(ACTIVATIONS, &body).await.expect(200);
    let mut factor = beem_tests::people::Factor::of(&answer);
    factor.confirm(&rig.visitor(), &token).await.expect(200);
    let problem = first.visitor.post(SESSIONS, &first.credentials()).await.refused(400, "validation-failed");
    assert_eq!(problem["errors"][0]["field"], "accountId");
    let wrong = json!({ "email": first.email, "password": "certainly not this one" });
    first.visitor.post(SESSIONS, &wrong).await.refused(401, "credentials-invalid");
    for (account, id) in [
        (&first.account_id, &first.id),
        (&made["accountId"].as_str().unwrap().to_owned(), &made["id"].as_str().unwrap().to_owned()),
    ] {
        let mut body = first.credentials();
        body["accountId"] = json!(account);
        let challenge =
            first.visitor.post(SESSIONS, &body).await.expect(200)["challenge"].as_str().unwrap().to_owned();
        let code = if *id == first.id { first.code() } else { factor.next_code() };
        let token =
            first.pass(&challenge, &code).await.expect(200)["sessionToken"].as_str().unwrap().to_owned();
        let me = first.visitor.with_token(&token).get(ME).await.expect(200);
        assert_eq!(
            (me["principalId"].as_str(), me["accountId"].as_str()),
            (Some(id.as_str()), Some(account.as_str()))
        );
    }
}

on_both_peoples_shapes!(
    weak_passwords_are_refused,
    a_password_is_changed_with_the_present_one_and_a_code,
    a_password_is_reset_with_a_mailed_link_and_a_code,
    resets_do_not_flood_an_inbox,
    one_address_in_two_accounts,
);
