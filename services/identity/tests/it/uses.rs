//! When and from where clients were accepted.

use crate::clients::{create, get, named};
use crate::on_both;
use crate::rig::{Refusal, Rig};
use beem_proto::identity::v1 as wire;

on_both!(uses_are_kept_to_the_minute_and_never_go_back, a_wrong_report_notes_nothing);

fn seen(client: &wire::Client, at_s: i64, address: &str) -> wire::ClientUse {
    wire::ClientUse {
        principal_id: client.id.clone(),
        time: Some(beem_proto::to_timestamp(at_s * 1000)),
        address: address.into(),
        key_fingerprint: client.key_fingerprint.clone(),
    }
}

async fn report(rig: &Rig, uses: Vec<wire::ClientUse>) -> Result<(), Refusal> {
    let asked = wire::ReportUseRequest { uses, session_uses: vec![] };
    rig.internal::<_, wire::ReportUseResponse>("/beem.identity.v1.Directory/ReportUse", asked).await.map(drop)
}

fn of(used: Option<wire::LastUse>) -> (i64, String) {
    let used = used.unwrap();
    (used.time.unwrap().seconds, used.address)
}

async fn uses_are_kept_to_the_minute_and_never_go_back(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = create(&rig, &owner, "c", &named(&rig, "c", &[])).await.unwrap().body;
    let now = rig.clock.now().unix_s();
    let stranger = wire::Client { id: owner.account.to_string(), ..made.clone() };
    report(&rig, vec![seen(&made, now - 590, "203.0.113.1"), seen(&stranger, now, "203.0.113.1")])
        .await
        .unwrap();
    let client = get(&rig, &owner, &made.id).await.unwrap();
    let minute = now - 600;
    assert_eq!(of(client.last_used), (minute, "203.0.113.1".into()));
    assert_eq!(of(client.first_used), (minute, "203.0.113.1".into()));
    report(&rig, vec![seen(&made, now - 300, "2001:db8::7"), seen(&made, now - 900, "203.0.113.3")])
        .await
        .unwrap();
    report(&rig, vec![seen(&made, now - 600, "203.0.113.4")]).await.unwrap();
    let client = get(&rig, &owner, &made.id).await.unwrap();
    assert_eq!(of(client.last_used), (now - 300, "2001:db8::7".into()));
    assert_eq!(of(client.first_used), (now - 900, "203.0.113.3".into()));
    report(&rig, vec![seen(&made, now + 100_000, "203.0.113.5")]).await.unwrap();
    let client = get(&rig, &owner, &made.id).await.unwrap();
    assert_eq!(of(client.last_used), (now, "203.0.113.5".into()), "a clock that runs ahead is not believed");
}

async fn a_wrong_report_notes_nothing(rig: Rig) {
    let owner = rig.owner("a").await;
    let made = create(&rig, &owner, "c", &named(&rig, "c", &[])).await.unwrap().body;
    let now = rig.clock.now().unix_s();
    let garbled = wire::ClientUse { address: "nowhere".into(), ..seen(&made, now, "") };
    let refusal = report(&rig, vec![seen(&made, now, "203.0.113.1"), garbled]).await.unwrap_err();
    assert_eq!(refusal.fields(), ["uses[1].address"]);
    let many = vec![seen(&made, now, "203.0.113.1"); 1_001];
    assert_eq!(report(&rig, many).await.unwrap_err().fields(), ["uses"]);
    assert_eq!(get(&rig, &owner, &made.id).await.unwrap().last_used, None);
}
