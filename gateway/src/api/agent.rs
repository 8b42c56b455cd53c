//! `/api/v1/workspaces/{id}/agent`: how the bot behaves.

use axum::Json;
use axum::extract::State;
use coachbot_proto::agent::v1 as wire;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Body, FromObject, Object};
use crate::app::SharedApp;
use crate::auth::{ApiCaller, Tenant};
use crate::error::Error;

/// How a workspace's bot behaves.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentSettings)]
pub(crate) struct SettingsView {
    /// Who the bot is.
    persona: String,
    /// What it should reach.
    goals: String,
    /// What else it must know and obey.
    instructions: String,
    /// The first message to a lead from a form.
    #[schema(example = "Hi {first_name}, this is {workspace}.")]
    opening_message: String,
    /// Twilio's id of a template, sent in place of the opening message; null for
    /// none.
    #[schema(required)]
    opening_template_sid: Option<String>,
    /// The one sentence at a hand-off; never empty.
    handoff_message: String,
    /// How long a burst of messages is waited for.
    debounce_milliseconds: u32,
    /// Model tokens a day.
    daily_token_budget: u64,
    /// BCP 47; the language that the bot begins in.
    #[schema(example = "en")]
    language: String,
}

impl From<wire::Settings> for SettingsView {
    fn from(settings: wire::Settings) -> Self {
        Self {
            persona: settings.persona,
            goals: settings.goals,
            instructions: settings.instructions,
            opening_message: settings.opening_message,
            opening_template_sid: settings.opening_template_sid,
            handoff_message: settings.handoff_message,
            debounce_milliseconds: settings.debounce_milliseconds,
            daily_token_budget: settings.daily_token_budget,
            language: settings.language,
        }
    }
}

/// What to change; what is absent stays.
#[derive(ToSchema)]
pub(crate) struct AgentSettingsPatch {
    /// At most 4000 characters.
    #[schema(max_length = 4000)]
    persona: Option<String>,
    /// At most 4000 characters.
    #[schema(max_length = 4000)]
    goals: Option<String>,
    /// At most 8000 characters.
    #[schema(max_length = 8000)]
    instructions: Option<String>,
    /// At most 1000 characters; `{first_name}` and `{workspace}` are filled in.
    #[schema(max_length = 1000)]
    opening_message: Option<String>,
    /// `HX…`; null or empty for none.
    #[schema(value_type = Option<String>)]
    opening_template_sid: Option<Option<String>>,
    /// 1 to 500 characters.
    #[schema(min_length = 1, max_length = 500)]
    handoff_message: Option<String>,
    /// 0 to 30000.
    #[schema(maximum = 30_000)]
    debounce_milliseconds: Option<u32>,
    /// 1000 to 100000000.
    #[schema(minimum = 1_000, maximum = 100_000_000)]
    daily_token_budget: Option<u64>,
    /// BCP 47.
    language: Option<String>,
}

impl FromObject for AgentSettingsPatch {
    fn read(object: &mut Object) -> Option<Self> {
        // The agent knows what each must look like.
        let any = |text: &str| Ok::<_, String>(text.to_owned());
        Some(Self {
            persona: object.optional("persona", any),
            goals: object.optional("goals", any),
            instructions: object.optional("instructions", any),
            opening_message: object.optional("opening_message", any),
            opening_template_sid: object
                .nullable("opening_template_sid", any)
                .map(|sid| sid.filter(|sid| !sid.is_empty())),
            handoff_message: object.optional("handoff_message", any),
            debounce_milliseconds: object.optional_number("debounce_milliseconds"),
            daily_token_budget: object.optional_number("daily_token_budget"),
            language: object.optional("language", any),
        })
    }
}

impl AgentSettingsPatch {
    fn over(self, stored: wire::Settings) -> wire::Settings {
        wire::Settings {
            persona: self.persona.unwrap_or(stored.persona),
            goals: self.goals.unwrap_or(stored.goals),
            instructions: self.instructions.unwrap_or(stored.instructions),
            opening_message: self.opening_message.unwrap_or(stored.opening_message),
            opening_template_sid: self.opening_template_sid.unwrap_or(stored.opening_template_sid),
            handoff_message: self.handoff_message.unwrap_or(stored.handoff_message),
            debounce_milliseconds: self.debounce_milliseconds.unwrap_or(stored.debounce_milliseconds),
            daily_token_budget: self.daily_token_budget.unwrap_or(stored.daily_token_budget),
            language: self.language.unwrap_or(stored.language),
        }
    }
}

/// Read how the bot behaves
#[utoipa::path(
    get, path = "/workspaces/{id}/agent", tag = "agent",
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 200, description = "The settings, defaults included", body = SettingsView)),
)]
pub(crate) async fn read_settings(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
) -> Result<Json<SettingsView>, Error> {
    let workspace = tenant.workspace.id;
    let settings = app.ask_agent(workspace, || app.agent.settings(workspace)).await?;
    Ok(Json(settings.into()))
}

/// Change how the bot behaves
///
/// A partial update: what is absent stays as it is.
#[utoipa::path(
    put, path = "/workspaces/{id}/agent", tag = "agent", request_body = AgentSettingsPatch,
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 200, description = "What they are now", body = SettingsView)),
)]
pub(crate) async fn put_settings(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    Body(patch): Body<AgentSettingsPatch>,
) -> Result<Json<SettingsView>, Error> {
    let workspace = tenant.workspace.id;
    let stored = app.ask_agent(workspace, || app.agent.settings(workspace)).await?;
    let settings = patch.over(stored);
    let saved = app.ask_agent(workspace, || app.agent.put_settings(workspace, settings.clone())).await?;
    Ok(Json(saved.into()))
}
