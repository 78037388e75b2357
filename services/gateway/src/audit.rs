//! What the gateway adds to the audit trail: who was refused here although known, which reads were allowed (one in so
//! many), and how many callers nobody knows were refused from where. What a service did or refused it records itself.
//!
//! All of it is gathered in memory, bounded, and sent to authz by two loops, so that no request waits for the trail: a
//! crash loses what was not sent, at most seconds of it while authz is there. What is refused here changes nothing.
//!
//! - `rows` the queue of rows and the loop that pushes it; `refusals` the counts and the loop that reports them

mod refusals;
mod rows;

pub use refusals::Refusals;
pub use rows::Rows;

use beem_caller::Actor;
use beem_clock::{Clock, Entropy};
use beem_fault::{Code, Fault, Kind};
use beem_link::Link;
use beem_proto::authz::v1::{AuditActor, AuditRow, AuditTarget};
use beem_runtime::{Task, task};
use beem_telemetry::Telemetry;
use std::net::IpAddr;

/// Cheap to clone; clones gather together.
#[derive(Clone)]
pub struct Audit {
    rows: Rows,
    refusals: Refusals,
    /// One in how many allowed reads is recorded; 0: none.
    read_sample: u32,
    clock: Clock,
    entropy: Entropy,
}

impl Audit {
    #[must_use]
    pub fn new(authz: Link, read_sample: u32, clock: Clock, entropy: Entropy, telemetry: Telemetry) -> Self {
        let rows = Rows::new(authz.clone(), telemetry.clone());
        let refusals = Refusals::new(authz, clock.clone(), entropy.clone(), telemetry);
        Self { rows, refusals, read_sample, clock, entropy }
    }

    /// The loops that send what was gathered; both send once more when they are told to end.
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        let (rows, refusals) = (self.rows.clone(), self.refusals.clone());
        vec![
            task("push-audit-rows", move |cancel| rows.clone().push(cancel)),
            task("report-refusals", move |cancel| refusals.clone().report(cancel)),
        ]
    }

    /// Notes that a known caller was refused an RPC here. Only what forbids is a row: a caller who may not do something
    /// tried to. Mistakes in a request, limits and failures are none.
    pub fn refused(&self, actor: &Actor, rpc: &str, fault: &Fault) {
        if fault.kind() == Kind::Forbidden {
            self.add(actor, rpc, fault.code.as_str());
        }
    }

    /// Notes that somebody nobody knows was refused.
    pub fn turned_away(&self, address: IpAddr, fault: &Fault) {
        // What failed on our side is no refusal.
        if !matches!(fault.code, Code::Internal | Code::Unavailable | Code::Deadline) {
            self.refusals.count(address, fault.code);
        }
    }

    /// Notes that a service refused a public call: a password, a code or a link that was wrong, or too many of them. What is
    /// wrong with a request itself guesses nothing.
    pub fn guessed(&self, address: IpAddr, fault: &Fault) {
        if matches!(fault.kind(), Kind::Unauthenticated | Kind::Forbidden | Kind::Limit) {
            self.refusals.count(address, fault.code);
        }
    }

    /// Notes that a read was allowed and done, if it is one of those recorded.
    pub fn read(&self, actor: &Actor, rpc: &str) {
        // The end of a request's id is random, and not the caller's choice: no pattern of calls stays outside the sample.
        let [.., a, b, c, d] = actor.request.0.into_bytes();
        let drawn = u32::from_be_bytes([a, b, c, d]);
        if drawn.checked_rem(self.read_sample) == Some(0) {
            self.add(actor, rpc, "done");
        }
    }

    fn add(&self, actor: &Actor, rpc: &str, outcome: &str) {
        let now = self.clock.now();
        self.rows.add(AuditRow {
            id: beem_ids::draw(now, &self.entropy).to_string(),
            account_id: actor.account.to_string(),
            time_ms: now.unix_ms(),
            actor: Some(AuditActor {
                principal_id: actor.principal.to_string(),
                kind: actor.kind.as_str().to_owned(),
                name: actor.name.clone(),
            }),
            action: rpc.to_owned(),
            target: Some(AuditTarget { r#type: "rpc".to_owned(), id: rpc.to_owned() }),
            outcome: outcome.to_owned(),
            before: String::new(),
            after: String::new(),
            address: actor.address.to_string(),
            key_fingerprint: actor.key_fingerprint.clone(),
            request_id: actor.request.to_string(),
        });
    }
}

/// Whether authz will never take what it was sent: then it must not hold up what comes after it. Everything else, a gateway
/// that is not believed included, may pass, and is tried again.
fn is_final(fault: &Fault) -> bool {
    matches!(fault.kind(), Kind::Invalid | Kind::TooLarge)
}
