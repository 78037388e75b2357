//! The reference says what the contract says, all of it, and nothing becomes markup on the way.

use crate::contracts;
use beem_fault::Code;
use beem_gateway::reference::{docs_page, openapi, snapshot_messages, snapshot_roles, snapshot_routes};
use beem_proto::{Access, Contract};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn document(contract: &Contract) -> Value {
    openapi(contract, &["http://127.0.0.1:8080".to_owned()])
}

fn operation<'d>(document: &'d Value, path: &str, verb: &str) -> &'d Value {
    let found = &document["paths"][path][verb];
    assert!(found.is_object(), "no {verb} {path}");
    found
}

/// Compares with `tests/snapshots/NAME.txt`; BEEM_UPDATE_SNAPSHOTS=1 rewrites it.
fn unchanged(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("BEEM_UPDATE_SNAPSHOTS").is_some_and(|v| v == "1") {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let changed: Vec<String> = text
        .lines()
        .filter(|l| !kept.lines().any(|k| k == *l))
        .map(|l| format!("+ {l}"))
        .chain(kept.lines().filter(|l| !text.lines().any(|t| t == *l)).map(|l| format!("- {l}")))
        .collect();
    assert!(
        kept == text,
        "the contract has changed ({name}); if that is meant, run with BEEM_UPDATE_SNAPSHOTS=1 and review:\n{}",
        changed.join("\n")
    );
}

#[test]
fn the_contract_is_as_reviewed() {
    let contract = Contract::load().unwrap();
    unchanged("routes", &snapshot_routes(&contract));
    unchanged("roles", &snapshot_roles(&contract));
    unchanged("messages", &snapshot_messages(&contract));
}

#[test]
fn every_method_has_an_access_rule_and_a_comment_and_is_documented() {
    let contract = Contract::load().unwrap();
    let page = docs_page(&contract);
    let document = document(&contract).to_string();
    for method in contract.methods() {
        assert!(method.comment.ends_with('.'), "{}: a comment is a sentence", method.path);
        let quoted = format!("\"{}\"", method.name);
        match &method.access {
            Access::AnyOf(roles) => assert!(!roles.is_empty(), "{}", method.path),
            Access::SignedIn | Access::Public => {}
            Access::Internal(callers) => {
                assert!(!callers.is_empty(), "{}", method.path);
                assert!(!document.contains(&quoted), "{} is internal", method.path);
                assert!(!page.contains(&format!("id={quoted}")), "{} is internal", method.path);
                continue;
            }
        }
        assert!(document.contains(&format!("\"operationId\":{quoted}")), "{}", method.path);
        assert!(page.contains(&format!("<article id={quoted}>")), "{}", method.path);
    }
}

#[test]
fn openapi_describes_a_write() {
    let document = document(&Contract::load().unwrap());
    let create = operation(&document, "/platform/v1/clients", "post");
    assert_eq!(create["operationId"], "CreateClient");
    assert_eq!(create["x-beem-roles"], serde_json::json!(["layer1:role:client:operator"]));
    assert!(create["responses"]["201"].is_object() && create["responses"]["200"].is_null());
    assert_eq!(create["parameters"][0]["$ref"], "#/components/parameters/IdempotencyKey");
    let body = &create["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/CreateClientRequest");
    let schema = &document["components"]["schemas"]["CreateClientRequest"];
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["networkWhitelist"]["items"]["type"], "string");
    assert!(schema["properties"]["name"]["description"].as_str().unwrap().contains("100 characters"));
    assert!(schema["properties"]["present"].is_null(), "what only the gateway sets is hidden");
}

#[test]
fn openapi_describes_paths_queries_and_answers() {
    let document = document(&Contract::load().unwrap());
    let update = operation(&document, "/platform/v1/clients/{id}", "patch");
    assert_eq!(update["parameters"][0]["name"], "id");
    assert_eq!(update["parameters"][0]["required"], true);
    let schemas = &document["components"]["schemas"];
    assert!(schemas["UpdateClientRequest"]["properties"]["id"].is_null(), "it stands in the path");
    let list = operation(&document, "/platform/v1/clients", "get");
    let names: Vec<_> =
        list["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["max", "pageToken", "offset", "order"]);
    let required: Vec<_> =
        schemas["Client"]["required"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    assert!(required.contains(&"networkWhitelist") && !required.contains(&"lastUsed"));
    assert_eq!(schemas["Client"]["properties"]["dateCreated"]["format"], "date-time");
    assert_eq!(
        schemas["Account"]["properties"]["networkFeePayer"]["enum"],
        serde_json::json!(["MERCHANT", "RECIPIENT"])
    );
}

#[test]
fn openapi_says_how_each_call_is_proven() {
    use serde_json::json;
    let document = document(&Contract::load().unwrap());
    let security = |path: &str, verb: &str| operation(&document, path, verb)["security"].clone();
    let either = json!([{"signatureInput": [], "signature": []}, {"session": []}]);
    assert_eq!(security("/platform/v1/clients", "get"), either);
    assert_eq!(security("/platform/v1/sessions", "get"), json!([{"session": []}]));
    assert_eq!(security("/platform/v1/sessions", "post"), json!([]));
    let list = operation(&document, "/platform/v1/sessions", "get");
    assert!(list["description"].as_str().unwrap().ends_with("Only for people: with a session."));
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["session"]["scheme"], "bearer");
    assert_eq!(schemes["signature"]["name"], "Signature");
}

#[test]
fn what_an_audit_event_changed_is_an_object_in_both_references() {
    let contract = Contract::load().unwrap();
    let event = document(&contract)["components"]["schemas"]["AuditEvent"].clone();
    for field in ["before", "after"] {
        assert_eq!(event["properties"][field]["type"], "object", "{field}");
        assert!(!event["required"].as_array().unwrap().contains(&field.into()), "{field}");
    }
    assert!(
        docs_page(&contract)
            .contains("<code>content[].<wbr>before</code></th><td class=\"type\">object</td>")
    );
}

#[test]
fn the_page_tells_how_people_sign_in() {
    let page = docs_page(&Contract::load().unwrap());
    assert!(page.contains("<section id=\"signing-in\">") && page.contains("<a href=\"#signing-in\">"));
    for path in ["activations", "activations/confirm", "sessions", "sessions/second-factor"] {
        let call = format!("curl -X POST http://127.0.0.1:8080/platform/v1/{path} \\");
        assert!(
            page.matches(&call).count() >= 2,
            "{path}: in the section, and as the endpoint's own example"
        );
    }
    let article = page.split("<article id=\"EndSession\">").nth(1).unwrap();
    let article = article.split("</article>").next().unwrap();
    assert!(article.contains("<span class=\"chip\">for people</span>"));
    assert!(article.contains("Authorization: Bearer $TOKEN"));
}

#[test]
fn openapi_names_every_error_code_and_leads_nowhere_wrong() {
    for contract in [Contract::load().unwrap(), contracts::sample()] {
        let document = document(&contract);
        let responses = document["components"]["responses"].to_string();
        for code in Code::ALL {
            assert!(responses.contains(&format!("`{}`", code.as_str())), "{code}");
        }
        let mut references = BTreeSet::new();
        collect(&document, &mut references);
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                references.insert(reference.to_owned());
            }
            members.values().for_each(|v| collect(v, references));
        }
        Value::Array(items) => items.iter().for_each(|v| collect(v, references)),
        _ => {}
    }
}

#[test]
fn openapi_covers_what_the_contract_may_ask_for_later() {
    let document = document(&contracts::sample());
    let again = operation(&document, "/t/v1/parts/{partNumber}/thing/{id}", "get");
    assert_eq!(again["operationId"], "GetThing2");
    let export = operation(&document, "/t/v1/things/export", "get");
    assert!(export["responses"]["200"]["content"]["*/*"].is_object());
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Thing"]["properties"]["status"]["enum"], serde_json::json!(["ACTIVE", "CLOSED"]));
    assert_eq!(schemas["Thing"]["properties"]["totals"]["additionalProperties"]["type"], "integer");
    let details = &schemas["PayOutDetails"];
    assert_eq!(details["properties"]["parts"]["items"]["$ref"], "#/components/schemas/PayOutDetails");
    assert!(details["required"].is_null() && details["additionalProperties"].is_null(), "asked and answered");
}

#[test]
fn the_page_loads_nothing_and_links_to_itself() {
    for contract in [Contract::load().unwrap(), contracts::sample()] {
        let page = docs_page(&contract);
        for foreign in ["<script", "<link", "<img", "@import", "url(", "src="] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        let targets = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        for target in targets.filter(|t| *t != "#top") {
            match target.strip_prefix('#') {
                Some(id) => assert!(page.contains(&format!("id=\"{id}\"")), "{target}"),
                None => assert_eq!(target, "/openapi.json"),
            }
        }
        for tag in
            ["table", "details", "section", "article", "pre", "code", "dl", "ol", "ul", "p", "td", "th", "tr"]
        {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "<{tag}>");
        }
    }
}

#[test]
fn the_page_names_roles_codes_and_a_digest_that_is_right() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use sha2::{Digest, Sha256};
    let page = docs_page(&Contract::load().unwrap());
    for role in beem_roles::Role::ALL {
        assert!(page.contains(&format!("<span>{}</span>", role.short())), "{role}");
    }
    for code in Code::ALL {
        assert!(page.contains(&format!("<code>{code}</code>")), "{code}");
    }
    assert!(page.contains("<span class=\"chip role\">layer1:role:client:operator</span>"));
    let digest = BASE64_STANDARD.encode(Sha256::digest(br#"{"name":"billing"}"#));
    assert!(page.contains(&format!("sha-256=:{digest}:")));
}

#[test]
fn nothing_of_the_contract_becomes_markup() {
    let text = r#"
        // Does <script>alert("x")</script> & `<b>`.
        rpc A(Out) returns (Out) {
          option (google.api.http) = { get: "/a" };
          option (beem.access.v1.access) = { public: true };
        }"#;
    let page =
        docs_page(&contracts::with(text, "message Out {\n  // </table><img src=x>\n  string id = 1;\n}"));
    assert!(!page.contains("<script") && !page.contains("<img"));
    assert!(page.contains("&lt;script&gt;") && page.contains("<code>&lt;b&gt;</code>"));
    assert!(page.contains("curl -X GET http://127.0.0.1:8080/a"), "what is public is not signed");
}

#[test]
fn money_is_decimal_digits_and_a_request_may_hold_them_as_a_number() {
    let contract = contracts::sample();
    let document = document(&contract);
    let schemas = &document["components"]["schemas"];
    let amount = &schemas["CreateThingRequest"]["properties"]["amount"];
    assert_eq!(amount["type"], serde_json::json!(["string", "number"]));
    assert_eq!(amount["pattern"], r"^[0-9]+(\.[0-9]+)?$");
    let amounts = &schemas["CreateThingRequest"]["properties"]["amounts"];
    assert_eq!((&amounts["type"], &amounts["items"]), (&"array".into(), amount));
    // What is asked and answered takes a number, and may be negative; what is only answered is a string.
    let both = &schemas["Price"]["properties"]["amount"];
    assert_eq!(both["type"], serde_json::json!(["string", "number"]));
    assert_eq!(both["pattern"], r"^-?[0-9]+(\.[0-9]+)?$");
    let fee = &schemas["Thing"]["properties"]["fee"];
    assert_eq!((&fee["type"], &fee["format"]), (&"string".into(), &"decimal".into()));
    let list = operation(&document, "/t/v1/things", "get");
    let least = list["parameters"].as_array().unwrap().iter().find(|p| p["name"] == "atLeast").unwrap();
    assert_eq!((&least["schema"]["type"], &least["schema"]["format"]), (&"string".into(), &"decimal".into()));
    assert!(docs_page(&contract).contains("<td class=\"type\">decimal"));
    assert!(snapshot_messages(&contract).contains("  1 amount string money\n"));
}

#[test]
fn what_is_for_a_sandbox_is_said_there_and_told_nowhere_else() {
    let text = r#"
        // Fills a wallet out of nothing.
        rpc Fill(Out) returns (Out) {
          option (google.api.http) = { post: "/fill" body: "*" };
          option (beem.access.v1.access) = { signed_in: true sandbox: true };
        }
        // Looks.
        rpc Look(Out) returns (Out) {
          option (google.api.http) = { get: "/look" };
          option (beem.access.v1.access) = { signed_in: true };
        }"#;
    let contract = contracts::with(text, "message Out { string id = 1; }");
    assert!(snapshot_roles(&contract).contains("/Fill: signed in sandbox\n"));
    assert!(snapshot_routes(&contract).contains("/fill"));
    let there = contract.of_environment("sandbox");
    let fill = operation(&document(&there), "/fill", "post").clone();
    assert!(fill["description"].as_str().unwrap().ends_with("Only in a sandbox installation."));
    assert!(docs_page(&there).contains("<span class=\"chip\">sandbox only</span>"));
    let live = contract.of_environment("live");
    let elsewhere = [document(&live).to_string(), docs_page(&live)];
    for text in elsewhere {
        assert!(text.contains("/look") && !text.to_lowercase().contains("fill"), "{text}");
    }
}
