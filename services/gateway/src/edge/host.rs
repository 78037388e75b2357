//! Which host a request is for. A message may name it in `Host`, in `:authority` and in an absolute-form target; when
//! two of them differ, two programs on the way may pick different ones, so all that are there must agree
//! (RFC 9112 3.2, RFC 9113 8.3.1).

use beem_fault::{Code, Fault};
use http::header::HOST;
use http::{HeaderMap, Uri};
use std::net::Ipv6Addr;

/// The one host that target and headers name, as in [`super::Request::host`].
///
/// # Errors
/// `bad-request` when there is none, more than one `Host`, one that is not `host[:port]`, or two that differ.
pub(super) fn agreed(uri: &Uri, headers: &HeaderMap) -> Result<String, Fault> {
    let mut hosts = headers.get_all(HOST).iter();
    let from_header = hosts.next();
    if hosts.next().is_some() {
        return Err(refusal("more than one Host"));
    }
    let from_header = match from_header {
        None => None,
        Some(value) => {
            let host = value.to_str().ok().and_then(normal_host);
            Some(host.ok_or_else(|| refusal("Host is not host[:port]"))?)
        }
    };
    let from_target = match uri.authority() {
        None => None,
        Some(text) => Some(
            normal_host(text.as_str()).ok_or_else(|| refusal("the target's authority is not host[:port]"))?,
        ),
    };
    match (from_target, from_header) {
        (Some(target), Some(header)) if target != header => {
            Err(refusal("Host and the target's authority differ"))
        }
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(refusal("no Host")),
    }
}

/// `host[:port]` in its one spelling: lower-case, without the ports 80 and 443, IPv6 in its canonical form. `None` for
/// anything else, user information included. Origins of the settings are to be brought to it before they are compared.
#[must_use]
pub fn normal_host(text: &str) -> Option<String> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (format!("[{address}]"), port)
        }
        None => {
            let (name, port) = match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            };
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            if name.is_empty() || name.len() > 255 || !name.bytes().all(plain) {
                return None;
            }
            (name.to_ascii_lowercase(), port)
        }
    };
    match port {
        None | Some("") => Some(name),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse::<u16>().ok()? {
            80 | 443 => Some(name),
            port => Some(format!("{name}:{port}")),
        },
        Some(_) => None,
    }
}

fn refusal(detail: &str) -> Fault {
    Fault::new(Code::BadRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(target: &str, hosts: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        agreed(&target.parse().unwrap(), &headers).ok()
    }

    #[test]
    fn case_and_default_ports_do_not_matter() {
        for host in ["API.Example", "api.example:80", "api.example:443", "api.example:"] {
            assert_eq!(judged("/", &[host]).as_deref(), Some("api.example"), "{host}");
        }
        assert_eq!(judged("/", &["Api.example:8080"]).as_deref(), Some("api.example:8080"));
        assert_eq!(judged("/", &["[0:0::1]:8080"]).as_deref(), Some("[::1]:8080"));
        assert_eq!(judged("http://API.example:80/x", &["api.example"]).as_deref(), Some("api.example"));
    }

    #[test]
    fn hosts_that_are_none() {
        for host in
            ["", "a b", "a@b", "a,b", "a/b", "a:b", "a:99999", "a:+80", "[::1", "[::1]x", "a:80:80", "\u{e9}"]
        {
            assert_eq!(judged("/", &[host]), None, "{host}");
        }
    }

    #[test]
    fn all_that_are_there_must_agree() {
        assert_eq!(judged("/", &[]), None);
        assert_eq!(judged("/", &["a", "a"]), None);
        assert_eq!(judged("http://a/", &["b"]), None);
        assert_eq!(judged("http://a:8080/", &["a"]), None);
        assert_eq!(judged("http://u@a/", &["a"]), None);
        assert_eq!(judged("http://a/", &[]).as_deref(), Some("a"));
    }
}
