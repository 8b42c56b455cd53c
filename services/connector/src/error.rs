//! Why a request could not be done. What a check *found* is a verdict, never an
//! error; a live call that failed is one.

use coachbot_common::fault::{Fault, FaultKind, Refusal};
use coachbot_integrations::FieldProblem;

use crate::failure::CallFailure;

/// The domain of the connector's `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "connector.coachbot";

/// A refused or failed request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The workspace's id is no id.
    #[error("workspace_id {0}")]
    WorkspaceId(#[from] coachbot_common::id::InvalidId),
    /// The provider is none of the four.
    #[error(transparent)]
    Provider(#[from] coachbot_integrations::UnknownProvider),
    /// Fields of a draft are malformed or missing.
    #[error("some fields cannot be checked as they are")]
    Draft(Vec<FieldProblem>),
    /// Fields of a live call are malformed or missing.
    #[error("some fields are not usable")]
    Fields(Vec<FieldProblem>),
    /// The provider was asked in vain, or could not be asked.
    #[error(transparent)]
    Call(CallFailure),
    /// The vault is away, too slow or too busy.
    #[error("the vault does not answer")]
    VaultAway(#[source] Box<Refusal>),
    /// The vault refuses the connector.
    #[error("the vault refused the connector")]
    VaultRefused(#[source] Box<Refusal>),
    /// The caller's deadline passed.
    #[error("the deadline passed before the provider answered")]
    Deadline,
}

impl Fault for Error {
    fn kind(&self) -> FaultKind {
        match self {
            Self::WorkspaceId(_) | Self::Provider(_) | Self::Draft(_) | Self::Fields(_) => FaultKind::Invalid,
            Self::Call(failure) => failure.reason.kind(),
            Self::VaultAway(_) => FaultKind::Unavailable,
            Self::VaultRefused(_) => FaultKind::Internal,
            Self::Deadline => FaultKind::Timeout,
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::WorkspaceId(_) => vec![("workspace_id".to_owned(), self.to_string())],
            Self::Provider(_) => vec![("provider".to_owned(), self.to_string())],
            Self::Draft(problems) | Self::Fields(problems) => {
                problems.iter().map(|problem| (problem.field.clone(), problem.message.clone())).collect()
            }
            Self::Call(_) | Self::VaultAway(_) | Self::VaultRefused(_) | Self::Deadline => Vec::new(),
        }
    }

    fn reason(&self) -> Option<&'static str> {
        if let Self::Call(failure) = self { Some(failure.reason.name()) } else { None }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        if let Self::Call(failure) = self { failure.metadata() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use coachbot_common::fault::to_status;
    use coachbot_common::id::InvalidId;
    use coachbot_integrations::UnknownProvider;

    use super::*;

    fn refusal(kind: FaultKind) -> Box<Refusal> {
        Box::new(Refusal {
            kind,
            reason: None,
            fields: Vec::new(),
            metadata: std::collections::HashMap::new(),
            message: String::new(),
        })
    }

    #[test]
    fn each_error_has_its_code_and_names_its_field() {
        let problem = FieldProblem { field: "api_key".into(), message: "api_key is empty".into() };
        let cases = [
            (Error::WorkspaceId(InvalidId), tonic::Code::InvalidArgument, vec!["workspace_id"]),
            (Error::Provider(UnknownProvider), tonic::Code::InvalidArgument, vec!["provider"]),
            (Error::Draft(vec![problem]), tonic::Code::InvalidArgument, vec!["api_key"]),
            (Error::VaultAway(refusal(FaultKind::Timeout)), tonic::Code::Unavailable, vec![]),
            (Error::VaultRefused(refusal(FaultKind::Denied)), tonic::Code::Internal, vec![]),
            (Error::Deadline, tonic::Code::DeadlineExceeded, vec![]),
        ];
        for (error, code, fields) in cases {
            let status = to_status(&error, DOMAIN);
            assert_eq!(status.code(), code, "{error}");
            let read = Refusal::from_status(&status);
            let named: Vec<_> = read.fields.iter().map(|(field, _)| field.as_str()).collect();
            assert_eq!(named, fields, "{error}");
        }
    }
}
