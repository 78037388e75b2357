//! The closed table of codes: what stands in `code` of a problem, its kind, statuses and title.

use std::fmt;

/// The families of 2.1 of the public contract, one per row of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    Method,
    Conflict,
    TooLarge,
    /// Refused before there was a request; the connection closes.
    Edge,
    /// Refused by a rule of the business.
    Rule,
    Limit,
    Deadline,
    Unavailable,
    Internal,
}

/// A stable public code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    ValidationFailed,
    UnknownField,
    MalformedJson,
    CurrencyUnknown,
    SameWallet,
    SignatureMissing,
    SignatureInvalid,
    SignatureExpired,
    SignatureReplayed,
    SignatureCoverage,
    DigestMismatch,
    ClientUnknown,
    SessionInvalid,
    CredentialsInvalid,
    /// Between services only: the caller of a call inside could not be proven.
    CallerUnproven,
    RoleMissing,
    NetworkNotAllowed,
    PrincipalDisabled,
    /// Only for people who signed in.
    SessionRequired,
    RoleNotHeld,
    OwnPrincipal,
    OwnPayout,
    NotFound,
    MethodNotAllowed,
    UnsupportedMediaType,
    ReferenceTaken,
    EmailTaken,
    RequestInProgress,
    ChangedConcurrently,
    RevisionChanged,
    BodyTooLarge,
    BadRequest,
    RequestTimeout,
    TargetTooLong,
    Misdirected,
    HeadersTooLarge,
    InsufficientFunds,
    QuoteExpired,
    QuoteUsed,
    /// Of money: released, charged or expired, and not held any more.
    HoldEnded,
    PaymentFinal,
    RequestFinal,
    LastOperator,
    IdempotencyKeyReused,
    ClientDeleted,
    UserDeleted,
    /// The user has activated: there is nothing to invite to.
    UserActive,
    /// Nothing is sent to a hook that is disabled.
    HookDisabled,
    /// The account has as many hooks as it may.
    TooManyHooks,
    FeedCursorLost,
    RateLimited,
    Deadline,
    Unavailable,
    /// No rate is fresh enough to convert by. Not a decision: the same request succeeds once there is one.
    RateUnavailable,
    Internal,
}

impl Code {
    /// Every code, in the order of the contract.
    pub const ALL: &'static [Self] = &[
        Self::ValidationFailed,
        Self::UnknownField,
        Self::MalformedJson,
        Self::CurrencyUnknown,
        Self::SameWallet,
        Self::SignatureMissing,
        Self::SignatureInvalid,
        Self::SignatureExpired,
        Self::SignatureReplayed,
        Self::SignatureCoverage,
        Self::DigestMismatch,
        Self::ClientUnknown,
        Self::SessionInvalid,
        Self::CredentialsInvalid,
        Self::CallerUnproven,
        Self::RoleMissing,
        Self::NetworkNotAllowed,
        Self::PrincipalDisabled,
        Self::SessionRequired,
        Self::RoleNotHeld,
        Self::OwnPrincipal,
        Self::OwnPayout,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::ReferenceTaken,
        Self::EmailTaken,
        Self::RequestInProgress,
        Self::ChangedConcurrently,
        Self::RevisionChanged,
        Self::BodyTooLarge,
        Self::BadRequest,
        Self::RequestTimeout,
        Self::TargetTooLong,
        Self::Misdirected,
        Self::HeadersTooLarge,
        Self::InsufficientFunds,
        Self::QuoteExpired,
        Self::QuoteUsed,
        Self::HoldEnded,
        Self::PaymentFinal,
        Self::RequestFinal,
        Self::LastOperator,
        Self::IdempotencyKeyReused,
        Self::ClientDeleted,
        Self::UserDeleted,
        Self::UserActive,
        Self::HookDisabled,
        Self::TooManyHooks,
        Self::FeedCursorLost,
        Self::RateLimited,
        Self::Deadline,
        Self::Unavailable,
        Self::RateUnavailable,
        Self::Internal,
    ];

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValidationFailed => "validation-failed",
            Self::UnknownField => "unknown-field",
            Self::MalformedJson => "malformed-json",
            Self::CurrencyUnknown => "currency-unknown",
            Self::SameWallet => "same-wallet",
            Self::SignatureMissing => "signature-missing",
            Self::SignatureInvalid => "signature-invalid",
            Self::SignatureExpired => "signature-expired",
            Self::SignatureReplayed => "signature-replayed",
            Self::SignatureCoverage => "signature-coverage",
            Self::DigestMismatch => "digest-mismatch",
            Self::ClientUnknown => "client-unknown",
            Self::SessionInvalid => "session-invalid",
            Self::CredentialsInvalid => "credentials-invalid",
            Self::CallerUnproven => "caller-unproven",
            Self::RoleMissing => "role-missing",
            Self::NetworkNotAllowed => "network-not-allowed",
            Self::PrincipalDisabled => "principal-disabled",
            Self::SessionRequired => "session-required",
            Self::RoleNotHeld => "role-not-held",
            Self::OwnPrincipal => "own-principal",
            Self::OwnPayout => "own-payout",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::ReferenceTaken => "reference-taken",
            Self::EmailTaken => "email-taken",
            Self::RequestInProgress => "request-in-progress",
            Self::ChangedConcurrently => "changed-concurrently",
            Self::RevisionChanged => "revision-changed",
            Self::BodyTooLarge => "body-too-large",
            Self::BadRequest => "bad-request",
            Self::RequestTimeout => "request-timeout",
            Self::TargetTooLong => "target-too-long",
            Self::Misdirected => "misdirected",
            Self::HeadersTooLarge => "headers-too-large",
            Self::InsufficientFunds => "insufficient-funds",
            Self::QuoteExpired => "quote-expired",
            Self::QuoteUsed => "quote-used",
            Self::HoldEnded => "hold-ended",
            Self::PaymentFinal => "payment-final",
            Self::RequestFinal => "request-final",
            Self::LastOperator => "last-operator",
            Self::IdempotencyKeyReused => "idempotency-key-reused",
            Self::ClientDeleted => "client-deleted",
            Self::UserDeleted => "user-deleted",
            Self::UserActive => "user-active",
            Self::HookDisabled => "hook-disabled",
            Self::TooManyHooks => "too-many-hooks",
            Self::FeedCursorLost => "feed-cursor-lost",
            Self::RateLimited => "rate-limited",
            Self::Deadline => "deadline",
            Self::Unavailable => "unavailable",
            Self::RateUnavailable => "rate-unavailable",
            Self::Internal => "internal",
        }
    }

    /// One fixed sentence for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::ValidationFailed => "The request is not valid",
            Self::UnknownField => "The request names a field that does not exist",
            Self::MalformedJson => "The body is not valid JSON",
            Self::CurrencyUnknown => "No such currency",
            Self::SameWallet => "Both wallets are the same",
            Self::SignatureMissing => "The request is not signed",
            Self::SignatureInvalid => "The signature does not verify",
            Self::SignatureExpired => "The signature is outside its time",
            Self::SignatureReplayed => "The signature was used before",
            Self::SignatureCoverage => "The signature does not cover enough",
            Self::DigestMismatch => "The content digest does not match the body",
            Self::ClientUnknown => "No client has this keyid",
            Self::SessionInvalid => "The session is not valid",
            Self::CredentialsInvalid => "The credentials are not valid",
            Self::CallerUnproven => "The calling service is not proven",
            Self::RoleMissing => "A role is missing",
            Self::NetworkNotAllowed => "The network is not on the whitelist",
            Self::PrincipalDisabled => "The caller is disabled",
            Self::SessionRequired => "This is for people who signed in",
            Self::RoleNotHeld => "Roles can be handed out only by those who hold them",
            Self::OwnPrincipal => "Nobody changes their own access",
            Self::OwnPayout => "Nobody votes on their own payout",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "The method is not allowed here",
            Self::UnsupportedMediaType => "The media type is not supported",
            Self::ReferenceTaken => "The reference is taken",
            Self::EmailTaken => "The e-mail address is taken",
            Self::RequestInProgress => "The first request under this key still runs",
            Self::ChangedConcurrently => "It was changed at the same time",
            Self::RevisionChanged => "The revision has changed",
            Self::BodyTooLarge => "The body is too large",
            Self::BadRequest => "The request is not valid HTTP",
            Self::RequestTimeout => "The request did not arrive in time",
            Self::TargetTooLong => "The request target is too long",
            Self::Misdirected => "This host is not served here",
            Self::HeadersTooLarge => "The headers are too large",
            Self::InsufficientFunds => "The funds do not suffice",
            Self::QuoteExpired => "The quote has expired",
            Self::QuoteUsed => "The quote was used",
            Self::HoldEnded => "The hold has ended already",
            Self::PaymentFinal => "The payment is final",
            Self::RequestFinal => "The request is final",
            Self::LastOperator => "The account would be left without an operator",
            Self::IdempotencyKeyReused => "The idempotency key was used for another request",
            Self::ClientDeleted => "The client is deleted",
            Self::UserDeleted => "The user is deleted",
            Self::UserActive => "The user has activated",
            Self::HookDisabled => "The hook is disabled",
            Self::TooManyHooks => "The account has too many hooks",
            Self::FeedCursorLost => "The feed no longer reaches back to this cursor",
            Self::RateLimited => "Too many requests",
            Self::Deadline => "The deadline passed",
            Self::Unavailable => "A part of the system is away",
            Self::RateUnavailable => "No current rate",
            Self::Internal => "Something went wrong",
        }
    }

    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::ValidationFailed
            | Self::UnknownField
            | Self::MalformedJson
            | Self::CurrencyUnknown
            | Self::SameWallet => Kind::Invalid,
            Self::SignatureMissing
            | Self::SignatureInvalid
            | Self::SignatureExpired
            | Self::SignatureReplayed
            | Self::SignatureCoverage
            | Self::DigestMismatch
            | Self::ClientUnknown
            | Self::SessionInvalid
            | Self::CredentialsInvalid
            | Self::CallerUnproven => Kind::Unauthenticated,
            Self::RoleMissing
            | Self::NetworkNotAllowed
            | Self::PrincipalDisabled
            | Self::SessionRequired
            | Self::RoleNotHeld
            | Self::OwnPrincipal
            | Self::OwnPayout => Kind::Forbidden,
            Self::NotFound => Kind::NotFound,
            Self::MethodNotAllowed | Self::UnsupportedMediaType => Kind::Method,
            Self::ReferenceTaken
            | Self::EmailTaken
            | Self::RequestInProgress
            | Self::ChangedConcurrently
            | Self::RevisionChanged => Kind::Conflict,
            Self::BodyTooLarge => Kind::TooLarge,
            Self::BadRequest
            | Self::RequestTimeout
            | Self::TargetTooLong
            | Self::Misdirected
            | Self::HeadersTooLarge => Kind::Edge,
            Self::InsufficientFunds
            | Self::QuoteExpired
            | Self::QuoteUsed
            | Self::HoldEnded
            | Self::PaymentFinal
            | Self::RequestFinal
            | Self::LastOperator
            | Self::IdempotencyKeyReused
            | Self::ClientDeleted
            | Self::UserDeleted
            | Self::UserActive
            | Self::HookDisabled
            | Self::TooManyHooks
            | Self::FeedCursorLost => Kind::Rule,
            Self::RateLimited => Kind::Limit,
            Self::Deadline => Kind::Deadline,
            Self::Unavailable | Self::RateUnavailable => Kind::Unavailable,
            Self::Internal => Kind::Internal,
        }
    }

    /// The HTTP status of an answer with this code.
    #[must_use]
    pub const fn http(self) -> u16 {
        match self {
            Self::UnsupportedMediaType => 415,
            Self::RequestTimeout => 408,
            Self::TargetTooLong => 414,
            Self::Misdirected => 421,
            Self::HeadersTooLarge => 431,
            _ => match self.kind() {
                Kind::Invalid | Kind::Edge => 400,
                Kind::Unauthenticated => 401,
                Kind::Forbidden => 403,
                Kind::NotFound => 404,
                Kind::Method => 405,
                Kind::Conflict => 409,
                Kind::TooLarge => 413,
                Kind::Rule => 422,
                Kind::Limit => 429,
                Kind::Deadline => 504,
                Kind::Unavailable => 503,
                Kind::Internal => 500,
            },
        }
    }

    /// The gRPC code of a status with this code.
    #[must_use]
    pub const fn grpc(self) -> tonic::Code {
        match self {
            Self::UnsupportedMediaType => tonic::Code::InvalidArgument,
            Self::ReferenceTaken | Self::EmailTaken => tonic::Code::AlreadyExists,
            Self::FeedCursorLost => tonic::Code::OutOfRange,
            _ => match self.kind() {
                Kind::Invalid | Kind::Edge => tonic::Code::InvalidArgument,
                Kind::Unauthenticated => tonic::Code::Unauthenticated,
                Kind::Forbidden => tonic::Code::PermissionDenied,
                Kind::NotFound => tonic::Code::NotFound,
                Kind::Method => tonic::Code::Unimplemented,
                Kind::Conflict => tonic::Code::Aborted,
                Kind::TooLarge => tonic::Code::OutOfRange,
                Kind::Rule => tonic::Code::FailedPrecondition,
                Kind::Limit => tonic::Code::ResourceExhausted,
                Kind::Deadline => tonic::Code::DeadlineExceeded,
                Kind::Unavailable => tonic::Code::Unavailable,
                Kind::Internal => tonic::Code::Internal,
            },
        }
    }

    /// From the text on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.as_str() == text)
    }

    /// For a gRPC status that carries no reason of ours: a peer's transport, a limit, a cancelled call.
    #[must_use]
    pub const fn from_grpc(code: tonic::Code) -> Self {
        match code {
            tonic::Code::InvalidArgument => Self::ValidationFailed,
            tonic::Code::NotFound => Self::NotFound,
            tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => Self::Deadline,
            tonic::Code::Unavailable => Self::Unavailable,
            tonic::Code::ResourceExhausted | tonic::Code::OutOfRange => Self::BodyTooLarge,
            tonic::Code::Ok
            | tonic::Code::Unknown
            | tonic::Code::AlreadyExists
            | tonic::Code::PermissionDenied
            | tonic::Code::FailedPrecondition
            | tonic::Code::Aborted
            | tonic::Code::Unimplemented
            | tonic::Code::Internal
            | tonic::Code::DataLoss
            | tonic::Code::Unauthenticated => Self::Internal,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A code that is declared but not in the list would be unknown on the wire, in the reference and to `parse`.
    #[test]
    fn the_list_holds_every_code_once() {
        let known: BTreeSet<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(known.len(), Code::ALL.len());
        let source = include_str!("code.rs");
        let declared = source.split("pub enum Code {").nth(1).unwrap().split("\n}\n").next().unwrap();
        let declared = declared.lines().filter(|l| l.trim().ends_with(',') && !l.contains("//")).count();
        assert_eq!(declared, Code::ALL.len());
    }

    #[test]
    fn a_missing_rate_is_no_decision_and_an_ended_hold_is_one() {
        let (rate, hold) = (Code::RateUnavailable, Code::HoldEnded);
        assert_eq!(
            (rate.http(), rate.grpc(), rate.kind()),
            (503, tonic::Code::Unavailable, Kind::Unavailable)
        );
        assert_eq!(
            (hold.http(), hold.grpc(), hold.kind()),
            (422, tonic::Code::FailedPrecondition, Kind::Rule)
        );
        assert!(!crate::Fault::new(rate, "").is_refusal());
        assert!(crate::Fault::new(hold, "").is_refusal());
    }
}
