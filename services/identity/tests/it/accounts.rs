//! Accounts and the caller's own profile.

use crate::on_both;
use crate::rig::{Answer, Refusal, Rig};
use beem_caller::Actor;
use beem_fault::Code;
use beem_proto::identity::v1 as wire;
use beem_roles::{Role, RoleSet};
use prost_types::FieldMask;

on_both!(
    an_account_is_made_once_per_effect_key,
    accounts_are_listed_oldest_first,
    a_wrong_account_names_every_field,
    each_setting_needs_its_own_roles,
    the_grant_policy_reaches_authz,
    a_profile_is_the_callers_own,
);

async fn get(rig: &Rig, actor: &Actor) -> wire::Account {
    let asked = wire::GetAccountRequest {};
    rig.call(actor, "", "/beem.identity.v1.Accounts/GetAccount", asked).await.unwrap().body
}

async fn update(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    asked: wire::UpdateAccountRequest,
) -> Result<Answer<wire::Account>, Refusal> {
    rig.call(actor, key, "/beem.identity.v1.Accounts/UpdateAccount", asked).await
}

fn naming(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|p| (*p).to_owned()).collect() })
}

async fn an_account_is_made_once_per_effect_key(rig: Rig) {
    let asked = rig.new_account("first-start");
    let first = rig.create_account(&asked).await.unwrap();
    assert!(!first.replayed);
    let other = wire::CreateAccountRequest { name: "Another name".into(), ..asked.clone() };
    for repeat in [&asked, &other] {
        let again = rig.create_account(repeat).await.unwrap();
        assert_eq!((again.body, again.replayed), (first.body.clone(), true));
    }
    // Its claim is forgotten after a day; what was made is not.
    rig.clock.advance_ms(25 * 60 * 60 * 1000);
    assert_eq!(rig.create_account(&asked).await.unwrap().body, first.body);
    let owner = rig.actor(&first.body.account_id, &first.body.client_principal_id, RoleSet::ALL);
    let account = get(&rig, &owner).await;
    assert_eq!((account.name.as_str(), account.base_currency.as_str()), ("Account first-start", "USD"));
    assert_eq!(
        (account.role_grant_policy.as_str(), account.network_fee_payer.as_str()),
        ("held", "MERCHANT")
    );
    let client: Answer<wire::Client> = rig
        .call(
            &owner,
            "",
            "/beem.identity.v1.Clients/GetClient",
            wire::GetClientRequest { id: first.body.client_principal_id.clone() },
        )
        .await
        .unwrap();
    let client = client.body;
    assert_eq!((client.role_count, client.enabled, client.created_by.as_str()), (15, true, ""));
    assert_eq!(
        (client.client_id, client.network_whitelist),
        (first.body.client_id, vec!["0.0.0.0/0".to_owned()])
    );
}

async fn accounts_are_listed_oldest_first(rig: Rig) {
    for n in 0..3 {
        rig.create_account(&rig.new_account(&format!("k{n}"))).await.unwrap();
        rig.clock.advance_ms(1_000);
    }
    let page = |token: String| {
        let asked = wire::ListAccountsRequest { max: 2, page_token: token };
        rig.internal::<_, wire::ListAccountsResponse>("/beem.identity.v1.Directory/ListAccounts", asked)
    };
    let first = page(String::new()).await.unwrap().body;
    let second = page(first.next_page_token.clone()).await.unwrap().body;
    let names: Vec<_> = first.accounts.iter().chain(&second.accounts).map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["Account k0", "Account k1", "Account k2"]);
    assert_eq!(
        (second.next_page_token.as_str(), second.accounts[0].owner_email.as_str()),
        ("", "owner@example.com")
    );
}

async fn a_wrong_account_names_every_field(rig: Rig) {
    let wrong = wire::CreateAccountRequest {
        effect_key: "key".into(),
        name: " ".into(),
        owner_email: "nobody".into(),
        client_name: String::new(),
        client_public_key: "-----BEGIN PRIVATE KEY-----".into(),
    };
    let refusal = rig.create_account(&wrong).await.unwrap_err();
    assert_eq!(refusal.fields(), ["name", "ownerEmail", "clientName", "clientPublicKey"]);
    rig.create_account(&rig.new_account("key")).await.unwrap();
}

async fn each_setting_needs_its_own_roles(rig: Rig) {
    let owner = rig.owner("a").await;
    let named = wire::UpdateAccountRequest {
        name: "Trading house".into(),
        network_fee_payer: "RECIPIENT".into(),
        base_currency: "EUR".into(),
        present: naming(&["name", "network_fee_payer", "base_currency"]),
        ..wire::UpdateAccountRequest::default()
    };
    let user = Actor { roles: RoleSet::EMPTY.with(Role::UserOperator), ..owner.clone() };
    let refusal = update(&rig, &user, "k1", named.clone()).await.unwrap_err();
    assert_eq!(refusal.code(), "role-missing");
    assert!(refusal.fault.detail.contains("approval-settings:operator"), "{}", refusal.fault);
    let approvals = user.roles.with(Role::ApprovalSettingsOperator);
    let both = Actor { roles: approvals, ..owner.clone() };
    let first = update(&rig, &both, "k2", named.clone()).await.unwrap();
    assert_eq!((first.body.name.as_str(), first.body.base_currency.as_str()), ("Trading house", "EUR"));
    assert_eq!(first.body.network_fee_payer, "RECIPIENT");
    let again = update(&rig, &both, "k2", named.clone()).await.unwrap();
    assert!(again.replayed && again.body == first.body);
    let policy = wire::UpdateAccountRequest {
        role_grant_policy: "any".into(),
        present: naming(&["role_grant_policy"]),
        ..wire::UpdateAccountRequest::default()
    };
    assert_eq!(update(&rig, &both, "k3", policy).await.unwrap_err().fault.code, Code::RoleMissing);
    let nothing =
        update(&rig, &Actor { roles: RoleSet::EMPTY, ..owner.clone() }, "k4", Default::default()).await;
    assert_eq!(nothing.unwrap().body, first.body);
    let wrong = wire::UpdateAccountRequest {
        name: "\u{7}".into(),
        base_currency: "eur".into(),
        role_grant_policy: "some".into(),
        network_fee_payer: "merchant".into(),
        present: naming(&["name", "base_currency", "role_grant_policy", "network_fee_payer"]),
    };
    let refusal = update(&rig, &owner, "k5", wrong).await.unwrap_err();
    assert_eq!(refusal.fields(), ["name", "baseCurrency", "roleGrantPolicy", "networkFeePayer"]);
}

async fn the_grant_policy_reaches_authz(rig: Rig) {
    let owner = rig.owner("a").await;
    let policy = |text: &str| wire::UpdateAccountRequest {
        role_grant_policy: text.into(),
        present: naming(&["role_grant_policy"]),
        ..wire::UpdateAccountRequest::default()
    };
    let create = |roles: &[&str]| wire::CreateClientRequest {
        name: "c".into(),
        public_key: rig.new_pem(),
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        ..wire::CreateClientRequest::default()
    };
    let path = "/beem.identity.v1.Clients/CreateClient";
    let operator: Answer<wire::Client> =
        rig.call(&owner, "c1", path, create(&["client:operator"])).await.unwrap();
    let operator = rig.acting(&operator.body);
    let granted =
        |key: &'static str| rig.call::<_, wire::Client>(&operator, key, path, create(&["hook:viewer"]));
    assert_eq!(granted("c2").await.unwrap_err().code(), "role-not-held");
    assert_eq!(update(&rig, &owner, "p1", policy("any")).await.unwrap().body.role_grant_policy, "any");
    granted("c3").await.unwrap();
    assert_eq!(update(&rig, &owner, "p2", policy("held")).await.unwrap().body.role_grant_policy, "held");
    assert_eq!(granted("c4").await.unwrap_err().code(), "role-not-held");
    rig.gate.calls();
    update(&rig, &owner, "p3", policy("held")).await.unwrap();
    assert!(rig.gate.calls().is_empty(), "nothing changed, nothing is said");
}

async fn a_profile_is_the_callers_own(rig: Rig) {
    let owner = rig.owner("a").await;
    let asked = wire::GetProfileRequest {};
    let profile: Answer<wire::Profile> =
        rig.call(&owner, "", "/beem.identity.v1.Profiles/GetProfile", asked).await.unwrap();
    let profile = profile.body;
    assert_eq!((profile.principal_id, profile.kind.as_str()), (owner.principal.to_string(), "CLIENT"));
    assert_eq!((profile.account_id, profile.name.as_deref()), (owner.account.to_string(), Some("first")));
    assert_eq!((profile.roles.len(), profile.roles_version, profile.email), (15, 1, None));
    assert_ne!(profile.username, owner.principal.to_string());
}
