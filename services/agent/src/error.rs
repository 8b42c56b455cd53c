//! Why the agent refuses or fails, and what its caller is told.

use coachbot_common::fault::{Fault, FaultKind};

use crate::settings::Problem;
use crate::store::StoreError;

/// The domain of the agent's `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "agent.coachbot";

/// A refused or failed request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of the request is wrong.
    #[error("{field} {problem}")]
    Request {
        /// Which part.
        field: &'static str,
        /// What is wrong, and how to put it right.
        problem: String,
    },
    /// Settings cannot be saved as they are.
    #[error("some settings cannot be saved as they are")]
    Settings(Vec<Problem>),
    /// There is no such thing in this workspace.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// A part of the request that is wrong.
    pub(crate) fn request(field: &'static str, problem: impl ToString) -> Self {
        Self::Request { field, problem: problem.to_string() }
    }
}

impl Fault for Error {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Request { .. } | Self::Settings(_) => FaultKind::Invalid,
            Self::Missing(_) => FaultKind::NotFound,
            Self::Store(error) => error.kind(),
        }
    }

    fn fields(&self) -> Vec<(String, String)> {
        match self {
            Self::Request { field, .. } => vec![((*field).to_owned(), self.to_string())],
            Self::Settings(problems) => {
                problems.iter().map(|problem| (problem.field.to_owned(), problem.message.clone())).collect()
            }
            Self::Missing(_) | Self::Store(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use coachbot_common::fault::{Refusal, to_status};
    use tonic::Code;

    use super::*;

    #[test]
    fn each_error_has_its_code_and_fields() {
        let problem = Problem { field: "persona", message: "persona is too long".into() };
        let unreadable = StoreError::Unreadable { table: "leads", column: "stage" };
        let cases: Vec<(Error, Code, &[&str])> = vec![
            (Error::request("workspace_id", "is no id"), Code::InvalidArgument, &["workspace_id"]),
            (Error::Settings(vec![problem]), Code::InvalidArgument, &["persona"]),
            (Error::Missing("lead"), Code::NotFound, &[]),
            (StoreError::NoWorkspace.into(), Code::NotFound, &[]),
            (StoreError::Overtaken.into(), Code::Aborted, &[]),
            (unreadable.into(), Code::Internal, &[]),
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
