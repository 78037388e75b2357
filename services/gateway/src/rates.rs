//! How often: the buckets requests are counted in, and what answers say of them.

use beem_fault::{Code, Fault};
use beem_limits::{Rate, Verdict};
use http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, Ipv6Addr};

/// So many a second, twice as many at once.
#[must_use]
pub const fn rate(per_s: u32) -> Rate {
    Rate { per_s, burst: per_s.saturating_mul(2) }
}

/// The bucket of an address.
#[must_use]
pub fn address_key(address: IpAddr) -> String {
    format!("address:{}", network(address))
}

/// What is counted as one caller: an IPv4 address (`192.0.2.1`), or an IPv6 /64 (`2001:db8:1:2::/64`), since one host
/// commonly has all of that.
#[must_use]
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The refusal of a request that came too soon.
#[must_use]
pub fn refused(verdict: &Verdict, of: &str) -> Fault {
    let detail = format!("too many requests of this {of}, try again in {} s", verdict.retry_after_s);
    Fault::new(Code::RateLimited, detail).retry_after_s(verdict.retry_after_s)
}

/// Writes the `RateLimit` field of an answer.
pub fn announce(headers: &mut HeaderMap, verdict: &Verdict, policy: &str) {
    if let Ok(value) = HeaderValue::from_str(&verdict.rate_limit_field(policy)) {
        headers.insert("ratelimit", value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_a_whole_prefix_has_one_bucket() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_eq!(network("2001:db8:1:2:ffff::9".parse().unwrap()), "2001:db8:1:2::/64");
    }
}
