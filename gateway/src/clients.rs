//! The other services, as the gateway uses them: plain types in, plain types out
//! (the agent's answers are read where they are shown), a deadline on every call.

use std::collections::BTreeMap;
use std::time::Duration;

use coachbot_common::fault::{FaultKind, Refusal};
use coachbot_common::id::WorkspaceId;
use coachbot_common::rpc::{Transport, with_deadline};
use coachbot_integrations::{FieldProblem, Fields, Provider, to_wire};
use coachbot_proto::connector::v1 as connector;
use coachbot_proto::connector::v1::connector_service_client::ConnectorServiceClient;
use coachbot_proto::types::v1 as types;
use coachbot_proto::vault::v1 as vault;
use coachbot_proto::vault::v1::vault_service_client::VaultServiceClient;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::convert::{Integration, KeyStatus, ToolToken, Verification};
use crate::error::{Error, Lock, Peer};

mod agent;

pub(crate) use agent::{Agent, Cut, NewLead};

/// What carries the calls to the other services.
#[derive(Clone, Debug)]
pub struct Clients {
    /// To the vault.
    pub vault: Transport,
    /// To the connector.
    pub connector: Transport,
    /// To the agent.
    pub agent: Transport,
}

/// For calls that touch a database at most.
const SHORT: Duration = Duration::from_secs(3);

/// For calls that ask a provider, which may make several requests.
const LONG: Duration = Duration::from_secs(20);

/// For the question whether a service is there.
const READY: Duration = Duration::from_secs(2);

/// What the vault may show of a workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Described {
    /// Those that are connected.
    pub integrations: Vec<Integration>,
    /// The masked tool token, once there is one.
    pub tool_token_hint: Option<String>,
}

/// Keeps the credentials.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    client: VaultServiceClient<Transport>,
}

impl Vault {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { client: VaultServiceClient::new(transport) }
    }

    /// Whether the platform key is usable.
    pub(crate) async fn status(&self) -> Result<KeyStatus, Error> {
        let request = with_deadline(vault::GetStatusRequest {}, READY);
        let answer =
            self.client.clone().get_status(request).await.map_err(|status| refused(Peer::Vault, &status))?;
        KeyStatus::try_from(answer.into_inner())
    }

    /// Saves fields of one provider; the vault merges and checks them.
    pub(crate) async fn put(
        &self,
        workspace: WorkspaceId,
        provider: Provider,
        fields: &Fields,
    ) -> Result<Integration, Error> {
        let request = vault::PutCredentialsRequest {
            workspace_id: workspace.to_string(),
            provider: types::Provider::from(provider).into(),
            fields: to_wire(fields),
        };
        let answer = self
            .client
            .clone()
            .put_credentials(with_deadline(request, SHORT))
            .await
            .map_err(|status| refused(Peer::Vault, &status))?;
        let stored = answer.into_inner().integration;
        stored.ok_or(Error::Answer { peer: Peer::Vault, field: "integration" })?.try_into()
    }

    /// Lists what may be shown.
    pub(crate) async fn describe(&self, workspace: WorkspaceId) -> Result<Described, Error> {
        let request = vault::DescribeIntegrationsRequest { workspace_id: workspace.to_string() };
        let answer = self
            .client
            .clone()
            .describe_integrations(with_deadline(request, SHORT))
            .await
            .map_err(|status| refused(Peer::Vault, &status))?
            .into_inner();
        Ok(Described {
            integrations: answer
                .integrations
                .into_iter()
                .map(Integration::try_from)
                .collect::<Result<_, _>>()?,
            tool_token_hint: answer.tool_token_hint,
        })
    }

    /// Forgets one provider's credentials: says whether there were some.
    pub(crate) async fn delete(&self, workspace: WorkspaceId, provider: Provider) -> Result<bool, Error> {
        let request = vault::DeleteCredentialsRequest {
            workspace_id: workspace.to_string(),
            provider: types::Provider::from(provider).into(),
        };
        let answer = self
            .client
            .clone()
            .delete_credentials(with_deadline(request, SHORT))
            .await
            .map_err(|status| refused(Peer::Vault, &status))?;
        Ok(answer.into_inner().deleted)
    }

    /// Forgets everything of a workspace.
    pub(crate) async fn delete_workspace(&self, workspace: WorkspaceId) -> Result<(), Error> {
        let request = vault::DeleteWorkspaceRequest { workspace_id: workspace.to_string() };
        self.client
            .clone()
            .delete_workspace(with_deadline(request, SHORT))
            .await
            .map_err(|status| refused(Peer::Vault, &status))?;
        Ok(())
    }

    /// Says whether one of the candidates has this HMAC-SHA1 under a stored secret:
    /// the integration's clear ids if so, `None` if not or if nothing is connected.
    pub(crate) async fn verify_mac(
        &self,
        workspace: WorkspaceId,
        (provider, field): (Provider, &str),
        candidates: Vec<Vec<u8>>,
        mac: &[u8],
    ) -> Result<Option<BTreeMap<String, String>>, Error> {
        let request = vault::VerifyMacRequest {
            workspace_id: workspace.to_string(),
            provider: types::Provider::from(provider).into(),
            field: field.to_owned(),
            algorithm: vault::MacAlgorithm::HmacSha1.into(),
            candidates,
            mac: mac.to_vec(),
        };
        match self.client.clone().verify_mac(with_deadline(request, SHORT)).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                Ok(answer.matched_candidate.map(|_| answer.clear_fields))
            }
            Err(status) if Refusal::from_status(&status).reason.as_deref() == Some("NOT_CONNECTED") => {
                Ok(None)
            }
            Err(status) => Err(refused(Peer::Vault, &status)),
        }
    }

    /// Shows the workspace's tool token, and makes it where there is none.
    pub(crate) async fn tool_token(&self, workspace: WorkspaceId) -> Result<ToolToken, Error> {
        let workspace_id = workspace.to_string();
        let request = vault::RevealToolTokenRequest { workspace_id: workspace_id.clone() };
        match self.client.clone().reveal_tool_token(with_deadline(request, SHORT)).await {
            Ok(answer) => Ok(answer.into_inner().into()),
            Err(status) if Refusal::from_status(&status).reason.as_deref() == Some("NO_TOOL_TOKEN") => {
                let request = vault::IssueToolTokenRequest { workspace_id };
                let answer = self
                    .client
                    .clone()
                    .issue_tool_token(with_deadline(request, SHORT))
                    .await
                    .map_err(|status| refused(Peer::Vault, &status))?;
                Ok(answer.into_inner().into())
            }
            Err(status) => Err(refused(Peer::Vault, &status)),
        }
    }
}

/// Asks the providers.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    client: ConnectorServiceClient<Transport>,
    health: HealthClient<Transport>,
}

impl Connector {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { client: ConnectorServiceClient::new(transport.clone()), health: HealthClient::new(transport) }
    }

    /// Checks the stored credentials of one provider.
    pub(crate) async fn verify(
        &self,
        workspace: WorkspaceId,
        provider: Provider,
    ) -> Result<Verification, Error> {
        let request = connector::VerifyRequest {
            workspace_id: workspace.to_string(),
            provider: types::Provider::from(provider).into(),
        };
        let answer = self
            .client
            .clone()
            .verify(with_deadline(request, LONG))
            .await
            .map_err(|status| refused(Peer::Connector, &status))?;
        verification(answer.into_inner().verification)
    }

    /// Checks fields that are not saved, laid over the stored ones.
    pub(crate) async fn verify_draft(
        &self,
        workspace: WorkspaceId,
        provider: Provider,
        fields: &Fields,
    ) -> Result<Verification, Error> {
        let request = connector::VerifyDraftRequest {
            workspace_id: workspace.to_string(),
            provider: types::Provider::from(provider).into(),
            fields: to_wire(fields),
        };
        let answer = self
            .client
            .clone()
            .verify_draft(with_deadline(request, LONG))
            .await
            .map_err(|status| refused(Peer::Connector, &status))?;
        verification(answer.into_inner().verification)
    }

    /// Whether the connector can do its work.
    pub(crate) async fn is_ready(&self) -> bool {
        is_serving(self.health.clone(), "coachbot.connector.v1.ConnectorService").await
    }
}

async fn is_serving(mut health: HealthClient<Transport>, service: &str) -> bool {
    let request = HealthCheckRequest { service: service.to_owned() };
    match health.check(with_deadline(request, READY)).await {
        Ok(answer) => answer.into_inner().status() == ServingStatus::Serving,
        // Laid directly beneath there is no health service, and the answer proves that it is there.
        Err(status) => status.code() == Code::Unimplemented,
    }
}

fn verification(found: Option<types::Verification>) -> Result<Verification, Error> {
    found.ok_or(Error::Answer { peer: Peer::Connector, field: "verification" })?.try_into()
}

/// What a refused call means to our caller.
fn refused(peer: Peer, status: &Status) -> Error {
    let refusal = Refusal::from_status(status);
    let lock = refusal.reason.as_deref().and_then(Lock::parse);
    match refusal.kind {
        FaultKind::Invalid if !refusal.fields.is_empty() => Error::Invalid(
            refusal.fields.into_iter().map(|(field, message)| FieldProblem { field, message }).collect(),
        ),
        FaultKind::NotReady if lock.is_some() => lock.map_or(Error::CannotDecrypt, Error::Locked),
        FaultKind::NotReady if refusal.reason.as_deref() == Some("CANNOT_DECRYPT") => Error::CannotDecrypt,
        FaultKind::Unavailable | FaultKind::Timeout | FaultKind::RateLimited => {
            Error::Away { peer, refusal: Box::new(refusal) }
        }
        _ => Error::Peer { peer, refusal: Box::new(refusal) },
    }
}
