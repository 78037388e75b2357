//! A fault as a gRPC status and back. The reason travels in `google.rpc.ErrorInfo`, fields in `BadRequest` (a field's
//! own code in its `reason`-less description, as `code: text`), the wait in `RetryInfo`.

use crate::{Code, Fault, FieldFault, Kind};
use std::collections::HashMap;
use std::time::Duration;
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// `ErrorInfo.domain` of every fault of ours.
pub const DOMAIN: &str = "beem.dev";

impl From<Fault> for Status {
    /// The source ends here, so here it is logged, once: what is our fault as an error, what could not be done now as a
    /// warning.
    fn from(fault: Fault) -> Self {
        match fault.kind() {
            Kind::Internal => tracing::error!(reason = ?fault, "an internal fault is answered"),
            Kind::Unavailable | Kind::Deadline => {
                tracing::warn!(reason = ?fault, "a call could not be served now")
            }
            Kind::Invalid
            | Kind::Unauthenticated
            | Kind::Forbidden
            | Kind::NotFound
            | Kind::Method
            | Kind::Conflict
            | Kind::TooLarge
            | Kind::Edge
            | Kind::Rule
            | Kind::Limit => tracing::debug!(%fault, "a call is refused"),
        }
        let mut details = ErrorDetails::new();
        details.set_error_info(fault.code.as_str(), DOMAIN, HashMap::new());
        if !fault.fields.is_empty() {
            let violations = fault
                .fields
                .iter()
                .map(|f| FieldViolation::new(f.field.clone(), format!("{}: {}", f.code, f.detail)));
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        if let Some(seconds) = fault.retry_after_s {
            details.set_retry_info(Some(Duration::from_secs(u64::from(seconds))));
        }
        Self::with_error_details(fault.code.grpc(), fault.detail, details)
    }
}

impl From<Status> for Fault {
    /// A status that carries no reason of ours says something about transport or a bug: its text is kept as the source,
    /// for the log, and the public text is ours.
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let ours = details.error_info().filter(|i| i.domain == DOMAIN).and_then(|i| Code::parse(&i.reason));
        let Some(code) = ours else { return foreign(status) };
        let mut fault = Self::new(code, status.message());
        if let Some(bad) = details.bad_request() {
            fault.fields = bad.field_violations.iter().map(|v| field(&v.field, &v.description)).collect();
        }
        fault.retry_after_s = details
            .retry_info()
            .and_then(|r| r.retry_delay)
            .map(|d| u32::try_from(d.as_secs()).unwrap_or(u32::MAX));
        fault
    }
}

fn field(path: &str, description: &str) -> FieldFault {
    let split = description.split_once(": ");
    let known = split.and_then(|(code, text)| Code::parse(code).map(|c| (c, text)));
    let (code, text) = known.unwrap_or((Code::ValidationFailed, description));
    FieldFault { field: path.into(), code, detail: text.into() }
}

fn foreign(status: Status) -> Fault {
    match Code::from_grpc(status.code()) {
        Code::Unavailable => Fault::unavailable(status),
        Code::Deadline => Fault::deadline().caused_by(status),
        Code::Internal => Fault::internal(status),
        code => Fault::new(code, code.title()).caused_by(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_the_wire() {
        for code in Code::ALL {
            let mut sent = Fault::field_as(*code, "roles[1]", "not: a role");
            sent.retry_after_s = Some(3);
            let got = Fault::from(Status::from(sent.clone()));
            assert_eq!((got.code, &got.detail, &got.fields), (*code, &sent.detail, &sent.fields));
            assert_eq!(got.retry_after_s, Some(3));
        }
    }

    #[test]
    fn a_source_never_leaves_the_process() {
        let status = Status::from(Fault::internal("password=hunter2"));
        assert!(!format!("{status:?}").contains("hunter2"));
    }

    #[test]
    fn a_foreign_status_keeps_its_text_inside() {
        let fault = Fault::from(Status::unavailable("tcp connect error 10.0.0.7"));
        assert_eq!(fault.code, Code::Unavailable);
        assert!(!fault.detail.contains("10.0.0.7"));
        assert!(format!("{fault:?}").contains("10.0.0.7"));
    }

    #[test]
    fn codes_parse_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
    }
}
