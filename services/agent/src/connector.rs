//! The connector's services, and what a failed call of them means.

use std::time::Duration;

use coachbot_common::fault::{FaultKind, Refusal};
use coachbot_common::rpc::Transport;
use coachbot_proto::connector::v1::calendar_service_client::CalendarServiceClient;
use coachbot_proto::connector::v1::messaging_service_client::MessagingServiceClient;
use coachbot_proto::connector::v1::model_service_client::ModelServiceClient;
use jiff::Timestamp;
use tonic::Status;

use crate::words::words;

/// How long an answer of a provider is waited for.
pub const READ: Duration = Duration::from_secs(20);
/// How long the provider's word about an effect is waited for.
pub const EFFECT: Duration = Duration::from_secs(30);
/// How long a model may think.
pub const MODEL: Duration = Duration::from_secs(120);

/// Clients over one transport.
#[derive(Clone)]
pub struct Connector {
    transport: Transport,
}

impl Connector {
    /// Takes the transport.
    #[must_use]
    pub const fn new(transport: Transport) -> Self {
        Self { transport }
    }

    /// Sends and finds messages.
    #[must_use]
    pub fn messaging(&self) -> MessagingServiceClient<Transport> {
        MessagingServiceClient::new(self.transport.clone())
    }

    /// Reads slots and books.
    #[must_use]
    pub fn calendar(&self) -> CalendarServiceClient<Transport> {
        CalendarServiceClient::new(self.transport.clone())
    }

    /// Asks a model.
    #[must_use]
    pub fn model(&self) -> ModelServiceClient<Transport> {
        ModelServiceClient::new(self.transport.clone()).max_decoding_message_size(16 * 1024 * 1024)
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

words! {
    /// Why a provider call failed: the connector's closed list.
    pub enum Cause {
        /// The provider refuses the key.
        CredentialRejected = "CREDENTIAL_REJECTED",
        /// The provider refuses the request.
        Refused = "REFUSED",
        /// The provider does not know the thing.
        NotFound = "NOT_FOUND",
        /// Too much at once: nothing was done.
        RateLimited = "RATE_LIMITED",
        /// The account has no credit left.
        NoQuota = "NO_QUOTA",
        /// The provider was not reached: nothing was done.
        ProviderAway = "PROVIDER_AWAY",
        /// The answer is not understood.
        UnreadableAnswer = "UNREADABLE_ANSWER",
        /// The answer was lost.
        UnknownEffect = "UNKNOWN_EFFECT",
        /// The workspace has no such account.
        NotConnected = "NOT_CONNECTED",
        /// The credentials cannot be read, or not now.
        CannotDecrypt = "CANNOT_DECRYPT",
    }
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, when it was the provider's call that failed.
    pub cause: Option<Cause>,
    /// What the stack says, for everything else.
    pub kind: FaultKind,
    /// The provider's code, or the HTTP status; empty when there is none.
    pub code: String,
    /// When the provider wants to be asked again.
    pub retry_at: Option<Timestamp>,
}

/// What a failed call means for an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It did not happen, and asking again is of no use.
    Refused,
    /// It did not happen; ask again later.
    NotYet,
    /// It may have happened.
    Unknown,
}

impl Failure {
    /// Reads a status.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let refusal = Refusal::from_status(status);
        let said = |name: &str| refusal.metadata.get(name).cloned();
        Self {
            cause: refusal.reason.as_deref().and_then(Cause::of_word),
            kind: refusal.kind,
            code: said("code").unwrap_or_default(),
            retry_at: said("retry_at").and_then(|text| text.parse().ok()),
        }
    }

    /// What it means for an effect. The cause decides; where there is none, the
    /// call may have got through.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        match self.cause {
            Some(
                Cause::CredentialRejected
                | Cause::Refused
                | Cause::NotFound
                | Cause::NoQuota
                | Cause::NotConnected,
            ) => Effect::Refused,
            // An effect whose answer is not understood is UNKNOWN_EFFECT, unless it was a refusal.
            Some(
                Cause::RateLimited | Cause::ProviderAway | Cause::CannotDecrypt | Cause::UnreadableAnswer,
            ) => Effect::NotYet,
            Some(Cause::UnknownEffect) => Effect::Unknown,
            None => match self.kind {
                FaultKind::Invalid => Effect::Refused,
                // The connector does not know us, or is not ready: it did nothing.
                FaultKind::Unauthenticated
                | FaultKind::Denied
                | FaultKind::NotReady
                | FaultKind::RateLimited
                | FaultKind::NotFound => Effect::NotYet,
                FaultKind::Conflict | FaultKind::Unavailable | FaultKind::Timeout | FaultKind::Internal => {
                    Effect::Unknown
                }
            },
        }
    }

    /// A word for the log and the inbox: the provider's code, else the cause.
    #[must_use]
    pub fn word(&self) -> String {
        match self.cause {
            Some(Cause::Refused | Cause::NotFound) if !self.code.is_empty() => self.code.clone(),
            Some(cause) => cause.word().to_owned(),
            None => "INTERNAL".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn failure(code: Code, reason: Option<&str>) -> Failure {
        let mut details = ErrorDetails::new();
        if let Some(reason) = reason {
            let metadata = HashMap::from([
                ("code".to_owned(), "21610".to_owned()),
                ("retry_at".to_owned(), "2026-11-25T12:00:00Z".to_owned()),
            ]);
            details.set_error_info(reason, "connector.coachbot", metadata);
        }
        Failure::of(&Status::with_error_details(code, "", details))
    }

    #[test]
    fn the_cause_decides_what_became_of_an_effect() {
        for (code, reason, effect) in [
            (Code::FailedPrecondition, Some("CREDENTIAL_REJECTED"), Effect::Refused),
            (Code::InvalidArgument, Some("REFUSED"), Effect::Refused),
            (Code::FailedPrecondition, Some("NOT_CONNECTED"), Effect::Refused),
            (Code::ResourceExhausted, Some("RATE_LIMITED"), Effect::NotYet),
            (Code::Unavailable, Some("PROVIDER_AWAY"), Effect::NotYet),
            (Code::FailedPrecondition, Some("CANNOT_DECRYPT"), Effect::NotYet),
            (Code::Unavailable, Some("UNREADABLE_ANSWER"), Effect::NotYet),
            (Code::Aborted, Some("UNKNOWN_EFFECT"), Effect::Unknown),
            (Code::Unavailable, None, Effect::Unknown),
            (Code::Cancelled, None, Effect::Unknown),
            (Code::Internal, None, Effect::Unknown),
            (Code::InvalidArgument, None, Effect::Refused),
            (Code::PermissionDenied, None, Effect::NotYet),
        ] {
            assert_eq!(failure(code, reason).effect(), effect, "{code:?} {reason:?}");
        }
    }

    #[test]
    fn code_and_time_are_read() {
        let read = failure(Code::InvalidArgument, Some("REFUSED"));
        assert_eq!((read.word(), read.retry_at), ("21610".to_owned(), "2026-11-25T12:00:00Z".parse().ok()));
    }
}
