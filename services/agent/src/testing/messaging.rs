use coachbot_proto::connector::v1::messaging_service_server::MessagingService;
use coachbot_proto::connector::v1::{
    DeliveryStatus, GetMessageRequest, GetMessageResponse, ListMessagesRequest, ListMessagesResponse,
    ProviderMessage, SendMessageRequest, SendMessageResponse,
};
use tonic::{Request, Response, Status};

use super::{FakeConnector, Operation, SentMessage, failed, instant, wire};

#[tonic::async_trait]
impl MessagingService for FakeConnector {
    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<SendMessageResponse>, Status> {
        let fault = self.begin(Operation::SendMessage).await?;
        let request = request.into_inner();
        let body = match (request.text, request.template) {
            (Some(text), None) => text.body,
            (None, Some(template)) => {
                let mut variables: Vec<_> = template.variables.into_iter().collect();
                variables.sort();
                if variables.iter().any(|(_, value)| value.is_empty()) {
                    return Err(failed("REFUSED", "21656"));
                }
                format!("{} {variables:?}", template.content_sid)
            }
            _ => return Err(Status::invalid_argument("exactly one of text and template")),
        };
        let sid = self.record(request.to, body, request.status_callback_url);
        self.end(fault).await?;
        let status = DeliveryStatus::Queued.into();
        Ok(Response::new(SendMessageResponse { provider_message_id: sid, status }))
    }

    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        self.begin(Operation::ListMessages).await?;
        let request = request.into_inner();
        let from = instant(request.created_from.as_ref());
        let state = self.state();
        let messages = state
            .sent
            .iter()
            .rev()
            .filter(|sent| sent.at >= from && request.to.as_ref().is_none_or(|to| *to == sent.to));
        Ok(Response::new(ListMessagesResponse { messages: messages.map(listed).collect() }))
    }

    async fn get_message(
        &self,
        request: Request<GetMessageRequest>,
    ) -> Result<Response<GetMessageResponse>, Status> {
        let request = request.into_inner();
        let state = self.state();
        let found = state.sent.iter().find(|sent| sent.sid == request.provider_message_id);
        let message = found.map(listed).ok_or_else(|| failed("NOT_FOUND", "20404"))?;
        Ok(Response::new(GetMessageResponse { message: Some(message) }))
    }
}

impl FakeConnector {
    fn record(&self, to: String, body: String, callback: String) -> String {
        let at = self.now();
        let mut state = self.state();
        if body.is_empty() || body.encode_utf16().count() > 1600 {
            state.violations.push("a message of a wrong length".to_owned());
        }
        state.count += 1;
        let sid = format!("SM{:032x}", state.count);
        let status = DeliveryStatus::Queued;
        state.sent.push(SentMessage { sid: sid.clone(), to, body, callback, at, status, error_code: None });
        sid
    }
}

fn listed(sent: &SentMessage) -> ProviderMessage {
    ProviderMessage {
        provider_message_id: sent.sid.clone(),
        to: sent.to.clone(),
        from: "whatsapp:+447700900999".to_owned(),
        body: sent.body.clone(),
        outbound: true,
        status: sent.status.into(),
        error_code: sent.error_code,
        created_at: wire(sent.at),
    }
}
