//! A vault that holds what a test puts there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coachbot_common::config::Security;
use coachbot_common::fault::{Fault, FaultKind, to_status};
use coachbot_common::lifecycle::Stop;
use coachbot_common::rpc::{Identity, Policy, Rpc, serve};
use coachbot_proto::types::v1::Verification;
use coachbot_proto::vault::v1::vault_service_server::{SERVICE_NAME, VaultService, VaultServiceServer};
use coachbot_proto::vault::v1::{
    CheckToolTokenRequest, CheckToolTokenResponse, DeleteCredentialsRequest, DeleteCredentialsResponse,
    DeleteWorkspaceRequest, DeleteWorkspaceResponse, DescribeIntegrationsRequest,
    DescribeIntegrationsResponse, GetStatusRequest, GetStatusResponse, IssueToolTokenRequest,
    IssueToolTokenResponse, LeaseCredentialsRequest, LeaseCredentialsResponse, PutCredentialsRequest,
    PutCredentialsResponse, RecordVerificationRequest, RecordVerificationResponse, RevealToolTokenRequest,
    RevealToolTokenResponse, VerifyMacRequest, VerifyMacResponse,
};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// The revision that every lease has.
const REVISION: u64 = 7;

/// Leases what it was given, and keeps a ledger of what is recorded.
#[derive(Clone, Debug, Default)]
pub struct FakeVault {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    fields: Option<BTreeMap<String, String>>,
    refusal: Option<Refused>,
    recording_fails: bool,
    leases: usize,
    recorded: Vec<Recorded>,
}

/// One recorded result.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Whose.
    pub workspace_id: String,
    /// The wire number of the provider.
    pub provider: i32,
    /// What was judged.
    pub revision: u64,
    /// The result.
    pub verification: Option<Verification>,
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("refused as the test wants")]
struct Refused {
    kind: FaultKind,
    reason: Option<&'static str>,
}

impl Fault for Refused {
    fn kind(&self) -> FaultKind {
        self.kind
    }

    fn reason(&self) -> Option<&'static str> {
        self.reason
    }
}

impl FakeVault {
    /// Serves it on loopback, as a process of its own would, until `stop`.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn serve(&self, stop: Stop) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let rpc = Rpc {
            routes: Routes::new(VaultServiceServer::new(self.clone())),
            names: vec![SERVICE_NAME],
            policy: policy(),
            security: Security::Plain,
            everyone: None,
            descriptors: coachbot_proto::DESCRIPTORS,
        };
        tokio::spawn(serve(rpc, listener, stop));
        address
    }
}

/// The rules that the vault has for the connector.
pub(super) const fn policy() -> Policy {
    Policy::new(&[
        ("/coachbot.vault.v1.VaultService/LeaseCredentials", &[Identity::Connector]),
        ("/coachbot.vault.v1.VaultService/RecordVerification", &[Identity::Connector]),
    ])
}

impl FakeVault {
    /// Leases these fields.
    #[must_use]
    pub fn with(fields: BTreeMap<String, String>) -> Self {
        let vault = Self::default();
        vault.lock().fields = Some(fields);
        vault
    }

    /// Refuses every lease so.
    #[must_use]
    pub fn refusing(kind: FaultKind, reason: Option<&'static str>) -> Self {
        let vault = Self::default();
        vault.lock().refusal = Some(Refused { kind, reason });
        vault
    }

    /// Fails to record.
    #[must_use]
    pub fn that_cannot_record(self) -> Self {
        self.lock().recording_fails = true;
        self
    }

    /// How many leases were asked for.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.lock().leases
    }

    /// What was recorded, in order.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        self.lock().recorded.clone()
    }

    /// The revision of every lease.
    #[must_use]
    pub const fn revision() -> u64 {
        REVISION
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl VaultService for FakeVault {
    async fn lease_credentials(
        &self,
        _request: Request<LeaseCredentialsRequest>,
    ) -> Result<Response<LeaseCredentialsResponse>, Status> {
        let (fields, refusal) = {
            let mut state = self.lock();
            state.leases += 1;
            (state.fields.clone(), state.refusal)
        };
        match (fields, refusal) {
            // A vault that hangs.
            (_, Some(Refused { kind: FaultKind::Timeout, .. })) => {
                tokio::time::timeout(Duration::from_secs(60), std::future::pending::<()>()).await.ok();
                Err(Status::internal("nobody waits so long"))
            }
            (_, Some(refused)) => Err(to_status(&refused, "vault.coachbot")),
            (None, None) => {
                let refused = Refused { kind: FaultKind::NotFound, reason: Some("NOT_CONNECTED") };
                Err(to_status(&refused, "vault.coachbot"))
            }
            (Some(fields), None) => {
                Ok(Response::new(LeaseCredentialsResponse { fields, revision: REVISION }))
            }
        }
    }

    async fn record_verification(
        &self,
        request: Request<RecordVerificationRequest>,
    ) -> Result<Response<RecordVerificationResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.lock();
        if state.recording_fails {
            return Err(Status::unavailable("no database"));
        }
        state.recorded.push(Recorded {
            workspace_id: request.workspace_id,
            provider: request.provider,
            revision: request.revision,
            verification: request.verification,
        });
        Ok(Response::new(RecordVerificationResponse { recorded: true }))
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        not_here()
    }

    async fn put_credentials(
        &self,
        _: Request<PutCredentialsRequest>,
    ) -> Result<Response<PutCredentialsResponse>, Status> {
        not_here()
    }

    async fn describe_integrations(
        &self,
        _: Request<DescribeIntegrationsRequest>,
    ) -> Result<Response<DescribeIntegrationsResponse>, Status> {
        not_here()
    }

    async fn delete_credentials(
        &self,
        _: Request<DeleteCredentialsRequest>,
    ) -> Result<Response<DeleteCredentialsResponse>, Status> {
        not_here()
    }

    async fn delete_workspace(
        &self,
        _: Request<DeleteWorkspaceRequest>,
    ) -> Result<Response<DeleteWorkspaceResponse>, Status> {
        not_here()
    }

    async fn verify_mac(&self, _: Request<VerifyMacRequest>) -> Result<Response<VerifyMacResponse>, Status> {
        not_here()
    }

    async fn issue_tool_token(
        &self,
        _: Request<IssueToolTokenRequest>,
    ) -> Result<Response<IssueToolTokenResponse>, Status> {
        not_here()
    }

    async fn reveal_tool_token(
        &self,
        _: Request<RevealToolTokenRequest>,
    ) -> Result<Response<RevealToolTokenResponse>, Status> {
        not_here()
    }

    async fn check_tool_token(
        &self,
        _: Request<CheckToolTokenRequest>,
    ) -> Result<Response<CheckToolTokenResponse>, Status> {
        not_here()
    }
}

fn not_here<T>() -> Result<T, Status> {
    Err(Status::unimplemented("the connector does not call this"))
}
