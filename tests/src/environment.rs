//! The settings that installations under test are started with, as the environment has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use std::net::SocketAddr;

/// Services that later releases bring and the contract names already: tests call the ledger as each of them.
pub const INTERNAL: [&str; 2] = ["payments", "channels"];

/// The key such a service has in every cluster under test.
#[must_use]
pub fn internal_key(service: &str) -> SigningKey {
    let mut seed = [1; 32];
    for (to, from) in seed.iter_mut().zip(service.bytes()) {
        *to = from;
    }
    SigningKey::from_bytes(&seed)
}

/// The setting that makes a cluster know them.
#[must_use]
pub fn internal_services() -> (String, String) {
    let one = |service: &str| {
        let key = STANDARD.encode(internal_key(service).verifying_key().as_bytes());
        format!("{{name=\"{service}\", public_keys=[\"{key}\"], methods=[]}}")
    };
    ("BEEM__INTERNAL_SERVICES".into(), format!("[{}]", INTERNAL.map(one).join(", ")))
}

/// Requests a second that no test reaches.
const UNLIMITED: &str = "100000";
/// Requests a second of one client of a guarded installation; twice as many at once.
pub const GUARDED_CLIENT_PER_S: u32 = 5;
/// Requests a second of one address of a guarded installation; twice as many at once.
pub const GUARDED_ADDRESS_PER_S: u32 = 8;
/// What callers call a guarded installation; both gateways of its cluster.
pub const GUARDED_ORIGIN: &str = "http://beem.test";
pub(crate) const PUBLIC_ORIGINS: &str = "BEEM__GATEWAY__PUBLIC_ORIGINS";
const TRUSTED_PROXIES: &str = "BEEM__GATEWAY__TRUSTED_PROXIES";
/// Where a cluster's mails go; the embedded shape has them in its data directory.
pub const MAIL_FOLDER: &str = "BEEM__MAIL__FOLDER";

/// Lets hooks call receivers of a test, which listen on this machine.
pub const ALLOW_LOOPBACK: (&str, &str) = ("BEEM__HOOKS__ALLOW_LOOPBACK", "true");

pub(crate) fn unlimited() -> Vec<(String, String)> {
    more(&[
        ALLOW_LOOPBACK,
        ("BEEM__GATEWAY__RATES__CLIENT_PER_S", UNLIMITED),
        ("BEEM__GATEWAY__RATES__ADDRESS_PER_S", UNLIMITED),
    ])
}

pub(crate) fn limitless(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    [unlimited(), more(settings)].concat()
}

pub(crate) fn more(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn guarded() -> Vec<(String, String)> {
    more(&[
        ("BEEM__GATEWAY__RATES__CLIENT_PER_S", &GUARDED_CLIENT_PER_S.to_string()),
        ("BEEM__GATEWAY__RATES__ADDRESS_PER_S", &GUARDED_ADDRESS_PER_S.to_string()),
        (TRUSTED_PROXIES, "[\"127.0.0.1/32\"]"),
    ])
}

/// Behind a trusted proxy, without limits that a test reaches, and with these settings.
#[must_use]
pub fn proxied(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    [unlimited(), more(&[(TRUSTED_PROXIES, "[\"127.0.0.1/32\"]")]), more(settings)].concat()
}

/// The first public origin: of the settings, or of the address.
pub(crate) fn origin(settings: &[(String, String)], address: SocketAddr) -> String {
    let listed = settings.iter().find(|(key, _)| key == PUBLIC_ORIGINS);
    let first = listed.and_then(|(_, value)| value.split('"').nth(1).map(str::to_owned));
    first.unwrap_or_else(|| format!("http://{address}"))
}
