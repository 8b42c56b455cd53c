//! `coachbot.agent.v1.InboxService`.

use coachbot_proto::agent::v1::inbox_service_server::InboxService;
use coachbot_proto::agent::v1::{
    DeleteLeadRequest, DeleteLeadResponse, GetConversationRequest, GetConversationResponse, GetLeadRequest,
    GetLeadResponse, ListBookingsRequest, ListBookingsResponse, ListConversationsRequest,
    ListConversationsResponse, ListEscalationsRequest, ListEscalationsResponse, ListLeadsRequest,
    ListLeadsResponse,
};
use tonic::{Request, Response, Status};

use super::{Service, answer};
use crate::convert;
use crate::error::Error;

impl Service {
    async fn leads(&self, request: ListLeadsRequest) -> Result<ListLeadsResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        let found = self.agent.store.list_leads(workspace, convert::page(request.page)?).await?;
        let leads = found.items.into_iter().map(Into::into).collect();
        Ok(ListLeadsResponse { leads, next_cursor: convert::cursor(found.next) })
    }

    async fn one_lead(&self, request: GetLeadRequest) -> Result<GetLeadResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        let lead = self.agent.store.find_lead(workspace, convert::lead_id(&request.lead_id)?).await?;
        Ok(GetLeadResponse { lead: Some(lead.ok_or(Error::Missing("lead"))?.into()) })
    }

    async fn forget_lead(&self, request: DeleteLeadRequest) -> Result<DeleteLeadResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        let lead = convert::lead_id(&request.lead_id)?;
        if !self.agent.store.delete_lead(workspace, lead).await? {
            return Err(Error::Missing("lead"));
        }
        Ok(DeleteLeadResponse {})
    }

    async fn conversations(
        &self,
        request: ListConversationsRequest,
    ) -> Result<ListConversationsResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        let page = convert::page(request.page)?;
        let found = self.agent.store.list_conversations(workspace, page, self.agent.now()).await?;
        let conversations = found.items.into_iter().map(Into::into).collect();
        Ok(ListConversationsResponse { conversations, next_cursor: convert::cursor(found.next) })
    }

    async fn one_conversation(
        &self,
        request: GetConversationRequest,
    ) -> Result<GetConversationResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        let id = convert::conversation_id(&request.conversation_id)?;
        let found = self.agent.store.find_conversation(workspace, id, self.agent.now()).await?;
        let talk = found.ok_or(Error::Missing("conversation"))?;
        Ok(GetConversationResponse {
            conversation: Some(talk.conversation.into()),
            messages: convert::messages(&talk.messages, &talk.steps),
        })
    }

    async fn escalations(&self, request: ListEscalationsRequest) -> Result<ListEscalationsResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        let found = self.agent.store.list_escalations(workspace, convert::page(request.page)?).await?;
        let escalations = found.items.into_iter().map(Into::into).collect();
        Ok(ListEscalationsResponse { escalations, next_cursor: convert::cursor(found.next) })
    }

    async fn bookings(&self, request: ListBookingsRequest) -> Result<ListBookingsResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        let found = self.agent.store.list_bookings(workspace, convert::page(request.page)?).await?;
        let bookings = found.items.into_iter().map(Into::into).collect();
        Ok(ListBookingsResponse { bookings, next_cursor: convert::cursor(found.next) })
    }
}

#[tonic::async_trait]
impl InboxService for Service {
    async fn list_leads(
        &self,
        request: Request<ListLeadsRequest>,
    ) -> Result<Response<ListLeadsResponse>, Status> {
        answer(self.leads(request.into_inner()).await)
    }

    async fn get_lead(&self, request: Request<GetLeadRequest>) -> Result<Response<GetLeadResponse>, Status> {
        answer(self.one_lead(request.into_inner()).await)
    }

    async fn delete_lead(
        &self,
        request: Request<DeleteLeadRequest>,
    ) -> Result<Response<DeleteLeadResponse>, Status> {
        answer(self.forget_lead(request.into_inner()).await)
    }

    async fn list_conversations(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        answer(self.conversations(request.into_inner()).await)
    }

    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<GetConversationResponse>, Status> {
        answer(self.one_conversation(request.into_inner()).await)
    }

    async fn list_escalations(
        &self,
        request: Request<ListEscalationsRequest>,
    ) -> Result<Response<ListEscalationsResponse>, Status> {
        answer(self.escalations(request.into_inner()).await)
    }

    async fn list_bookings(
        &self,
        request: Request<ListBookingsRequest>,
    ) -> Result<Response<ListBookingsResponse>, Status> {
        answer(self.bookings(request.into_inner()).await)
    }
}
