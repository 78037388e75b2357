//! What needs no caller: probes, the reference, the installation's public keys; and what every answer carries.

use beem_proto::{Access, Contract};
use beem_tests::{Answer, Rig, Wire, on_both_shapes};
use serde_json::Value;

async fn page(rig: &Rig, path: &str) -> Answer {
    let mut last = None;
    for gateway in &rig.gateways {
        let answer = Wire::new(gateway.address, "GET", path).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(answer.header("x-request-id").is_some_and(|id| id.parse::<uuid::Uuid>().is_ok()), "{path}");
        last = Some(answer);
    }
    last.unwrap()
}

async fn probes_answer(rig: &Rig) {
    page(rig, "/healthz").await;
    page(rig, "/readyz").await;
}

/// OpenAPI 3.1 with every public RPC, its roles and its errors; nothing internal.
async fn the_openapi_document_is_the_contract(rig: &Rig) {
    let document = page(rig, "/openapi.json").await.json();
    assert!(document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")), "{}", document["openapi"]);
    let contract = Contract::load().unwrap();
    let mut bindings = 0;
    for method in contract.methods() {
        for binding in &method.http {
            bindings += 1;
            let verb = binding.verb.as_str().to_lowercase();
            // Outside, variables are named as fields are in JSON.
            let path = binding.template.replace("{delivery_id}", "{deliveryId}");
            let operation = &document["paths"][&path][&verb];
            assert!(operation.is_object(), "{verb} {}", binding.template);
            let success = method.success_status().to_string();
            assert!(operation["responses"][&success].is_object(), "{verb} {}: {operation}", binding.template);
            if let Access::AnyOf(roles) = &method.access {
                let text = operation.to_string();
                for role in roles.full_names() {
                    assert!(text.contains(&role), "{role} at {verb} {}", binding.template);
                }
            }
        }
    }
    let documented: usize = document["paths"].as_object().unwrap().values().map(operations).sum();
    let pages = 5;
    assert!(
        (bindings..=bindings + pages).contains(&documented),
        "{documented} operations, {bindings} bindings"
    );
    assert!(!document.to_string().contains("GetClientCredential"), "nothing internal");
}

fn operations(path: &Value) -> usize {
    path.as_object()
        .unwrap()
        .keys()
        .filter(|k| ["get", "put", "post", "patch", "delete"].contains(&k.as_str()))
        .count()
}

/// Readable, with the roles of each endpoint and no asset from anywhere.
async fn the_reference_page_lists_roles_and_loads_nothing(rig: &Rig) {
    let docs = page(rig, "/docs").await;
    assert!(docs.header("content-type").is_some_and(|t| t.starts_with("text/html")));
    // Long paths may break where a `<wbr>` stands.
    let text = docs.text().replace("<wbr>", "");
    for wanted in ["/platform/v1/clients/{id}/rotate", "client:operator", "signature-coverage", "PATCH"] {
        assert!(text.contains(wanted), "{wanted}");
    }
    for asset in ["<script", "<link rel=\"stylesheet\"", "src=\"http", "@import", "url(http"] {
        assert!(!text.contains(asset), "{asset}");
    }
}

async fn the_well_known_document_names_the_installation(rig: &Rig) {
    let known = page(rig, "/.well-known/beem").await.json();
    let keys = known["publicKeys"].as_array().unwrap_or_else(|| panic!("{known}"));
    assert!(!keys.is_empty(), "{known}");
    assert_eq!(known["environment"], "sandbox");
    assert!(!known.to_string().to_lowercase().contains("private"));
}

/// Of every kind: a success, a refusal, a page, nothing at all, and what the edge refuses before there is a request.
async fn every_answer_has_an_id_of_its_own(rig: &Rig) {
    let client = rig.client();
    let address = client.gateway.address;
    let answers = [
        client.get("/platform/v1/me").await,
        client.get("/platform/v1/me").await,
        client.get("/nothing").await,
        Wire::new(address, "GET", "/platform/v1/me").send().await,
        Wire::new(address, "GET", "/platform/v1/me").header("host", "a").header("host", "b").send().await,
        Wire::new(address, "POST", "/platform/v1/me").header("content-length", "9999999").send().await,
    ];
    let mut ids: Vec<&str> =
        answers.iter().map(|a| a.header("x-request-id").unwrap_or_else(|| panic!("{a:?}"))).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), answers.len());
}

async fn a_wrong_method_says_which_are_right(rig: &Rig) {
    let client = rig.client();
    for (path, wanted) in [
        ("/platform/v1/me", vec!["GET"]),
        ("/platform/v1/clients", vec!["GET", "POST"]),
        ("/platform/v1/account", vec!["GET", "PATCH"]),
        ("/platform/v1/clients/x", vec!["DELETE", "GET", "PATCH"]),
        ("/healthz", vec!["GET"]),
    ] {
        let answer = client.forge("PUT", path).sign().send().await;
        answer.refused(405, "method-not-allowed");
        let allow = answer.header("allow").unwrap_or_else(|| panic!("{path}: no Allow"));
        let allowed: Vec<&str> = allow.split(',').map(str::trim).collect();
        assert!(wanted.iter().all(|m| allowed.contains(m)), "{path}: {allow}");
        assert!(!allowed.contains(&"PUT"), "{path}: {allow}");
    }
}

/// What says who calls and what they hold must not be kept by anybody on the way.
async fn answers_to_callers_are_not_cached(rig: &Rig) {
    let answer = rig.client().get("/platform/v1/me").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

on_both_shapes!(
    probes_answer,
    the_openapi_document_is_the_contract,
    the_reference_page_lists_roles_and_loads_nothing,
    the_well_known_document_names_the_installation,
    every_answer_has_an_id_of_its_own,
    a_wrong_method_says_which_are_right,
    answers_to_callers_are_not_cached,
);
