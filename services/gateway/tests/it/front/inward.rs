//! What a public method is told of whoever calls it, and the JSON of what comes back.

use super::rig::Rig;
use beem_gateway::transcode::encode;
use beem_proto::Contract;
use beem_proto::authz::v1::{AuditEvent, ListAuditEventsResponse};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::json;

const SIGN_IN: &str = "POST /platform/v1/sessions";

#[tokio::test(start_paused = true)]
async fn a_public_method_learns_from_where_and_with_what_it_was_called() {
    let rig = Rig::with(|s| s.trusted_proxies = vec!["203.0.113.7".into()]);
    let body = r#"{"email":"ada@example.com","password":"x"}"#;
    let answer = rig
        .ask(SIGN_IN)
        .json(body)
        .header("x-forwarded-for", "192.0.2.1, 198.51.100.4")
        .header("user-agent", "curl/8.5.0")
        .header("authorization", "Bearer whatever")
        .header("idempotency-key", "ignored")
        .send()
        .await;
    answer.fine();
    let visitor = rig.last_visitor();
    assert_eq!(visitor.address.to_string(), "198.51.100.4");
    assert_eq!(visitor.request, answer.request);
    assert_eq!(visitor.user_agent, "curl/8.5.0");
    rig.ask(SIGN_IN).json(body).send().await.fine();
    assert_eq!(rig.last_visitor().user_agent, "");
}

#[tokio::test(start_paused = true)]
async fn a_user_agent_is_cut_and_has_no_control_characters() {
    let rig = Rig::new();
    let agent = format!("a\tb\u{85}é{}", "x".repeat(500));
    rig.ask(SIGN_IN).header("user-agent", agent).send().await.fine();
    let kept = rig.last_visitor().user_agent;
    assert_eq!(kept.chars().count(), 200);
    assert!(kept.starts_with("abéxx"), "{kept}");
    rig.ask(SIGN_IN).header("user-agent", b"\xff\xfeold").send().await.fine();
    assert!(rig.last_visitor().user_agent.ends_with("old"));
}

#[test]
fn what_was_changed_is_told_as_plain_objects() {
    let text = |t: &str| Value { kind: Some(Kind::StringValue(t.into())) };
    let before = Struct {
        fields: [
            ("name".into(), text("billing")),
            ("rolesVersion".into(), Value { kind: Some(Kind::NumberValue(3.0)) }),
            ("retiringKey".into(), Value { kind: Some(Kind::NullValue(0)) }),
            ("odd".into(), Value { kind: None }),
        ]
        .into(),
    };
    let changed =
        AuditEvent { before: Some(before), after: Some(Struct::default()), ..AuditEvent::default() };
    let content = vec![changed, AuditEvent::default()];
    let answer = ListAuditEventsResponse { content, next_page_token: String::new() };
    let contract = Contract::load().unwrap();
    let method = contract.method("/beem.authz.v1.Audit/ListAuditEvents").unwrap();
    let told = encode(method, &answer.encode_to_vec()).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    let before = json!({"name": "billing", "odd": null, "retiringKey": null, "rolesVersion": 3});
    assert_eq!(told["content"][0]["before"], before);
    assert_eq!(told["content"][0]["after"], json!({}));
    assert!(told["content"][1].get("before").is_none());
}
