//! Check with its explanations, batches, and who holds what.

use crate::on_both_shapes;
use crate::rig::{Rig, code, set, told};
use beem_fault::Code;
use beem_proto::authz::v1::{
    BatchCheckRequest, BatchGetStandingsRequest, CheckRequest, GetStandingRequest, ListHoldersRequest,
    PrepareChangeRequest,
};
use beem_roles::Role::{HookOperator, HookViewer, LedgerViewer};
use beem_roles::{Role, RoleSet};

on_both_shapes![
    a_check_explains_itself,
    batches_keep_the_order_asked,
    holders_are_listed_in_pages,
    garbled_requests_name_their_field,
];

impl Rig {
    /// All holders, page by page of three.
    pub async fn holders(&self, role: Role) -> Vec<beem_ids::PrincipalId> {
        let mut found = Vec::new();
        let mut request = ListHoldersRequest {
            account_id: self.account.to_string(),
            role: set([role]).bits(),
            max: 3,
            page_token: String::new(),
        };
        loop {
            let page = told(self.standings().list_holders(request.clone()).await).unwrap();
            assert!(page.standings.len() <= 3);
            for standing in &page.standings {
                found.push(standing.principal_id.parse().unwrap());
            }
            if page.next_page_token.is_empty() {
                return found;
            }
            request.page_token = page.next_page_token;
        }
    }
}

async fn a_check_explains_itself(rig: Rig) {
    let admin = rig.client(RoleSet::ALL).await;
    let target = rig.client(set([HookViewer])).await;
    let ask = async |any_of: RoleSet| {
        let request = CheckRequest {
            account_id: rig.account.to_string(),
            principal_id: target.to_string(),
            any_of: any_of.bits(),
        };
        told(rig.standings().check(request).await).unwrap()
    };
    let yes = ask(set([HookViewer, HookOperator])).await;
    assert!(yes.allowed && yes.refusal.is_empty() && yes.missing_any_of == 0);
    assert_eq!((yes.version, yes.roles), (1, set([HookViewer]).bits()));
    let entry = rig.verifier.verify(yes.standing.unwrap(), target, rig.place.clock.now()).unwrap();
    assert_eq!(entry.standing.version, 1);
    let no = ask(set([HookOperator, LedgerViewer])).await;
    assert!(!no.allowed && no.refusal == "role-missing");
    assert_eq!(no.missing_any_of, set([HookOperator, LedgerViewer]).bits());
    rig.apply(PrepareChangeRequest { enabled: Some(false), ..rig.change("e", target, admin) }).await;
    let disabled = ask(RoleSet::EMPTY).await;
    assert_eq!((disabled.refusal.as_str(), disabled.version), ("disabled", 2));
    rig.apply(PrepareChangeRequest { delete: true, ..rig.change("d", target, admin) }).await;
    assert_eq!(ask(set([HookViewer])).await.refusal, "deleted");
    let unknown =
        CheckRequest { account_id: rig.new_id().to_string(), principal_id: target.to_string(), any_of: 0 };
    let unknown = told(rig.standings().check(unknown).await).unwrap();
    assert_eq!((unknown.allowed, unknown.refusal.as_str(), unknown.standing), (false, "unknown", None));
    let nobody = GetStandingRequest { principal_id: rig.new_id().to_string() };
    assert_eq!(code(told(rig.standings().get_standing(nobody).await)), Code::NotFound);
}

async fn batches_keep_the_order_asked(rig: Rig) {
    let (a, b, nobody) =
        (rig.client(set([HookViewer])).await, rig.client(RoleSet::EMPTY).await, rig.new_id());
    let principal_ids: Vec<_> = [b, nobody, a, b].iter().map(ToString::to_string).collect();
    let account_id = rig.account.to_string();
    let get =
        BatchGetStandingsRequest { account_id: account_id.clone(), principal_ids: principal_ids.clone() };
    let found = told(rig.standings().batch_get_standings(get).await).unwrap().standings;
    let found: Vec<_> = found.iter().map(|s| s.principal_id.as_str()).collect();
    assert_eq!(found, [b, a, b].map(|p| p.to_string()));
    let check = BatchCheckRequest { account_id, principal_ids, any_of: set([HookViewer]).bits() };
    let results = told(rig.standings().batch_check(check).await).unwrap().results;
    let refusals: Vec<_> = results.iter().map(|r| r.refusal.as_str()).collect();
    assert_eq!(refusals, ["role-missing", "unknown", "", "role-missing"]);
    // Another account sees none of them.
    let elsewhere =
        BatchGetStandingsRequest { account_id: rig.new_id().to_string(), principal_ids: vec![a.to_string()] };
    assert!(told(rig.standings().batch_get_standings(elsewhere).await).unwrap().standings.is_empty());
}

async fn holders_are_listed_in_pages(rig: Rig) {
    let admin = rig.client(set([LedgerViewer])).await;
    let mut expected = vec![admin];
    for n in 0..8 {
        let id = rig.client(set([LedgerViewer, HookViewer])).await;
        match n {
            2 => drop(
                rig.apply(PrepareChangeRequest { enabled: Some(false), ..rig.change("e", id, admin) }).await,
            ),
            5 => drop(rig.apply(PrepareChangeRequest { delete: true, ..rig.change("d", id, admin) }).await),
            _ => expected.push(id),
        }
    }
    rig.client(set([HookViewer])).await;
    assert_eq!(rig.holders(LedgerViewer).await, expected);
    assert!(rig.holders(HookOperator).await.is_empty());
    let all = ListHoldersRequest {
        account_id: rig.account.to_string(),
        role: set([LedgerViewer]).bits(),
        ..ListHoldersRequest::default()
    };
    let page = told(rig.standings().list_holders(all.clone()).await).unwrap();
    assert_eq!((page.standings.len(), page.next_page_token.as_str()), (7, ""));
    let first =
        told(rig.standings().list_holders(ListHoldersRequest { max: 1, ..all.clone() }).await).unwrap();
    let other =
        ListHoldersRequest { role: set([HookViewer]).bits(), page_token: first.next_page_token, ..all };
    assert_eq!(code(told(rig.standings().list_holders(other).await)), Code::ValidationFailed);
}

async fn garbled_requests_name_their_field(rig: Rig) {
    let id = rig.client(RoleSet::EMPTY).await;
    let field = |fault: Result<beem_proto::authz::v1::Standing, beem_fault::Fault>| {
        fault.unwrap_err().fields.first().map(|f| f.field.clone()).unwrap()
    };
    let change = || rig.change("k", id, id);
    let wrong = [
        (PrepareChangeRequest { effect_key: String::new(), ..change() }, "effectKey"),
        (PrepareChangeRequest { account_id: "x".into(), ..change() }, "accountId"),
        (PrepareChangeRequest { principal_id: String::new(), ..change() }, "principalId"),
        (PrepareChangeRequest { actor_principal_id: "me".into(), ..change() }, "actorPrincipalId"),
        (PrepareChangeRequest { roles: Some(1 << 15), ..change() }, "roles"),
    ];
    for (request, expected) in wrong {
        assert_eq!(field(rig.prepare(request).await), expected);
    }
    let mut create = rig.creation(rig.new_id(), RoleSet::EMPTY);
    create.kind = 0;
    assert_eq!(field(told(rig.standings().create_standing(create).await)), "kind");
    let many = BatchGetStandingsRequest {
        account_id: rig.account.to_string(),
        principal_ids: vec![id.to_string(); 501],
    };
    let fault = told(rig.standings().batch_get_standings(many).await).unwrap_err();
    assert_eq!(fault.fields[0].field, "principalIds");
    let two =
        ListHoldersRequest { account_id: rig.account.to_string(), role: 3, ..ListHoldersRequest::default() };
    assert_eq!(told(rig.standings().list_holders(two).await).unwrap_err().fields[0].field, "role");
}
