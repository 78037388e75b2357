//! Making, reading, changing and deleting hooks.

use crate::on_both;
use crate::rig::{Answer, Base, Hooks, Refusal, Reply, Rig, until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use beem_caller::Actor;
use beem_database::Sql as _;
use beem_events::audit::unpushed;
use beem_hooks::HooksSettings;
use beem_proto::hooks::v1 as wire;
use beem_proto::to_timestamp;
use beem_roles::{Role, RoleSet};
use prost_types::FieldMask;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

on_both!(
    a_hook_is_made_once_per_key_and_shows_its_secret_twice_to_nobody_else,
    a_hook_is_read_changed_and_deleted,
    everything_that_is_wrong_is_named_at_once,
    a_maker_has_sent_only_what_it_may_read,
    whoever_moves_a_hook_may_read_what_it_gets,
    two_at_once_do_not_exceed_the_limit,
    another_accounts_hook_is_nowhere,
    hooks_page_and_inserts_move_nothing,
    a_change_of_state_moves_the_lane,
    every_write_is_told_without_keys_and_queries,
);

pub const WALLET: &str = "layer1:ledger:wallet:created";
pub const EXECUTED: &str = "layer1:ledger:conversion:executed";
const ROTATED: &str = "layer1:identity:client:key-rotated";

pub fn asked(url: &str, codes: &[&str]) -> wire::CreateHookRequest {
    let event_codes = codes.iter().map(|code| (*code).to_owned()).collect();
    wire::CreateHookRequest { url: url.to_owned(), event_codes, ..wire::CreateHookRequest::default() }
}

pub async fn create(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    asked: &wire::CreateHookRequest,
) -> Reply<wire::Hook> {
    rig.call(actor, key, "/beem.hooks.v1.Hooks/CreateHook", asked.clone()).await
}

pub async fn get(rig: &Rig, actor: &Actor, id: &str) -> Result<wire::Hook, Refusal> {
    let asked = wire::GetHookRequest { id: id.to_owned() };
    rig.call(actor, "", "/beem.hooks.v1.Hooks/GetHook", asked).await.map(|answer: Answer<_>| answer.body)
}

async fn list(
    rig: &Rig,
    actor: &Actor,
    asked: wire::ListHooksRequest,
) -> Result<wire::ListHooksResponse, Refusal> {
    rig.call(actor, "", "/beem.hooks.v1.Hooks/ListHooks", asked).await.map(|answer: Answer<_>| answer.body)
}

/// `named` are the fields that the body has.
async fn update(
    rig: &Rig,
    actor: &Actor,
    key: &str,
    patch: wire::UpdateHookRequest,
    named: &[&str],
) -> Reply<wire::Hook> {
    let paths = named.iter().map(|name| (*name).to_owned()).collect();
    let asked = wire::UpdateHookRequest { present: Some(FieldMask { paths }), ..patch };
    rig.call(actor, key, "/beem.hooks.v1.Hooks/UpdateHook", asked).await
}

pub async fn enable(rig: &Rig, id: &str, enabled: bool) -> wire::Hook {
    let patch = wire::UpdateHookRequest { id: id.to_owned(), enabled, ..Default::default() };
    update(rig, &rig.owner, &rig.key(), patch, &["enabled"]).await.unwrap().body
}

async fn relocate(rig: &Rig, actor: &Actor, id: &str, url: &str) -> Reply<wire::Hook> {
    let patch = wire::UpdateHookRequest { id: id.to_owned(), url: url.to_owned(), ..Default::default() };
    update(rig, actor, &rig.key(), patch, &["url"]).await
}

pub async fn delete(rig: &Rig, actor: &Actor, key: &str, id: &str) -> Reply<wire::Hook> {
    let asked = wire::DeleteHookRequest { id: id.to_owned() };
    rig.call(actor, key, "/beem.hooks.v1.Hooks/DeleteHook", asked).await
}

fn ids(hooks: &[wire::Hook]) -> Vec<&str> {
    hooks.iter().map(|hook| hook.id.as_str()).collect()
}

async fn a_hook_is_made_once_per_key_and_shows_its_secret_twice_to_nobody_else(rig: Rig) {
    let asked = asked("https://Receiver.example:443/hook?token=1", &[WALLET]);
    let first = create(&rig, &rig.owner, "k", &asked).await.unwrap();
    let again = create(&rig, &rig.owner, "k", &asked).await.unwrap();
    assert!(!first.replayed && again.replayed);
    assert!(first.body == again.body, "the same keys, whatever was drawn meanwhile");
    assert_eq!(rig.count("hooks").await, 1);
    assert_eq!(rig.count("hook_keys").await, 1);
    let hook = first.body;
    let secret = hook.signing_secret.clone().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44);
    assert!(hook.signing_public_key.starts_with("whpk_"));
    assert!(hook.public_key_pem.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert_eq!((hook.r#type.as_str(), hook.url.as_str()), ("WEB", "https://receiver.example/hook?token=1"));
    assert_eq!((hook.enabled, hook.event_codes.as_slice()), (true, [WALLET.to_owned()].as_slice()));
    assert_eq!(hook.created_by, rig.owner.principal.to_string());
    assert_eq!(hook.date_created, Some(to_timestamp(rig.clock.now().unix_ms())));
    assert_eq!((hook.failing_since, hook.disabled_reason.clone()), (None, None));
    let read = get(&rig, &rig.owner, &hook.id).await.unwrap();
    assert!(read == wire::Hook { signing_secret: None, ..hook }, "all but the secret");
    let other =
        create(&rig, &rig.owner, "k", &wire::CreateHookRequest { enabled: Some(false), ..asked }).await;
    assert_eq!(other.unwrap_err().code(), "idempotency-key-reused");
}

async fn a_hook_is_read_changed_and_deleted(rig: Rig) {
    let owner = &rig.owner;
    let everything = wire::CreateHookRequest {
        enabled: Some(false),
        r#type: Some("WEB".into()),
        ..asked("https://a.example", &["*"])
    };
    let made = create(&rig, owner, "c", &everything).await.unwrap().body;
    let made = wire::Hook { signing_secret: None, ..made };
    assert_eq!((made.enabled, made.disabled_reason.as_deref()), (false, Some("OPERATOR")));
    rig.clock.advance_ms(1_000);
    let patch = wire::UpdateHookRequest {
        id: made.id.clone(),
        url: "https://b.example".into(),
        event_codes: vec![EXECUTED.into()],
        enabled: true,
        r#type: "WEB".into(),
        ..Default::default()
    };
    let all = ["url", "event_codes", "enabled", "type"];
    let changed = update(&rig, owner, "u", patch.clone(), &all).await.unwrap();
    let expected = wire::Hook {
        url: "https://b.example/".into(),
        event_codes: vec![EXECUTED.into()],
        enabled: true,
        disabled_reason: None,
        last_updated: Some(to_timestamp(rig.clock.now().unix_ms())),
        ..made.clone()
    };
    assert!(changed.body == expected, "{:?}", changed.body.url);
    let turned = update(&rig, owner, "u", patch.clone(), &["type", "enabled", "event_codes", "url"]).await;
    assert!(turned.unwrap().replayed, "the order of a body's fields makes no other request");
    let unchanged = update(&rig, owner, "u0", patch, &[]).await.unwrap();
    assert!(unchanged.body == expected, "what is not named stays");
    assert!(get(&rig, owner, &made.id).await.unwrap() == expected);
    let deleted = delete(&rig, owner, "d", &made.id).await.unwrap();
    let told = (deleted.body.id.as_str(), deleted.body.enabled, deleted.body.disabled_reason.as_deref());
    assert_eq!(told, (made.id.as_str(), false, Some("OPERATOR")));
    assert!(delete(&rig, owner, "d", &made.id).await.unwrap().replayed);
    assert_eq!(get(&rig, owner, &made.id).await.unwrap_err().code(), "not-found");
    assert_eq!(delete(&rig, owner, "d2", &made.id).await.unwrap_err().code(), "not-found");
    assert_eq!(relocate(&rig, owner, &made.id, "https://c.example").await.unwrap_err().code(), "not-found");
    assert_eq!(list(&rig, owner, Default::default()).await.unwrap().content.len(), 0);
}

async fn everything_that_is_wrong_is_named_at_once(rig: Rig) {
    let long = format!("https://a.example/{}", "x".repeat(2_048));
    let cases: [(&str, &[&str], &[&str]); 14] = [
        ("", &["*"], &["url"]),
        ("http://a.example", &["*"], &["url"]),
        ("ftp://a.example", &["*"], &["url"]),
        ("https://u:p@a.example", &["*"], &["url"]),
        ("https://a.example/#x", &["*"], &["url"]),
        ("https://10.0.0.1", &["*"], &["url"]),
        ("https://[::ffff:169.254.169.254]/", &["*"], &["url"]),
        ("https://a.example/ x", &["*"], &["url"]),
        (&long, &["*"], &["url"]),
        ("https://a.example", &[], &["eventCodes"]),
        ("https://a.example", &["*", WALLET], &["eventCodes[0]"]),
        ("https://a.example", &[WALLET, WALLET, "wallet"], &["eventCodes[1]", "eventCodes[2]"]),
        ("https://a.example", &["layer1:hook:test"], &["eventCodes[0]"]),
        ("x", &["y"], &["url", "eventCodes[0]"]),
    ];
    for (n, (url, codes, fields)) in cases.into_iter().enumerate() {
        let refusal = create(&rig, &rig.owner, &format!("k{n}"), &asked(url, codes)).await.unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.fields()),
            ("validation-failed", fields.to_vec()),
            "{url} {codes:?}"
        );
    }
    let everything = wire::CreateHookRequest { r#type: Some("MAIL".into()), ..asked("x", &["y"]) };
    // Of one who might not name the events either: that is said once the request makes sense.
    let nobody = rig.actor_with(RoleSet::EMPTY.with(Role::HookOperator));
    let refusal = create(&rig, &nobody, "k", &everything).await.unwrap_err();
    assert_eq!(refusal.fields(), ["url", "eventCodes[0]", "type"]);
    let again = create(&rig, &nobody, "k", &everything).await.unwrap_err();
    assert!(again.replayed, "a refusal is remembered");
    let hook = rig.hook("https://a.example", &[WALLET]).await;
    let patch = wire::UpdateHookRequest { id: hook.id.clone(), url: "x".into(), ..Default::default() };
    let all = ["url", "event_codes", "type"];
    let refusal = update(&rig, &rig.owner, "u", patch, &all).await.unwrap_err();
    assert_eq!((refusal.code(), refusal.fields()), ("validation-failed", vec!["url", "eventCodes", "type"]));
    let unnamed = get(&rig, &rig.owner, "no id").await.unwrap_err();
    assert_eq!(unnamed.code(), "not-found");
    assert_eq!(delete(&rig, &rig.owner, "d", "no id").await.unwrap_err().code(), "not-found");
    assert_eq!(rig.count("hooks").await, 1);
}

async fn a_maker_has_sent_only_what_it_may_read(rig: Rig) {
    let reader = rig.actor_with(RoleSet::EMPTY.with(Role::HookOperator).with(Role::LedgerViewer));
    let refusal =
        create(&rig, &reader, "k1", &asked("https://a.example", &[WALLET, ROTATED])).await.unwrap_err();
    assert_eq!(refusal.code(), "role-missing");
    assert!(refusal.fault.detail.contains(ROTATED), "{}", refusal.fault);
    let hook = rig.hook_of(&reader, "https://a.example", &[WALLET]).await;
    let codes = |codes: &[&str]| wire::UpdateHookRequest {
        id: hook.id.clone(),
        event_codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        ..Default::default()
    };
    let refusal = update(&rig, &reader, "u1", codes(&[EXECUTED]), &["event_codes"]).await.unwrap_err();
    assert_eq!(refusal.code(), "role-missing");
    update(&rig, &reader, "u2", codes(&["*"]), &["event_codes"]).await.unwrap();
    update(&rig, &rig.owner, "u3", codes(&[EXECUTED]), &["event_codes"]).await.unwrap();
    // The same caller as in the refused call: its role was looked at then, and the answer stays.
    assert!(update(&rig, &reader, "u1", codes(&[EXECUTED]), &["event_codes"]).await.unwrap_err().replayed);
}

async fn whoever_moves_a_hook_may_read_what_it_gets(rig: Rig) {
    let reader = rig.actor_with(RoleSet::EMPTY.with(Role::HookOperator).with(Role::LedgerViewer));
    let (all, executed) =
        (rig.hook("https://all.example", &["*"]).await, rig.hook("https://x.example", &[EXECUTED]).await);
    let wallet = rig.hook("https://w.example", &[WALLET]).await;
    for hook in [&all, &executed] {
        let refusal = relocate(&rig, &reader, &hook.id, "https://mine.example").await.unwrap_err();
        assert_eq!(refusal.code(), "role-missing");
        // Nor together with codes that it may name: what waits would go there, too.
        let patch = wire::UpdateHookRequest {
            id: hook.id.clone(),
            url: "https://mine.example".into(),
            event_codes: vec![WALLET.into()],
            ..Default::default()
        };
        let both = update(&rig, &reader, &rig.key(), patch, &["url", "event_codes"]).await;
        assert_eq!(both.unwrap_err().code(), "role-missing");
        relocate(&rig, &reader, &hook.id, &hook.url).await.expect("it stays where it is");
    }
    relocate(&rig, &reader, &wallet.id, "https://other.example").await.unwrap();
    relocate(&rig, &rig.owner, &all.id, "https://other.example").await.unwrap();
}

/// A caller who hears in time, or asks again.
async fn settled(process: &Hooks, owner: &Actor, key: &str) -> Result<wire::Hook, Refusal> {
    loop {
        let asked = asked("https://a.example", &["*"]);
        let made: Reply<wire::Hook> =
            process.call(owner, key, "/beem.hooks.v1.Hooks/CreateHook", asked).await;
        match made {
            Err(refusal) if ["deadline", "unavailable", "request-in-progress"].contains(&refusal.code()) => {}
            made => return made.map(|answer| answer.body),
        }
    }
}

async fn two_at_once_do_not_exceed_the_limit(rig: Rig) {
    let owner = &rig.stranger();
    for most in [1, 2] {
        let settings = HooksSettings { hooks_per_account: most, ..Rig::settings() };
        let process = &rig.another_with(settings).await.unwrap();
        let ended = &AtomicBool::new(false);
        let made = ["a", "b"].map(|key| async move {
            let made = settled(process, owner, &format!("{key}{most}")).await;
            ended.store(true, Ordering::Relaxed);
            made
        });
        let both = async {
            if rig.base == Base::Sqlite {
                return;
            }
            // Both are past the question of how many there are, unless one waits for the other to have made its own.
            let held = rig.holding("LOCK TABLE hook_keys IN ACCESS EXCLUSIVE MODE").await;
            let waiting = "pg_locks WHERE NOT granted AND database = \
                (SELECT oid FROM pg_database WHERE datname = current_database())";
            until("both wait", async || ended.load(Ordering::Relaxed) || rig.count(waiting).await == 2).await;
            held.let_go().await;
        };
        let (made, ()) = futures::join!(futures::future::join_all(made), both);
        let refused: Vec<_> = made.iter().filter_map(|made| made.as_ref().err()).map(Refusal::code).collect();
        assert_eq!(refused, ["too-many-hooks"]);
        assert_eq!(rig.count("hooks").await, i64::from(most));
    }
    // A deleted one makes room.
    let process = &rig.another_with(HooksSettings { hooks_per_account: 2, ..Rig::settings() }).await.unwrap();
    let first = list(&rig, owner, Default::default()).await.unwrap().content[0].id.clone();
    delete(&rig, owner, "d", &first).await.unwrap();
    settled(process, owner, "again").await.unwrap();
}

async fn another_accounts_hook_is_nowhere(rig: Rig) {
    let hook = rig.hook("https://a.example", &["*"]).await;
    let stranger = rig.stranger();
    assert_eq!(get(&rig, &stranger, &hook.id).await.unwrap_err().code(), "not-found");
    assert_eq!(list(&rig, &stranger, Default::default()).await.unwrap().content.len(), 0);
    assert_eq!(
        relocate(&rig, &stranger, &hook.id, "https://b.example").await.unwrap_err().code(),
        "not-found"
    );
    assert_eq!(delete(&rig, &stranger, "d", &hook.id).await.unwrap_err().code(), "not-found");
    assert_eq!(get(&rig, &rig.owner, &rig.unknown()).await.unwrap_err().code(), "not-found");
    assert!(get(&rig, &rig.owner, &hook.id).await.unwrap().enabled);
}

async fn hooks_page_and_inserts_move_nothing(rig: Rig) {
    let mut made = Vec::new();
    for n in 0..5 {
        // Two of one millisecond, then a later one.
        rig.clock.advance_ms(n % 2);
        made.push(rig.hook(&format!("https://{n}.example"), &["*"]).await.id);
    }
    let oldest_first =
        list(&rig, &rig.owner, wire::ListHooksRequest { order: "asc".into(), ..Default::default() });
    let mut expected: Vec<_> = oldest_first.await.unwrap().content.into_iter().map(|hook| hook.id).collect();
    assert_eq!(expected.iter().collect::<BTreeSet<_>>(), made.iter().collect::<BTreeSet<_>>());
    expected.reverse();
    let mut read = Vec::new();
    let mut page_token = String::new();
    for n in 0.. {
        let asked = wire::ListHooksRequest { max: Some(2), page_token, ..Default::default() };
        let page = list(&rig, &rig.owner, asked).await.unwrap();
        assert!(page.content.iter().all(|hook| hook.signing_secret.is_none() && !hook.public_key.is_empty()));
        read.extend(page.content.into_iter().map(|hook| hook.id));
        if n == 0 {
            rig.clock.advance_ms(1);
            rig.hook("https://new.example", &["*"]).await;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(read, expected);
    let skipping = wire::ListHooksRequest { offset: Some(5), ..Default::default() };
    assert_eq!(ids(&list(&rig, &rig.owner, skipping).await.unwrap().content), [expected[4].as_str()]);
    for (wrong, field) in [
        (wire::ListHooksRequest { max: Some(501), ..Default::default() }, "max"),
        (wire::ListHooksRequest { order: "up".into(), ..Default::default() }, "order"),
        (wire::ListHooksRequest { page_token: "x".into(), ..Default::default() }, "pageToken"),
    ] {
        assert_eq!(list(&rig, &rig.owner, wrong).await.unwrap_err().fields(), [field]);
    }
}

async fn a_change_of_state_moves_the_lane(rig: Rig) {
    let hook = rig.hook("https://a.example", &["*"]).await;
    let failing = "UPDATE lanes SET failures = 7, failing_since_ms = 1000, held_until_ms = 2000";
    let fail = async || {
        rig.db.write(|tx| Box::pin(async move { tx.run(failing, vec![]).await })).await.unwrap();
    };
    let closing = async || rig.count("lanes WHERE closing").await == 1;
    fail().await;
    let since = get(&rig, &rig.owner, &hook.id).await.unwrap().failing_since;
    assert_eq!(since, Some(to_timestamp(1_000)));
    let disabled = enable(&rig, &hook.id, false).await;
    assert_eq!((disabled.failing_since, disabled.disabled_reason.as_deref()), (since, Some("OPERATOR")));
    assert!(closing().await);
    relocate(&rig, &rig.owner, &hook.id, "https://b.example").await.unwrap();
    assert!(closing().await, "it is disabled still");
    let enabled = enable(&rig, &hook.id, true).await;
    assert_eq!((enabled.failing_since, enabled.disabled_reason), (None, None));
    assert_eq!(
        rig.count("lanes WHERE closing OR failures > 0 OR held_until_ms > 0 OR due_ms IS NULL").await,
        0
    );
    fail().await;
    enable(&rig, &hook.id, true).await;
    assert_eq!(rig.count("lanes WHERE failures = 7").await, 1, "it was enabled: nothing begins anew");
    let moved = relocate(&rig, &rig.owner, &hook.id, "https://c.example").await.unwrap().body;
    assert_eq!(moved.failing_since, None, "another receiver has no record yet");
    delete(&rig, &rig.owner, "d", &hook.id).await.unwrap();
    assert!(closing().await);
}

async fn every_write_is_told_without_keys_and_queries(rig: Rig) {
    let owner = &rig.owner;
    let hook = rig.hook("https://a.example/in?token=sesame", &[WALLET]).await;
    relocate(&rig, owner, &hook.id, "https://b.example/?token=simsim").await.unwrap();
    let asked_of = wire::RotateHookKeyRequest { id: hook.id.clone(), retire_old_after: Some(60) };
    let rotated: Answer<wire::Hook> =
        rig.call(owner, "r", "/beem.hooks.v1.Hooks/RotateHookKey", asked_of).await.unwrap();
    create(&rig, owner, "bad", &asked("https://a.example/?token=sesame", &[])).await.unwrap_err();
    delete(&rig, owner, "d", &hook.id).await.unwrap();
    delete(&rig, owner, "d", &hook.id).await.unwrap();
    let rows = unpushed(&rig.db, 100).await.unwrap();
    let mut told: Vec<_> =
        rows.iter().map(|row| (row.row.action.as_str(), row.row.outcome.as_str())).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("CreateHook", "done"),
            ("CreateHook", "validation-failed"),
            ("DeleteHook", "done"),
            ("RotateHookKey", "done"),
            ("UpdateHook", "done"),
        ]
    );
    let of = |action: &str| {
        &rows.iter().find(|row| row.row.action == action && row.row.outcome == "done").unwrap().row
    };
    let first = json!({ "url": "https://a.example/in", "eventCodes": [WALLET], "enabled": true });
    let second = json!({ "url": "https://b.example/", "eventCodes": [WALLET], "enabled": true });
    assert_eq!((&of("CreateHook").before, &of("CreateHook").after), (&None, &Some(first.clone())));
    assert_eq!((&of("UpdateHook").before, &of("UpdateHook").after), (&Some(first), &Some(second.clone())));
    assert_eq!((&of("DeleteHook").before, &of("DeleteHook").after), (&Some(second), &None));
    for row in &rows {
        assert_eq!((row.row.target_type.as_str(), row.row.account_id), ("hook", Some(owner.account)));
    }
    assert_eq!(of("RotateHookKey").target_id, hook.id);
    let all = format!("{rows:?}");
    for secret in ["sesame", "simsim", "whsec_", &hook.public_key, &rotated.body.public_key] {
        assert!(!all.contains(secret), "{secret}");
    }
}

/// What the secrets of a hook are in a file, in every form that somebody might have written them in.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let digits = secret.strip_prefix("whsec_").unwrap();
    let bytes = STANDARD.decode(digits).unwrap();
    let hexadecimal = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    vec![digits.into(), bytes, hexadecimal.to_uppercase().into(), hexadecimal.into()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_stored_as_it_is() {
    let rig = Rig::start(Base::Sqlite).await;
    let made = rig.hook("https://a.example", &["*"]).await;
    let asked = wire::RotateHookKeyRequest { id: made.id.clone(), retire_old_after: Some(60) };
    let rotated: Answer<wire::Hook> =
        rig.call(&rig.owner, "r", "/beem.hooks.v1.Hooks/RotateHookKey", asked).await.unwrap();
    let stored = rig.stored();
    let holds = |part: &[u8]| stored.windows(part.len()).any(|window| window == part);
    assert!(holds(b"https://a.example/") && holds(made.id.as_bytes()), "it looks in the right files");
    for secret in [made.signing_secret.unwrap(), rotated.body.signing_secret.unwrap()] {
        for form in forms(&secret) {
            assert!(!holds(&form), "a secret lies open");
        }
    }
    // The beginning of what PKCS#8 says of an RSA key, behind which its parts come.
    assert!(!holds(&[
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x04, 0x82
    ]));
}
