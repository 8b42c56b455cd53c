//! One small vocabulary of failures, and its two mappings: to a gRPC status
//! where an error leaves a service, and back where a caller reads it.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::{self, Write as _};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tracing::{error, warn};

/// What kind of failure a caller is told about. Adding one is a decision for all
/// services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The request is wrong in itself.
    Invalid,
    /// Nobody knows who asks.
    Unauthenticated,
    /// The caller may not do this.
    Denied,
    /// There is no such thing.
    NotFound,
    /// Somebody else changed it meanwhile.
    Conflict,
    /// Something must be put right first; the reason says what.
    NotReady,
    /// Too much at once.
    RateLimited,
    /// Something needed is away; trying again later may work.
    Unavailable,
    /// The time ran out: for an effect, its outcome is unknown.
    Timeout,
    /// A fault of ours.
    Internal,
}

impl FaultKind {
    /// The gRPC code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Invalid => Code::InvalidArgument,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::Denied => Code::PermissionDenied,
            Self::NotFound => Code::NotFound,
            Self::Conflict => Code::Aborted,
            Self::NotReady => Code::FailedPrecondition,
            Self::RateLimited => Code::ResourceExhausted,
            Self::Unavailable => Code::Unavailable,
            Self::Timeout => Code::DeadlineExceeded,
            Self::Internal => Code::Internal,
        }
    }

    /// The kind that a caller reads from a status. A code that none of our
    /// services sends is a fault of ours.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        match status.code() {
            Code::InvalidArgument | Code::OutOfRange => Self::Invalid,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::Denied,
            Code::NotFound => Self::NotFound,
            Code::Aborted | Code::AlreadyExists => Self::Conflict,
            Code::FailedPrecondition => Self::NotReady,
            Code::ResourceExhausted => Self::RateLimited,
            Code::Unavailable => Self::Unavailable,
            // Over TCP an expired deadline is CANCELLED, laid directly DEADLINE_EXCEEDED.
            Code::DeadlineExceeded | Code::Cancelled => Self::Timeout,
            Code::Ok | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => {
                Self::Internal
            }
        }
    }
}

/// An error that knows what its caller is to be told.
pub trait Fault: Error {
    /// Which kind it is.
    fn kind(&self) -> FaultKind;

    /// A stable upper-case word for programs, such as `KEY_MISSING`.
    fn reason(&self) -> Option<&'static str> {
        None
    }

    /// The refused fields with what is wrong with each, never their values.
    fn fields(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Facts beside the reason.
    fn metadata(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// An error with everything that caused it, for our log.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Turns an error into the status that leaves the service, and logs it, once: the
/// caller's fault at `warn`, ours at `error` with its causes.
///
/// A caller is told "internal error" of a fault of ours, and nothing else.
#[must_use]
pub fn to_status(error: &dyn Fault, domain: &'static str) -> Status {
    let kind = error.kind();
    let reason = error.reason();
    match kind {
        FaultKind::Internal => error!(error = %Chain(error_of(error)), "request failed"),
        FaultKind::Unavailable | FaultKind::Timeout => {
            warn!(?kind, error = %Chain(error_of(error)), "request failed");
        }
        _ => warn!(?kind, reason, error = %error, "request refused"),
    }
    if kind == FaultKind::Internal {
        return Status::internal("internal error");
    }
    let mut details = ErrorDetails::new();
    if let Some(reason) = reason {
        details.set_error_info(reason, domain, error.metadata().into_iter().collect::<HashMap<_, _>>());
    }
    for (field, message) in error.fields() {
        details.add_bad_request_violation(field, message);
    }
    let message = if kind == FaultKind::Unavailable { "unavailable".to_owned() } else { error.to_string() };
    Status::with_error_details(kind.code(), message, details)
}

fn error_of(fault: &dyn Fault) -> &dyn Error {
    fault
}

/// What a caller reads from a refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which kind it is.
    pub kind: FaultKind,
    /// The stable word for programs, if the service gave one.
    pub reason: Option<String>,
    /// The refused fields with what is wrong with each.
    pub fields: Vec<(String, String)>,
    /// Facts beside the reason.
    pub metadata: HashMap<String, String>,
    /// The service's own words.
    pub message: String,
}

impl Refusal {
    /// Reads a status.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        Self {
            kind: FaultKind::of(status),
            reason: info.map(|info| info.reason.clone()),
            fields: details
                .bad_request()
                .map(|request| {
                    request
                        .field_violations
                        .iter()
                        .map(|violation| (violation.field.clone(), violation.description.clone()))
                        .collect()
                })
                .unwrap_or_default(),
            metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
            message: status.message().to_owned(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        self.reason.iter().try_for_each(|reason| write!(f, " {reason}"))?;
        self.fields.iter().try_for_each(|(field, _)| write!(f, " {field}"))?;
        f.write_char('\u{20}')?;
        f.write_str(&self.message)
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the words for the caller")]
    struct Sample(FaultKind);

    impl Fault for Sample {
        fn kind(&self) -> FaultKind {
            self.0
        }
        fn reason(&self) -> Option<&'static str> {
            Some("SAMPLE")
        }
        fn fields(&self) -> Vec<(String, String)> {
            vec![("api_key".into(), "is empty".into())]
        }
        fn metadata(&self) -> Vec<(String, String)> {
            vec![("variable".into(), "NAME".into())]
        }
    }

    const ALL: [FaultKind; 10] = [
        FaultKind::Invalid,
        FaultKind::Unauthenticated,
        FaultKind::Denied,
        FaultKind::NotFound,
        FaultKind::Conflict,
        FaultKind::NotReady,
        FaultKind::RateLimited,
        FaultKind::Unavailable,
        FaultKind::Timeout,
        FaultKind::Internal,
    ];

    #[test]
    fn a_fault_reads_the_same_on_both_sides() {
        for kind in ALL {
            let read = Refusal::from_status(&to_status(&Sample(kind), "sample.coachbot"));
            assert_eq!(read.kind, kind);
            if kind == FaultKind::Internal {
                assert_eq!((read.message.as_str(), read.reason), ("internal error", None));
            } else {
                assert_eq!(read.reason.as_deref(), Some("SAMPLE"));
                assert_eq!(read.fields, [("api_key".to_owned(), "is empty".to_owned())]);
                assert_eq!(read.metadata["variable"], "NAME");
            }
        }
    }

    #[test]
    fn an_expired_deadline_is_a_timeout_whoever_says_it() {
        assert_eq!(FaultKind::of(&Status::cancelled("Timeout expired")), FaultKind::Timeout);
        assert_eq!(FaultKind::of(&Status::deadline_exceeded("")), FaultKind::Timeout);
    }
}
