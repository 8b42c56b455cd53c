//! `/api/v1/workspaces/{id}/escalations`.

use axum::Json;
use axum::extract::State;
use coachbot_proto::agent::v1 as wire;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::{List, Part};
use super::words::{instant, optional_instant};
use crate::app::SharedApp;
use crate::auth::{ApiCaller, Tenant};
use crate::error::Error;

/// Something that a person should look at.
#[derive(Serialize, ToSchema)]
#[schema(as = Escalation)]
pub(crate) struct EscalationView {
    #[schema(value_type = Uuid)]
    id: String,
    #[schema(value_type = Uuid)]
    conversation_id: String,
    #[schema(value_type = Uuid)]
    lead_id: String,
    /// A stable upper-case word.
    reason: String,
    /// One line for a person.
    message: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// Null while it is open.
    #[schema(format = DateTime, required)]
    resolved_at: Option<String>,
}

impl TryFrom<wire::Escalation> for EscalationView {
    type Error = Error;

    fn try_from(escalation: wire::Escalation) -> Result<Self, Error> {
        Ok(Self {
            created_at: instant(escalation.created_at.as_ref(), "created_at")?,
            resolved_at: optional_instant(escalation.resolved_at.as_ref()),
            id: escalation.escalation_id,
            conversation_id: escalation.conversation_id,
            lead_id: escalation.lead_id,
            reason: escalation.reason,
            message: escalation.message,
        })
    }
}

/// List escalations
#[utoipa::path(
    get, path = "/workspaces/{id}/escalations", tag = "conversations",
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "How many at most; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = List<EscalationView>)),
)]
pub(crate) async fn list_escalations(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    Part(cut): Part,
) -> Result<Json<List<EscalationView>>, Error> {
    let workspace = tenant.workspace.id;
    let answer = app.ask_agent(workspace, || app.agent.escalations(workspace, cut.clone())).await?;
    List::of(answer.escalations, answer.next_cursor).map(Json)
}
