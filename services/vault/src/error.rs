//! Why the vault refuses or fails, and what its caller is told.

use coachbot_common::fault::{Fault, FaultKind};
use coachbot_common::id::InvalidId;
use coachbot_integrations::{FieldProblem, Provider, UnknownProvider};

use crate::keyring::KeyId;
use crate::platform::Lock;
use crate::platform_key;
use crate::seal::TooLong;
use crate::store::StoreError;

/// The domain of the vault's `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "vault.coachbot";

/// A refused or failed request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The workspace's id is no id.
    #[error("workspace_id {0}")]
    WorkspaceId(#[from] InvalidId),
    /// The provider is none of the four.
    #[error(transparent)]
    Provider(#[from] UnknownProvider),
    /// Fields cannot be saved as they are.
    #[error("some fields cannot be saved as they are")]
    Fields(Vec<FieldProblem>),
    /// Another part of the request is wrong.
    #[error("{field} {problem}")]
    Request {
        /// Which part.
        field: &'static str,
        /// What is wrong, and how to put it right.
        problem: &'static str,
    },
    /// The platform key is not usable.
    #[error(transparent)]
    Locked(#[from] Lock),
    /// What is stored of the workspace needs a platform key that is not loaded.
    #[error(
        "{} is not the key that this workspace's credentials were sealed with (that is {needed})",
        platform_key::VARIABLE
    )]
    NeedsAnotherKey {
        /// The id of the loaded key.
        loaded: KeyId,
        /// The id of the key that is needed.
        needed: KeyId,
    },
    /// A stored value does not open. Which check failed is in the vault's log only.
    #[error("the stored value cannot be read any more: enter it again")]
    CannotDecrypt,
    /// Nothing is stored of this provider.
    #[error("{} is not connected", .0.name())]
    NotConnected(Provider),
    /// The workspace has no tool token, or the token is nobody's.
    #[error("there is no such tool token")]
    NoToolToken,
    /// Others changed the same row each time.
    #[error("somebody else is changing the same values: try again")]
    Contended,
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// A value cannot be sealed.
    #[error(transparent)]
    Seal(#[from] TooLong),
    /// A value cannot be written as JSON.
    #[error("the fields cannot be encoded")]
    Encode,
    /// The task that writes panicked. Its message is left out: it may hold what was being written.
    #[error("a write ended early")]
    WriteEnded,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overtaken => Self::Contended,
            error => Self::Store(error),
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> FaultKind {
        match self {
            Self::WorkspaceId(_) | Self::Provider(_) | Self::Fields(_) | Self::Request { .. } => {
                FaultKind::Invalid
            }
            Self::Locked(_) | Self::NeedsAnotherKey { .. } | Self::CannotDecrypt => FaultKind::NotReady,
            Self::NotConnected(_) | Self::NoToolToken => FaultKind::NotFound,
            Self::Contended => FaultKind::Conflict,
            Self::Store(error) => error.kind(),
            Self::Seal(_) | Self::Encode | Self::WriteEnded => FaultKind::Internal,
        }
    }

    fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Locked(lock) => Some(lock.reason()),
            Self::NeedsAnotherKey { .. } => Some("KEY_MISMATCH"),
            Self::CannotDecrypt => Some("CANNOT_DECRYPT"),
            Self::NotConnected(_) => Some("NOT_CONNECTED"),
            Self::NoToolToken => Some("NO_TOOL_TOKEN"),
            Self::WorkspaceId(_)
            | Self::Provider(_)
            | Self::Fields(_)
            | Self::Request { .. }
            | Self::Contended
            | Self::Store(_)
            | Self::Seal(_)
            | Self::Encode
            | Self::WriteEnded => None,
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::WorkspaceId(_) => vec![("workspace_id".to_owned(), self.to_string())],
            Self::Provider(_) => vec![("provider".to_owned(), self.to_string())],
            Self::Request { field, .. } => vec![((*field).to_owned(), self.to_string())],
            Self::Fields(problems) => {
                problems.iter().map(|problem| (problem.field.clone(), problem.message.clone())).collect()
            }
            _ => Vec::new(),
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let (configured, stored) = match self {
            Self::Locked(lock) => (lock.configured(), lock.stored()),
            Self::NeedsAnotherKey { loaded, needed } => (Some(*loaded), Some(*needed)),
            _ => return Vec::new(),
        };
        let ids = [("configured_key_id", configured), ("stored_key_id", stored)];
        std::iter::once(("variable".to_owned(), platform_key::VARIABLE.to_owned()))
            .chain(ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), id?.to_string()))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use coachbot_common::fault::{Refusal, to_status};
    use tonic::Code;

    use super::*;

    fn id(number: u8) -> KeyId {
        KeyId::from_bytes([number; 8])
    }

    #[test]
    fn each_error_has_its_code_reason_and_field() {
        use Code::{Aborted, FailedPrecondition, Internal, InvalidArgument, NotFound};

        let problem = FieldProblem { field: "api_key".into(), message: "api_key is empty".into() };
        let (stored, loaded, needed) = (Some(id(1)), id(2), id(1));
        let cases: Vec<(Error, Code, Option<&str>, &[&str])> = vec![
            (InvalidId.into(), InvalidArgument, None, &["workspace_id"]),
            (UnknownProvider.into(), InvalidArgument, None, &["provider"]),
            (Error::Fields(vec![problem]), InvalidArgument, None, &["api_key"]),
            (Error::Request { field: "field", problem: "is odd" }, InvalidArgument, None, &["field"]),
            (Lock::Missing { stored }.into(), FailedPrecondition, Some("KEY_MISSING"), &[]),
            (Lock::Malformed { stored }.into(), FailedPrecondition, Some("KEY_MALFORMED"), &[]),
            (Lock::Weak { stored }.into(), FailedPrecondition, Some("KEY_WEAK"), &[]),
            (
                Lock::Mismatch { configured: loaded, stored }.into(),
                FailedPrecondition,
                Some("KEY_MISMATCH"),
                &[],
            ),
            (Error::NeedsAnotherKey { loaded, needed }, FailedPrecondition, Some("KEY_MISMATCH"), &[]),
            (Error::CannotDecrypt, FailedPrecondition, Some("CANNOT_DECRYPT"), &[]),
            (Error::NotConnected(Provider::Calcom), NotFound, Some("NOT_CONNECTED"), &[]),
            (Error::NoToolToken, NotFound, Some("NO_TOOL_TOKEN"), &[]),
            (StoreError::Overtaken.into(), Aborted, None, &[]),
            (StoreError::Unreadable { table: "t", column: "c" }.into(), Internal, None, &[]),
            (TooLong.into(), Internal, None, &[]),
            (Error::Encode, Internal, None, &[]),
            (Error::WriteEnded, Internal, None, &[]),
        ];
        for (error, code, reason, fields) in cases {
            let status = to_status(&error, DOMAIN);
            assert_eq!(status.code(), code, "{error}");
            let read = Refusal::from_status(&status);
            assert_eq!(read.reason.as_deref(), reason, "{error}");
            let named: Vec<_> = read.fields.iter().map(|(field, _)| field.as_str()).collect();
            assert_eq!(named, fields, "{error}");
        }
    }

    #[test]
    fn a_mismatch_names_the_variable_and_both_ids() {
        let expected = [
            ("variable", "INTEGRATIONS_ENCRYPTION_KEY"),
            ("configured_key_id", "0202020202020202"),
            ("stored_key_id", "0101010101010101"),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let locked = Error::Locked(Lock::Mismatch { configured: id(2), stored: Some(id(1)) });
        assert_eq!(locked.metadata(), expected);
        assert_eq!(Error::NeedsAnotherKey { loaded: id(2), needed: id(1) }.metadata(), expected);
        assert_eq!(Error::CannotDecrypt.metadata(), []);
    }
}
