//! Inviting, reading, changing and deleting users.

use crate::clients::{mask, strings};
use crate::mailbox::{mails, newest_token};
use crate::on_both;
use crate::person::{activate, session, sign_in};
use crate::rig::{Answer, Refusal, Rig};
use beem_caller::Actor;
use beem_proto::identity::v1 as wire;
use beem_roles::{Role, RoleSet};

on_both!(
    a_user_is_invited_once_per_key,
    a_wrong_user_names_every_field,
    an_address_is_used_once_in_an_account,
    a_concurrent_twin_is_refused,
    what_authz_refuses_frees_the_address,
    lists_page_through_living_users_of_the_account,
    a_patch_changes_exactly_what_it_names,
    disabling_ends_sessions,
    a_deleted_user_stays_deleted_and_frees_the_address,
    an_invitation_sent_again_replaces_the_earlier,
    a_reset_lets_a_user_in_anew,
    a_profile_is_ones_own,
    the_owner_is_invited_by_the_installation,
    hostile_names_stay_text,
);

pub async fn invite(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    asked: &wire::CreateUserRequest,
) -> Result<Answer<wire::User>, Refusal> {
    rig.call(actor, key, "/beem.identity.v1.Users/CreateUser", asked.clone()).await
}

pub async fn get(rig: &Rig, actor: &Actor, id: &str) -> Result<wire::User, Refusal> {
    let asked = wire::GetUserRequest { id: id.into() };
    rig.call(actor, "", "/beem.identity.v1.Users/GetUser", asked).await.map(|a| a.body)
}

pub async fn list(
    rig: &Rig,
    actor: &Actor,
    asked: wire::ListUsersRequest,
) -> Result<wire::ListUsersResponse, Refusal> {
    rig.call(actor, "", "/beem.identity.v1.Users/ListUsers", asked).await.map(|a| a.body)
}

pub async fn update(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    asked: &wire::UpdateUserRequest,
) -> Result<Answer<wire::User>, Refusal> {
    rig.call(actor, key, "/beem.identity.v1.Users/UpdateUser", asked.clone()).await
}

pub async fn delete(rig: &Rig, actor: &Actor, key: &str, id: &str) -> Result<Answer<wire::User>, Refusal> {
    let asked = wire::DeleteUserRequest { id: id.into() };
    rig.call(actor, key, "/beem.identity.v1.Users/DeleteUser", asked).await
}

pub async fn resend(rig: &Rig, actor: &Actor, key: &str, id: &str) -> Result<Answer<wire::User>, Refusal> {
    let asked = wire::ResendInvitationRequest { id: id.into() };
    rig.call(actor, key, "/beem.identity.v1.Users/ResendInvitation", asked).await
}

pub async fn reset(rig: &Rig, actor: &Actor, key: &str, id: &str) -> Result<Answer<wire::User>, Refusal> {
    let asked = wire::ResetSecondFactorRequest { id: id.into() };
    rig.call(actor, key, "/beem.identity.v1.Users/ResetSecondFactor", asked).await
}

pub async fn invite_owner(rig: &Rig, account: &str) -> Result<wire::InviteOwnerResponse, Refusal> {
    let asked = wire::InviteOwnerRequest { account_id: account.into() };
    rig.internal("/beem.identity.v1.Directory/InviteOwner", asked).await.map(|a| a.body)
}

pub fn person(email: &str, roles: &[&str]) -> wire::CreateUserRequest {
    wire::CreateUserRequest {
        email: email.into(),
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
        roles: strings(roles),
        ..wire::CreateUserRequest::default()
    }
}

fn patch(id: &str) -> wire::UpdateUserRequest {
    wire::UpdateUserRequest { id: id.into(), ..wire::UpdateUserRequest::default() }
}

pub fn networks(id: &str, texts: &[&str]) -> wire::UpdateUserRequest {
    wire::UpdateUserRequest {
        network_whitelist: strings(texts),
        present: mask(&["network_whitelist"]),
        ..patch(id)
    }
}

pub fn roles(id: &str, names: &[&str]) -> wire::UpdateUserRequest {
    wire::UpdateUserRequest { roles: strings(names), present: mask(&["roles"]), ..patch(id) }
}

pub fn enabled(id: &str, enabled: bool) -> wire::UpdateUserRequest {
    wire::UpdateUserRequest { enabled, present: mask(&["enabled"]), ..patch(id) }
}

pub fn named(id: &str, first: &str, last: &str) -> wire::UpdateUserRequest {
    wire::UpdateUserRequest {
        first_name: first.into(),
        last_name: last.into(),
        present: mask(&["first_name", "last_name"]),
        ..patch(id)
    }
}

async fn a_user_is_invited_once_per_key(rig: Rig) {
    let owner = rig.owner("a").await;
    let asked = person("Ada@Example.com", &["ledger:operator", "layer1:role:hook:viewer"]);
    let first = invite(&rig, &owner, "k1", &asked).await.unwrap();
    let again = invite(&rig, &owner, "k1", &asked).await.unwrap();
    assert!(!first.replayed && again.replayed && first.body == again.body);
    let user = first.body;
    assert_eq!((user.email.as_str(), user.status.as_str()), ("Ada@Example.com", "INVITED"));
    assert_eq!((user.first_name.as_str(), user.last_name.as_str()), ("Ada", "Lovelace"));
    assert_eq!(user.roles, ["layer1:role:ledger:operator", "layer1:role:hook:viewer"]);
    assert_eq!((user.role_count, user.roles_version, user.enabled), (2, 1, true));
    assert_eq!(user.network_whitelist, strings(&["0.0.0.0/0"]));
    assert_eq!(
        (user.created_by.clone(), &user.account_id),
        (owner.principal.to_string(), &owner.account.to_string())
    );
    assert!(user.last_sign_in.is_none() && user.date_deleted.is_none());
    assert_eq!(get(&rig, &owner, &user.id).await.unwrap(), user);
    let other = wire::CreateUserRequest { first_name: "Eve".into(), ..asked };
    assert_eq!(invite(&rig, &owner, "k1", &other).await.unwrap_err().code(), "idempotency-key-reused");
    let sent = mails(&rig, "Ada@Example.com").await;
    assert_eq!(sent.len(), 1);
    assert!(sent[0].subject.contains("Account a"), "{:?}", sent[0]);
    for said in
        ["Ada Lovelace", "Account a", "https://beem.example/activate?token=", "/platform/v1/activations"]
    {
        assert!(sent[0].text.contains(said), "{said} in {}", sent[0].text);
    }
    assert_eq!(sent[0].token().len(), 43);
    let off = wire::CreateUserRequest { enabled: Some(false), ..person("b@example.com", &[]) };
    let off = invite(&rig, &owner, "k3", &off).await.unwrap().body;
    assert!(!off.enabled && off.roles.is_empty());
}

async fn a_wrong_user_names_every_field(rig: Rig) {
    let owner = rig.owner("a").await;
    let wrong = wire::CreateUserRequest {
        email: "ada@example.com\r\nBcc: eve@example.com".into(),
        first_name: String::new(),
        last_name: "a\nb".into(),
        network_whitelist: strings(&["10.0.0.0/33"]),
        roles: strings(&["hook:viewer", "king"]),
        ..wire::CreateUserRequest::default()
    };
    let refusal = invite(&rig, &owner, "k", &wrong).await.unwrap_err();
    assert_eq!(refusal.fields(), ["email", "firstName", "lastName", "networkWhitelist[0]", "roles[1]"]);
    for unmailable in ["ädä@example.com", "a,b@example.com", "ada", ""] {
        let refusal = invite(&rig, &owner, "k", &person(unmailable, &[])).await.unwrap_err();
        assert_eq!(refusal.fields(), ["email"], "{unmailable}");
    }
    let made = invite(&rig, &owner, "k", &person("ada@example.com", &[])).await.unwrap().body;
    let refusal = update(&rig, &owner, "u", &named(&made.id, " Ada", "")).await.unwrap_err();
    assert_eq!(refusal.fields(), ["firstName", "lastName"]);
    for id in ["x", "00000000-0000-7000-8000-000000000000"] {
        assert_eq!(get(&rig, &owner, id).await.unwrap_err().code(), "not-found");
        assert_eq!(resend(&rig, &owner, id, id).await.unwrap_err().code(), "not-found");
    }
    let stranger = rig.owner("b").await;
    assert_eq!(get(&rig, &stranger, &made.id).await.unwrap_err().code(), "not-found");
    assert_eq!(delete(&rig, &stranger, "d", &made.id).await.unwrap_err().code(), "not-found");
    assert_eq!(reset(&rig, &stranger, "r", &made.id).await.unwrap_err().code(), "not-found");
}

async fn an_address_is_used_once_in_an_account(rig: Rig) {
    let owner = rig.owner("a").await;
    invite(&rig, &owner, "k1", &person("ada@example.com", &[])).await.unwrap();
    for (key, taken) in [("k2", "ada@example.com"), ("k3", "ADA@example.COM"), ("k4", "Owner@example.com")] {
        let refusal = invite(&rig, &owner, key, &person(taken, &[])).await.unwrap_err();
        assert_eq!((refusal.code(), refusal.fields()), ("email-taken", vec!["email"]), "{taken}");
        assert!(invite(&rig, &owner, key, &person(taken, &[])).await.unwrap_err().replayed);
    }
    assert_eq!(mails(&rig, "example").await.len(), 1, "nothing is sent for what was refused");
    let other = rig.owner("b").await;
    invite(&rig, &other, "k1", &person("ada@example.com", &[])).await.unwrap();
}

async fn a_concurrent_twin_is_refused(rig: Rig) {
    let owner = rig.owner("a").await;
    let other = rig.another(None).await.unwrap();
    let asked = person("ada@example.com", &["hook:viewer"]);
    let keys: Vec<String> = (0..8).map(|n| format!("k{n}")).collect();
    let calls = keys.iter().enumerate().map(|(n, key)| {
        let identity = if n % 2 == 0 { &rig.identity } else { &other };
        let path = "/beem.identity.v1.Users/CreateUser";
        rig.call_at::<_, wire::User>(identity, &owner, key, path, asked.clone())
    });
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 1);
    for refused in answers.iter().filter_map(|a| a.as_ref().err()) {
        assert_eq!(refused.code(), "email-taken");
    }
    assert_eq!((rig.count("users").await, mails(&rig, "ada@").await.len()), (2, 1));
}

async fn what_authz_refuses_frees_the_address(rig: Rig) {
    let owner = rig.owner("a").await;
    let operator =
        invite(&rig, &owner, "o", &person("op@example.com", &["user:operator"])).await.unwrap().body;
    let operator = rig.acting_user(&operator);
    let refused =
        invite(&rig, &operator, "k", &person("ada@example.com", &["hook:viewer"])).await.unwrap_err();
    assert_eq!(refused.code(), "role-not-held");
    assert!(
        invite(&rig, &operator, "k", &person("ada@example.com", &["hook:viewer"]))
            .await
            .unwrap_err()
            .replayed
    );
    assert_eq!(rig.count("users").await, 2, "nothing is left of it");
    assert_eq!(list(&rig, &owner, Default::default()).await.unwrap().content.len(), 2);
    invite(&rig, &operator, "k2", &person("ada@example.com", &["user:operator"])).await.unwrap();
    assert_eq!(mails(&rig, "ada@").await.len(), 1);
}

async fn lists_page_through_living_users_of_the_account(rig: Rig) {
    let owner = rig.owner("a").await;
    let stranger = rig.owner("b").await;
    for n in 0..5 {
        rig.clock.advance_ms(1_000);
        invite(&rig, &owner, &format!("k{n}"), &person(&format!("u{n}@example.com"), &[])).await.unwrap();
    }
    let second =
        list(&rig, &owner, wire::ListUsersRequest { max: Some(2), ..Default::default() }).await.unwrap();
    delete(&rig, &owner, "d", &second.content[1].id).await.unwrap();
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let asked = wire::ListUsersRequest { max: Some(2), page_token: token, ..Default::default() };
        let page = list(&rig, &owner, asked).await.unwrap();
        seen.extend(page.content.into_iter().map(|u| u.email));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(
        seen,
        ["u4@example.com", "u2@example.com", "u1@example.com", "u0@example.com", "owner@example.com"]
    );
    let oldest = wire::ListUsersRequest { order: "asc".into(), max: Some(1), ..Default::default() };
    assert_eq!(list(&rig, &owner, oldest).await.unwrap().content[0].email, "owner@example.com");
    assert_eq!(list(&rig, &stranger, Default::default()).await.unwrap().content.len(), 1);
    let wrong = wire::ListUsersRequest { max: Some(501), ..Default::default() };
    assert_eq!(list(&rig, &owner, wrong).await.unwrap_err().code(), "validation-failed");
}

async fn a_patch_changes_exactly_what_it_names(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = invite(&rig, &owner, "k", &person("ada@example.com", &["ledger:viewer"])).await.unwrap().body;
    rig.gate.calls();
    let renamed = update(&rig, &owner, "u1", &named(&made.id, "Augusta", "King")).await.unwrap().body;
    assert_eq!(rig.gate.calls(), ["BatchGetStandings", "BatchGetStandings"], "names are identity's alone");
    assert_eq!((renamed.first_name.as_str(), renamed.last_name.as_str()), ("Augusta", "King"));
    assert_eq!(
        wire::User { first_name: "Ada".into(), last_name: "Lovelace".into(), ..renamed.clone() },
        made
    );
    let moved = update(&rig, &owner, "u2", &networks(&made.id, &["10.0.0.0/8"])).await.unwrap().body;
    assert_eq!((moved.network_whitelist[0].as_str(), moved.roles_version), ("10.0.0.0/8", 2));
    let shrunk = update(&rig, &owner, "u3", &roles(&made.id, &["hook:viewer"])).await.unwrap().body;
    assert_eq!((shrunk.roles, shrunk.roles_version), (strings(&["layer1:role:hook:viewer"]), 4));
    let off = update(&rig, &owner, "u4", &enabled(&made.id, false)).await.unwrap().body;
    assert!(!off.enabled && off.network_whitelist == moved.network_whitelist);
    let on = update(&rig, &owner, "u5", &enabled(&made.id, true)).await.unwrap();
    assert!(on.body.enabled);
    assert!(update(&rig, &owner, "u5", &enabled(&made.id, true)).await.unwrap().replayed);
    let nothing = update(&rig, &owner, "u6", &patch(&made.id)).await.unwrap().body;
    assert_eq!(nothing, get(&rig, &owner, &made.id).await.unwrap());
    assert_eq!(nothing.status, "INVITED");
}

async fn disabling_ends_sessions(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = invite(&rig, &owner, "k", &person("ada@example.com", &["user:viewer"])).await.unwrap().body;
    let ada = activate(&rig, "ada@example.com", &newest_token(&rig, "ada@").await).await;
    let token = sign_in(&rig, &ada).await.unwrap();
    assert!(session(&rig, &token).await.is_ok());
    assert_eq!(get(&rig, &owner, &made.id).await.unwrap().status, "ACTIVE");
    assert!(get(&rig, &owner, &made.id).await.unwrap().last_sign_in.is_some());
    update(&rig, &owner, "u1", &named(&made.id, "Augusta", "King")).await.unwrap();
    update(&rig, &owner, "u2", &networks(&made.id, &["203.0.113.0/24"])).await.unwrap();
    let keeps = session(&rig, &token).await.unwrap();
    assert_eq!((keeps.version, keeps.network_whitelist), (2, strings(&["203.0.113.0/24"])));
    let off = update(&rig, &owner, "u3", &enabled(&made.id, false)).await.unwrap().body;
    assert_eq!(off.status, "ACTIVE");
    assert_eq!(session(&rig, &token).await.unwrap_err().code(), "not-found");
    assert!(sign_in(&rig, &ada).await.is_err());
    update(&rig, &owner, "u4", &enabled(&made.id, true)).await.unwrap();
    assert_eq!(session(&rig, &token).await.unwrap_err().code(), "not-found", "what ended stays ended");
    let anew = sign_in(&rig, &ada).await.unwrap();
    let standing = get(&rig, &owner, &made.id).await.unwrap().roles_version;
    assert_eq!(session(&rig, &anew).await.unwrap().version + 1, standing, "the gateway may keep it");
}

async fn a_deleted_user_stays_deleted_and_frees_the_address(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = invite(&rig, &owner, "k", &person("ada@example.com", &["user:viewer"])).await.unwrap().body;
    let ada = activate(&rig, "ada@example.com", &newest_token(&rig, "ada@").await).await;
    let token = sign_in(&rig, &ada).await.unwrap();
    let gone = delete(&rig, &owner, "d", &made.id).await.unwrap().body;
    assert!(gone.date_deleted.is_some() && !gone.enabled);
    assert_eq!(get(&rig, &owner, &made.id).await.unwrap(), gone);
    assert_eq!(session(&rig, &token).await.unwrap_err().code(), "not-found");
    assert!(sign_in(&rig, &ada).await.is_err());
    assert_eq!(rig.count("links").await + rig.count("recovery_codes").await, 0);
    assert_eq!(rig.count("users WHERE password_hash IS NOT NULL OR totp IS NOT NULL").await, 0);
    let again = delete(&rig, &owner, "d2", &made.id).await.unwrap();
    assert!(!again.replayed && again.body == gone);
    for refused in [
        update(&rig, &owner, "u", &named(&made.id, "A", "B")).await.unwrap_err(),
        update(&rig, &owner, "e", &enabled(&made.id, true)).await.unwrap_err(),
        resend(&rig, &owner, "i", &made.id).await.unwrap_err(),
        reset(&rig, &owner, "r", &made.id).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), "user-deleted");
    }
    let second = invite(&rig, &owner, "k2", &person("ADA@example.com", &[])).await.unwrap().body;
    assert_ne!(second.id, made.id);
    assert_eq!(list(&rig, &owner, Default::default()).await.unwrap().content.len(), 2);
}

async fn an_invitation_sent_again_replaces_the_earlier(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = invite(&rig, &owner, "k", &person("ada@example.com", &[])).await.unwrap().body;
    let early = newest_token(&rig, "ada@").await;
    rig.clock.advance_ms(5_000);
    let sent = resend(&rig, &owner, "i1", &made.id).await.unwrap();
    assert_eq!((sent.body.status.as_str(), sent.body.roles_version), ("INVITED", 2));
    assert!(resend(&rig, &owner, "i1", &made.id).await.unwrap().replayed);
    let (late, all) = (newest_token(&rig, "ada@").await, mails(&rig, "ada@").await);
    assert_eq!((all.len(), early == late), (2, false));
    assert_eq!(crate::person::propose(&rig, &early).await.unwrap_err().code(), "credentials-invalid");
    let ada = activate(&rig, "ada@example.com", &late).await;
    let token = sign_in(&rig, &ada).await.unwrap();
    let standing = get(&rig, &owner, &made.id).await.unwrap();
    assert_eq!((session(&rig, &token).await.unwrap().version, standing.status.as_str()), (2, "ACTIVE"));
    assert_eq!(resend(&rig, &owner, "i2", &made.id).await.unwrap_err().code(), "user-active");
    assert_eq!(mails(&rig, "ada@").await.len(), 2);
}

async fn a_reset_lets_a_user_in_anew(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = invite(&rig, &owner, "k", &person("ada@example.com", &["user:viewer"])).await.unwrap().body;
    let ada = activate(&rig, "ada@example.com", &newest_token(&rig, "ada@").await).await;
    let token = sign_in(&rig, &ada).await.unwrap();
    rig.clock.advance_ms(60_000);
    let reset_one = reset(&rig, &owner, "r", &made.id).await.unwrap().body;
    assert_eq!((reset_one.status.as_str(), reset_one.roles_version, reset_one.enabled), ("INVITED", 2, true));
    assert_eq!(session(&rig, &token).await.unwrap_err().code(), "not-found");
    assert!(sign_in(&rig, &ada).await.is_err());
    assert_eq!(rig.count("recovery_codes").await, 0);
    let sent = mails(&rig, "ada@").await;
    assert_eq!(sent.len(), 2);
    assert!(sent[1].text.contains("reset the password and the second factor"), "{}", sent[1].text);
    let anew = activate(&rig, "ada@example.com", &sent[1].token()).await;
    let token = sign_in(&rig, &anew).await.unwrap();
    assert_eq!(session(&rig, &token).await.unwrap().version, 2);
    assert!(reset(&rig, &owner, "r", &made.id).await.unwrap().replayed, "a repeat resets nothing");
    assert!(session(&rig, &token).await.is_ok());
    // One who has not activated gets a new link alike.
    let second = invite(&rig, &owner, "k2", &person("b@example.com", &[])).await.unwrap().body;
    assert_eq!(reset(&rig, &owner, "r2", &second.id).await.unwrap().body.status, "INVITED");
}

async fn a_profile_is_ones_own(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = invite(&rig, &owner, "k", &person("ada@example.com", &["hook:viewer"])).await.unwrap().body;
    let ada = rig.acting_user(&made);
    let profile: Answer<wire::Profile> = rig
        .call(&ada, "", "/beem.identity.v1.Profiles/GetProfile", wire::GetProfileRequest {})
        .await
        .unwrap();
    let profile = profile.body;
    assert_eq!(
        (profile.username.as_str(), profile.email.as_deref()),
        ("ada@example.com", Some("ada@example.com"))
    );
    assert_eq!((profile.kind.as_str(), profile.first_name.as_deref()), ("USER", Some("Ada")));
    assert_eq!((profile.principal_id.clone(), profile.name), (made.id.clone(), None));
    let path = "/beem.identity.v1.Profiles/UpdateProfile";
    let asked = wire::UpdateProfileRequest {
        first_name: "Augusta".into(),
        last_name: "ignored".into(),
        present: mask(&["first_name"]),
    };
    let first: Answer<wire::Profile> = rig.call(&ada, "p", path, asked.clone()).await.unwrap();
    let again: Answer<wire::Profile> = rig.call(&ada, "p", path, asked.clone()).await.unwrap();
    assert!(!first.replayed && again.replayed && first.body == again.body);
    assert_eq!(
        (first.body.first_name.as_deref(), first.body.last_name.as_deref()),
        (Some("Augusta"), Some("Lovelace"))
    );
    let wrong = wire::UpdateProfileRequest { first_name: "\u{7}".into(), ..asked.clone() };
    assert_eq!(
        rig.call::<_, wire::Profile>(&ada, "q", path, wrong).await.unwrap_err().fields(),
        ["firstName"]
    );
    let refused = rig.call::<_, wire::Profile>(&owner, "p", path, asked).await.unwrap_err();
    assert_eq!(refused.code(), "session-required", "a client has no such names");
}

async fn the_owner_is_invited_by_the_installation(rig: Rig) {
    let made = rig.create_account(&rig.new_account("a")).await.unwrap().body;
    let client = rig.actor(&made.account_id, &made.client_principal_id, RoleSet::ALL);
    let owner = get(&rig, &client, &made.owner_principal_id).await.unwrap();
    assert_eq!(
        (owner.email.as_str(), owner.role_count, owner.status.as_str()),
        ("owner@example.com", 15, "INVITED")
    );
    assert_eq!((owner.first_name.as_str(), owner.last_name.as_str()), ("Owner", "Account a"));
    assert!(mails(&rig, "owner@").await.is_empty() && owner.created_by.is_empty());
    let first = invite_owner(&rig, &made.account_id).await.unwrap();
    rig.clock.advance_ms(1_000);
    let second = invite_owner(&rig, &made.account_id).await.unwrap();
    assert_eq!((first.email.as_str(), first.activation_token.len()), ("owner@example.com", 43));
    let sent: Vec<_> = mails(&rig, "owner@").await.iter().map(crate::mailbox::Mail::token).collect();
    assert_eq!(sent, [first.activation_token.clone(), second.activation_token.clone()]);
    assert!(crate::person::propose(&rig, &first.activation_token).await.is_err());
    let person = activate(&rig, "owner@example.com", &second.activation_token).await;
    sign_in(&rig, &person).await.unwrap();
    assert_eq!(invite_owner(&rig, &made.account_id).await.unwrap_err().code(), "user-active");
    for unknown in ["x", "00000000-0000-7000-8000-000000000000"] {
        assert_eq!(invite_owner(&rig, unknown).await.unwrap_err().code(), "not-found");
    }
    assert!(rig.acting_user(&owner).roles.has(Role::UserOperator));
}

async fn hostile_names_stay_text(rig: Rig) {
    let owner = rig.owner("a").await;
    let called = |first: &str, last: &str| wire::CreateUserRequest {
        first_name: first.into(),
        last_name: last.into(),
        ..person("ada@example.com", &[])
    };
    let link = called("<img src=x onerror=alert(1)>", "at https://evil.example");
    let refusal = invite(&rig, &owner, "k", &link).await.unwrap_err();
    assert_eq!(refusal.fields(), ["firstName", "lastName"], "a mail is no billboard");
    let hostile = called("&lt;img src=x onerror=alert(1)&gt;", "\" onload=\"Ünï");
    let made = invite(&rig, &owner, "k", &hostile).await.unwrap().body;
    let mail = mails(&rig, "ada@").await.remove(0);
    let html = mail.whole.split_once("<html").unwrap().1;
    assert!(html.contains("&amp;lt;img") && !html.contains("&lt;img"), "{html}");
    assert!(mail.text.contains("&lt;img src=x onerror=alert(1)&gt; \" onload=\"Ünï"), "{}", mail.text);
    let refusal = update(&rig, &owner, "u", &named(&made.id, "www.evil.example", "b>")).await.unwrap_err();
    assert_eq!(refusal.fields(), ["firstName", "lastName"]);
    let path = "/beem.identity.v1.Accounts/UpdateAccount";
    let asked = wire::UpdateAccountRequest {
        name: "win at www.evil.example".into(),
        present: mask(&["name"]),
        ..wire::UpdateAccountRequest::default()
    };
    assert_eq!(rig.call::<_, wire::Account>(&owner, "a", path, asked).await.unwrap_err().fields(), ["name"]);
}
