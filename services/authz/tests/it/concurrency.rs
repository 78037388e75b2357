//! Many at once, and still one after the other.

use crate::on_both_shapes;
use crate::rig::{Rig, set};
use beem_fault::Code;
use beem_proto::authz::v1::PrepareChangeRequest;
use beem_roles::Role::{self, UserOperator};
use beem_roles::RoleSet;
use futures::future::join_all;

on_both_shapes![
    twenty_prepares_draw_twenty_versions,
    row_4_two_commits_apply_once,
    crossing_growths_all_arrive,
    two_admins_cannot_remove_each_other,
];

async fn twenty_prepares_draw_twenty_versions(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let target = rig.client(RoleSet::EMPTY).await;
    let rekeys = (0..20).map(|n| {
        rig.prepare(PrepareChangeRequest { rekey: true, ..rig.change(&format!("k{n}"), target, admin) })
    });
    let answers = join_all(rekeys).await;
    let mut versions: Vec<_> = answers.into_iter().map(|a| a.unwrap().credential_version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=21).collect::<Vec<_>>());
    assert_eq!(rig.cached_version(target).await, 21);
}

async fn row_4_two_commits_apply_once(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let target = rig.client(RoleSet::EMPTY).await;
    rig.prepare(PrepareChangeRequest { roles: Some(3), ..rig.change("k", target, admin) }).await.unwrap();
    let answers = join_all((0..10).map(|_| rig.commit("k"))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().version, 2);
    }
    assert_eq!(rig.standing(target).await.version, 2);
}

async fn crossing_growths_all_arrive(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let targets = join_all((0..15).map(|_| rig.client(RoleSet::EMPTY))).await;
    let grants = Role::ALL.into_iter().zip(&targets).map(|(role, target)| {
        let roles = Some(set([role]).bits());
        rig.apply(PrepareChangeRequest { roles, ..rig.change(&format!("g{role}"), *target, admin) })
    });
    for (grown, role) in join_all(grants).await.into_iter().zip(Role::ALL) {
        assert_eq!((grown.roles, grown.version), (set([role]).bits(), 2));
    }
}

/// Each reads the other as the one who stays: only the lock on the account keeps both from being right.
async fn two_admins_cannot_remove_each_other(rig: Rig) {
    for round in 0..5 {
        let (a, b) = (rig.user(RoleSet::ALL).await, rig.user(RoleSet::ALL).await);
        let off = |key: String, target, by| {
            rig.prepare(PrepareChangeRequest { enabled: Some(false), ..rig.change(&key, target, by) })
        };
        let (one, other) = tokio::join!(off(format!("a{round}"), a, b), off(format!("b{round}"), b, a));
        let refused = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
        let [fault] = refused.as_slice() else { panic!("{refused:?}") };
        // The loser was disabled before it was judged.
        assert_eq!(fault.code, Code::PrincipalDisabled);
        let left = [rig.standing(a).await, rig.standing(b).await];
        let left = left.iter().filter(|s| s.enabled && s.roles & set([UserOperator]).bits() != 0);
        assert_eq!(left.count(), 1);
    }
    // By a third, who stays: the last of them is refused.
    let third = rig.client(RoleSet::ALL).await;
    let rows = rig.count("SELECT COUNT(*) FROM standings WHERE kind = 'USER' AND enabled").await;
    assert_eq!(rows, 5);
    let holders = rig.holders(UserOperator).await;
    let users: Vec<_> = holders.into_iter().filter(|id| *id != third).collect();
    let offs = users.iter().map(|user| {
        let request = rig.change(&format!("off{user}"), *user, third);
        rig.prepare(PrepareChangeRequest { enabled: Some(false), ..request })
    });
    let refused: Vec<_> = join_all(offs).await.into_iter().filter_map(Result::err).map(|f| f.code).collect();
    assert_eq!(refused, [Code::LastOperator]);
}
