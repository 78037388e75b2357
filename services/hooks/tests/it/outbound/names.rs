//! Names that do not resolve, and whose doing it is.

use super::Way;
use crate::on_both;
use crate::receiver::{Answer, Receiver};
use crate::rig::{Rig, Said, until};
use serde_json::json;

on_both!(a_name_that_cannot_be_resolved_on_our_side_is_held_against_nobody);

const NOWHERE: &str = "the host does not resolve to an address that may be reached";
const OURS: &str = "names cannot be resolved on our side";

#[tokio::test]
async fn a_name_without_addresses_is_its_owners_doing_and_a_missing_name_server_ours() {
    let way = Way::new();
    for (said, ours, want) in
        [(Said::Fails, false, NOWHERE), (Said::Addresses(vec![]), false, NOWHERE), (Said::Away, true, OURS)]
    {
        way.resolver.always("hook.example", said);
        let sent = way.send("https://hook.example/").await;
        assert_eq!((sent.ours, sent.finding.error.as_deref()), (ours, Some(want)));
    }
}

async fn a_name_that_cannot_be_resolved_on_our_side_is_held_against_nobody(rig: Rig) {
    let receiver = Receiver::start(Answer::ok()).await;
    rig.resolver.then("ours.localhost", Said::Away);
    rig.resolver.then("theirs.localhost", Said::Fails);
    for host in ["ours.localhost", "theirs.localhost"] {
        rig.hook(&receiver.url_at(host), &["*"]).await;
    }
    rig.run_tasks();
    rig.happen(rig.account(), "layer1:ledger:wallet:created", "w", json!({ "id": "w" })).await;
    for (error, failures) in [(OURS, 0), (NOWHERE, 1)] {
        let failed = format!(
            "attempts a JOIN deliveries d ON d.id = a.delivery JOIN lanes l ON l.hook = d.hook
             WHERE a.error = '{error}' AND l.failures = {failures}"
        );
        until(&failed, async || rig.count(&failed).await == 1).await;
    }
    // Both are tried again.
    rig.clock.advance_ms(6_000);
    let delivered = "deliveries WHERE status = 'DELIVERED'";
    until(delivered, async || rig.count(delivered).await == 2).await;
}
