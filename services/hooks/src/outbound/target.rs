//! Which URLs may be hooks. What is judged is the URL as the client that sends to it understands it: the same parser,
//! and what it would quietly mend is refused.

use super::{Policy, judge};
use crate::domain::LONGEST_URL;
use beem_fault::{Fault, Result};
use std::borrow::Cow;
use std::net::IpAddr;
use url::{Host, Url};

/// A URL that may be a hook's, normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Url);

/// Why a URL may not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Form(&'static str),
    /// Its host is an address in this network.
    Network(&'static str),
}

impl Target {
    /// Names are judged when they are resolved; here are names of this machine and addresses, in any spelling.
    ///
    /// # Errors
    /// `validation-failed` about the field `url`.
    pub fn parse(url: &str, policy: Policy) -> Result<Self> {
        Self::judged(url, policy).map_err(|refusal| Fault::field("url", refusal.detail()))
    }

    /// The URL as it is called.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn into_url(self) -> Url {
        self.0
    }

    pub(super) fn judged(text: &str, policy: Policy) -> Result<Self, Refusal> {
        if text.chars().count() > LONGEST_URL {
            return Err(Refusal::Form("at most 2,048 characters"));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(Refusal::Form("without spaces, control characters and backslashes"));
        }
        let (scheme, after_scheme) = text.split_once("://").unwrap_or_default();
        if !["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(Refusal::Form(scheme_detail(policy)));
        }
        let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err(Refusal::Form("a host must follow https://"));
        }
        if authority.contains('@') {
            return Err(Refusal::Form("without user information"));
        }
        let url = Url::parse(text).map_err(|_| Refusal::Form("not a URL"))?;
        // A host in other letters is longer once it is written in ASCII.
        if url.as_str().len() > LONGEST_URL {
            return Err(Refusal::Form("at most 2,048 characters"));
        }
        if url.fragment().is_some() {
            return Err(Refusal::Form("without a fragment"));
        }
        if url.port() == Some(0) {
            return Err(Refusal::Form("port 0 cannot be called"));
        }
        let this_machine = judge_host(&url, policy)?;
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if policy.allow_loopback && this_machine => Ok(Self(url)),
            _ => Err(Refusal::Form(scheme_detail(policy))),
        }
    }
}

impl Refusal {
    fn detail(self) -> Cow<'static, str> {
        match self {
            Self::Form(detail) => Cow::Borrowed(detail),
            Self::Network(network) => Cow::Owned(format!("its host is in {network}")),
        }
    }
}

/// Whether a name means this machine, whatever a resolver says (RFC 6761 section 6.3).
pub(super) fn is_this_machine(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether the host is this machine.
fn judge_host(url: &Url, policy: Policy) -> Result<bool, Refusal> {
    let address = match url.host().ok_or(Refusal::Form("not a URL with a host"))? {
        Host::Domain(name) if name.ends_with('.') => {
            return Err(Refusal::Form("its host must not end with a dot"));
        }
        Host::Domain(name) if is_this_machine(name) && !policy.allow_loopback => {
            return Err(Refusal::Form("its host is this machine"));
        }
        Host::Domain(name) => return Ok(is_this_machine(name)),
        Host::Ipv4(address) => IpAddr::V4(address),
        Host::Ipv6(address) => IpAddr::V6(address),
    };
    judge(address, policy).map_err(Refusal::Network)?;
    Ok(super::addresses::is_loopback(address))
}

const fn scheme_detail(policy: Policy) -> &'static str {
    if policy.allow_loopback { "https only; http to this machine only" } else { "https only" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beem_fault::Code;
    use proptest::prelude::*;

    const PUBLIC: Policy = Policy { allow_loopback: false };
    const DEVELOPMENT: Policy = Policy { allow_loopback: true };

    fn refused(url: &str, policy: Policy) -> String {
        let fault = Target::parse(url, policy).expect_err(url);
        assert_eq!(fault.code, Code::ValidationFailed, "{url}");
        assert_eq!(fault.fields.len(), 1, "{url}");
        assert_eq!(fault.fields[0].field, "url", "{url}");
        fault.fields[0].detail.clone()
    }

    #[test]
    fn public_https_is_allowed_and_normalised() {
        for (url, want) in [
            ("https://example.com", "https://example.com/"),
            ("HTTPS://Example.COM:443/Hook?a=b@c", "https://example.com/Hook?a=b@c"),
            ("https://example.com:8443/a%20b", "https://example.com:8443/a%20b"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("https://8.8.8.8/", "https://8.8.8.8/"),
            ("https://134744072/", "https://8.8.8.8/"),
            ("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"),
            ("https://internal/", "https://internal/"),
            ("https://localhost.example/", "https://localhost.example/"),
            ("https://notlocalhost/", "https://notlocalhost/"),
        ] {
            assert_eq!(Target::parse(url, PUBLIC).unwrap_or_else(|e| panic!("{url}: {e}")).as_str(), want);
            assert!(Target::parse(want, DEVELOPMENT).is_ok());
        }
    }

    #[test]
    fn what_is_no_plain_https_url_is_refused() {
        for (url, want) in [
            ("", "https only"),
            ("example.com/hook", "https only"),
            ("https:example.com", "https only"),
            ("https:/example.com", "https only"),
            ("http://example.com/", "https only"),
            ("ftp://example.com/", "https only"),
            ("file:///etc/passwd", "https only"),
            ("gopher://example.com/", "https only"),
            ("https://", "a host must follow https://"),
            ("https:///example.com", "a host must follow https://"),
            ("https://:443/", "not a URL"),
            ("https://user@example.com/", "without user information"),
            ("https://user:password@example.com/", "without user information"),
            ("https://@example.com/", "without user information"),
            ("https://:@example.com/", "without user information"),
            ("https://example.com@127.0.0.1/", "without user information"),
            ("https://example.com/#", "without a fragment"),
            ("https://example.com/a#b", "without a fragment"),
            ("https://example.com:0/", "port 0 cannot be called"),
            ("https://example.com:65536/", "not a URL"),
            ("https://exa mple.com/", "without spaces, control characters and backslashes"),
            (" https://example.com/", "without spaces, control characters and backslashes"),
            ("https://example.com/\n", "without spaces, control characters and backslashes"),
            ("ht\ttps://example.com/", "without spaces, control characters and backslashes"),
            ("https://local\thost/", "without spaces, control characters and backslashes"),
            ("https://example.com/\u{0}", "without spaces, control characters and backslashes"),
            ("https://example.com\u{a0}/", "without spaces, control characters and backslashes"),
            ("https:\\\\example.com\\a", "without spaces, control characters and backslashes"),
            ("https://example.com\\@127.0.0.1/", "without spaces, control characters and backslashes"),
            ("https://example.com./", "its host must not end with a dot"),
            ("https://[fe80::1%25eth0]/", "not a URL"),
            ("https://[fe80::1%eth0]/", "not a URL"),
            ("https://[::1/", "not a URL"),
            ("https://1.2.3.4.5/", "not a URL"),
            ("https://256.1.1.1/", "not a URL"),
            ("https://exa%00mple.com/", "not a URL"),
        ] {
            assert_eq!(refused(url, PUBLIC), want, "{url}");
        }
    }

    #[test]
    fn row_26_this_machine_and_private_addresses_are_refused_in_every_spelling() {
        for (host, want) in [
            ("localhost", "its host is this machine"),
            ("LOCALHOST", "its host is this machine"),
            ("a.b.localhost", "its host is this machine"),
            ("l\u{ad}ocalhost", "its host is this machine"),
            ("%6cocalhost", "its host is this machine"),
            ("ｌocalhost", "its host is this machine"),
            ("localhost.", "its host must not end with a dot"),
            ("127.0.0.1", "its host is in a loopback network"),
            ("127.0.0.1.", "its host is in a loopback network"),
            ("127.1", "its host is in a loopback network"),
            ("0x7f.1", "its host is in a loopback network"),
            ("0X7F.0x0.0x0.0x1", "its host is in a loopback network"),
            ("0177.0.0.1", "its host is in a loopback network"),
            ("2130706433", "its host is in a loopback network"),
            ("0x7f000001", "its host is in a loopback network"),
            ("017700000001", "its host is in a loopback network"),
            ("%31%32%37.0.0.1", "its host is in a loopback network"),
            ("１２７.0.0.1", "its host is in a loopback network"),
            ("127。0。0。1", "its host is in a loopback network"),
            ("[::1]", "its host is in a loopback network"),
            ("[0:0:0:0:0:0:0:1]", "its host is in a loopback network"),
            ("[::ffff:10.0.0.1]", "its host is in a network that carries IPv4 inside IPv6"),
            ("[::ffff:7f00:1]", "its host is in a network that carries IPv4 inside IPv6"),
            ("[64:ff9b::10.0.0.1]", "its host is in a network that carries IPv4 inside IPv6"),
            ("[::127.0.0.1]", "its host is in a reserved network"),
            ("[::]", "its host is in a reserved network"),
            ("0", "its host is in a reserved network"),
            ("10.0.0.1", "its host is in a private network"),
            ("012.1", "its host is in a private network"),
            ("[fd00:ec2::254]", "its host is in a private network"),
            ("169.254.169.254", "its host is in a link-local network"),
            ("2852039166", "its host is in a link-local network"),
            ("100.100.100.200", "its host is in a carrier's shared network"),
            ("168.63.129.16", "its host is in a cloud's metadata service"),
            ("255.255.255.255", "its host is in a reserved network"),
        ] {
            for url in
                [format!("https://{host}/"), format!("https://{host}:8443?x=1"), format!("https://{host}")]
            {
                assert_eq!(refused(&url, PUBLIC), want, "{url}");
            }
        }
    }

    #[test]
    fn development_allows_this_machine_by_http_and_nothing_else() {
        for url in [
            "http://localhost:8080/hook",
            "https://localhost/",
            "http://a.localhost/",
            "http://127.0.0.1:9/",
            "http://0x7f.1/",
            "http://[::1]:9/",
            "https://127.8.8.8/",
            "https://example.com/",
        ] {
            assert!(Target::parse(url, DEVELOPMENT).is_ok(), "{url}");
        }
        for url in ["http://example.com/", "http://8.8.8.8/", "http://localhost.example/", "ftp://localhost/"]
        {
            assert_eq!(refused(url, DEVELOPMENT), "https only; http to this machine only", "{url}");
        }
        assert_eq!(refused("http://10.0.0.1/", DEVELOPMENT), "its host is in a private network");
        assert_eq!(
            refused("https://[::ffff:127.0.0.1]/", DEVELOPMENT),
            "its host is in a network that carries IPv4 inside IPv6"
        );
        assert_eq!(refused("http://u@localhost/", DEVELOPMENT), "without user information");
    }

    #[test]
    fn a_url_is_as_long_as_it_may_be_before_and_after_it_is_normalised() {
        let longest = format!("https://example.com/{}", "a".repeat(LONGEST_URL - 20));
        assert!(Target::parse(&longest, PUBLIC).is_ok());
        assert_eq!(refused(&format!("{longest}a"), PUBLIC), "at most 2,048 characters");
        let grows = format!("https://example.com/{}", "ü".repeat(400));
        assert_eq!(refused(&grows, PUBLIC), "at most 2,048 characters");
    }

    proptest! {
        #[test]
        fn what_is_allowed_stays_allowed_as_it_is_stored(text in "(https?|HTTPS)://[a-z0-9.:@/?#%\\[\\]ü-]{0,40}") {
            if let Ok(target) = Target::parse(&text, PUBLIC) {
                let again = Target::parse(target.as_str(), PUBLIC).unwrap();
                prop_assert_eq!(&again, &target);
                prop_assert!(target.as_str().starts_with("https://"));
            }
        }

        #[test]
        fn every_address_is_judged_the_same_as_a_number(bits: u32) {
            let address = std::net::Ipv4Addr::from(bits);
            let allowed = judge(address.into(), PUBLIC).is_ok();
            for host in [format!("{bits}"), format!("{bits:#x}"), format!("0{bits:o}"), address.to_string()] {
                prop_assert_eq!(Target::parse(&format!("https://{host}/"), PUBLIC).is_ok(), allowed);
            }
        }
    }
}
