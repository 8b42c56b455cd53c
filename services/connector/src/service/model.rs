//! `coachbot.connector.v1.ModelService`.

use coachbot_common::rpc::deadline_of;
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::model_service_server::ModelService;
use coachbot_proto::connector::v1::{GenerateRequest, GenerateResponse};
use tonic::{Request, Response, Status};
use tracing::info;

use super::refuse;
use crate::convert::model::prompt;
use crate::deadline::Deadline;
use crate::error::Error;
use crate::http::Purpose;
use crate::live::Live;
use crate::providers::credentials::Openai;

/// `coachbot.connector.v1.ModelService`.
#[derive(Clone)]
pub struct Model {
    live: Live,
}

impl Model {
    /// Takes what does the work.
    #[must_use]
    pub const fn new(live: Live) -> Self {
        Self { live }
    }

    /// A turn changes nothing, so that it runs in the request: a caller that
    /// leaves needs no answer any more.
    async fn turn(&self, request: GenerateRequest, deadline: Deadline) -> Result<GenerateResponse, Error> {
        let (workspace, prompt) = prompt(request)?;
        let own: Openai = self.live.lease(workspace, deadline).await?;
        let until = self.live.until(Purpose::Model, deadline);
        let made = self.live.providers().model(&own, until).generate(&prompt).await;
        let turn = self.live.told(Provider::Openai, made)?;
        info!(
            workspace.id = %workspace,
            items = turn.items.len(),
            incomplete = turn.incomplete_reason.is_some(),
            input_tokens = turn.input_tokens,
            output_tokens = turn.output_tokens,
            "turn made",
        );
        Ok(turn)
    }
}

#[tonic::async_trait]
impl ModelService for Model {
    async fn generate(
        &self,
        request: Request<GenerateRequest>,
    ) -> Result<Response<GenerateResponse>, Status> {
        let deadline = Deadline(deadline_of(request.extensions()));
        self.turn(request.into_inner(), deadline).await.map(Response::new).map_err(refuse)
    }
}
