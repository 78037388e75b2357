//! The audit trail: rows taken in once, listed for their account, whoever pushes at the same time.

use crate::on_both_shapes;
use crate::rig::{Rig, code, told};
use beem_fault::{Code, Fault};
use beem_ids::{AccountId, PrincipalId};
use beem_proto::authz::v1::{
    AuditActor, AuditEvent, AuditFinding, AuditHead, AuditRow, AuditTarget, ListAuditEventsRequest,
    ListAuditEventsResponse, PushAuditRowsRequest, VerifyAuditRequest,
};
use beem_proto::to_timestamp;
use beem_roles::Role::UserViewer;
use futures::future::join_all;
use prost_types::value::Kind;
use std::collections::HashSet;

on_both_shapes![
    a_row_is_listed_whole,
    a_push_is_all_or_nothing,
    pushed_again_it_is_there_once,
    pushers_at_the_same_time_leave_no_gap,
    a_thousand_rows_in_pages_while_others_come,
    another_accounts_rows_are_never_shown,
    an_honest_trail_has_no_findings_while_it_grows,
];

impl Rig {
    /// A row of an account, at a millisecond.
    pub fn row(&self, account: Option<AccountId>, time_ms: i64) -> AuditRow {
        AuditRow {
            id: beem_ids::draw(self.place.clock.now(), &self.place.entropy).to_string(),
            account_id: account.map(|account| account.to_string()).unwrap_or_default(),
            time_ms,
            actor: Some(AuditActor {
                principal_id: String::new(),
                kind: "INSTALLATION".into(),
                name: String::new(),
            }),
            action: "CreateClient".into(),
            target: Some(AuditTarget { r#type: "client".into(), id: "c".into() }),
            outcome: "done".into(),
            after: r#"{"name":"tills"}"#.into(),
            ..AuditRow::default()
        }
    }

    /// As many of them, a millisecond after each other.
    pub fn rows(&self, account: AccountId, count: i64) -> Vec<AuditRow> {
        (0..count).map(|n| self.row(Some(account), n)).collect()
    }

    pub async fn push(&self, rows: &[AuditRow]) -> Result<(), Fault> {
        told(self.audit().push_audit_rows(PushAuditRowsRequest { rows: rows.to_vec() }).await).map(drop)
    }

    /// What verifying answers, stretch by stretch of `max_rows`, and how many rows there were.
    pub async fn verify(&self, max_rows: u32, kept_heads: Vec<AuditHead>) -> (Vec<AuditFinding>, u64) {
        let mut request = VerifyAuditRequest { max_rows, kept_heads, ..Default::default() };
        let (mut findings, mut rows) = (Vec::new(), 0);
        loop {
            let page = told(self.audit().verify_audit(request).await).unwrap();
            findings.extend(page.findings);
            rows += page.rows;
            if page.next_page_token.is_empty() {
                return (findings, rows);
            }
            request = VerifyAuditRequest { page_token: page.next_page_token, max_rows, ..Default::default() };
        }
    }

    pub fn new_account(&self) -> AccountId {
        AccountId::draw(self.place.clock.now(), &self.place.entropy)
    }

    /// As a user of the account asks for it.
    async fn list(
        &self,
        account: AccountId,
        asked: ListAuditEventsRequest,
    ) -> Result<ListAuditEventsResponse, Fault> {
        let actor =
            beem_caller::Actor { account, roles: crate::rig::set([UserViewer]), ..self.actor(self.new_id()) };
        let request = self.sealed(&actor, "/beem.authz.v1.Audit/ListAuditEvents", asked);
        told(self.audit().list_audit_events(request).await)
    }

    async fn all(&self, account: AccountId, mut asked: ListAuditEventsRequest) -> Vec<AuditEvent> {
        let mut events = Vec::new();
        loop {
            let page = self.list(account, asked.clone()).await.unwrap();
            events.extend(page.content);
            if page.next_page_token.is_empty() {
                return events;
            }
            asked.page_token = page.next_page_token;
        }
    }
}

async fn a_row_is_listed_whole(rig: Rig) {
    let by = rig.new_id();
    let row = AuditRow {
        actor: Some(AuditActor {
            principal_id: by.to_string(),
            kind: "USER".into(),
            name: "ada@example.com".into(),
        }),
        before: r#"{"enabled":true,"n":7,"none":null,"deep":{"list":["a",{"b":[]}]}}"#.into(),
        address: "2001:db8::7".into(),
        key_fingerprint: "f00d".into(),
        request_id: "r\0".into(),
        ..rig.row(Some(rig.account), 1_700_000_000_123)
    };
    rig.push(std::slice::from_ref(&row)).await.unwrap();
    let listed = rig.list(rig.account, ListAuditEventsRequest::default()).await.unwrap();
    assert_eq!(listed.next_page_token, "");
    let [event] = listed.content.as_slice() else { panic!("{listed:?}") };
    assert_eq!((&event.id, &event.actor, &event.target), (&row.id, &row.actor, &row.target));
    assert_eq!(event.time, Some(to_timestamp(1_700_000_000_123)));
    assert_eq!((event.action.as_str(), event.outcome.as_str()), ("CreateClient", "done"));
    assert_eq!((event.address.as_str(), event.key_fingerprint.as_str()), ("2001:db8::7", "f00d"));
    assert_eq!(event.request_id, "r\u{fffd}", "PostgreSQL keeps no NUL");
    let before = &event.before.as_ref().unwrap().fields;
    assert_eq!(before["enabled"].kind, Some(Kind::BoolValue(true)));
    assert_eq!(before["n"].kind, Some(Kind::NumberValue(7.0)));
    assert_eq!(before["none"].kind, Some(Kind::NullValue(0)));
    let Some(Kind::StructValue(deep)) = &before["deep"].kind else { panic!("{before:?}") };
    let Some(Kind::ListValue(list)) = &deep.fields["list"].kind else { panic!("{deep:?}") };
    assert_eq!(list.values[0].kind, Some(Kind::StringValue("a".into())));
    assert_eq!(event.after.as_ref().unwrap().fields.len(), 1);
    assert_eq!(rig.verify(0, vec![]).await, (vec![], 1));
}

async fn a_push_is_all_or_nothing(rig: Rig) {
    let good = || rig.row(Some(rig.account), 1);
    let kind = |kind: &str| Some(AuditActor { kind: kind.into(), ..AuditActor::default() });
    for (field, bad) in [
        ("rows[1].id", AuditRow { id: "7".into(), ..good() }),
        ("rows[1].accountId", AuditRow { account_id: "x".into(), ..good() }),
        ("rows[1].actor.kind", AuditRow { actor: kind("ROBOT"), ..good() }),
        ("rows[1].before", AuditRow { before: "[1]".into(), ..good() }),
        ("rows[1].after", AuditRow { after: "{".into(), ..good() }),
    ] {
        let refused = rig.push(&[good(), bad]).await.unwrap_err();
        assert_eq!((refused.code, refused.fields[0].field.as_str()), (Code::ValidationFailed, field));
    }
    assert_eq!(rig.push(&rig.rows(rig.account, 501)).await.unwrap_err().fields[0].field, "rows");
    assert_eq!(rig.count("SELECT COUNT(*) FROM audit_events").await, 0);
    rig.push(&[]).await.unwrap();
    rig.push(&rig.rows(rig.account, 500)).await.unwrap();
    assert_eq!(rig.verify(0, vec![]).await, (vec![], 500));
}

async fn pushed_again_it_is_there_once(rig: Rig) {
    let rows = rig.rows(rig.account, 5);
    rig.push(&rows[..3]).await.unwrap();
    rig.push(&rows).await.unwrap();
    // The same one twice in one push, and one that says something else now: what came first stays.
    let again = AuditRow { outcome: "role-missing".into(), ..rows[4].clone() };
    let sixth = rig.row(Some(rig.account), 9);
    rig.push(&[again, sixth.clone(), sixth]).await.unwrap();
    assert_eq!(rig.verify(0, vec![]).await, (vec![], 6));
    assert_eq!(rig.count("SELECT COUNT(*) FROM audit_events WHERE outcome = 'done'").await, 6);
    assert_eq!(rig.count("SELECT max(sequence) FROM audit_events").await, 6);
}

/// Rows of several accounts in one push, in whatever order: no two pushers wait for each other in a ring.
async fn pushers_at_the_same_time_leave_no_gap(rig: Rig) {
    let accounts: Vec<_> = (0..5).map(|_| rig.new_account()).collect();
    let mut rows: Vec<_> = (0..200).map(|n| rig.row(accounts.get(n % 6).copied(), 1)).collect();
    for _ in 0..2 {
        let rotated: Vec<_> = (0..8)
            .map(|n| {
                rows.rotate_left(25);
                rows[..60 + n].to_vec()
            })
            .collect();
        for pushed in join_all(rotated.iter().map(|rows| rig.push(rows))).await {
            pushed.unwrap();
        }
    }
    assert_eq!(rig.verify(0, vec![]).await, (vec![], 200));
    let gaps = "SELECT COUNT(*) FROM (SELECT account_id FROM audit_events GROUP BY account_id
        HAVING max(sequence) <> COUNT(*) OR min(sequence) <> 1) AS gapped";
    assert_eq!(rig.count(gaps).await, 0);
    assert_eq!(rig.count("SELECT COUNT(*) FROM audit_chains").await, 6);
}

async fn a_thousand_rows_in_pages_while_others_come(rig: Rig) {
    let by: Vec<PrincipalId> = (0..2).map(|_| rig.new_id()).collect();
    let mut rows = rig.rows(rig.account, 1000);
    for (n, row) in rows.iter_mut().enumerate() {
        row.actor = Some(AuditActor {
            principal_id: by[n % 2].to_string(),
            kind: "USER".into(),
            name: "ada@example.com".into(),
        });
        row.action = ["CreateUser", "UpdateUser", "DeleteUser"][n % 3].into();
        // Several at one millisecond.
        row.time_ms = i64::try_from(n / 4).unwrap();
    }
    for chunk in rows.chunks(500) {
        rig.push(chunk).await.unwrap();
    }
    let asked = |actor: &str, action: &str| ListAuditEventsRequest {
        actor: actor.into(),
        action: action.into(),
        max: Some(37),
        ..Default::default()
    };
    // Page by page, and after each one newer rows come.
    let mut seen = Vec::new();
    let mut request = asked("", "");
    loop {
        let page = rig.list(rig.account, request.clone()).await.unwrap();
        rig.push(&[rig.row(Some(rig.account), 5000)]).await.unwrap();
        seen.extend(page.content);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let ids: HashSet<_> = seen.iter().map(|event| event.id.as_str()).collect();
    assert_eq!((seen.len(), ids.len()), (1000, 1000));
    assert!(rows.iter().all(|row| ids.contains(row.id.as_str())));
    assert!(seen.windows(2).all(|pair| {
        let place =
            |event: &AuditEvent| (event.time.unwrap().seconds, event.time.unwrap().nanos, event.id.clone());
        place(&pair[0]) > place(&pair[1])
    }));
    // Filters, each alone and together.
    let actor = by[1].to_string();
    assert_eq!(rig.all(rig.account, asked(&actor, "")).await.len(), 500);
    assert_eq!(rig.all(rig.account, asked("", "CreateUser")).await.len(), 334);
    let both = rig.all(rig.account, asked(&actor, "CreateUser")).await;
    assert_eq!(both.len(), 167);
    assert!(both.iter().all(|event| event.action == "CreateUser"));
    let between = ListAuditEventsRequest {
        from: Some(to_timestamp(10)),
        to: Some(to_timestamp(20)),
        order: "asc".into(),
        ..asked("", "")
    };
    let found = rig.all(rig.account, between.clone()).await;
    assert_eq!((found.len(), found[0].time), (40, Some(to_timestamp(10))));
    // A millisecond that has begun is not from then on.
    let mut later = between;
    later.from.as_mut().unwrap().nanos += 1;
    assert_eq!(rig.all(rig.account, later).await[0].time, Some(to_timestamp(11)));
    // A token is good for its filter only.
    let token = rig.list(rig.account, asked("", "")).await.unwrap().next_page_token;
    let elsewhere = ListAuditEventsRequest { page_token: token, ..asked("", "CreateUser") };
    assert_eq!(rig.list(rig.account, elsewhere).await.unwrap_err().fields[0].field, "pageToken");
    assert_eq!(rig.list(rig.account, asked("ada", "")).await.unwrap_err().fields[0].field, "actor");
}

async fn another_accounts_rows_are_never_shown(rig: Rig) {
    let (mine, theirs) = (rig.account, rig.new_account());
    let by = rig.new_id().to_string();
    let actor = Some(AuditActor { principal_id: by.clone(), kind: "CLIENT".into(), name: "c".into() });
    let of = |account| AuditRow { actor: actor.clone(), ..rig.row(account, 1) };
    let ours = of(Some(mine));
    rig.push(&[of(Some(theirs)), of(None), ours.clone(), of(Some(theirs))]).await.unwrap();
    for asked in [
        ListAuditEventsRequest::default(),
        ListAuditEventsRequest { actor: by, ..Default::default() },
        ListAuditEventsRequest { action: "CreateClient".into(), ..Default::default() },
    ] {
        let events = rig.all(mine, asked).await;
        assert_eq!(events.iter().map(|event| &event.id).collect::<Vec<_>>(), [&ours.id]);
    }
    let nobody = rig.new_account();
    assert!(rig.all(nobody, ListAuditEventsRequest::default()).await.is_empty());
    // A token from another account opens nothing.
    let asked = ListAuditEventsRequest { max: Some(1), ..Default::default() };
    let token = rig.list(theirs, asked.clone()).await.unwrap().next_page_token;
    let refused = rig.list(mine, ListAuditEventsRequest { page_token: token, ..asked.clone() }).await;
    assert_eq!(refused.unwrap_err().fields[0].field, "pageToken");
    // Without a role for it, nothing.
    let request = rig.sealed(&rig.actor(rig.new_id()), "/beem.authz.v1.Audit/ListAuditEvents", asked);
    assert_eq!(code(told(rig.audit().list_audit_events(request).await)), Code::RoleMissing);
}

async fn an_honest_trail_has_no_findings_while_it_grows(rig: Rig) {
    let accounts: Vec<_> = (0..3).map(|_| rig.new_account()).collect();
    let growing = async {
        for n in 0..60 {
            let rows: Vec<_> = (0..4).map(|m| rig.row(accounts.get((n + m) % 4).copied(), 1)).collect();
            rig.push(&rows).await.unwrap();
        }
    };
    let judging = async {
        for n in 0..60 {
            let (findings, _) = rig.verify([1, 7, 0][n % 3], vec![]).await;
            assert!(findings.is_empty(), "{findings:?}");
        }
    };
    tokio::join!(growing, judging);
    assert_eq!(rig.verify(0, vec![]).await, (vec![], 240));
}
