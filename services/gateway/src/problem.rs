//! A [`Fault`] as an RFC 9457 answer: the one place where problem+json is written, so that refusals of the edge, of the
//! gateway's checks and of the services behind it all read alike.

use crate::edge::{EdgeBody, full};
use beem_fault::{Code, Fault};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde::Serialize;

/// On every answer: the id that the log and the traces know the request by.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every problem's `type` begins with; its code follows.
pub const PROBLEM_TYPES: &str = "https://beem.dev/problems/";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    request_id: &'a str,
    errors: Vec<FieldProblem<'a>>,
}

#[derive(Serialize)]
struct FieldProblem<'a> {
    field: &'a str,
    code: &'a str,
    detail: &'a str,
}

/// The answer to a request that ended in `fault`: status, `application/problem+json` (RFC 9457), `X-Request-Id`,
/// `Retry-After` (seconds) when the fault says how long, and the challenge of RFC 6750 when a session is not valid. The fault's source is not in it. `Allow` and the like are the
/// caller's to add.
#[must_use]
pub fn problem(fault: &Fault, request_id: &str) -> Response<EdgeBody> {
    let code = fault.code.as_str();
    let status = StatusCode::from_u16(fault.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let errors = fault.fields.iter().map(|f| FieldProblem {
        field: &f.field,
        code: f.code.as_str(),
        detail: &f.detail,
    });
    let body = Problem {
        r#type: format!("{PROBLEM_TYPES}{code}"),
        title: fault.code.title(),
        status: status.as_u16(),
        detail: &fault.detail,
        code,
        request_id,
        errors: errors.collect(),
    };
    // Strings and a number always serialise; an empty body would still carry the right status.
    let mut response = Response::new(full(serde_json::to_vec(&body).unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    if let Some(seconds) = fault.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if fault.code == Code::SessionInvalid {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn json(fault: &Fault) -> (Response<()>, serde_json::Value) {
        let (parts, body) = problem(fault, "0190163d-8694-739b-aea5-966c26f8ad91").into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, ()), serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_field_is_named_with_its_code() {
        let (head, body) = json(&Fault::field_as(Code::UnknownField, "roles[2]", "no such field")).await;
        assert_eq!(head.status(), 400);
        assert_eq!(head.headers()["content-type"], "application/problem+json");
        assert_eq!(head.headers()["x-request-id"], "0190163d-8694-739b-aea5-966c26f8ad91");
        assert_eq!(
            body,
            serde_json::json!({
                "type": "https://beem.dev/problems/unknown-field",
                "title": "The request names a field that does not exist",
                "status": 400,
                "detail": "roles[2]: no such field",
                "code": "unknown-field",
                "requestId": "0190163d-8694-739b-aea5-966c26f8ad91",
                "errors": [{"field": "roles[2]", "code": "unknown-field", "detail": "no such field"}],
            })
        );
    }

    #[tokio::test]
    async fn every_code_has_its_status_and_an_empty_list_is_written() {
        for code in Code::ALL {
            let (head, body) = json(&Fault::new(*code, "why")).await;
            assert_eq!(head.status().as_u16(), code.http());
            assert_eq!((&body["code"], &body["errors"]), (&code.as_str().into(), &serde_json::json!([])));
        }
    }

    #[tokio::test]
    async fn a_wait_is_told_and_a_source_is_not() {
        let (head, body) = json(&Fault::unavailable("password=hunter2")).await;
        assert_eq!(head.headers()["retry-after"], "1");
        assert!(!body.to_string().contains("hunter2"));
    }
}
