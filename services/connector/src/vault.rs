//! The vault, as a check or a live call sees it.

use std::time::Duration;

use coachbot_common::fault::{FaultKind, Refusal};
use coachbot_common::rpc::{Transport, with_deadline};
use coachbot_integrations::{Fields, from_wire};
use coachbot_proto::types::v1 as types;
use coachbot_proto::vault::v1::vault_service_client::VaultServiceClient;
use coachbot_proto::vault::v1::{LeaseCredentialsRequest, RecordVerificationRequest};
use tracing::warn;

use crate::convert::Subject;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::verify::{Finding, Sealed};

/// Longest wait for the vault. It answers from memory or with one read.
const VAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// The vault's client.
#[derive(Clone)]
pub(crate) struct Vault {
    client: VaultServiceClient<Transport>,
}

/// Credentials for one use, and which save of them it is.
pub(crate) struct Leased {
    pub fields: Fields,
    pub revision: u64,
}

/// Why there is nothing to use, in words for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLease {
    /// Nothing is stored.
    NotConnected,
    /// What is stored does not open.
    Sealed(Sealed),
}

impl From<NoLease> for Finding {
    fn from(refused: NoLease) -> Self {
        match refused {
            NoLease::NotConnected => Self::NotConnected,
            NoLease::Sealed(sealed) => Self::CannotDecrypt(sealed),
        }
    }
}

impl Vault {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { client: VaultServiceClient::new(transport) }
    }

    /// Gets the credentials for one use.
    ///
    /// A vault that is away is an error: it says nothing about any key.
    pub(crate) async fn lease(
        &self,
        subject: Subject,
        deadline: Deadline,
    ) -> Result<Result<Leased, NoLease>, Error> {
        let request = LeaseCredentialsRequest {
            workspace_id: subject.workspace.to_string(),
            provider: types::Provider::from(subject.provider).into(),
        };
        let request = with_deadline(request, deadline.within(VAULT_TIMEOUT));
        match self.client.clone().lease_credentials(request).await {
            Ok(response) => {
                let response = response.into_inner();
                Ok(Ok(Leased { fields: from_wire(response.fields), revision: response.revision }))
            }
            Err(status) => {
                let refusal = Refusal::from_status(&status);
                if refusal.kind == FaultKind::Timeout && deadline.has_passed() {
                    return Err(Error::Deadline);
                }
                judge(refusal).map(Err)
            }
        }
    }

    /// Has a result recorded. A failure is ours alone: the answer stands.
    pub(crate) async fn record(
        &self,
        subject: Subject,
        revision: u64,
        found: types::Verification,
        deadline: Deadline,
    ) {
        let request = RecordVerificationRequest {
            workspace_id: subject.workspace.to_string(),
            provider: types::Provider::from(subject.provider).into(),
            revision,
            verification: Some(found),
        };
        let request = with_deadline(request, deadline.within(VAULT_TIMEOUT));
        if let Err(status) = self.client.clone().record_verification(request).await {
            warn!(
                workspace.id = %subject.workspace,
                provider = %subject.provider,
                code = ?status.code(),
                "the result of a check was not recorded",
            );
        }
    }
}

fn judge(refusal: Refusal) -> Result<NoLease, Error> {
    match refusal.reason.as_deref() {
        Some("NOT_CONNECTED") => Ok(NoLease::NotConnected),
        Some("KEY_MISSING") => Ok(NoLease::Sealed(Sealed::KeyMissing)),
        Some("KEY_MALFORMED") => Ok(NoLease::Sealed(Sealed::KeyMalformed)),
        Some("KEY_WEAK") => Ok(NoLease::Sealed(Sealed::KeyWeak)),
        Some("KEY_MISMATCH") => Ok(NoLease::Sealed(Sealed::KeyMismatch)),
        Some("CANNOT_DECRYPT") => Ok(NoLease::Sealed(Sealed::Damaged)),
        _ => Err(match refusal.kind {
            FaultKind::Unavailable | FaultKind::Timeout | FaultKind::RateLimited => {
                Error::VaultAway(Box::new(refusal))
            }
            FaultKind::Invalid
            | FaultKind::Unauthenticated
            | FaultKind::Denied
            | FaultKind::NotFound
            | FaultKind::Conflict
            | FaultKind::NotReady
            | FaultKind::Internal => Error::VaultRefused(Box::new(refusal)),
        }),
    }
}
