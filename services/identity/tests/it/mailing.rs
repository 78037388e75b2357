//! Links that operators have mailed: so many an hour for one address, whoever asks, and none counted that was not sent.

use crate::mailbox::{mails, newest_token};
use crate::on_both;
use crate::person::{activate, propose};
use crate::rig::{Refusal, Rig};
use crate::users::{get, invite, person, resend, reset};
use beem_proto::identity::v1 as wire;

on_both!(an_address_is_mailed_five_links_an_hour, what_is_refused_is_not_counted);

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Refused for now, with nothing left of it.
async fn too_many(rig: &Rig, key: &str, refusal: Refusal) {
    assert_eq!((refusal.code(), refusal.replayed), ("rate-limited", false), "{key}");
    assert!(refusal.fault.retry_after_s.is_some_and(|s| (1..=3_600).contains(&s)), "{:?}", refusal.fault);
    assert_eq!(rig.count(&format!("claims WHERE key = '{key}'")).await, 0, "{key}");
}

async fn an_address_is_mailed_five_links_an_hour(rig: Rig) {
    let [a, b] = [rig.owner("a").await, rig.owner("b").await];
    let made = invite(&rig, &a, "one", &person("ada@example.com", &["hook:viewer"])).await.unwrap().body;
    for key in ["two", "three"] {
        rig.clock.advance_ms(1_000);
        resend(&rig, &a, key, &made.id).await.unwrap();
    }
    activate(&rig, "ada@example.com", &newest_token(&rig, "ada@").await).await;
    reset(&rig, &a, "four", &made.id).await.unwrap();
    rig.clock.advance_ms(1_000);
    resend(&rig, &a, "five", &made.id).await.unwrap();
    let [before, sent] = [rig.count("users").await, rig.count("mails").await];
    let standing = get(&rig, &a, &made.id).await.unwrap();
    too_many(&rig, "resend", resend(&rig, &a, "resend", &made.id).await.unwrap_err()).await;
    too_many(&rig, "reset", reset(&rig, &a, "reset", &made.id).await.unwrap_err()).await;
    assert_eq!([rig.count("users").await, rig.count("mails").await], [before, sent], "nothing was done");
    assert_eq!(get(&rig, &a, &made.id).await.unwrap(), standing);
    propose(&rig, &newest_token(&rig, "ada@").await).await.unwrap();
    invite(&rig, &a, "other", &person("bob@example.com", &[])).await.unwrap();
    // What another account sends is its own: it neither waits nor learns that somebody else invites her.
    invite(&rig, &b, "theirs", &person("ADA@example.com", &[])).await.unwrap();
    rig.clock.advance_ms(HOUR_MS);
    assert!(!resend(&rig, &a, "resend", &made.id).await.unwrap().replayed, "the key was not used up");
    assert_eq!(mails(&rig, "@example.com").await.len(), 8);
}

async fn what_is_refused_is_not_counted(rig: Rig) {
    let owner = rig.owner("a").await;
    let operator = invite(&rig, &owner, "o", &person("op@example.com", &["user:operator"])).await.unwrap();
    let operator = rig.acting_user(&operator.body);
    let asked: wire::CreateUserRequest = person("ada@example.com", &["hook:viewer"]);
    for n in 0..6 {
        let refusal = invite(&rig, &operator, &format!("i{n}"), &asked).await.unwrap_err();
        assert_eq!(refusal.code(), "role-not-held", "{n}");
        assert_eq!(refusal.code(), "role-not-held", "{n}");
    }
    let made = invite(&rig, &owner, "one", &asked).await.unwrap().body;
    for n in 0..6 {
        let refusal = resend(&rig, &operator, &format!("r{n}"), &made.id).await.unwrap_err();
        assert_eq!(refusal.code(), "role-not-held", "{n}");
        assert_eq!(refusal.code(), "role-not-held", "{n}");
        let refusal = reset(&rig, &operator, &format!("s{n}"), &made.id).await.unwrap_err();
        assert_eq!(refusal.code(), "role-not-held", "{n}");
        assert_eq!(refusal.code(), "role-not-held", "{n}");
    }
    for key in ["two", "three", "four", "five"] {
        resend(&rig, &owner, key, &made.id).await.unwrap();
    }
    too_many(&rig, "six", resend(&rig, &owner, "six", &made.id).await.unwrap_err()).await;
}
