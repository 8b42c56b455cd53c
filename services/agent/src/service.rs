//! The gRPC services: decode, call the store, encode, wake the workers.

use std::sync::Arc;

use coachbot_common::fault::to_status;
use coachbot_proto::agent::v1::agent_service_server::AgentService;
use coachbot_proto::agent::v1::{
    DeleteWorkspaceRequest, DeleteWorkspaceResponse, IngestDeliveryStatusRequest,
    IngestDeliveryStatusResponse, IngestLeadRequest, IngestLeadResponse, IngestMessageRequest,
    IngestMessageResponse, PutWorkspaceRequest, PutWorkspaceResponse,
};
use tonic::{Request, Response, Status};

use crate::agent::{Agent, traceparent};
use crate::convert;
use crate::error::{DOMAIN, Error};

mod inbox;
mod settings;

/// `coachbot.agent.v1`: the three services over one agent.
#[derive(Clone, Debug)]
pub struct Service {
    agent: Arc<Agent>,
}

impl Service {
    /// Takes what does the work.
    #[must_use]
    pub const fn new(agent: Arc<Agent>) -> Self {
        Self { agent }
    }

    async fn put(&self, request: PutWorkspaceRequest) -> Result<PutWorkspaceResponse, Error> {
        let facts = convert::facts(&request)?;
        self.agent.store.put_workspace(&facts, request.version).await?;
        Ok(PutWorkspaceResponse {})
    }

    async fn delete(&self, request: DeleteWorkspaceRequest) -> Result<DeleteWorkspaceResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        self.agent.store.delete_workspace(workspace).await?;
        Ok(DeleteWorkspaceResponse {})
    }

    async fn message(&self, request: IngestMessageRequest) -> Result<IngestMessageResponse, Error> {
        let inbound = convert::inbound(request, traceparent())?;
        let (lead, conversation) = self.agent.store.ingest_message(&inbound, self.agent.now()).await?;
        self.agent.wake.notify_one();
        Ok(IngestMessageResponse { lead_id: lead.to_string(), conversation_id: conversation.to_string() })
    }

    async fn status(
        &self,
        request: IngestDeliveryStatusRequest,
    ) -> Result<IngestDeliveryStatusResponse, Error> {
        let report = convert::report(request)?;
        self.agent.store.report_delivery(&report, self.agent.now()).await?;
        self.agent.wake.notify_one();
        Ok(IngestDeliveryStatusResponse {})
    }

    async fn lead(&self, request: IngestLeadRequest) -> Result<IngestLeadResponse, Error> {
        let new = convert::new_lead(request, traceparent())?;
        let ingested = self.agent.store.ingest_lead(&new, self.agent.now()).await?;
        self.agent.wake.notify_one();
        Ok(IngestLeadResponse { lead_id: ingested.lead.to_string() })
    }
}

fn answer<T>(outcome: Result<T, Error>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|error| to_status(&error, DOMAIN))
}

#[tonic::async_trait]
impl AgentService for Service {
    async fn put_workspace(
        &self,
        request: Request<PutWorkspaceRequest>,
    ) -> Result<Response<PutWorkspaceResponse>, Status> {
        answer(self.put(request.into_inner()).await)
    }

    async fn delete_workspace(
        &self,
        request: Request<DeleteWorkspaceRequest>,
    ) -> Result<Response<DeleteWorkspaceResponse>, Status> {
        answer(self.delete(request.into_inner()).await)
    }

    async fn ingest_message(
        &self,
        request: Request<IngestMessageRequest>,
    ) -> Result<Response<IngestMessageResponse>, Status> {
        answer(self.message(request.into_inner()).await)
    }

    async fn ingest_delivery_status(
        &self,
        request: Request<IngestDeliveryStatusRequest>,
    ) -> Result<Response<IngestDeliveryStatusResponse>, Status> {
        answer(self.status(request.into_inner()).await)
    }

    async fn ingest_lead(
        &self,
        request: Request<IngestLeadRequest>,
    ) -> Result<Response<IngestLeadResponse>, Status> {
        answer(self.lead(request.into_inner()).await)
    }
}
