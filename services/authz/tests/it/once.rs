//! Every write RPC called twice: one effect, one answer, whatever the key was used for first.

use crate::on_both_shapes;
use crate::rig::{Place, Rig, Shape, cache, code, replayed, set, told, until};
use beem_caller::metadata;
use beem_clock::{Clock, Moment};
use beem_fault::Code;
use beem_proto::authz::v1::{
    CommitChangeRequest, CreateStandingRequest, PrepareChangeRequest, SetRoleGrantPolicyRequest,
};
use beem_roles::Role::{ClientOperator, HookViewer, LedgerViewer};
use beem_roles::RoleSet;

on_both_shapes![
    every_write_twice_has_one_effect,
    another_request_under_a_key_is_refused,
    row_6_a_refusal_is_remembered,
    a_key_of_nothing_prepared_is_not_burned,
    of_what_adds_nothing_nothing_is_kept,
];

async fn every_write_twice_has_one_effect(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let create = rig.creation(rig.new_id(), set([HookViewer]));
    let target = create.principal_id.parse().unwrap();
    let first = rig.standings().create_standing(create.clone()).await.unwrap();
    let again = rig.standings().create_standing(create).await.unwrap();
    assert!(!replayed(&first) && replayed(&again));
    assert_eq!(first.get_ref(), again.get_ref());

    let prepare = PrepareChangeRequest {
        roles: Some(set([LedgerViewer]).bits()),
        rekey: true,
        ..rig.change("k", target, admin)
    };
    let first = rig.standings().prepare_change(prepare.clone()).await.unwrap();
    let again = rig.standings().prepare_change(prepare.clone()).await.unwrap();
    assert!(!replayed(&first) && replayed(&again));
    assert_eq!(first.get_ref(), again.get_ref());
    assert_eq!(rig.standing(target).await.version, 2);

    let commit = CommitChangeRequest { effect_key: "k".into() };
    let first = rig.standings().commit_change(commit.clone()).await.unwrap();
    // A change in between does not change the answer, nor does the repeat undo it.
    rig.apply(PrepareChangeRequest { roles: Some(0), ..rig.change("later", target, admin) }).await;
    let again = rig.standings().commit_change(commit).await.unwrap();
    assert!(!replayed(&first) && replayed(&again));
    assert_eq!(first.get_ref(), again.get_ref());
    assert_eq!((rig.standing(target).await.roles, rig.standing(target).await.version), (0, 4));
    // A repeat of the first half after the second is still the first half's answer.
    assert_eq!(rig.prepare(prepare).await.unwrap().version, 2);

    let policy = |policy: &str, key: &str| SetRoleGrantPolicyRequest {
        account_id: rig.account.to_string(),
        role_grant_policy: policy.into(),
        actor_principal_id: admin.to_string(),
        effect_key: key.into(),
    };
    let first = rig.standings().set_role_grant_policy(policy("ANY", "p1")).await.unwrap();
    rig.standings().set_role_grant_policy(policy("HELD", "p2")).await.unwrap();
    let again = rig.standings().set_role_grant_policy(policy("ANY", "p1")).await.unwrap();
    assert!(!replayed(&first) && replayed(&again));
    assert_eq!(rig.count("SELECT COUNT(*) FROM accounts WHERE role_grant_policy = 'HELD'").await, 1);
}

async fn another_request_under_a_key_is_refused(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let create = rig.creation(rig.new_id(), RoleSet::EMPTY);
    let target = create.principal_id.parse().unwrap();
    rig.standings().create_standing(create.clone()).await.unwrap();
    let other = CreateStandingRequest { roles: 1, ..create };
    assert_eq!(code(told(rig.standings().create_standing(other).await)), Code::IdempotencyKeyReused);
    rig.prepare(PrepareChangeRequest { roles: Some(1), ..rig.change("k", target, admin) }).await.unwrap();
    let other = PrepareChangeRequest { roles: Some(2), ..rig.change("k", target, admin) };
    assert_eq!(code(rig.prepare(other).await), Code::IdempotencyKeyReused);
    assert_eq!(rig.commit("k").await.unwrap().roles, 1);
}

async fn row_6_a_refusal_is_remembered(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let giver = rig.client(set([ClientOperator])).await;
    let create = CreateStandingRequest {
        actor_principal_id: giver.to_string(),
        ..rig.creation(rig.new_id(), set([HookViewer]))
    };
    let first = rig.standings().create_standing(create.clone()).await.unwrap_err();
    assert!(first.metadata().get(metadata::REPLAYED).is_none());
    let first = told::<()>(Err(first)).unwrap_err();
    let roles = Some(set([ClientOperator, HookViewer]).bits());
    rig.apply(PrepareChangeRequest { roles, ..rig.change("g", giver, admin) }).await;
    let again = rig.standings().create_standing(create.clone()).await.unwrap_err();
    assert!(again.metadata().get(metadata::REPLAYED).is_some());
    let again = told::<()>(Err(again)).unwrap_err();
    assert_eq!((first.code, &first.detail), (again.code, &again.detail));
    let anew = CreateStandingRequest { effect_key: "anew".into(), ..create };
    assert!(rig.standings().create_standing(anew).await.is_ok());
}

async fn a_key_of_nothing_prepared_is_not_burned(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let target = rig.client(RoleSet::EMPTY).await;
    assert_eq!(code(rig.commit("k").await), Code::NotFound);
    rig.prepare(PrepareChangeRequest { roles: Some(1), ..rig.change("k", target, admin) }).await.unwrap();
    assert_eq!(rig.commit("k").await.unwrap().roles, 1);
}

const KEPT: &str = "SELECT COUNT(*) FROM prepared_changes";

async fn of_what_adds_nothing_nothing_is_kept(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let target = rig.client(set([HookViewer, LedgerViewer])).await;
    let fewer =
        PrepareChangeRequest { roles: Some(set([HookViewer]).bits()), ..rig.change("k", target, admin) };
    let prepared = rig.prepare(fewer).await.unwrap();
    assert_eq!(rig.count(KEPT).await, 0);
    for _ in 0..2 {
        assert_eq!(rig.commit("k").await.unwrap(), prepared);
    }
    let refused = PrepareChangeRequest { roles: Some(0), ..rig.change("r", admin, admin) };
    assert_eq!(code(rig.prepare(refused).await), Code::OwnPrincipal);
    assert_eq!(code(rig.commit("r").await), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_change_is_forgotten_after_seven_days_and_its_answer_is_not() {
    for shape in [Shape::Embedded, Shape::Clustered] {
        let clock = Clock::manual(Moment::from_unix_s(1_700_000_000));
        let rig = Rig::build(Place::at(shape, clock.clone()).await, cache(shape)).await;
        rig.put_account("HELD").await;
        let admin = rig.client(RoleSet::ALL).await;
        let target = rig.client(RoleSet::EMPTY).await;
        let add = |key: &str, roles: u32| PrepareChangeRequest {
            roles: Some(roles),
            ..rig.change(key, target, admin)
        };
        let old = rig.apply(add("old", 1)).await;
        rig.prepare(add("open", 3)).await.unwrap();
        clock.advance_ms(24 * 60 * 60 * 1000);
        rig.apply(add("young", 7)).await;
        clock.advance_ms(6 * 24 * 60 * 60 * 1000 + 1);
        let rig = rig.with_tasks();
        until("the oldest is gone", async || rig.count(KEPT).await == 2).await;
        // What is not committed stays, however old.
        assert_eq!(rig.commit("open").await.unwrap().roles, 7);
        let commit = CommitChangeRequest { effect_key: "old".into() };
        let again = rig.standings().commit_change(commit).await.unwrap();
        assert!(replayed(&again));
        assert_eq!(again.into_inner(), old);
    }
}
