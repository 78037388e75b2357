//! The public origins a signed target is judged against (settings `gateway.public_origins`): what the caller meant to
//! reach, whatever a proxy wrote on the way.

use http::Uri;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Why a text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an origin: {why}")]
pub struct OriginError {
    pub text: String,
    pub why: &'static str,
}

/// Scheme, host and port, normalised (RFC 9110 section 4.2.3): the host in lower case, the scheme's own port left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    authority: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Origin {
    /// Reads `http://host`, `https://host:port`; one slash at the end is allowed.
    ///
    /// # Errors
    /// Another scheme, user information, a path, a query, no host, a port out of range.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let error = |why| OriginError { text: text.to_owned(), why };
        if text.contains(['?', '#', '@']) {
            return Err(error("it is a scheme, a host and a port, nothing more"));
        }
        let uri: Uri = text.parse().map_err(|_| error("it is not a URI"))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(error("the scheme must be http or https")),
        };
        if uri.path() != "/" && !uri.path().is_empty() {
            return Err(error("it must have no path"));
        }
        let authority = uri.authority().ok_or_else(|| error("it has no host"))?;
        let authority =
            normalised(authority.as_str(), scheme).ok_or_else(|| error("the host or port is not valid"))?;
        Ok(Self { scheme, authority })
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        self.scheme.as_str()
    }

    /// Host, and port when it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// `scheme://authority`, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)
    }
}

/// All public origins; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    first: Origin,
    more: Vec<Origin>,
}

impl Origins {
    /// Reads a list of origins.
    ///
    /// # Errors
    /// The first text that is none; an empty list.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, OriginError> {
        let mut origins = texts.iter().map(|text| Origin::parse(text.as_ref()));
        let first =
            origins.next().ok_or_else(|| OriginError { text: String::new(), why: "the list is empty" })??;
        Ok(Self { first, more: origins.collect::<Result<_, _>>()? })
    }

    /// What stands when the settings name none: `http://` and the address listened on, a loopback one as `localhost`
    /// too. An address that means all interfaces is nothing to link to, so loopback stands before it.
    #[must_use]
    pub fn for_listen(address: SocketAddr) -> Self {
        let port = address.port();
        let at = |ip: IpAddr| Origin::http(&SocketAddr::new(ip, port).to_string(), port);
        let localhost = Origin::http(&format!("localhost:{port}"), port);
        let own = at(address.ip());
        if address.ip().is_unspecified() {
            let loopback = at(IpAddr::from([127, 0, 0, 1]));
            return Self { first: loopback, more: vec![localhost, at(IpAddr::V6(Ipv6Addr::LOCALHOST)), own] };
        }
        let more = if address.ip().is_loopback() { vec![localhost] } else { Vec::new() };
        Self { first: own, more }
    }

    /// Which origin a `Host` header or `:authority` names; the first in the list when several do.
    #[must_use]
    pub fn matches(&self, host: &str) -> Option<&Origin> {
        self.iter().find(|origin| normalised(host, origin.scheme).as_deref() == Some(origin.authority()))
    }

    /// The one used in links and mails.
    #[must_use]
    pub const fn first(&self) -> &Origin {
        &self.first
    }

    /// All of them, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

impl Origin {
    fn http(authority: &str, port: u16) -> Self {
        let suffix = format!(":{}", Scheme::Http.port());
        let short =
            authority.strip_suffix(&suffix).filter(|_| port == Scheme::Http.port()).unwrap_or(authority);
        Self { scheme: Scheme::Http, authority: short.to_owned() }
    }
}

/// Host in lower case (an IPv6 address in its shortest form), port as a number and only when it is not the scheme's
/// own. `None` for what is no `host[:port]`.
fn normalised(authority: &str, scheme: Scheme) -> Option<String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (format!("[{address}]"), port)
        }
        None => {
            let (host, port) = authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p)));
            let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            if host.is_empty() || !host.bytes().all(is_name) {
                return None;
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    // RFC 3986 section 3.2.3 allows an empty port, which is the scheme's own.
    let port = match port {
        None | Some("") => return Some(host),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<u16>().ok()?,
        Some(_) => return None,
    };
    Some(if port == scheme.port() { host } else { format!("{host}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_normalised() {
        for (text, want) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://API.Example.com:443/", "https://api.example.com"),
            ("http://example.com:80", "http://example.com"),
            ("http://example.com:443", "http://example.com:443"),
            ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().url(), want);
        }
        for bad in [
            "example.com",
            "ftp://example.com",
            "http://",
            "http://a/b",
            "http://a?b",
            "http://u@a",
            "http://a:99999",
            "http://a:x",
            "//a",
            "",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
        assert!(Origins::parse::<&str>(&[]).is_err());
    }

    #[test]
    fn a_host_names_one_of_the_origins() {
        let origins =
            Origins::parse(&["https://api.example.com", "http://127.0.0.1:8080", "http://localhost:8080"])
                .unwrap();
        let named = |host: &str| origins.matches(host).map(Origin::url);
        assert_eq!(named("API.example.com:443").as_deref(), Some("https://api.example.com"));
        assert_eq!(named("api.example.com").as_deref(), Some("https://api.example.com"));
        assert_eq!(named("LOCALHOST:8080").as_deref(), Some("http://localhost:8080"));
        for other in
            ["api.example.com:80", "api.example.com.", "localhost", "127.0.0.1:08081", "", "a b", "[::1"]
        {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn the_listen_address_is_an_origin() {
        let urls =
            |a: &str| Origins::for_listen(a.parse().unwrap()).iter().map(Origin::url).collect::<Vec<_>>();
        assert_eq!(urls("127.0.0.1:8080"), ["http://127.0.0.1:8080", "http://localhost:8080"]);
        assert_eq!(urls("[::1]:80"), ["http://[::1]", "http://localhost"]);
        assert_eq!(urls("10.0.0.7:80"), ["http://10.0.0.7"]);
        assert_eq!(urls("0.0.0.0:81").first().unwrap(), "http://127.0.0.1:81");
    }
}
