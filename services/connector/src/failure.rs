//! Why a live call failed: the contract's closed list, and what each entry is as
//! a gRPC status.

use coachbot_common::fault::FaultKind;
use coachbot_integrations::Provider;
use jiff::Timestamp;

/// The reason that `google.rpc.ErrorInfo` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The provider does not accept the credentials.
    CredentialRejected,
    /// The provider refuses the request itself; nothing happened.
    Refused,
    /// The provider knows no such thing.
    NotFound,
    /// Too much at once; nothing happened.
    RateLimited,
    /// No credit, or a limit reached; nothing happened.
    NoQuota,
    /// The provider was not reached, or has trouble; nothing happened for sure.
    ProviderAway,
    /// The answer makes no sense; nothing happened.
    UnreadableAnswer,
    /// The effect may or may not have happened.
    UnknownEffect,
    /// Nothing is stored.
    NotConnected,
    /// What is stored does not open.
    CannotDecrypt,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::CredentialRejected,
        Self::Refused,
        Self::NotFound,
        Self::RateLimited,
        Self::NoQuota,
        Self::ProviderAway,
        Self::UnreadableAnswer,
        Self::UnknownEffect,
        Self::NotConnected,
        Self::CannotDecrypt,
    ];

    /// As it travels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CredentialRejected => "CREDENTIAL_REJECTED",
            Self::Refused => "REFUSED",
            Self::NotFound => "NOT_FOUND",
            Self::RateLimited => "RATE_LIMITED",
            Self::NoQuota => "NO_QUOTA",
            Self::ProviderAway => "PROVIDER_AWAY",
            Self::UnreadableAnswer => "UNREADABLE_ANSWER",
            Self::UnknownEffect => "UNKNOWN_EFFECT",
            Self::NotConnected => "NOT_CONNECTED",
            Self::CannotDecrypt => "CANNOT_DECRYPT",
        }
    }

    /// What the caller is told in the status code. It says as much as the code
    /// can; callers decide by the reason.
    #[must_use]
    pub const fn kind(self) -> FaultKind {
        match self {
            Self::CredentialRejected | Self::NoQuota | Self::NotConnected | Self::CannotDecrypt => {
                FaultKind::NotReady
            }
            Self::Refused => FaultKind::Invalid,
            Self::NotFound => FaultKind::NotFound,
            Self::RateLimited => FaultKind::RateLimited,
            Self::ProviderAway | Self::UnreadableAnswer => FaultKind::Unavailable,
            Self::UnknownEffect => FaultKind::Conflict,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::CredentialRejected => "does not accept the credentials",
            Self::Refused => "refuses the request",
            Self::NotFound => "knows no such thing",
            Self::RateLimited => "limits requests",
            Self::NoQuota => "has no credit left for this account",
            Self::ProviderAway => "is away",
            Self::UnreadableAnswer => "gave an answer that is not understood",
            Self::UnknownEffect => "gave no answer, and may have done what it was asked",
            Self::NotConnected => "is not connected",
            Self::CannotDecrypt => "has credentials that cannot be read",
        }
    }
}

/// A live call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {} ({code})", .provider.name(), .reason.words())]
pub struct CallFailure {
    /// Whose call.
    pub provider: Provider,
    /// Why.
    pub reason: Reason,
    /// The provider's code or a word of ours; the HTTP status where there is
    /// neither. Never a provider's text.
    pub code: String,
    /// When it may be asked again, where the provider says so.
    pub retry_at: Option<Timestamp>,
}

impl CallFailure {
    /// The facts beside the reason.
    pub(crate) fn metadata(&self) -> Vec<(String, String)> {
        let mut facts =
            vec![("provider".to_owned(), self.provider.to_string()), ("code".to_owned(), self.code.clone())];
        facts.extend(self.retry_at.map(|at| ("retry_at".to_owned(), at.to_string())));
        facts
    }
}
