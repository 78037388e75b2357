//! Making, reading, changing and deleting clients.

use crate::on_both;
use crate::rig::{Answer, Refusal, Rig};
use beem_caller::Actor;
use beem_proto::identity::v1 as wire;
use beem_roles::{Role, RoleSet};
use prost_types::FieldMask;

on_both!(
    a_client_is_made_once_per_key,
    one_key_at_two_processes_makes_one_client,
    a_wrong_client_names_every_field,
    roles_are_handed_out_only_by_their_holders,
    lists_page_through_living_clients_of_the_account,
    a_patch_changes_exactly_what_it_names,
    wider_access_needs_every_role_and_narrower_none,
    nobody_changes_their_own_access,
    changes_of_one_client_follow_each_other,
    a_deleted_client_stays_deleted,
);

pub async fn create(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    asked: &wire::CreateClientRequest,
) -> Result<Answer<wire::Client>, Refusal> {
    rig.call(actor, key, "/beem.identity.v1.Clients/CreateClient", asked.clone()).await
}

pub async fn get(rig: &Rig, actor: &Actor, id: &str) -> Result<wire::Client, Refusal> {
    let asked = wire::GetClientRequest { id: id.into() };
    rig.call(actor, "", "/beem.identity.v1.Clients/GetClient", asked).await.map(|a| a.body)
}

pub async fn update(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    asked: &wire::UpdateClientRequest,
) -> Result<Answer<wire::Client>, Refusal> {
    rig.call(actor, key, "/beem.identity.v1.Clients/UpdateClient", asked.clone()).await
}

pub async fn delete(rig: &Rig, actor: &Actor, key: &str, id: &str) -> Result<Answer<wire::Client>, Refusal> {
    let asked = wire::DeleteClientRequest { id: id.into() };
    rig.call(actor, key, "/beem.identity.v1.Clients/DeleteClient", asked).await
}

pub async fn credential(rig: &Rig, client_id: &str) -> Result<wire::Credential, Refusal> {
    let asked = wire::GetClientCredentialRequest { client_id: client_id.into() };
    rig.internal("/beem.identity.v1.Directory/GetClientCredential", asked).await.map(|a| a.body)
}

pub fn named(rig: &Rig, name: &str, roles: &[&str]) -> wire::CreateClientRequest {
    wire::CreateClientRequest {
        name: name.into(),
        public_key: rig.new_pem(),
        roles: strings(roles),
        ..wire::CreateClientRequest::default()
    }
}

pub fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

pub fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: strings(paths) })
}

fn patch(id: &str) -> wire::UpdateClientRequest {
    wire::UpdateClientRequest { id: id.into(), ..wire::UpdateClientRequest::default() }
}

pub fn networks(id: &str, texts: &[&str]) -> wire::UpdateClientRequest {
    wire::UpdateClientRequest {
        network_whitelist: strings(texts),
        present: mask(&["network_whitelist"]),
        ..patch(id)
    }
}

pub fn roles(id: &str, names: &[&str]) -> wire::UpdateClientRequest {
    wire::UpdateClientRequest { roles: strings(names), present: mask(&["roles"]), ..patch(id) }
}

pub fn enabled(id: &str, enabled: bool) -> wire::UpdateClientRequest {
    wire::UpdateClientRequest { enabled, present: mask(&["enabled"]), ..patch(id) }
}

async fn a_client_is_made_once_per_key(rig: Rig) {
    let owner = rig.owner("a").await;
    let asked = named(&rig, "till", &["ledger:operator", "layer1:role:hook:viewer"]);
    let first = create(&rig, &owner, "k1", &asked).await.unwrap();
    let again = create(&rig, &owner, "k1", &asked).await.unwrap();
    assert!(!first.replayed && again.replayed && first.body == again.body);
    let client = first.body;
    assert_eq!(client.roles, ["layer1:role:ledger:operator", "layer1:role:hook:viewer"]);
    assert_eq!((client.role_count, client.roles_version, client.enabled), (2, 1, true));
    assert_eq!((&client.public_key, client.key_algorithm.as_str()), (&asked.public_key, "ed25519"));
    assert_eq!((client.key_fingerprint.len(), &client.network_whitelist), (64, &strings(&["0.0.0.0/0"])));
    assert_eq!(
        (&client.created_by, &client.account_id),
        (&owner.principal.to_string(), &owner.account.to_string())
    );
    assert!(client.id != client.client_id && client.retiring_key.is_none() && client.last_used.is_none());
    assert_eq!(get(&rig, &owner, &client.id).await.unwrap(), client);
    let other = wire::CreateClientRequest { name: "desk".into(), ..asked.clone() };
    assert_eq!(create(&rig, &owner, "k1", &other).await.unwrap_err().code(), "idempotency-key-reused");
    let second = create(&rig, &owner, "k2", &other).await.unwrap().body;
    assert_ne!(second.id, client.id);
    let off = wire::CreateClientRequest { enabled: Some(false), ..named(&rig, "off", &[]) };
    let off = create(&rig, &owner, "k3", &off).await.unwrap().body;
    assert!(!off.enabled && off.roles.is_empty());
}

async fn one_key_at_two_processes_makes_one_client(rig: Rig) {
    let owner = rig.owner("a").await;
    let other = rig.another(None).await.unwrap();
    let asked = named(&rig, "till", &["hook:viewer"]);
    let path = "/beem.identity.v1.Clients/CreateClient";
    let calls = (0..8).map(|n| {
        let identity = if n % 2 == 0 { &rig.identity } else { &other };
        rig.call_at::<_, wire::Client>(identity, &owner, "k", path, asked.clone())
    });
    let answers: Vec<_> = futures::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|a| a.body == answers[0].body));
    assert_eq!(answers.iter().filter(|a| !a.replayed).count(), 1);
    let all = rig.call::<_, wire::ListClientsResponse>(
        &owner,
        "",
        "/beem.identity.v1.Clients/ListClients",
        wire::ListClientsRequest::default(),
    );
    assert_eq!(all.await.unwrap().body.content.len(), 2);
}

async fn a_wrong_client_names_every_field(rig: Rig) {
    let owner = rig.owner("a").await;
    let wrong = wire::CreateClientRequest {
        name: "x".repeat(101),
        public_key: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".into(),
        network_whitelist: strings(&["10.0.0.0/8", "10.0.0.1/8"]),
        roles: strings(&["ledger:viewer", "root", "hook:admin"]),
        ..wire::CreateClientRequest::default()
    };
    let refusal = create(&rig, &owner, "k1", &wrong).await.unwrap_err();
    assert_eq!(refusal.code(), "validation-failed");
    assert_eq!(refusal.fields(), ["name", "publicKey", "networkWhitelist[1]", "roles[1]", "roles[2]"]);
    let empty = wire::CreateClientRequest { present: mask(&["network_whitelist"]), ..named(&rig, "c", &[]) };
    assert_eq!(create(&rig, &owner, "k2", &empty).await.unwrap_err().fields(), ["networkWhitelist"]);
    let many: Vec<String> = (0..101).map(|n| format!("10.0.0.{n}")).collect();
    let many = wire::CreateClientRequest { network_whitelist: many, ..named(&rig, "c", &[]) };
    assert_eq!(create(&rig, &owner, "k3", &many).await.unwrap_err().fields(), ["networkWhitelist"]);
}

async fn roles_are_handed_out_only_by_their_holders(rig: Rig) {
    let owner = rig.owner("a").await;
    let operator = named(&rig, "operator", &["client:operator", "hook:viewer"]);
    let operator = rig.acting(&create(&rig, &owner, "k1", &operator).await.unwrap().body);
    let asked = named(&rig, "c", &["hook:viewer", "ledger:viewer"]);
    let refusal = create(&rig, &operator, "k2", &asked).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.replayed), ("role-not-held", false));
    assert!(refusal.fault.detail.contains("layer1:role:ledger:viewer"), "{}", refusal.fault);
    let again = create(&rig, &operator, "k2", &asked).await.unwrap_err();
    assert_eq!((again.code(), again.replayed), ("role-not-held", true));
    let fits = named(&rig, "c", &["hook:viewer"]);
    let client = create(&rig, &operator, "k3", &fits).await.unwrap().body;
    let refusal = update(&rig, &operator, "k4", &roles(&client.id, &["ledger:viewer"])).await.unwrap_err();
    assert_eq!(refusal.code(), "role-not-held");
    // The refused change took nothing away and holds nothing up.
    assert_eq!(get(&rig, &operator, &client.id).await.unwrap().roles, ["layer1:role:hook:viewer"]);
    let grown = update(&rig, &owner, "k5", &roles(&client.id, &["ledger:viewer"])).await.unwrap().body;
    assert_eq!(grown.roles, ["layer1:role:ledger:viewer"]);
}

async fn lists_page_through_living_clients_of_the_account(rig: Rig) {
    let (owner, stranger) = (rig.owner("a").await, rig.owner("b").await);
    let mut ids = vec![owner.principal.to_string()];
    for n in 0..5 {
        rig.clock.advance_ms(1_000);
        let asked = named(&rig, &format!("c{n}"), &[]);
        ids.push(create(&rig, &owner, &format!("k{n}"), &asked).await.unwrap().body.id);
    }
    delete(&rig, &owner, "d", &ids.remove(3)).await.unwrap();
    let list = |asked: wire::ListClientsRequest| {
        rig.call::<_, wire::ListClientsResponse>(&owner, "", "/beem.identity.v1.Clients/ListClients", asked)
    };
    let seen =
        |page: &wire::ListClientsResponse| page.content.iter().map(|c| c.id.clone()).collect::<Vec<_>>();
    let page = |token: &str, order: &str| wire::ListClientsRequest {
        max: Some(3),
        page_token: token.into(),
        order: order.into(),
        ..wire::ListClientsRequest::default()
    };
    rig.gate.calls();
    let oldest = list(page("", "asc")).await.unwrap().body;
    assert_eq!(rig.gate.calls(), ["BatchGetStandings"]);
    assert_eq!(seen(&oldest), ids[..3]);
    assert_eq!(seen(&list(page(&oldest.next_page_token, "asc")).await.unwrap().body), ids[3..]);
    ids.reverse();
    let newest = list(page("", "")).await.unwrap().body;
    assert_eq!(seen(&newest), ids[..3]);
    rig.clock.advance_ms(1_000);
    create(&rig, &owner, "later", &named(&rig, "later", &[])).await.unwrap();
    let rest = list(page(&newest.next_page_token, "desc")).await.unwrap().body;
    assert_eq!((seen(&rest), rest.next_page_token.as_str()), (ids[3..].to_vec(), ""));
    let skipping = wire::ListClientsRequest { offset: Some(4), ..wire::ListClientsRequest::default() };
    assert_eq!(seen(&list(skipping).await.unwrap().body), ids[3..]);
    for (wrong, field) in [
        (wire::ListClientsRequest { max: Some(0), ..Default::default() }, "max"),
        (wire::ListClientsRequest { max: Some(501), ..Default::default() }, "max"),
        (wire::ListClientsRequest { order: "up".into(), ..Default::default() }, "order"),
        (wire::ListClientsRequest { page_token: "AAAA".into(), ..Default::default() }, "pageToken"),
    ] {
        assert_eq!(list(wrong).await.unwrap_err().fields(), [field]);
    }
    assert_eq!(get(&rig, &stranger, &ids[0]).await.unwrap_err().code(), "not-found");
    assert_eq!(get(&rig, &stranger, "no-id").await.unwrap_err().code(), "not-found");
    assert_eq!(update(&rig, &stranger, "u", &enabled(&ids[0], false)).await.unwrap_err().code(), "not-found");
    assert_eq!(delete(&rig, &stranger, "d", &ids[0]).await.unwrap_err().code(), "not-found");
}

async fn a_patch_changes_exactly_what_it_names(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = create(&rig, &owner, "c", &named(&rig, "till", &["ledger:viewer", "hook:viewer"]))
        .await
        .unwrap()
        .body;
    rig.gate.calls();
    let name = wire::UpdateClientRequest { name: "desk".into(), present: mask(&["name"]), ..patch(&made.id) };
    let renamed = update(&rig, &owner, "u1", &name).await.unwrap();
    assert!(!rig.gate.calls().iter().any(|call| call == "PrepareChange"));
    assert_eq!(renamed.body, wire::Client { name: "desk".into(), ..made.clone() });
    let again = update(&rig, &owner, "u1", &name).await.unwrap();
    assert!(again.replayed && again.body == renamed.body);
    assert_eq!(
        update(&rig, &owner, "u1", &patch(&made.id)).await.unwrap_err().code(),
        "idempotency-key-reused"
    );
    let nothing = update(&rig, &owner, "u2", &patch(&made.id)).await.unwrap();
    assert_eq!(nothing.body, renamed.body);
    let fewer =
        update(&rig, &owner, "u3", &roles(&made.id, &["hook:viewer", "hook:operator"])).await.unwrap().body;
    assert_eq!(fewer.roles, ["layer1:role:hook:viewer", "layer1:role:hook:operator"]);
    assert!(fewer.roles_version > made.roles_version && fewer.name == "desk");
    let all = wire::UpdateClientRequest {
        name: "safe".into(),
        network_whitelist: strings(&["192.0.2.0/24", "2001:db8::/32"]),
        roles: Vec::new(),
        enabled: false,
        present: mask(&["enabled", "name", "network_whitelist", "roles"]),
        ..patch(&made.id)
    };
    let shut = update(&rig, &owner, "u4", &all).await.unwrap().body;
    assert_eq!((shut.name.as_str(), shut.enabled, shut.role_count), ("safe", false, 0));
    assert_eq!(shut.network_whitelist, ["192.0.2.0/24", "2001:db8::/32"]);
    assert_eq!(get(&rig, &owner, &made.id).await.unwrap(), shut);
    let keeps = credential(&rig, &made.client_id).await.unwrap();
    assert_eq!((keeps.network_whitelist, keeps.version), (shut.network_whitelist, shut.roles_version));
    let wrong =
        wire::UpdateClientRequest { present: mask(&["name", "network_whitelist"]), ..patch(&made.id) };
    assert_eq!(update(&rig, &owner, "u5", &wrong).await.unwrap_err().fields(), ["name", "networkWhitelist"]);
    assert!(update(&rig, &owner, "u6", &enabled(&made.id, true)).await.unwrap().body.enabled);
}

async fn wider_access_needs_every_role_and_narrower_none(rig: Rig) {
    let owner = rig.owner("a").await;
    let operator = named(&rig, "operator", &["client:operator"]);
    let operator = rig.acting(&create(&rig, &owner, "k1", &operator).await.unwrap().body);
    let strong = create(&rig, &owner, "k2", &named(&rig, "strong", &["ledger:operator"])).await.unwrap().body;
    let narrow = update(&rig, &operator, "k3", &networks(&strong.id, &["10.0.0.0/8"])).await.unwrap().body;
    assert_eq!(narrow.network_whitelist, ["10.0.0.0/8"]);
    let narrower = update(&rig, &operator, "k4", &networks(&strong.id, &["10.1.0.0/16"])).await.unwrap().body;
    let version = credential(&rig, &strong.client_id).await.unwrap().version;
    assert_eq!(version, narrower.roles_version);
    let refusal = update(&rig, &operator, "k5", &networks(&strong.id, &["10.0.0.0/15"])).await.unwrap_err();
    assert_eq!(refusal.code(), "role-not-held");
    assert_eq!(get(&rig, &owner, &strong.id).await.unwrap(), narrower);
    assert!(!update(&rig, &operator, "k6", &enabled(&strong.id, false)).await.unwrap().body.enabled);
    assert_eq!(
        update(&rig, &operator, "k7", &enabled(&strong.id, true)).await.unwrap_err().code(),
        "role-not-held"
    );
    assert_eq!(update(&rig, &operator, "k8", &roles(&strong.id, &[])).await.unwrap().body.role_count, 0);
    assert!(update(&rig, &operator, "k9", &enabled(&strong.id, true)).await.unwrap().body.enabled);
    let wide = update(&rig, &operator, "k10", &networks(&strong.id, &["0.0.0.0/0"])).await.unwrap().body;
    assert_eq!(wide.network_whitelist, ["0.0.0.0/0"]);
}

async fn nobody_changes_their_own_access(rig: Rig) {
    let owner = rig.owner("a").await;
    let own = owner.principal.to_string();
    for (key, asked) in [
        ("k1", networks(&own, &["10.0.0.0/8"])),
        ("k2", roles(&own, &["user:viewer"])),
        ("k3", enabled(&own, true)),
    ] {
        assert_eq!(update(&rig, &owner, key, &asked).await.unwrap_err().code(), "own-principal");
        assert!(update(&rig, &owner, key, &asked).await.unwrap_err().replayed);
    }
    assert_eq!(delete(&rig, &owner, "k4", &own).await.unwrap_err().code(), "own-principal");
    let name = wire::UpdateClientRequest { name: "me".into(), present: mask(&["name"]), ..patch(&own) };
    assert_eq!(update(&rig, &owner, "k5", &name).await.unwrap().body.name, "me");
    assert_eq!(get(&rig, &owner, &own).await.unwrap().role_count, 15);
}

async fn changes_of_one_client_follow_each_other(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = create(&rig, &owner, "c", &named(&rig, "c", &[])).await.unwrap().body;
    let patches: Vec<_> = (0..12_usize)
        .map(|n| wire::UpdateClientRequest {
            network_whitelist: vec![format!("10.0.0.{n}")],
            roles: vec![Role::ALL[n].full()],
            enabled: n % 2 == 0,
            present: mask(&["enabled", "network_whitelist", "roles"]),
            ..patch(&made.id)
        })
        .collect();
    let keys: Vec<_> = (0..12).map(|n| format!("u{n}")).collect();
    // Of many, since nobody has more than two of them under way.
    let all: Vec<String> = Role::ALL.iter().map(|role| role.full()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut actors = Vec::new();
    for n in 0..6 {
        let made = create(&rig, &owner, &format!("actor {n}"), &named(&rig, "actor", &all)).await.unwrap();
        actors.push(rig.acting(&made.body));
    }
    let each = patches.iter().zip(&keys).enumerate();
    let calls = each.map(|(n, (asked, key))| update(&rig, &actors[n / 2], key, asked));
    let answers: Vec<wire::Client> =
        futures::future::join_all(calls).await.into_iter().map(|a| a.unwrap().body).collect();
    // Each answer is its own request's, whole; the client is as the last of them left it.
    for (answer, asked) in answers.iter().zip(&patches) {
        assert_eq!((&answer.roles, &answer.network_whitelist), (&asked.roles, &asked.network_whitelist));
        assert_eq!(answer.enabled, asked.enabled);
    }
    let last = answers.iter().max_by_key(|a| a.roles_version).unwrap();
    assert_eq!(&get(&rig, &owner, &made.id).await.unwrap(), last);
    let keeps = credential(&rig, &made.client_id).await.unwrap();
    assert_eq!(keeps.network_whitelist, last.network_whitelist);
}

async fn a_deleted_client_stays_deleted(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = create(&rig, &owner, "c", &named(&rig, "c", &["hook:viewer"])).await.unwrap().body;
    let gone = delete(&rig, &owner, "d1", &made.id).await.unwrap();
    assert!(!gone.replayed && gone.body.date_deleted.is_some() && !gone.body.enabled);
    let again = delete(&rig, &owner, "d1", &made.id).await.unwrap();
    assert!(again.replayed && again.body == gone.body);
    let anew = delete(&rig, &owner, "d2", &made.id).await.unwrap();
    assert!(!anew.replayed && anew.body == gone.body);
    assert_eq!(get(&rig, &owner, &made.id).await.unwrap(), gone.body);
    assert_eq!(credential(&rig, &made.client_id).await.unwrap_err().code(), "not-found");
    assert_eq!(
        update(&rig, &owner, "u", &enabled(&made.id, true)).await.unwrap_err().code(),
        "client-deleted"
    );
    let rotate =
        wire::RotateClientKeyRequest { id: made.id, public_key: rig.new_pem(), retire_old_after: None };
    let rotated =
        rig.call::<_, wire::Client>(&owner, "r", "/beem.identity.v1.Clients/RotateClientKey", rotate).await;
    assert_eq!(rotated.unwrap_err().code(), "client-deleted");
    let viewer = Actor { roles: RoleSet::EMPTY.with(Role::ClientViewer), ..owner.clone() };
    assert_eq!(delete(&rig, &viewer, "d3", &gone.body.id).await.unwrap_err().code(), "role-missing");
}
