//! Nobody raises themselves through a principal they stand behind; whoever has nothing to do with them may.

use crate::on_both_shapes;
use crate::rig::{Rig, code, set, told};
use beem_fault::{Code, Fault};
use beem_ids::PrincipalId;
use beem_proto::authz::v1::{CreateStandingRequest, PrepareChangeRequest, Standing};
use beem_roles::Role::{ClientOperator, HookViewer, LedgerViewer, UserOperator};
use beem_roles::RoleSet;

on_both_shapes![
    a_person_is_not_raised_by_a_client_they_made,
    nor_by_a_client_of_that_client,
    nor_by_a_client_they_gave_a_key_or_roles,
    what_shrinks_is_allowed_to_all,
    a_policy_does_not_waive_it,
    behind_too_many_nobody_is_raised,
];

const ROLES: [beem_roles::Role; 4] = [UserOperator, ClientOperator, HookViewer, LedgerViewer];

/// A person who lost a role and was then disabled, by somebody else; and somebody unrelated who holds all.
struct Scene {
    rig: Rig,
    person: PrincipalId,
    other: PrincipalId,
}

impl Scene {
    async fn set(rig: Rig) -> Self {
        let (person, other) = (rig.user(set(ROLES)).await, rig.user(RoleSet::ALL).await);
        Self { rig, person, other }
    }

    /// Made by somebody who may.
    async fn made_by(&self, by: PrincipalId) -> PrincipalId {
        let id = self.rig.new_id();
        let creation = self.rig.creation(id, set(ROLES));
        let request = CreateStandingRequest { actor_principal_id: by.to_string(), ..creation };
        self.rig.standings().create_standing(request).await.unwrap();
        id
    }

    async fn lower(&self) {
        let roles = Some(set([UserOperator, ClientOperator]).bits());
        let change = self.rig.change("lower", self.person, self.other);
        let lowered = PrepareChangeRequest { enabled: Some(false), roles, credential_change: true, ..change };
        self.rig.apply(lowered).await;
    }

    /// Every way of raising the person, each by itself.
    async fn attempts(&self, by: PrincipalId) -> Vec<Result<Standing, Fault>> {
        // Each under a new key: a refusal is remembered.
        let change = |what: &str| self.rig.change(&format!("{what}:{}", self.rig.new_id()), self.person, by);
        let attempts = [
            PrepareChangeRequest { enabled: Some(true), ..change("enable") },
            PrepareChangeRequest { roles: Some(set(ROLES).bits()), ..change("roles") },
            PrepareChangeRequest { take_over: true, ..change("network") },
            PrepareChangeRequest { take_over: true, end_sessions: true, deactivate: true, ..change("reset") },
            PrepareChangeRequest { rekey: true, ..change("rekey") },
        ];
        let mut answers = Vec::new();
        for attempt in attempts {
            answers.push(self.rig.prepare(attempt).await);
        }
        answers
    }

    async fn refuses(&self, by: PrincipalId) {
        let before = self.rig.standing(self.person).await;
        for answer in self.attempts(by).await {
            let fault = answer.unwrap_err();
            assert_eq!(fault.code, Code::OwnPrincipal);
            assert_eq!(fault.detail, "nobody raises themselves, not through another principal either");
        }
        assert_eq!(self.rig.standing(self.person).await, before);
    }

    async fn allows(&self, by: PrincipalId) {
        for answer in self.attempts(by).await {
            answer.unwrap();
        }
    }
}

async fn a_person_is_not_raised_by_a_client_they_made(rig: Rig) {
    let scene = Scene::set(rig).await;
    let own = scene.made_by(scene.person).await;
    let installations = scene.rig.client(set(ROLES)).await;
    scene.lower().await;
    scene.refuses(own).await;
    // Neither their person nor their client is anything to these.
    scene.allows(installations).await;
    scene.allows(scene.made_by(scene.other).await).await;
    scene.allows(scene.other).await;
}

async fn nor_by_a_client_of_that_client(rig: Rig) {
    let scene = Scene::set(rig).await;
    let second = scene.made_by(scene.made_by(scene.person).await).await;
    let third = scene.made_by(second).await;
    scene.lower().await;
    scene.refuses(second).await;
    scene.refuses(third).await;
    // Nor do they raise each other upwards: the person holds the keys of all.
    let up = PrepareChangeRequest { rekey: true, ..scene.rig.change("up", second, third) };
    assert_eq!(code(scene.rig.prepare(up).await), Code::OwnPrincipal);
    let down = PrepareChangeRequest { rekey: true, ..scene.rig.change("down", third, second) };
    assert!(scene.rig.prepare(down).await.is_ok());
}

async fn nor_by_a_client_they_gave_a_key_or_roles(rig: Rig) {
    let scene = Scene::set(rig).await;
    let [keyed, given] = [scene.rig.client(set(ROLES)).await, scene.rig.client(set([UserOperator])).await];
    let rotated = PrepareChangeRequest { rekey: true, ..scene.rig.change("k", keyed, scene.person) };
    scene.rig.apply(rotated).await;
    let roles = Some(set(ROLES).bits());
    let granted = PrepareChangeRequest { roles, ..scene.rig.change("g", given, scene.person) };
    scene.rig.apply(granted).await;
    scene.lower().await;
    // Renewing its own key does not hide who gave it the one before.
    scene.rig.apply(PrepareChangeRequest { rekey: true, ..scene.rig.change("own", keyed, keyed) }).await;
    scene.refuses(keyed).await;
    scene.refuses(given).await;
    // Once another gave it a key, the person's is none any more.
    scene.rig.apply(PrepareChangeRequest { rekey: true, ..scene.rig.change("o", keyed, scene.other) }).await;
    scene.allows(keyed).await;
}

async fn what_shrinks_is_allowed_to_all(rig: Rig) {
    let scene = Scene::set(rig).await;
    let own = scene.made_by(scene.person).await;
    let change = |key: &str| scene.rig.change(key, scene.person, own);
    let fewer = Some(set([UserOperator]).bits());
    for shrink in [
        PrepareChangeRequest { roles: fewer, enabled: Some(true), ..change("fewer") },
        PrepareChangeRequest { credential_change: true, end_sessions: true, ..change("narrower") },
        PrepareChangeRequest { enabled: Some(false), ..change("off") },
        PrepareChangeRequest { delete: true, ..change("gone") },
    ] {
        scene.rig.prepare(shrink).await.unwrap();
    }
}

async fn a_policy_does_not_waive_it(rig: Rig) {
    let scene = Scene::set(rig).await;
    let policy = beem_proto::authz::v1::SetRoleGrantPolicyRequest {
        account_id: scene.rig.account.to_string(),
        role_grant_policy: "ANY".into(),
        effect_key: "any".into(),
        ..Default::default()
    };
    told(scene.rig.standings().set_role_grant_policy(policy).await).unwrap();
    let own = scene.made_by(scene.person).await;
    scene.lower().await;
    scene.refuses(own).await;
}

/// A row of makers, each made by the one before: the walk stops after 32 of them.
async fn behind_too_many_nobody_is_raised(rig: Rig) {
    let scene = Scene::set(rig).await;
    let mut last = scene.rig.client(set(ROLES)).await;
    for _ in 0..32 {
        last = scene.made_by(last).await;
    }
    scene.lower().await;
    scene.allows(last).await;
    let beyond = scene.made_by(last).await;
    let again = PrepareChangeRequest { take_over: true, ..scene.rig.change("b", scene.person, beyond) };
    assert_eq!(code(scene.rig.prepare(again).await), Code::OwnPrincipal);
    let off = PrepareChangeRequest { enabled: Some(false), ..scene.rig.change("off", scene.person, beyond) };
    assert!(scene.rig.prepare(off).await.is_ok());
}
