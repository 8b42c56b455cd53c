//! `coachbot.connector.v1.MessagingService`.

use coachbot_common::rpc::deadline_of;
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::messaging_service_server::MessagingService;
use coachbot_proto::connector::v1::{
    GetMessageRequest, GetMessageResponse, ListMessagesRequest, ListMessagesResponse, SendMessageRequest,
    SendMessageResponse,
};
use tonic::{Request, Response, Status};
use tracing::info;

use super::refuse;
use crate::convert::messaging::{message_id, outgoing, search};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::http::Purpose;
use crate::live::Live;
use crate::providers::credentials::Twilio;

/// `coachbot.connector.v1.MessagingService`.
#[derive(Clone)]
pub struct Messaging {
    live: Live,
}

impl Messaging {
    /// Takes what does the work.
    #[must_use]
    pub const fn new(live: Live) -> Self {
        Self { live }
    }

    async fn send(
        &self,
        request: SendMessageRequest,
        deadline: Deadline,
    ) -> Result<SendMessageResponse, Error> {
        let (workspace, message) = outgoing(request)?;
        let own: Twilio = self.live.lease(workspace, deadline).await?;
        let until = self.live.until_effect(Provider::Twilio, Purpose::Messaging, deadline)?;
        let providers = self.live.providers().clone();
        let work = async move {
            let sent = providers.messages(&own, until).send(&message).await?;
            info!(workspace.id = %workspace, message.id = sent.provider_message_id, "message sent");
            Ok(sent)
        };
        self.live.effect(Provider::Twilio, work).await
    }

    async fn list(
        &self,
        request: ListMessagesRequest,
        deadline: Deadline,
    ) -> Result<ListMessagesResponse, Error> {
        let (workspace, search) = search(request)?;
        let own: Twilio = self.live.lease(workspace, deadline).await?;
        let until = self.live.until(Purpose::Messaging, deadline);
        let found = self.live.providers().messages(&own, until).list(&search).await;
        let messages = self.live.told(Provider::Twilio, found)?;
        Ok(ListMessagesResponse { messages })
    }

    async fn get(&self, request: GetMessageRequest, deadline: Deadline) -> Result<GetMessageResponse, Error> {
        let (workspace, sid) = message_id(request)?;
        let own: Twilio = self.live.lease(workspace, deadline).await?;
        let until = self.live.until(Purpose::Messaging, deadline);
        let found = self.live.providers().messages(&own, until).fetch(&sid).await;
        let message = self.live.told(Provider::Twilio, found)?;
        Ok(GetMessageResponse { message: Some(message) })
    }
}

#[tonic::async_trait]
impl MessagingService for Messaging {
    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<SendMessageResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        self.send(request.into_inner(), deadline).await.map(Response::new).map_err(refuse)
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        self.list(request.into_inner(), deadline).await.map(Response::new).map_err(refuse)
    }

    async fn get_message(
        &self,
        request: Request<GetMessageRequest>,
    ) -> Result<Response<GetMessageResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        self.get(request.into_inner(), deadline).await.map(Response::new).map_err(refuse)
    }
}
