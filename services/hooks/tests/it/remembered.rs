//! What is remembered under request keys, at rest: answers that hold a secret are sealed.

use crate::hooks::{asked, create, delete};
use crate::on_both;
use crate::rig::{Answer, Rig};
use crate::rotation::rotate;
use beem_database::Sql as _;
use beem_proto::hooks::v1 as wire;
use beem_proto::{Contract, Verb};
use prost_types::FieldMask;
use std::collections::BTreeMap;

on_both!(every_answer_that_holds_a_secret_is_sealed);

async fn every_answer_that_holds_a_secret_is_sealed(rig: Rig) {
    let owner = &rig.owner;
    let made = create(&rig, owner, "c", &asked("https://a.example/hook?token=sesame", &["*"])).await;
    let id = made.unwrap().body.id;
    let patch = wire::UpdateHookRequest {
        id: id.clone(),
        url: "https://b.example/?token=simsim".into(),
        present: Some(FieldMask { paths: vec!["url".into()] }),
        ..Default::default()
    };
    let changed: Answer<wire::Hook> =
        rig.call(owner, "u", "/beem.hooks.v1.Hooks/UpdateHook", patch.clone()).await.unwrap();
    rotate(&rig, owner, "r", &id, None).await.unwrap();
    delete(&rig, owner, "d", &id).await.unwrap();
    let again: Answer<wire::Hook> =
        rig.call(owner, "u", "/beem.hooks.v1.Hooks/UpdateHook", patch).await.unwrap();
    assert!(again.replayed && again.body == changed.body, "sealed, it is given again all the same");

    let rows = rig.db.read().rows("SELECT rpc, sealed_by, outcome FROM claims", vec![]).await.unwrap();
    let mut sealed: BTreeMap<String, bool> = BTreeMap::new();
    for row in &rows {
        let outcome: Vec<u8> = row.try_get("", "outcome").unwrap();
        for secret in ["sesame", "simsim", "whsec_"] {
            assert!(!outcome.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
        }
        let by: Option<Vec<u8>> = row.try_get("", "sealed_by").unwrap();
        sealed.insert(row.try_get("", "rpc").unwrap(), by.is_some());
    }
    let contract = Contract::load().unwrap();
    let writes = contract.methods().filter(|method| {
        let writes = method.http.iter().any(|binding| binding.verb != Verb::Get);
        method.owner == "hooks" && method.secret && writes
    });
    let writes: Vec<&str> = writes.map(|method| method.path.trim_start_matches('/')).collect();
    assert!(writes.len() >= 4);
    for rpc in writes {
        assert_eq!(sealed.get(rpc), Some(&true), "{rpc}: call it above");
    }
}
