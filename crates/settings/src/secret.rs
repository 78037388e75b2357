//! Values that must not be printed. A password that sits in a [`Secret`] cannot reach a log line, an error text or a settings
//! dump by accident; a URL that may hold one is printed through [`redact_url`].

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands in the place of a secret.
const HIDDEN: &str = "…";

/// A value that prints, debugs and serialises as `…`: not even its length shows. Reading it takes [`Secret::expose`], so that
/// a search finds every use.
///
/// Serialising is one-way. Settings that are written out and read back (as layered defaults are) must hold an unset secret as
/// `Option<Secret<T>>`, not as an empty one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: for the one place that uses it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, owned.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// `url` with its user, password, query values and fragment taken out: `postgres://…@db:5432/beem?sslmode=…`.
///
/// It hides too much rather than too little: everything before the last `@` counts as credentials, because an unescaped `/` or
/// `?` in a password would otherwise end them early; and what does not look like a URL is hidden whole.
#[must_use]
pub fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return HIDDEN.to_owned() };
    let plain_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if scheme.is_empty() || !scheme.chars().all(plain_scheme) {
        return HIDDEN.to_owned();
    }
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let mut shown = format!("{scheme}://{credentials}{address}");
    for (index, pair) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((key, _)) => shown.extend([key, "=", HIDDEN]),
            None => shown.push_str(HIDDEN),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_its_value() {
        #[derive(Debug, Serialize, Deserialize)]
        struct Held {
            password: Secret<String>,
        }
        let held: Held = serde_json::from_str(r#"{"password": "hunter2"}"#).unwrap();
        assert_eq!(held.password.expose(), "hunter2");
        assert_eq!(format!("{held:?} {}", held.password), "Held { password: … } …");
        assert_eq!(serde_json::to_string(&held).unwrap(), r#"{"password":"…"}"#);
        assert_eq!(format!("{:?}", Secret::new(String::new())), format!("{:?}", Secret::new([7_u8; 32])));
    }

    #[test]
    fn credentials_and_query_values_leave_a_url() {
        for (given, shown) in [
            ("postgres://beem:s3cret@db:5432/beem", "postgres://…@db:5432/beem"),
            ("postgres://beem:s3@cret@db/beem", "postgres://…@db/beem"),
            ("postgres://beem:s3/cret?x#y@db/beem", "postgres://…@db/beem"),
            ("redis://:s3cret@cache:6379/0", "redis://…@cache:6379/0"),
            ("postgres://db/beem?user=beem&password=s3cret", "postgres://db/beem?user=…&password=…"),
            ("https://hooks.example/a?s3cret#s3cret", "https://hooks.example/a?…"),
            ("http://collector:4317", "http://collector:4317"),
            ("host=db password=s3cret", "…"),
            ("password=s3cret x://db", "…"),
            ("", "…"),
        ] {
            assert_eq!(redact_url(given), shown, "{given}");
        }
    }
}
