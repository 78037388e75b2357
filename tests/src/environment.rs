//! The settings that installations under test are started with, as the environment has them.

use std::net::SocketAddr;

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

pub(crate) fn unlimited() -> Vec<(String, String)> {
    more(&[
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
