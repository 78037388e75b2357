//! What can go wrong, once for the whole house. A [`Fault`] has a [`Code`] (closed, public, in problem+json), a text
//! for the caller, fields with paths, and a source for the log only. One table here says which HTTP status, gRPC code
//! and title a code has; `google.rpc` details carry the same facts between services.

mod code;
mod wire;

pub use code::{Code, Kind};
pub use wire::DOMAIN;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of everything that can be refused.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// A refusal or a failure. `detail` and `fields` are public; `source` is for the log and never leaves the process.
#[derive(Clone)]
pub struct Fault {
    pub code: Code,
    pub detail: String,
    pub fields: Vec<FieldFault>,
    /// For [`Code::RateLimited`], [`Code::Unavailable`] and [`Code::RateUnavailable`]: seconds after which to try again.
    pub retry_after_s: Option<u32>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What is wrong with one field of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// JSON path: `payOutDetails.address`, `roles[2]`.
    pub field: String,
    pub code: Code,
    pub detail: String,
}

impl Fault {
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), fields: Vec::new(), retry_after_s: None, source: None }
    }

    /// `validation-failed` about one field (JSON path).
    #[must_use]
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::field_as(Code::ValidationFailed, field, detail)
    }

    /// The same with a more telling code of the same kind.
    #[must_use]
    pub fn field_as(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let (field, detail) = (field.into(), detail.into());
        let mut fault = Self::new(code, format!("{field}: {detail}"));
        fault.fields.push(FieldFault { field, code, detail });
        fault
    }

    /// Several fields at once; the detail names the first.
    #[must_use]
    pub fn fields(fields: Vec<FieldFault>) -> Self {
        let detail = fields.first().map_or_else(String::new, |f| format!("{}: {}", f.field, f.detail));
        Self { fields, ..Self::new(Code::ValidationFailed, detail) }
    }

    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// A bug or a broken invariant. The caller reads one fixed sentence; the source goes to the log.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::Internal, "something went wrong on our side").caused_by(source)
    }

    /// A dependency is away. The caller may try again.
    #[must_use]
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(Code::Unavailable, "a part of the system is away, try again")
        }
        .caused_by(source)
    }

    #[must_use]
    pub fn deadline() -> Self {
        Self::new(Code::Deadline, "the deadline passed before there was an answer")
    }

    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Says after how many seconds to try again.
    #[must_use]
    pub const fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.code.kind()
    }

    /// Whether this is a decision of the business: certain, and remembered under its key. Everything else may have
    /// happened or may yet succeed, and is not remembered.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self.kind() {
            Kind::Invalid | Kind::Forbidden | Kind::NotFound | Kind::Conflict | Kind::Rule => {
                !matches!(self.code, Code::RequestInProgress | Code::ChangedConcurrently)
            }
            Kind::Unauthenticated
            | Kind::Method
            | Kind::TooLarge
            | Kind::Edge
            | Kind::Limit
            | Kind::Deadline
            | Kind::Unavailable
            | Kind::Internal => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut next: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|s| {
            let source: &(dyn StdError + 'static) = s.as_ref();
            source
        })
    }
}
