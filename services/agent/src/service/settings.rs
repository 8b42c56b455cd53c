//! `coachbot.agent.v1.SettingsService`.

use coachbot_proto::agent::v1::settings_service_server::SettingsService;
use coachbot_proto::agent::v1::{
    GetSettingsRequest, GetSettingsResponse, PutSettingsRequest, PutSettingsResponse,
};
use tonic::{Request, Response, Status};

use super::{Service, answer};
use crate::convert;
use crate::error::Error;

impl Service {
    async fn settings(&self, request: GetSettingsRequest) -> Result<GetSettingsResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        let settings = self.agent.store.find_settings(workspace).await?;
        Ok(GetSettingsResponse { settings: Some(settings.into()) })
    }

    async fn save_settings(&self, request: PutSettingsRequest) -> Result<PutSettingsResponse, Error> {
        let workspace = convert::workspace(&request.workspace_id)?;
        let settings = request.settings.ok_or_else(|| Error::request("settings", "must be given"))?;
        let settings = convert::settings(settings).checked().map_err(Error::Settings)?;
        self.agent.store.put_settings(workspace, &settings, self.agent.now()).await?;
        Ok(PutSettingsResponse { settings: Some(settings.into()) })
    }
}

#[tonic::async_trait]
impl SettingsService for Service {
    async fn get_settings(
        &self,
        request: Request<GetSettingsRequest>,
    ) -> Result<Response<GetSettingsResponse>, Status> {
        answer(self.settings(request.into_inner()).await)
    }

    async fn put_settings(
        &self,
        request: Request<PutSettingsRequest>,
    ) -> Result<Response<PutSettingsResponse>, Status> {
        answer(self.save_settings(request.into_inner()).await)
    }
}
