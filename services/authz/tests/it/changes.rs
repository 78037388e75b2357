//! Changes in two halves, and who may make them.

use crate::on_both_shapes;
use crate::rig::{Rig, code, set, told};
use beem_fault::Code;
use beem_proto::authz::v1::{
    ActivateStandingRequest, CreateStandingRequest, PrepareChangeRequest, SetRoleGrantPolicyRequest, Standing,
};
use beem_roles::Role::{
    ClientOperator, HookViewer, LedgerViewer, PaymentApprover, PaymentOperator, UserOperator,
};
use beem_roles::RoleSet;

on_both_shapes![
    a_change_shrinks_at_once_and_grows_at_the_end,
    roles_are_handed_out_by_those_who_hold_them,
    a_later_shrink_outlasts_an_earlier_growth,
    a_rekey_needs_what_is_on_its_way,
    nobody_changes_their_own,
    deleted_is_for_good,
    an_account_keeps_a_user_operator,
    another_accounts_principal_is_not_there,
    the_policy_any_waives_the_rule,
    a_broken_rule_leaves_no_row_here,
    who_is_invited_replaces_nobody_who_can_sign_in,
    everybody_ends_their_own_sessions,
    who_has_to_activate_anew_does_not_count_until_then,
];

async fn a_change_shrinks_at_once_and_grows_at_the_end(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let target = rig.client(set([LedgerViewer, PaymentOperator])).await;
    let roles = Some(set([LedgerViewer, PaymentApprover]).bits());
    let prepared =
        rig.prepare(PrepareChangeRequest { roles, ..rig.change("c1", target, admin) }).await.unwrap();
    assert_eq!((prepared.roles, prepared.version), (set([LedgerViewer]).bits(), 2));
    assert_eq!(rig.standing(target).await, prepared);
    assert_eq!(rig.cached_version(target).await, 2);
    let committed = rig.commit("c1").await.unwrap();
    assert_eq!((committed.roles, committed.version), (set([LedgerViewer, PaymentApprover]).bits(), 3));
    assert_eq!(committed.granted_by, admin.to_string());
    assert_eq!(rig.cached_version(target).await, 3);
    let rekeyed = rig.apply(PrepareChangeRequest { rekey: true, ..rig.change("c2", target, admin) }).await;
    assert_eq!((rekeyed.version, rekeyed.credential_version), (4, 4));
    assert_eq!((rekeyed.created_by, rekeyed.rekeyed_by), (String::new(), admin.to_string()));
    let same = PrepareChangeRequest { roles, enabled: Some(true), ..rig.change("c3", target, admin) };
    assert_eq!(rig.apply(same).await.version, 4);
    assert_eq!(code(rig.commit("never-prepared").await), Code::NotFound);
}

async fn roles_are_handed_out_by_those_who_hold_them(rig: Rig) {
    let giver = rig.client(set([ClientOperator, HookViewer])).await;
    let create = |roles: RoleSet| CreateStandingRequest {
        actor_principal_id: giver.to_string(),
        ..rig.creation(rig.new_id(), roles)
    };
    let refused =
        told(rig.standings().create_standing(create(set([HookViewer, LedgerViewer]))).await).unwrap_err();
    assert_eq!(refused.code, Code::RoleNotHeld);
    assert_eq!(refused.detail, "the caller does not hold layer1:role:ledger:viewer");
    let made = told(rig.standings().create_standing(create(set([HookViewer]))).await).unwrap();
    assert_eq!((made.version, made.created_by, made.granted_by), (1, giver.to_string(), giver.to_string()));
    // What counts is what the giver holds now.
    let admin = rig.client(RoleSet::ALL).await;
    let take =
        PrepareChangeRequest { roles: Some(set([ClientOperator]).bits()), ..rig.change("t", giver, admin) };
    rig.apply(take).await;
    assert_eq!(
        code(told(rig.standings().create_standing(create(set([HookViewer]))).await)),
        Code::RoleNotHeld
    );
    rig.apply(PrepareChangeRequest { enabled: Some(false), ..rig.change("d", giver, admin) }).await;
    let without = told(rig.standings().create_standing(create(RoleSet::EMPTY)).await);
    assert_eq!(code(without), Code::PrincipalDisabled);
}

async fn a_later_shrink_outlasts_an_earlier_growth(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let target = rig.client(set([LedgerViewer])).await;
    let grow = PrepareChangeRequest {
        roles: Some(set([LedgerViewer, HookViewer, PaymentApprover]).bits()),
        ..rig.change("grow", target, admin)
    };
    rig.prepare(grow).await.unwrap();
    let shrink =
        PrepareChangeRequest { roles: Some(set([HookViewer]).bits()), ..rig.change("shrink", target, admin) };
    rig.prepare(shrink).await.unwrap();
    assert_eq!(rig.commit("grow").await.unwrap().roles, set([HookViewer]).bits());
    assert_eq!(rig.commit("shrink").await.unwrap().roles, set([HookViewer]).bits());
    // The same with enabled: on its way, then taken back.
    rig.apply(PrepareChangeRequest { enabled: Some(false), ..rig.change("off", target, admin) }).await;
    let enable = PrepareChangeRequest { enabled: Some(true), ..rig.change("on", target, admin) };
    assert!(!rig.prepare(enable).await.unwrap().enabled);
    rig.apply(PrepareChangeRequest { enabled: Some(false), ..rig.change("off-again", target, admin) }).await;
    assert!(!rig.commit("on").await.unwrap().enabled);
}

async fn a_rekey_needs_what_is_on_its_way(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let helper = rig.client(set([ClientOperator, LedgerViewer])).await;
    let target = rig.client(set([LedgerViewer])).await;
    let rekey = |key: &str| PrepareChangeRequest { rekey: true, ..rig.change(key, target, helper) };
    rig.prepare(rekey("k1")).await.unwrap();
    let roles = Some(set([LedgerViewer, PaymentApprover]).bits());
    rig.prepare(PrepareChangeRequest { roles, ..rig.change("grant", target, admin) }).await.unwrap();
    assert_eq!(code(rig.prepare(rekey("k2")).await), Code::RoleNotHeld);
    rig.commit("grant").await.unwrap();
    assert_eq!(code(rig.prepare(rekey("k3")).await), Code::RoleNotHeld);
    let widen = PrepareChangeRequest { take_over: true, ..rig.change("w", target, helper) };
    assert_eq!(code(rig.prepare(widen).await), Code::RoleNotHeld);
    let narrow = PrepareChangeRequest { credential_change: true, ..rig.change("n", target, helper) };
    assert!(rig.prepare(narrow).await.is_ok());
}

async fn nobody_changes_their_own(rig: Rig) {
    let own = rig.client(RoleSet::ALL).await;
    let change = |key: &str| rig.change(key, own, own);
    for request in [
        PrepareChangeRequest { roles: Some(0), ..change("r") },
        PrepareChangeRequest { enabled: Some(false), ..change("e") },
        PrepareChangeRequest { delete: true, ..change("d") },
        PrepareChangeRequest { take_over: true, ..change("t") },
    ] {
        assert_eq!(code(rig.prepare(request).await), Code::OwnPrincipal);
    }
    let renewed = rig.prepare(PrepareChangeRequest { rekey: true, ..change("k") }).await.unwrap();
    assert_eq!((renewed.version, renewed.rekeyed_by), (2, String::new()));
}

async fn deleted_is_for_good(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let target = rig.client(RoleSet::EMPTY).await;
    let grow = PrepareChangeRequest { roles: Some(RoleSet::ALL.bits()), ..rig.change("g", target, admin) };
    rig.prepare(grow).await.unwrap();
    let delete = |key: &str| PrepareChangeRequest { delete: true, ..rig.change(key, target, admin) };
    let deleted = rig.prepare(delete("d1")).await.unwrap();
    assert!(deleted.deleted);
    assert_eq!(rig.commit("g").await.unwrap(), deleted, "what was on its way is gone");
    let rekey = PrepareChangeRequest { rekey: true, ..rig.change("k", target, admin) };
    assert_eq!(code(rig.prepare(rekey).await), Code::ClientDeleted);
    assert_eq!(rig.prepare(delete("d2")).await.unwrap(), deleted);
    let again = told(
        rig.standings()
            .create_standing(CreateStandingRequest {
                effect_key: "anew".into(),
                ..rig.creation(target, RoleSet::EMPTY)
            })
            .await,
    );
    assert_eq!(again.unwrap_err().fields[0].field, "principalId");
}

async fn an_account_keeps_a_user_operator(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let users = [rig.user(set([UserOperator])).await, rig.user(set([UserOperator, HookViewer])).await];
    let off = |key: &str, user| PrepareChangeRequest { enabled: Some(false), ..rig.change(key, user, admin) };
    rig.prepare(off("1", users[0])).await.unwrap();
    assert_eq!(code(rig.prepare(off("2", users[1])).await), Code::LastOperator);
    let less =
        PrepareChangeRequest { roles: Some(set([UserOperator]).bits()), ..rig.change("3", users[1], admin) };
    assert!(rig.prepare(less).await.is_ok());
    rig.apply(PrepareChangeRequest { enabled: Some(true), ..rig.change("4", users[0], admin) }).await;
    assert!(rig.prepare(off("5", users[1])).await.is_ok());
}

async fn another_accounts_principal_is_not_there(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let target = rig.client(RoleSet::EMPTY).await;
    let other = beem_ids::AccountId::draw(rig.place.clock.now(), &beem_clock::Entropy::default()).to_string();
    let put = beem_proto::authz::v1::PutAccountRequest {
        account_id: other.clone(),
        role_grant_policy: "HELD".into(),
    };
    rig.standings().put_account(put).await.unwrap();
    let elsewhere = PrepareChangeRequest { account_id: other.clone(), ..rig.change("1", target, admin) };
    assert_eq!(code(rig.prepare(elsewhere).await), Code::NotFound);
    let stranger = CreateStandingRequest {
        account_id: other,
        actor_principal_id: admin.to_string(),
        ..rig.creation(rig.new_id(), RoleSet::EMPTY)
    };
    assert_eq!(code(told(rig.standings().create_standing(stranger).await)), Code::PrincipalDisabled);
}

async fn the_policy_any_waives_the_rule(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let helper = rig.client(set([ClientOperator])).await;
    let target = rig.client(set([LedgerViewer])).await;
    let policy = |key: &str, by: beem_ids::PrincipalId| SetRoleGrantPolicyRequest {
        account_id: rig.account.to_string(),
        role_grant_policy: "ANY".into(),
        actor_principal_id: by.to_string(),
        effect_key: key.into(),
    };
    let refused = told(rig.standings().set_role_grant_policy(policy("p1", helper)).await);
    assert_eq!(code(refused), Code::RoleMissing);
    let grant =
        |key: &str| PrepareChangeRequest { roles: Some(7), rekey: true, ..rig.change(key, target, helper) };
    assert_eq!(code(rig.prepare(grant("g1")).await), Code::RoleNotHeld);
    rig.standings().set_role_grant_policy(policy("p2", admin)).await.unwrap();
    assert_eq!(rig.apply(grant("g2")).await.roles, 7);
    // Registering the account again leaves its policy.
    rig.put_account("HELD").await;
    assert!(rig.prepare(grant("g3")).await.is_ok());
}

/// The service that asked tells the trail what it answered; a row from here would tell it twice.
async fn a_broken_rule_leaves_no_row_here(rig: Rig) {
    let helper = rig.client(set([ClientOperator])).await;
    let target = rig.client(set([LedgerViewer])).await;
    let rekey = PrepareChangeRequest { rekey: true, ..rig.change("k", target, helper) };
    assert_eq!(code(rig.prepare(rekey).await), Code::RoleNotHeld);
    assert!(beem_events::audit::unpushed(&rig.place.database, 10).await.unwrap().is_empty());
}

async fn activate(rig: &Rig, user: beem_ids::PrincipalId) -> Result<Standing, beem_fault::Fault> {
    let (account_id, principal_id) = (rig.account.to_string(), user.to_string());
    told(rig.standings().activate_standing(ActivateStandingRequest { account_id, principal_id }).await)
}

async fn invite(rig: &Rig, roles: RoleSet) -> beem_ids::PrincipalId {
    let id = rig.new_id();
    let kind = beem_caller::PrincipalKind::User.to_wire().into();
    let invited = CreateStandingRequest { kind, active: false, ..rig.creation(id, roles) };
    assert!(!told(rig.standings().create_standing(invited).await).unwrap().active);
    id
}

async fn who_is_invited_replaces_nobody_who_can_sign_in(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let owner = invite(&rig, RoleSet::ALL).await;
    let off = |key: &str, user| PrepareChangeRequest { enabled: Some(false), ..rig.change(key, user, admin) };
    assert_eq!(code(rig.prepare(off("1", owner)).await), Code::LastOperator, "the only one there is");
    let second = invite(&rig, set([UserOperator])).await;
    let active = activate(&rig, owner).await.unwrap();
    assert!(active.active && active.version == 1);
    assert_eq!(activate(&rig, owner).await.unwrap(), active);
    assert_eq!(rig.standing(owner).await, active);
    assert_eq!(code(rig.prepare(off("2", owner)).await), Code::LastOperator);
    let delete = PrepareChangeRequest { delete: true, ..rig.change("3", owner, admin) };
    assert_eq!(code(rig.prepare(delete).await), Code::LastOperator);
    activate(&rig, second).await.unwrap();
    assert!(rig.prepare(off("4", owner)).await.is_ok());
    assert_eq!(code(rig.prepare(off("5", second)).await), Code::LastOperator);
    // An invitation may be taken back while somebody stays.
    let third = invite(&rig, set([UserOperator])).await;
    let delete = |key: &str| PrepareChangeRequest { delete: true, ..rig.change(key, third, admin) };
    assert!(rig.prepare(delete("6")).await.unwrap().deleted);
    assert_eq!(code(activate(&rig, third).await), Code::UserDeleted);
    let rekey = PrepareChangeRequest { take_over: true, ..rig.change("7", third, admin) };
    assert_eq!(code(rig.prepare(rekey).await), Code::UserDeleted);
    assert_eq!(code(activate(&rig, rig.new_id()).await), Code::NotFound);
    let client = rig.client(RoleSet::EMPTY).await;
    assert!(rig.standing(client).await.active, "a client has nothing to activate");
}

async fn everybody_ends_their_own_sessions(rig: Rig) {
    let user = rig.user(set([HookViewer])).await;
    let end = |key: &str, by| PrepareChangeRequest { end_sessions: true, ..rig.change(key, user, by) };
    let ended = rig.prepare(end("1", user)).await.unwrap();
    assert_eq!((ended.version, ended.credential_version, ended.rekeyed_by.as_str()), (2, 2, ""));
    assert_eq!(rig.cached_version(user).await, 2);
    // By somebody who holds none of the user's roles: nothing is gained by it.
    let other = rig.client(set([ClientOperator])).await;
    assert_eq!(rig.apply(end("2", other)).await.credential_version, 3);
}

async fn who_has_to_activate_anew_does_not_count_until_then(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let [one, other] = [rig.user(set([UserOperator])).await, rig.user(set([UserOperator])).await];
    let anew = |key: &str, who| PrepareChangeRequest { deactivate: true, ..rig.change(key, who, admin) };
    let reset = PrepareChangeRequest { take_over: true, end_sessions: true, ..anew("1", one) };
    let after = rig.prepare(reset).await.unwrap();
    assert_eq!((after.active, after.enabled, after.version, after.credential_version), (false, true, 2, 2));
    assert_eq!(rig.standing(one).await, after);
    assert!(!rig.cached(one).await.unwrap().standing.active);
    let delete = |key: &str, who| PrepareChangeRequest { delete: true, ..rig.change(key, who, admin) };
    assert_eq!(code(rig.prepare(delete("2", other)).await), Code::LastOperator);
    // The last one, too, may be let in anew; and then is not lost beside one who is as far.
    assert!(!rig.prepare(anew("3", other)).await.unwrap().active);
    let off = PrepareChangeRequest { enabled: Some(false), ..rig.change("4", one, admin) };
    rig.prepare(off).await.unwrap();
    assert_eq!(code(rig.prepare(delete("5", other)).await), Code::LastOperator);
    let back = activate(&rig, one).await.unwrap();
    assert!(back.active && !back.enabled);
    rig.apply(PrepareChangeRequest { enabled: Some(true), ..rig.change("6", one, admin) }).await;
    assert!(rig.prepare(delete("7", other)).await.is_ok());
    // A client has nothing to activate; nobody does it to themselves.
    let client = rig.client(set([UserOperator])).await;
    let same = rig.prepare(anew("8", client)).await.unwrap();
    assert_eq!((same.active, same.version), (true, 1));
    let own = PrepareChangeRequest { deactivate: true, ..rig.change("9", one, one) };
    assert_eq!(code(rig.prepare(own).await), Code::OwnPrincipal);
}
