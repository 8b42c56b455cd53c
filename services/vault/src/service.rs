//! The gRPC service: decode, call the vault, encode.

use std::sync::Arc;

use coachbot_common::fault::to_status;
use coachbot_integrations::from_wire;
use coachbot_proto::vault::v1::vault_service_server::VaultService;
use coachbot_proto::vault::v1::{
    CheckToolTokenRequest, CheckToolTokenResponse, DeleteCredentialsRequest, DeleteCredentialsResponse,
    DeleteWorkspaceRequest, DeleteWorkspaceResponse, DescribeIntegrationsRequest,
    DescribeIntegrationsResponse, GetStatusRequest, GetStatusResponse, Integration, IssueToolTokenRequest,
    IssueToolTokenResponse, LeaseCredentialsRequest, LeaseCredentialsResponse, PutCredentialsRequest,
    PutCredentialsResponse, RecordVerificationRequest, RecordVerificationResponse, RevealToolTokenRequest,
    RevealToolTokenResponse, VerifyMacRequest, VerifyMacResponse,
};
use secrecy::{ExposeSecret as _, SecretString};
use tonic::{Request, Response, Status};

use crate::convert::{few_fields, mac_check, subject, verification, workspace};
use crate::error::{DOMAIN, Error};
use crate::vault::Vault;

/// `coachbot.vault.v1.VaultService`.
#[derive(Clone)]
pub struct Service {
    vault: Arc<Vault>,
}

impl Service {
    /// Takes what does the work.
    #[must_use]
    pub const fn new(vault: Arc<Vault>) -> Self {
        Self { vault }
    }

    async fn put(&self, request: PutCredentialsRequest) -> Result<PutCredentialsResponse, Error> {
        // First of all, so that the texts are wiped whatever comes.
        let fields = from_wire(request.fields);
        few_fields(fields.len())?;
        let subject = subject(&request.workspace_id, request.provider)?;
        let saved = self.vault.to_the_end(|vault| async move { vault.put(subject, &fields).await }).await?;
        Ok(PutCredentialsResponse { integration: Some(saved.into()) })
    }

    async fn describe(
        &self,
        request: DescribeIntegrationsRequest,
    ) -> Result<DescribeIntegrationsResponse, Error> {
        let workspace = workspace(&request.workspace_id)?;
        let integrations = self.vault.describe(workspace).await?;
        Ok(DescribeIntegrationsResponse {
            integrations: integrations.into_iter().map(Integration::from).collect(),
            tool_token_hint: self.vault.tool_token_hint(workspace).await?,
        })
    }

    async fn delete(&self, request: DeleteCredentialsRequest) -> Result<DeleteCredentialsResponse, Error> {
        let subject = subject(&request.workspace_id, request.provider)?;
        let deleted = self.vault.to_the_end(|vault| async move { vault.delete(subject).await }).await?;
        Ok(DeleteCredentialsResponse { deleted })
    }

    async fn delete_all(&self, request: DeleteWorkspaceRequest) -> Result<DeleteWorkspaceResponse, Error> {
        let workspace = workspace(&request.workspace_id)?;
        self.vault.to_the_end(|vault| async move { vault.delete_workspace(workspace).await }).await?;
        Ok(DeleteWorkspaceResponse {})
    }

    async fn lease(&self, request: LeaseCredentialsRequest) -> Result<LeaseCredentialsResponse, Error> {
        let subject = subject(&request.workspace_id, request.provider)?;
        Ok(self.vault.lease(subject).await?.into())
    }

    async fn mac(&self, request: VerifyMacRequest) -> Result<VerifyMacResponse, Error> {
        let subject = subject(&request.workspace_id, request.provider)?;
        let matched = self.vault.verify_mac(subject, &mac_check(request)?).await?;
        Ok(matched.map(VerifyMacResponse::from).unwrap_or_default())
    }

    async fn issue(&self, request: IssueToolTokenRequest) -> Result<SecretString, Error> {
        let workspace = workspace(&request.workspace_id)?;
        self.vault.to_the_end(|vault| async move { vault.issue_tool_token(workspace).await }).await
    }

    async fn reveal(&self, request: RevealToolTokenRequest) -> Result<SecretString, Error> {
        self.vault.reveal_tool_token(workspace(&request.workspace_id)?).await
    }

    async fn check(&self, request: CheckToolTokenRequest) -> Result<CheckToolTokenResponse, Error> {
        let owner = self.vault.check_tool_token(&SecretString::from(request.token)).await?;
        Ok(CheckToolTokenResponse { workspace_id: owner.to_string() })
    }

    async fn record(&self, request: RecordVerificationRequest) -> Result<RecordVerificationResponse, Error> {
        let subject = subject(&request.workspace_id, request.provider)?;
        let found = verification(request.verification)?;
        let recorded = self.vault.record_verification(subject, request.revision, &found).await?;
        Ok(RecordVerificationResponse { recorded })
    }
}

#[tonic::async_trait]
impl VaultService for Service {
    async fn get_status(
        &self,
        _request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        answer(self.vault.status().await.map(GetStatusResponse::from))
    }

    async fn put_credentials(
        &self,
        request: Request<PutCredentialsRequest>,
    ) -> Result<Response<PutCredentialsResponse>, Status> {
        answer(self.put(request.into_inner()).await)
    }

    async fn describe_integrations(
        &self,
        request: Request<DescribeIntegrationsRequest>,
    ) -> Result<Response<DescribeIntegrationsResponse>, Status> {
        answer(self.describe(request.into_inner()).await)
    }

    async fn delete_credentials(
        &self,
        request: Request<DeleteCredentialsRequest>,
    ) -> Result<Response<DeleteCredentialsResponse>, Status> {
        answer(self.delete(request.into_inner()).await)
    }

    async fn delete_workspace(
        &self,
        request: Request<DeleteWorkspaceRequest>,
    ) -> Result<Response<DeleteWorkspaceResponse>, Status> {
        answer(self.delete_all(request.into_inner()).await)
    }

    async fn lease_credentials(
        &self,
        request: Request<LeaseCredentialsRequest>,
    ) -> Result<Response<LeaseCredentialsResponse>, Status> {
        answer(self.lease(request.into_inner()).await)
    }

    async fn verify_mac(
        &self,
        request: Request<VerifyMacRequest>,
    ) -> Result<Response<VerifyMacResponse>, Status> {
        answer(self.mac(request.into_inner()).await)
    }

    async fn issue_tool_token(
        &self,
        request: Request<IssueToolTokenRequest>,
    ) -> Result<Response<IssueToolTokenResponse>, Status> {
        answer(self.issue(request.into_inner()).await.map(|token| IssueToolTokenResponse {
            token: token.expose_secret().to_owned(),
            previous_valid_until: None,
        }))
    }

    async fn reveal_tool_token(
        &self,
        request: Request<RevealToolTokenRequest>,
    ) -> Result<Response<RevealToolTokenResponse>, Status> {
        answer(self.reveal(request.into_inner()).await.map(|token| RevealToolTokenResponse {
            token: token.expose_secret().to_owned(),
            previous_valid_until: None,
        }))
    }

    async fn check_tool_token(
        &self,
        request: Request<CheckToolTokenRequest>,
    ) -> Result<Response<CheckToolTokenResponse>, Status> {
        answer(self.check(request.into_inner()).await)
    }

    async fn record_verification(
        &self,
        request: Request<RecordVerificationRequest>,
    ) -> Result<Response<RecordVerificationResponse>, Status> {
        answer(self.record(request.into_inner()).await)
    }
}

fn answer<T>(outcome: Result<T, Error>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|error| to_status(&error, DOMAIN))
}
