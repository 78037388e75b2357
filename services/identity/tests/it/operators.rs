//! Who is told that something of an account wants looking after.

use crate::on_both;
use crate::people::{self, PASSWORD, known_token};
use crate::rig::{Reply, Rig};
use crate::users::{delete, enabled, invite, person, roles, update};
use beem_caller::Actor;
use beem_database::Sql as _;
use beem_proto::identity::v1 as wire;
use uuid::Uuid;

on_both!(
    operators_are_active_enabled_and_hold_the_role,
    operators_are_found_on_every_page,
    wrong_questions_for_operators_are_refused,
);

async fn asked(rig: &Rig, from: &str, account: &str, role: &str) -> Reply<wire::ListOperatorsResponse> {
    let asked = wire::ListOperatorsRequest { account_id: account.into(), role: role.into() };
    let link = rig.identity.link(from);
    rig.identity.internal(&link, "/beem.identity.v1.Directory/ListOperators", asked).await
}

async fn operators(rig: &Rig, account: &str, role: &str) -> Vec<String> {
    let found = asked(rig, "hooks", account, role).await.unwrap().body.operators;
    found.into_iter().map(|operator| operator.email).collect()
}

async fn invited(rig: &Rig, owner: &Actor, name: &str, roles: &[&str]) -> wire::User {
    rig.clock.advance_ms(1_000);
    let email = format!("{name}@example.com");
    invite(rig, owner, name, &person(&email, roles)).await.unwrap().body
}

/// Invited, and then with a password and a second factor.
async fn active(rig: &Rig, owner: &Actor, name: &str, roles: &[&str]) -> wire::User {
    let user = invited(rig, owner, name, roles).await;
    let token = known_token(rig, &user.id, "ACTIVATION").await;
    let secret = people::activate(rig, &token, PASSWORD).await.unwrap().secret;
    people::confirm(rig, &token, &people::totp(&secret, rig.clock.now().unix_s())).await.unwrap();
    user
}

async fn operators_are_active_enabled_and_hold_the_role(rig: Rig) {
    let owner = rig.owner("a").await;
    let stranger = rig.owner("b").await;
    let account = owner.account.to_string();
    let listed = async || operators(&rig, &account, "hook:operator").await;
    assert!(listed().await.is_empty(), "the first client holds the role, but is nobody to write to");
    let ada = active(&rig, &owner, "ada", &["hook:operator", "hook:viewer"]).await;
    let ben = active(&rig, &owner, "ben", &["layer1:role:hook:operator"]).await;
    active(&rig, &owner, "cy", &["hook:viewer", "user:operator"]).await;
    let dan = invited(&rig, &owner, "dan", &["hook:operator"]).await;
    active(&rig, &stranger, "eve", &["hook:operator"]).await;
    let both = ["ada@example.com", "ben@example.com"];
    assert_eq!(listed().await, both, "oldest first");
    assert_eq!(operators(&rig, &account, "layer1:role:hook:operator").await, both);
    assert_eq!(operators(&rig, &account, "user:operator").await, ["cy@example.com"]);
    let other = stranger.account.to_string();
    let eve = asked(&rig, "hooks", &other, "hook:operator").await.unwrap().body.operators;
    let expected = wire::Operator {
        email: "eve@example.com".into(),
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
    };
    assert_eq!(eve, [expected]);

    update(&rig, &owner, "off", &enabled(&ada.id, false)).await.unwrap();
    assert_eq!(listed().await, ["ben@example.com"]);
    update(&rig, &owner, "on", &enabled(&ada.id, true)).await.unwrap();
    update(&rig, &owner, "less", &roles(&ben.id, &["hook:viewer"])).await.unwrap();
    assert_eq!(listed().await, ["ada@example.com"]);
    delete(&rig, &owner, "gone", &ada.id).await.unwrap();
    assert!(listed().await.is_empty(), "{} was only invited", dan.email);
}

/// Users of the account who activated before everybody else, and whom authz does not know.
async fn crowd(rig: &Rig, account: &str, count: i64) {
    let account: Uuid = account.parse().unwrap();
    let before = rig.count("users").await;
    let sql =
        "INSERT INTO users (id, account_id, email, email_folded, first_name, last_name, network_whitelist,
            made, totp_step, credential_version, created_ms, activated_ms)
        VALUES ($1, $2, $3, $3, 'A', 'B', '[\"0.0.0.0/0\"]', $5, 0, 1, $4, $4)";
    let inserted = rig.identity.db.write(|tx| {
        Box::pin(async move {
            for n in before..before + count {
                let email = format!("crowd{n}@example.com");
                let id = Uuid::now_v7();
                let values = vec![id.into(), account.into(), email.into(), n.into(), true.into()];
                tx.run(sql, values).await?;
            }
            Ok(())
        })
    });
    inserted.await.unwrap();
}

async fn operators_are_found_on_every_page(rig: Rig) {
    let owner = rig.owner("a").await;
    let account = owner.account.to_string();
    active(&rig, &owner, "ada", &["hook:operator"]).await;
    crowd(&rig, &account, 520).await;
    rig.gate.calls();
    assert_eq!(operators(&rig, &account, "hook:operator").await, ["ada@example.com"]);
    assert_eq!(rig.gate.calls(), ["BatchGetStandings"; 2], "no more than 500 at a time");
    crowd(&rig, &account, 1_600).await;
    assert!(operators(&rig, &account, "hook:operator").await.is_empty(), "beyond the first 2,000");
    assert_eq!(rig.gate.calls(), ["BatchGetStandings"; 4], "but for those there is an end");
}

async fn wrong_questions_for_operators_are_refused(rig: Rig) {
    let owner = rig.owner("a").await;
    let account = owner.account.to_string();
    active(&rig, &owner, "ada", &["hook:operator"]).await;
    for unknown in ["", "account", "0191f3d0-0000-7000-8000-000000000000"] {
        let refused = asked(&rig, "hooks", unknown, "hook:operator").await.unwrap_err();
        assert_eq!(refused.code(), "not-found", "{unknown:?}");
    }
    for role in ["", "hook", "hook:operators", "layer1:role:"] {
        let refused = asked(&rig, "hooks", &account, role).await.unwrap_err();
        assert_eq!((refused.code(), refused.fields()), ("validation-failed", vec!["role"]), "{role:?}");
    }
    for from in ["gateway", "ledger", "admin"] {
        let refused = asked(&rig, from, &account, "hook:operator").await.unwrap_err();
        assert_eq!(refused.code(), "role-missing", "{from}");
    }
    rig.gate.close();
    let refused = asked(&rig, "hooks", &account, "hook:operator").await.unwrap_err();
    assert_eq!(refused.code(), "unavailable", "not an answer that names nobody");
}
