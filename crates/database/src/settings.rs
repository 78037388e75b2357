//! What an operator says about a service's database.

use beem_fault::{Fault, FieldFault};
use serde::{Deserialize, Serialize};

/// Where a service's database is and how hard to use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `sqlite:PATH`, or `postgres://user:password@host/name`, also through a socket:
    /// `postgres://user@/name?host=/dir`. Holds a password at times: never log it.
    pub url: String,
    /// Connections at most, 2 to 200. On SQLite these read; one more writes.
    pub max_connections: u32,
    /// Seconds to wait at the start for a database that does not answer; 0 waits for ever.
    pub connect_patience_s: u32,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { url: String::new(), max_connections: 10, connect_patience_s: 0 }
    }
}

impl DatabaseSettings {
    /// The rest as by default.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Whether this can work at all.
    ///
    /// # Errors
    /// `validation-failed` naming each field that is wrong.
    pub fn validate(&self) -> Result<(), Fault> {
        let mut wrong = Vec::new();
        let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|s| self.url.starts_with(s));
        if !known {
            wrong.push(field("url", "write sqlite:PATH or postgres://…"));
        } else if self.url.contains(":memory:") {
            wrong.push(field("url", "a database in memory cannot be read while it is written: name a file"));
        }
        if !(2..=200).contains(&self.max_connections) {
            wrong.push(field("max_connections", "2 to 200"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Fault::fields(wrong)) }
    }
}

fn field(name: &str, detail: &str) -> FieldFault {
    FieldFault { field: name.into(), code: beem_fault::Code::ValidationFailed, detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_is_named() {
        let fault = DatabaseSettings { max_connections: 1, ..DatabaseSettings::at("mysql://x") }
            .validate()
            .unwrap_err();
        let named: Vec<_> = fault.fields.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(named, ["url", "max_connections"]);
        assert!(DatabaseSettings::at("sqlite::memory:").validate().is_err());
        assert!(DatabaseSettings::at("sqlite:/var/lib/beem/authz.db").validate().is_ok());
    }
}
