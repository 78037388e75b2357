//! What the gateway answers itself: probes, the OpenAPI document, the reference page, and the public keys of the
//! installation. All of it is made once, at the start.

use crate::edge::{self, EdgeBody};
use crate::reference;
use beem_fault::{Code, Fault};
use beem_proto::Contract;
use beem_runtime::Ready;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};

/// What `/.well-known/beem` says. Public by definition.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WellKnown {
    pub version: &'static str,
    /// sandbox or live; empty while identity could not yet be asked.
    pub environment: String,
    pub origins: Vec<String>,
    pub signature_algorithms: [&'static str; 4],
    pub public_keys: Vec<PublishedKey>,
}

/// A public key of the installation.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedKey {
    /// What it proves: `standing`.
    pub purpose: &'static str,
    pub algorithm: &'static str,
    /// The raw 32 bytes, base64.
    pub public_key: String,
}

const PATHS: [&str; 5] = ["/healthz", "/readyz", "/openapi.json", "/docs", "/.well-known/beem"];

/// The gateway's own pages.
pub struct Pages {
    openapi: Bytes,
    docs: Bytes,
    well_known: Bytes,
    ready: Ready,
}

impl Pages {
    #[must_use]
    pub fn new(contract: &Contract, well_known: &WellKnown, ready: Ready) -> Self {
        let openapi = reference::openapi(contract, &well_known.origins);
        Self {
            openapi: openapi.to_string().into(),
            docs: reference::docs_page(contract).into(),
            well_known: serde_json::to_vec(well_known).unwrap_or_default().into(),
            ready,
        }
    }

    /// The page of a path; None when it is not one of these, `method-not-allowed` for anything but GET and HEAD.
    pub async fn find(&self, method: &Method, path: &str) -> Option<Result<Response<EdgeBody>, Fault>> {
        if !PATHS.contains(&path) {
            return None;
        }
        if method != Method::GET && method != Method::HEAD {
            return Some(Err(Fault::new(Code::MethodNotAllowed, "this path has other methods, see Allow")));
        }
        let (kind, status, body) = match path {
            "/healthz" => ("text/plain; charset=utf-8", StatusCode::OK, Bytes::from_static(b"ok\n")),
            "/readyz" => match (self.ready)().await {
                Ok(()) => ("text/plain; charset=utf-8", StatusCode::OK, Bytes::from_static(b"ready\n")),
                // Which part is missing is told on the admin port, not to strangers.
                Err(why) => {
                    tracing::debug!(why, "not ready");
                    (
                        "text/plain; charset=utf-8",
                        StatusCode::SERVICE_UNAVAILABLE,
                        Bytes::from_static(b"not ready\n"),
                    )
                }
            },
            "/openapi.json" => ("application/json", StatusCode::OK, self.openapi.clone()),
            "/docs" => ("text/html; charset=utf-8", StatusCode::OK, self.docs.clone()),
            "/.well-known/beem" => ("application/json", StatusCode::OK, self.well_known.clone()),
            _ => return None,
        };
        let mut response = Response::new(edge::full(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if path == "/docs" {
            let policy =
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";
            response.headers_mut().insert("content-security-policy", HeaderValue::from_static(policy));
        }
        Some(Ok(response))
    }
}
