//! What can go wrong, and how a caller is told: RFC 9457 problems.

use axum::response::{IntoResponse, Response};
use coachbot_common::db::DbError;
use coachbot_common::fault::{Fault, FaultKind, Refusal};
use coachbot_common::rpc::ConnectError;
use coachbot_common::telemetry::current_trace_id;
use coachbot_integrations::{FieldProblem, Provider};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoreError;

/// The variable that holds the platform key.
pub(crate) const KEY_VARIABLE: &str = "INTEGRATIONS_ENCRYPTION_KEY";

/// Another service of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Keeps the credentials.
    Vault,
    /// Calls the providers.
    Connector,
    /// Talks with the leads.
    Agent,
}

/// Why the vault opens and seals nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// There is no platform key.
    Missing,
    /// It is not 32 bytes in hex or base64.
    Malformed,
    /// Anybody could guess it.
    Weak,
    /// The data was sealed under another one.
    Mismatch,
}

impl Lock {
    /// The stable word for programs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "KEY_MISSING",
            Self::Malformed => "KEY_MALFORMED",
            Self::Weak => "KEY_WEAK",
            Self::Mismatch => "KEY_MISMATCH",
        }
    }

    /// The lock of that word.
    #[must_use]
    pub fn parse(reason: &str) -> Option<Self> {
        [Self::Missing, Self::Malformed, Self::Weak, Self::Mismatch]
            .into_iter()
            .find(|lock| lock.reason() == reason)
    }

    /// What is wrong with the platform key; completes "INTEGRATIONS_ENCRYPTION_KEY …".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Missing => "is missing",
            Self::Malformed => "is malformed",
            Self::Weak => "is too weak",
            Self::Mismatch => "is not the key that the stored credentials were sealed with",
        }
    }
}

/// Everything that can go wrong in the gateway.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No key or session, or one that nobody has.
    #[error("nobody is known by what was sent")]
    Unauthenticated,
    /// A write of the dashboard that another site asked for.
    #[error("the request comes from another site")]
    CrossSite,
    /// A webhook whose sender did not prove to be the workspace's provider.
    #[error("the webhook is not genuine")]
    NotGenuine,
    /// A webhook that cannot be verified now, and there is no room to keep it.
    #[error("there is no room for unverified webhooks")]
    QuarantineFull,
    /// There is no such thing, or it is somebody else's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The provider has no stored credentials.
    #[error("{} is not connected", .0.name())]
    NotConnected(Provider),
    /// The path has no such method.
    #[error("the path does not have this method")]
    Method,
    /// The body is not JSON.
    #[error("the body is not JSON, at line {line}, column {column}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The body is JSON, and not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// The body did not arrive whole.
    #[error("the body did not arrive whole")]
    BrokenBody,
    /// The body is of another type.
    #[error("the body is not {0}")]
    MediaType(&'static str),
    /// The body is too large.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// Fields are refused.
    #[error("fields are refused")]
    Invalid(Vec<FieldProblem>),
    /// The vault opens and seals nothing.
    #[error("the vault is locked: {}", .0.reason())]
    Locked(Lock),
    /// The stored credentials of one provider do not open.
    #[error("stored credentials cannot be decrypted")]
    CannotDecrypt,
    /// Another service does not answer.
    #[error("the {peer:?} is away: {refusal}")]
    Away {
        /// Which.
        peer: Peer,
        /// What the call came to.
        refusal: Box<Refusal>,
    },
    /// Another service refused what it should not have, or failed.
    #[error("the {peer:?} failed: {refusal}")]
    Peer {
        /// Which.
        peer: Peer,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// Another service gave an answer that its contract does not allow.
    #[error("the {peer:?} gave an answer without a usable {field}")]
    Answer {
        /// Which.
        peer: Peer,
        /// What is missing or wrong.
        field: &'static str,
    },
    /// A row of the inbox holds what its kind does not allow.
    #[error("a row of the inbox cannot be read")]
    Unreadable,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A page could not be written.
    #[error("a page could not be written")]
    Page(#[from] askama::Error),
    /// The request took too long.
    #[error("the request took too long")]
    TimedOut,
    /// A handler panicked; that was logged where it was caught.
    #[error("a handler panicked")]
    Panicked,
    /// A client of another service could not be made.
    #[error("a client of another service cannot be made")]
    Connect(#[from] ConnectError),
    /// The listener failed.
    #[error("serving failed")]
    Serve(#[source] std::io::Error),
    /// A link could not be written as a URL.
    #[error("a link could not be written")]
    Link(#[from] url::ParseError),
    /// A background task died.
    #[error("a background task died")]
    TaskDied,
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        Self::Store(error.into())
    }
}

impl Error {
    /// One refused field.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem { field: field.to_owned(), message: message.into() }])
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::CrossSite | Self::NotGenuine => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::NotConnected(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Syntax { .. } | Self::NotAnObject | Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Locked(_) | Self::CannotDecrypt => StatusCode::CONFLICT,
            Self::Away { .. } | Self::TimedOut | Self::QuarantineFull => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) => match error.kind() {
                FaultKind::Unavailable | FaultKind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::Peer { .. }
            | Self::Answer { .. }
            | Self::Unreadable
            | Self::Page(_)
            | Self::Panicked
            | Self::Connect(_)
            | Self::Serve(_)
            | Self::Link(_)
            | Self::TaskDied => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The last part of the problem's type, and its title.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::Unauthenticated => ("unauthenticated", "Not signed in"),
            Self::CrossSite => ("cross-site", "The request comes from another site"),
            Self::NotGenuine => ("not-genuine", "The webhook is refused"),
            Self::NotFound(_) => ("not-found", "Not found"),
            Self::NotConnected(_) => ("not-connected", "Not connected"),
            Self::Method => ("method-not-allowed", "Method not allowed"),
            Self::Syntax { .. } | Self::NotAnObject => ("malformed-json", "The body cannot be read"),
            Self::BrokenBody => ("broken-body", "The body did not arrive whole"),
            Self::MediaType(_) => ("unsupported-media-type", "The body has the wrong type"),
            Self::TooLarge(_) => ("body-too-large", "The body is too large"),
            Self::Invalid(_) => ("invalid-fields", "Fields are refused"),
            Self::Locked(_) => ("vault-locked", "The vault is locked"),
            Self::CannotDecrypt => ("cannot-decrypt", "The stored credentials cannot be read"),
            Self::Away { .. } | Self::TimedOut | Self::QuarantineFull => {
                ("unavailable", "Not available right now")
            }
            Self::Store(_) if self.status() == StatusCode::SERVICE_UNAVAILABLE => {
                ("unavailable", "Not available right now")
            }
            _ => ("internal", "Internal error"),
        }
    }

    /// One sentence for the person, with what to do.
    fn detail(&self) -> String {
        match self {
            Self::Unauthenticated => "Send an API key as `Authorization: Bearer cbk_…`.".into(),
            Self::CrossSite => "Open Coachbot in this browser and try again there.".into(),
            // The same for every cause: it tells a stranger nothing.
            Self::NotGenuine => "The request is not signed by this workspace's account.".into(),
            Self::QuarantineFull => "The signature cannot be checked now. Send the request again.".into(),
            Self::NotFound(what) => format!("There is no such {what}."),
            Self::NotConnected(provider) => format!("{} is not connected.", provider.name()),
            Self::Method => {
                "This path does not have this method; the header Allow names those that it has.".into()
            }
            Self::Syntax { line, column } => {
                format!("The body is not JSON: look at line {line}, column {column}.")
            }
            Self::NotAnObject => "The body must be a JSON object.".into(),
            Self::BrokenBody => "The body did not arrive whole. Send the request again.".into(),
            Self::MediaType(expected) => format!("Send the body as `Content-Type: {expected}`."),
            Self::TooLarge(limit) => format!("The body may have {limit} bytes at most."),
            Self::Invalid(problems) => match problems.as_slice() {
                [only] => format!("{}.", only.message.trim_end_matches('.')),
                several => format!("{} fields are refused; `errors` names each.", several.len()),
            },
            Self::Locked(lock) => format!(
                "Nothing can be saved or shown: {KEY_VARIABLE} {}. Set it and start Coachbot again; \
                 `coachbot key generate` makes one for a new installation.",
                lock.words()
            ),
            Self::CannotDecrypt => {
                "These credentials can't be read any more. Enter all of them again.".into()
            }
            Self::Away { peer: Peer::Vault, .. } => {
                "The part of Coachbot that keeps credentials does not answer. Try again in a minute.".into()
            }
            Self::Away { peer: Peer::Connector, .. } => {
                "The part of Coachbot that calls the providers does not answer. Try again in a minute.".into()
            }
            Self::Away { peer: Peer::Agent, .. } => {
                "The part of Coachbot that talks with leads does not answer. Try again in a minute.".into()
            }
            Self::TimedOut => "The request took too long. Try again in a minute.".into(),
            Self::Store(_) if self.status() == StatusCode::SERVICE_UNAVAILABLE => {
                "Coachbot's database does not answer. Try again in a minute.".into()
            }
            _ => "Something went wrong in Coachbot. The log has the cause beside the trace id.".into(),
        }
    }

    /// As a field of a log line: with everything that caused it.
    pub(crate) fn chain(&self) -> &(dyn std::error::Error + 'static) {
        self
    }

    /// Logs what is ours to look at with its causes, what is the caller's in brief.
    pub(crate) fn log(&self) {
        let status = self.status();
        let error = self.chain();
        if matches!(self, Self::Panicked) {
            return;
        }
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error, "request failed");
        } else if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::warn!(error, "request failed");
        } else {
            tracing::info!(status = status.as_u16(), error = %self, "request refused");
        }
    }
}

/// One refused field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Named as in the request.
    #[schema(example = "api_key")]
    pub field: String,
    /// What is wrong, and how to put it right.
    #[schema(example = "api_key must begin with sk-: copy the whole key")]
    pub message: String,
}

/// A failure, as RFC 9457 writes it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of failure it is, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:coachbot:problem:invalid-fields")]
    pub kind: String,
    /// The same in words.
    #[schema(example = "Fields are refused")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// The refused fields (422).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Why the vault refuses (409): KEY_MISSING, KEY_MALFORMED, KEY_WEAK,
    /// KEY_MISMATCH or CANNOT_DECRYPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The variable to set (409).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<&'static str>,
    /// Under which the log tells more (500, 503).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let status = error.status();
        let (kind, title) = error.kind();
        let errors = match error {
            Error::Invalid(problems) => problems
                .iter()
                .map(|problem| FieldError { field: problem.field.clone(), message: problem.message.clone() })
                .collect(),
            _ => Vec::new(),
        };
        let (reason, variable) = match error {
            Error::Locked(lock) => (Some(lock.reason()), Some(KEY_VARIABLE)),
            Error::CannotDecrypt => (Some("CANNOT_DECRYPT"), None),
            _ => (None, None),
        };
        Self {
            kind: format!("urn:coachbot:problem:{kind}"),
            title,
            status: status.as_u16(),
            detail: error.detail(),
            errors,
            reason,
            variable,
            trace_id: status.is_server_error().then(current_trace_id).flatten(),
        }
    }
}

impl IntoResponse for Error {
    /// A problem, logged here and nowhere else. The dashboard's pages are written
    /// from it where the answer leaves.
    fn into_response(self) -> Response {
        self.log();
        let problem = Problem::from(&self);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match &self {
            Self::Unauthenticated => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Away { .. } | Self::TimedOut | Self::QuarantineFull | Self::Store(_)
                if problem.status == StatusCode::SERVICE_UNAVAILABLE.as_u16() =>
            {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
            }
            _ => {}
        }
        response.extensions_mut().insert(problem);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_ours_says_nothing_about_itself() {
        let error = Error::Store(StoreError::Unreadable {
            table: "workspaces",
            column: "channel",
            id: uuid::Uuid::nil(),
        });
        let problem = Problem::from(&error);
        assert_eq!((problem.status, problem.title), (500, "Internal error"));
        assert!(!serde_json::to_string(&problem).unwrap().contains("workspaces"));
    }

    #[test]
    fn a_locked_vault_names_reason_and_variable() {
        for lock in [Lock::Missing, Lock::Malformed, Lock::Weak, Lock::Mismatch] {
            assert_eq!(Lock::parse(lock.reason()), Some(lock));
            let problem = Problem::from(&Error::Locked(lock));
            assert_eq!(problem.status, 409);
            assert_eq!((problem.reason, problem.variable), (Some(lock.reason()), Some(KEY_VARIABLE)));
            assert!(problem.detail.contains(lock.words()));
        }
    }
}
