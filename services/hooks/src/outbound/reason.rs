//! Why there was no answer, in a few words that stay the same: they are shown to the hook's owner, so there is no
//! address in them and nothing of ours.

use super::resolve::Unresolved;
use rustls::CertificateError;
use std::error::Error as StdError;
use std::io;

/// Of a request that failed before its answer's status came.
pub(super) fn of_failure(error: &(dyn StdError + 'static)) -> String {
    let causes = causes(error);
    let find =
        |tell: fn(&(dyn StdError + 'static)) -> Option<String>| causes.iter().find_map(|cause| tell(*cause));
    find(|cause| cause.downcast_ref().map(Unresolved::to_string))
        .or_else(|| find(|cause| cause.downcast_ref().map(of_tls).map(str::to_owned)))
        .or_else(|| find(|cause| cause.downcast_ref().and_then(of_http).map(str::to_owned)))
        .unwrap_or_else(|| of_connection(error).to_owned())
}

/// Whether it failed for a reason of ours.
pub(super) fn is_ours(error: &(dyn StdError + 'static)) -> bool {
    causes(error).into_iter().any(|cause| matches!(cause.downcast_ref(), Some(Unresolved::Ours)))
}

/// Of an answer that does not acknowledge.
pub(super) fn of_status(code: u16) -> String {
    match code {
        301 | 302 | 303 | 307 | 308 => "a redirect is not followed".to_owned(),
        _ => format!("answered {code}"),
    }
}

/// The error and all that caused it. An `io::Error` that wraps another error says that one's source is its own, and
/// leaves out the wrapped one.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        causes.push(cause);
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| -> &(dyn StdError + 'static) { wrapped }).or_else(|| cause.source());
    }
    causes
}

fn of_tls(error: &rustls::Error) -> &'static str {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            Expired | ExpiredContext { .. } => "TLS: the certificate has expired",
            NotValidYet | NotValidYetContext { .. } => "TLS: the certificate is not valid yet",
            NotValidForName | NotValidForNameContext { .. } => "TLS: the certificate is not for this host",
            UnknownIssuer => "TLS: the certificate's authority is not known",
            _ => "TLS: the certificate is not valid",
        },
        rustls::Error::InvalidMessage(_) => "TLS: the answer was not TLS",
        rustls::Error::AlertReceived(_) => "TLS: the receiver refused",
        _ => "TLS: no agreement",
    }
}

fn of_http(error: &hyper::Error) -> Option<&'static str> {
    match () {
        () if error.is_parse_too_large() => Some("the answer's headers are too large"),
        () if error.is_parse() => Some("the answer was not HTTP"),
        () if error.is_incomplete_message() || error.is_closed() || error.is_canceled() => Some(CLOSED),
        () => None,
    }
}

const CLOSED: &str = "the connection was closed before an answer";

fn of_connection(error: &(dyn StdError + 'static)) -> &'static str {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_connect() && error.is_timeout() => "no connection within 5 s",
        Some(error) if error.is_connect() => "could not connect",
        _ => CLOSED,
    }
}
