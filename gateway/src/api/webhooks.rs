//! `/api/v1/workspaces/{id}/webhooks`: the URLs to paste at the providers.

use axum::Json;
use axum::extract::State;
use coachbot_common::id::WorkspaceId;
use coachbot_integrations::{Channel, Provider};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::SharedApp;
use crate::auth::{ApiCaller, Tenant};
use crate::config::PublicUrl;

/// The URLs of a workspace. A provider that its channel does not use is null.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Webhooks {
    #[schema(required)]
    pub twilio: Option<TwilioWebhooks>,
    #[schema(required)]
    pub vapi: Option<VapiWebhooks>,
    #[schema(required)]
    pub calcom: Option<CalcomWebhooks>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TwilioWebhooks {
    /// Twilio → the WhatsApp sender → "A message comes in".
    pub messages: String,
    /// Made by Coachbot for each message, with its own id in the place of
    /// `{intent_id}`: nothing to paste.
    pub status: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VapiWebhooks {
    /// Vapi → each tool → Server URL.
    pub tools: String,
    /// Vapi → the assistant → Server URL.
    pub events: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalcomWebhooks {
    /// Cal.com → Settings → Developer → Webhooks → Subscriber URL.
    pub events: String,
}

impl Webhooks {
    /// The URLs of a workspace of this channel, made from the public address alone.
    pub(crate) fn of(public_url: &PublicUrl, workspace: WorkspaceId, channel: Channel) -> Self {
        let used = |provider: Provider| provider.serves(channel).then_some(());
        let url =
            |provider: &str, rest: &str| public_url.join(&format!("/webhooks/{provider}/{workspace}{rest}"));
        Self {
            twilio: used(Provider::Twilio).map(|()| TwilioWebhooks {
                messages: url("twilio", "/messages"),
                status: url("twilio", "/status/{intent_id}"),
            }),
            vapi: used(Provider::Vapi)
                .map(|()| VapiWebhooks { tools: url("vapi", "/tools"), events: url("vapi", "/events") }),
            calcom: used(Provider::Calcom).map(|()| CalcomWebhooks { events: url("calcom", "") }),
        }
    }
}

/// List the URLs to paste at the providers
#[utoipa::path(
    get, path = "/workspaces/{id}/webhooks", tag = "integrations",
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 200, description = "Absolute URLs", body = Webhooks)),
)]
pub(crate) async fn list_webhooks(State(app): State<SharedApp>, tenant: Tenant<ApiCaller>) -> Json<Webhooks> {
    Json(Webhooks::of(&app.public_url, tenant.workspace.id, tenant.workspace.channel))
}
