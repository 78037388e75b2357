//! Nobody raises themselves, or is raised by somebody who does not hold what it takes.

use crate::clients::{self, strings};
use crate::mailbox::{mails, newest_token};
use crate::on_both;
use crate::person::{activate, propose, sign_in};
use crate::rig::Rig;
use crate::users::{
    delete, enabled, get, invite, invite_owner, named, networks, person, resend, reset, roles, update,
};
use beem_caller::Actor;
use beem_proto::identity::v1 as wire;

on_both!(
    nobody_changes_their_own_access,
    roles_are_handed_out_only_by_their_holders,
    who_takes_a_user_over_holds_what_it_holds,
    a_client_does_not_raise_who_made_it,
    the_last_user_operator_stays,
    who_was_reset_does_not_stand_in_for_the_last_operator,
    an_invitation_is_good_once_and_not_for_the_deleted,
);

async fn invited(rig: &Rig, by: &Actor, email: &str, names: &[&str]) -> wire::User {
    invite(rig, by, email, &person(email, names)).await.unwrap().body
}

async fn nobody_changes_their_own_access(rig: Rig) {
    let owner = rig.owner("a").await;
    let ada = invited(&rig, &owner, "ada@example.com", &["user:operator", "hook:viewer"]).await;
    let own = rig.acting_user(&ada);
    for (key, asked) in [
        ("roles", roles(&ada.id, &["user:operator", "hook:viewer"])),
        ("fewer", roles(&ada.id, &["user:operator"])),
        ("more", roles(&ada.id, &["user:operator", "hook:operator"])),
        ("network", networks(&ada.id, &["0.0.0.0/0"])),
        ("narrower", networks(&ada.id, &["10.0.0.0/8"])),
        ("enabled", enabled(&ada.id, true)),
        ("disabled", enabled(&ada.id, false)),
    ] {
        assert_eq!(update(&rig, &own, key, &asked).await.unwrap_err().code(), "own-principal", "{key}");
    }
    assert_eq!(delete(&rig, &own, "d", &ada.id).await.unwrap_err().code(), "own-principal");
    assert_eq!(reset(&rig, &own, "r", &ada.id).await.unwrap_err().code(), "own-principal");
    assert_eq!(resend(&rig, &own, "i", &ada.id).await.unwrap_err().code(), "own-principal");
    assert_eq!(get(&rig, &owner, &ada.id).await.unwrap(), ada, "nothing has changed");
    update(&rig, &own, "name", &named(&ada.id, "Augusta", "King")).await.unwrap();
    assert_eq!(mails(&rig, "ada@").await.len(), 1);
}

async fn roles_are_handed_out_only_by_their_holders(rig: Rig) {
    let owner = rig.owner("a").await;
    let operator = invited(&rig, &owner, "op@example.com", &["user:operator", "hook:viewer"]).await;
    let operator = rig.acting_user(&operator);
    let bob = invited(&rig, &operator, "bob@example.com", &["hook:viewer"]).await;
    let refused = invite(&rig, &operator, "k", &person("c@example.com", &["payment:approver"])).await;
    assert_eq!(refused.unwrap_err().code(), "role-not-held");
    let more = roles(&bob.id, &["hook:viewer", "payment:approver"]);
    assert_eq!(update(&rig, &operator, "u1", &more).await.unwrap_err().code(), "role-not-held");
    update(&rig, &owner, "u2", &more).await.unwrap();
    // Taking away takes nothing; giving back what is not held is refused.
    update(&rig, &operator, "u3", &roles(&bob.id, &["hook:viewer"])).await.unwrap();
    assert_eq!(update(&rig, &operator, "u4", &more).await.unwrap_err().code(), "role-not-held");
}

async fn who_takes_a_user_over_holds_what_it_holds(rig: Rig) {
    let owner = rig.owner("a").await;
    let operator = invited(&rig, &owner, "op@example.com", &["user:operator"]).await;
    let operator = rig.acting_user(&operator);
    let rich = invited(&rig, &owner, "rich@example.com", &["payment:approver"]).await;
    update(&rig, &owner, "n", &networks(&rich.id, &["10.0.0.0/8"])).await.unwrap();
    for refused in [
        resend(&rig, &operator, "i", &rich.id).await.unwrap_err(),
        reset(&rig, &operator, "r", &rich.id).await.unwrap_err(),
        update(&rig, &operator, "w", &networks(&rich.id, &["0.0.0.0/0"])).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), "role-not-held");
    }
    assert_eq!(mails(&rig, "rich@").await.len(), 1, "nothing was mailed for what was refused");
    // The link of the invitation still works: the refused ones replaced nothing.
    propose(&rig, &newest_token(&rig, "rich@").await).await.unwrap();
    update(&rig, &operator, "narrow", &networks(&rich.id, &["10.1.0.0/16"])).await.unwrap();
    update(&rig, &operator, "off", &enabled(&rich.id, false)).await.unwrap();
    let on = update(&rig, &operator, "on", &enabled(&rich.id, true)).await.unwrap_err();
    assert_eq!(on.code(), "role-not-held");
    delete(&rig, &operator, "d", &rich.id).await.unwrap();
}

async fn a_client_does_not_raise_who_made_it(rig: Rig) {
    let owner = rig.owner("a").await;
    let names = ["user:operator", "client:operator", "hook:viewer"];
    let ada = invited(&rig, &owner, "ada@example.com", &names).await;
    let own = rig.acting_user(&ada);
    let made = clients::named(&rig, "helper", &["user:operator", "hook:viewer"]);
    let helper = clients::create(&rig, &own, "c", &made).await.unwrap().body;
    let helper = rig.acting(&helper);
    let more = roles(&ada.id, &["user:operator", "client:operator", "hook:viewer", "hook:operator"]);
    assert_eq!(update(&rig, &helper, "u1", &more).await.unwrap_err().code(), "role-not-held");
    let taken = update(&rig, &helper, "u2", &roles(&ada.id, &["user:operator", "hook:viewer"])).await;
    assert_eq!(taken.unwrap().body.roles, strings(&["layer1:role:user:operator", "layer1:role:hook:viewer"]));
    // What it does not hold itself it cannot give back either.
    let back = roles(&ada.id, &names);
    assert_eq!(update(&rig, &helper, "u3", &back).await.unwrap_err().code(), "role-not-held");
    let other = invite(&rig, &helper, "k", &person("b@example.com", &["hook:operator"])).await;
    assert_eq!(other.unwrap_err().code(), "role-not-held");
}

async fn the_last_user_operator_stays(rig: Rig) {
    let client = rig.owner("a").await;
    let account = client.account.to_string();
    let invitation = invite_owner(&rig, &account).await.unwrap();
    activate(&rig, "owner@example.com", &invitation.activation_token).await;
    let listed = crate::users::list(&rig, &client, wire::ListUsersRequest::default()).await.unwrap();
    let owner = listed.content[0].clone();
    let second = invited(&rig, &client, "second@example.com", &["user:operator"]).await;
    let others = [("roles", roles(&owner.id, &["hook:viewer"])), ("off", enabled(&owner.id, false))];
    for (key, asked) in &others {
        let refused = update(&rig, &client, key, asked).await.unwrap_err();
        assert_eq!(refused.code(), "last-operator", "{key}: one who is only invited does not stand in");
    }
    assert_eq!(delete(&rig, &client, "d", &owner.id).await.unwrap_err().code(), "last-operator");
    activate(&rig, "second@example.com", &newest_token(&rig, "second@").await).await;
    update(&rig, &client, "off again", &enabled(&owner.id, false)).await.unwrap();
    assert_eq!(delete(&rig, &client, "d2", &second.id).await.unwrap_err().code(), "last-operator");
    // A reset is not asked: who lost the second factor must be let in anew.
    assert_eq!(reset(&rig, &client, "r", &second.id).await.unwrap().body.status, "INVITED");
}

async fn who_was_reset_does_not_stand_in_for_the_last_operator(rig: Rig) {
    let client = rig.owner("a").await;
    let invitation = invite_owner(&rig, &client.account.to_string()).await.unwrap();
    activate(&rig, "owner@example.com", &invitation.activation_token).await;
    let listed = crate::users::list(&rig, &client, wire::ListUsersRequest::default()).await.unwrap();
    let owner = listed.content[0].clone();
    let second = invited(&rig, &client, "second@example.com", &["user:operator"]).await;
    activate(&rig, "second@example.com", &newest_token(&rig, "second@").await).await;
    rig.clock.advance_ms(1_000);
    assert_eq!(reset(&rig, &client, "r", &second.id).await.unwrap().body.status, "INVITED");
    assert_eq!(delete(&rig, &client, "d1", &owner.id).await.unwrap_err().code(), "last-operator");
    let off = enabled(&owner.id, false);
    assert_eq!(update(&rig, &client, "off", &off).await.unwrap_err().code(), "last-operator");
    activate(&rig, "second@example.com", &newest_token(&rig, "second@").await).await;
    assert!(delete(&rig, &client, "d2", &owner.id).await.unwrap().body.date_deleted.is_some());
}

async fn an_invitation_is_good_once_and_not_for_the_deleted(rig: Rig) {
    let owner = rig.owner("a").await;
    invited(&rig, &owner, "ada@example.com", &[]).await;
    let token = newest_token(&rig, "ada@").await;
    let ada = activate(&rig, "ada@example.com", &token).await;
    assert_eq!(propose(&rig, &token).await.unwrap_err().code(), "credentials-invalid");
    sign_in(&rig, &ada).await.unwrap();
    let bob = invited(&rig, &owner, "bob@example.com", &[]).await;
    let token = newest_token(&rig, "bob@").await;
    propose(&rig, &token).await.unwrap();
    delete(&rig, &owner, "d", &bob.id).await.unwrap();
    assert_eq!(propose(&rig, &token).await.unwrap_err().code(), "credentials-invalid");
    let carol = invited(&rig, &owner, "carol@example.com", &[]).await;
    let token = newest_token(&rig, "carol@").await;
    rig.clock.advance_ms(72 * 60 * 60 * 1000);
    assert_eq!(propose(&rig, &token).await.unwrap_err().code(), "credentials-invalid", "past its 72 hours");
    resend(&rig, &owner, "i", &carol.id).await.unwrap();
    propose(&rig, &newest_token(&rig, "carol@").await).await.unwrap();
}
