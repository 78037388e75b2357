//! The audit trail on the wire: decode, call the operation, encode.

use super::convert::id;
use crate::domain::AuditEntry;
use crate::heads;
use crate::operations::{self, Authz};
use crate::store::{Asked, RefusalCount};
use crate::verify::AuditVerifier;
use beem_database::page::{Page, PageQuery};
use beem_fault::{Fault, Result};
use beem_ids::AccountId;
use beem_proto::authz::v1 as wire;
use beem_proto::authz::v1::audit_server::Audit;
use beem_proto::to_timestamp;
use beem_runtime::caller;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Timestamp, Value};
use serde_json::Value as Json;
use std::sync::Arc;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Rows in one push at most.
const MOST_ROWS: usize = 500;
/// Counts in one report at most.
const MOST_COUNTS: usize = 1000;
/// Heads in one answer at most.
const MOST_HEADS: u32 = 500;
/// What one count may say: far beyond a minute, and no sum of them ever overflows.
const LARGEST_COUNT: i64 = 1_000_000_000_000;
/// An address or a code, bytes.
const LONGEST_LABEL: usize = 64;
/// How deep before and after are shown as objects; what is deeper is shown as text. A message can only be so deep.
const DEEPEST: u8 = 16;

pub(super) struct Trail {
    pub(super) authz: Arc<Authz>,
    pub(super) verifier: AuditVerifier,
}

#[tonic::async_trait]
impl Audit for Trail {
    async fn list_audit_events(
        &self,
        request: Request<wire::ListAuditEventsRequest>,
    ) -> Result<Response<wire::ListAuditEventsResponse>, Status> {
        let account = caller(&request)?.actor()?.account;
        let request = request.get_ref();
        let asked = asked(request)?;
        let page = page(request, account, &asked)?;
        let (events, next_page_token) =
            operations::list_audit_events(&self.authz, account, &asked, &page).await?;
        let content = events.into_iter().map(event).collect();
        Ok(Response::new(wire::ListAuditEventsResponse { content, next_page_token }))
    }

    async fn push_audit_rows(
        &self,
        request: Request<wire::PushAuditRowsRequest>,
    ) -> Result<Response<wire::PushAuditRowsResponse>, Status> {
        let rows = request.into_inner().rows;
        if rows.len() > MOST_ROWS {
            return Err(Fault::field("rows", format!("at most {MOST_ROWS}")).into());
        }
        let rows = rows.into_iter().enumerate().map(|(n, row)| entry(&format!("rows[{n}]"), row));
        operations::push_audit_rows(&self.authz, &rows.collect::<Result<Vec<_>>>()?).await?;
        Ok(Response::new(wire::PushAuditRowsResponse {}))
    }

    async fn report_refusals(
        &self,
        request: Request<wire::ReportRefusalsRequest>,
    ) -> Result<Response<wire::ReportRefusalsResponse>, Status> {
        let request = request.get_ref();
        let report = uuid("reportId", &request.report_id)?;
        operations::report_refusals(&self.authz, report, &counts(&request.counts)?).await?;
        Ok(Response::new(wire::ReportRefusalsResponse {}))
    }

    async fn list_audit_heads(
        &self,
        request: Request<wire::ListAuditHeadsRequest>,
    ) -> Result<Response<wire::ListAuditHeadsResponse>, Status> {
        let request = request.get_ref();
        let max = match request.max {
            0 => MOST_HEADS,
            1..=MOST_HEADS => request.max,
            _ => return Err(Fault::field("max", format!("at most {MOST_HEADS}")).into()),
        };
        let token = Some(request.page_token.as_str()).filter(|token| !token.is_empty());
        let after = token.map(|token| uuid("pageToken", token)).transpose()?;
        let mut found = operations::list_audit_heads(&self.authz, after, max.saturating_add(1)).await?;
        let more = found.len() > usize::try_from(max).unwrap_or(usize::MAX);
        found.truncate(usize::try_from(max).unwrap_or(usize::MAX));
        let last = found.last().filter(|_| more);
        let next_page_token = last.map(|head| head.account.to_string()).unwrap_or_default();
        let heads = found.iter().map(heads::to_wire).collect();
        Ok(Response::new(wire::ListAuditHeadsResponse { heads, next_page_token }))
    }

    async fn verify_audit(
        &self,
        request: Request<wire::VerifyAuditRequest>,
    ) -> Result<Response<wire::VerifyAuditResponse>, Status> {
        Ok(Response::new(self.verifier.page(request.get_ref()).await?))
    }
}

fn uuid(field: &str, text: &str) -> Result<Uuid> {
    text.parse().map_err(|_| Fault::field(field, "not an id"))
}

fn asked(request: &wire::ListAuditEventsRequest) -> Result<Asked> {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Ok(Asked {
        actor: given(&request.actor).map(|actor| id("actor", &actor)).transpose()?,
        action: given(&request.action),
        from_ms: request.from.as_ref().map(first_ms),
        before_ms: request.to.as_ref().map(first_ms),
    })
}

/// The first millisecond that is not before this time: rows are as fine as that.
fn first_ms(at: &Timestamp) -> i64 {
    let nanos = i64::from(at.nanos.clamp(0, 999_999_999));
    at.seconds.saturating_mul(1000).saturating_add(nanos.saturating_add(999_999) / 1_000_000)
}

fn page(request: &wire::ListAuditEventsRequest, account: AccountId, asked: &Asked) -> Result<Page> {
    let query = PageQuery {
        max: request.max,
        page_token: &request.page_token,
        offset: request.offset,
        order: &request.order,
    };
    // A token is good for its account and filter only.
    let Asked { actor, action, from_ms, before_ms } = asked;
    let filter = format!("{account} {actor:?} {action:?} {from_ms:?} {before_ms:?}");
    Page::parse(query, "ListAuditEvents", filter.as_bytes())
}

fn event(entry: AuditEntry) -> wire::AuditEvent {
    wire::AuditEvent {
        id: entry.id.to_string(),
        time: Some(to_timestamp(entry.time_ms)),
        actor: Some(wire::AuditActor {
            principal_id: entry.actor_id,
            kind: entry.actor_kind,
            name: entry.actor_name,
        }),
        action: entry.action,
        target: Some(wire::AuditTarget { r#type: entry.target_type, id: entry.target_id }),
        outcome: entry.outcome,
        before: object(&entry.before),
        after: object(&entry.after),
        address: entry.address,
        request_id: entry.request_id,
        key_fingerprint: entry.key_fingerprint,
    }
}

fn object(text: &str) -> Option<Struct> {
    match serde_json::from_str(text) {
        Ok(Json::Object(members)) => Some(members_of(members, 1)),
        Ok(_) | Err(_) => None,
    }
}

fn members_of(members: serde_json::Map<String, Json>, depth: u8) -> Struct {
    Struct { fields: members.into_iter().map(|(name, member)| (name, value(member, depth))).collect() }
}

fn value(json: Json, depth: u8) -> Value {
    let next = depth.saturating_add(1);
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(flag),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(_) | Json::Object(_) if depth >= DEEPEST => Kind::StringValue(json.to_string()),
        Json::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(|json| value(json, next)).collect() })
        }
        Json::Object(members) => Kind::StructValue(members_of(members, next)),
    };
    Value { kind: Some(kind) }
}

/// A row as it came. What a service recorded is not judged here, so that nothing holds up its trail; only what makes no row
/// at all is refused.
fn entry(field: &str, row: wire::AuditRow) -> Result<(Uuid, AuditEntry)> {
    let of = |name: &str| format!("{field}.{name}");
    let account = match row.account_id.as_str() {
        "" => Uuid::nil(),
        account => uuid(&of("accountId"), account)?,
    };
    let actor = row.actor.unwrap_or_default();
    if !matches!(actor.kind.as_str(), "USER" | "CLIENT" | "INSTALLATION") {
        return Err(Fault::field(of("actor.kind"), "USER, CLIENT or INSTALLATION"));
    }
    for (name, text) in [("before", &row.before), ("after", &row.after)] {
        if !text.is_empty() && !matches!(serde_json::from_str(text), Ok(Json::Object(_))) {
            return Err(Fault::field(of(name), "a JSON object or nothing"));
        }
    }
    let target = row.target.unwrap_or_default();
    let entry = AuditEntry {
        id: uuid(&of("id"), &row.id)?,
        time_ms: row.time_ms,
        actor_id: storable(actor.principal_id),
        actor_kind: actor.kind,
        actor_name: storable(actor.name),
        action: storable(row.action),
        target_type: storable(target.r#type),
        target_id: storable(target.id),
        outcome: storable(row.outcome),
        before: row.before,
        after: row.after,
        address: storable(row.address),
        key_fingerprint: storable(row.key_fingerprint),
        request_id: storable(row.request_id),
    };
    Ok((account, entry))
}

/// PostgreSQL has no text with NUL in it.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

fn counts(counts: &[wire::RefusalCount]) -> Result<RefusalCount> {
    if counts.len() > MOST_COUNTS {
        return Err(Fault::field("counts", format!("at most {MOST_COUNTS}")));
    }
    let mut sums = RefusalCount::new();
    for (n, count) in counts.iter().enumerate() {
        let of = |name: &str| format!("counts[{n}].{name}");
        for (name, text) in [("address", &count.address), ("code", &count.code)] {
            let sound = text.len() <= LONGEST_LABEL && !text.contains('\0');
            if !sound {
                return Err(Fault::field(of(name), format!("at most {LONGEST_LABEL} bytes")));
            }
        }
        if count.minute_s.rem_euclid(60) != 0 {
            return Err(Fault::field(of("minuteS"), "the beginning of a minute"));
        }
        let times = i64::try_from(count.count).ok().filter(|times| (1..=LARGEST_COUNT).contains(times));
        let times = times.ok_or_else(|| Fault::field(of("count"), format!("1 to {LARGEST_COUNT}")))?;
        let sum = sums.entry((count.address.clone(), count.minute_s, count.code.clone())).or_default();
        *sum = sum.saturating_add(times);
    }
    Ok(sums)
}
