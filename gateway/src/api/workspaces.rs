//! `/api/v1/workspaces`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use coachbot_integrations::Channel;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Body, FromObject, Object};
use super::page::{List, Page};
use crate::app::SharedApp;
use crate::auth::{ApiCaller, Caller as _, Tenant};
use crate::error::Error;
use crate::facts::{Name, Zone};
use crate::store::{Workspace, WorkspaceChange};

/// How a workspace talks with its leads.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Channel)]
pub(crate) enum ChannelName {
    /// By WhatsApp message: Twilio, Cal.com, OpenAI.
    Whatsapp,
    /// By phone call: Vapi, Cal.com, and OpenAI if wanted.
    Voice,
}

impl From<Channel> for ChannelName {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Whatsapp => Self::Whatsapp,
            Channel::Voice => Self::Voice,
        }
    }
}

/// A workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workspace)]
pub(crate) struct WorkspaceView {
    /// UUIDv7, 36 lower-case characters.
    #[schema(value_type = Uuid)]
    id: String,
    #[schema(example = "Acme Coaching")]
    name: String,
    channel: ChannelName,
    /// A name of the IANA time zone database.
    #[schema(example = "Europe/London")]
    timezone: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Workspace> for WorkspaceView {
    fn from(workspace: Workspace) -> Self {
        Self {
            id: workspace.id.to_string(),
            name: workspace.name,
            channel: workspace.channel.into(),
            timezone: workspace.timezone,
            created_at: workspace.created_at.to_string(),
        }
    }
}

/// A workspace to be made.
#[derive(ToSchema)]
pub(crate) struct NewWorkspace {
    /// 1 to 80 characters; leads may see it in a first message.
    #[schema(value_type = String, min_length = 1, max_length = 80, example = "Acme Coaching")]
    name: Name,
    /// Cannot be changed later.
    #[schema(value_type = ChannelName)]
    channel: Channel,
    /// A name of the IANA time zone database.
    #[schema(value_type = String, example = "Europe/London")]
    timezone: Zone,
}

impl FromObject for NewWorkspace {
    fn read(object: &mut Object) -> Option<Self> {
        let name = object.required("name", Name::parse);
        let channel = object.required("channel", channel);
        let timezone = object.required("timezone", Zone::parse);
        Some(Self { name: name?, channel: channel?, timezone: timezone? })
    }
}

/// `Err` completes "channel …".
pub(crate) fn channel(text: &str) -> Result<Channel, String> {
    Channel::parse(text).ok_or_else(|| "must be whatsapp or voice".into())
}

/// What to change; what is absent stays.
#[derive(ToSchema)]
pub(crate) struct WorkspacePatch {
    /// 1 to 80 characters.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 80)]
    name: Option<Name>,
    /// A name of the IANA time zone database.
    #[schema(value_type = Option<String>)]
    timezone: Option<Zone>,
}

impl FromObject for WorkspacePatch {
    fn read(object: &mut Object) -> Option<Self> {
        let name = object.optional("name", Name::parse);
        let timezone = object.optional("timezone", Zone::parse);
        Some(Self { name, timezone })
    }
}

/// Make a workspace
#[utoipa::path(
    post, path = "/workspaces", tag = "workspaces", request_body = NewWorkspace,
    responses((status = 201, description = "Made", body = WorkspaceView)),
)]
pub(crate) async fn create_workspace(
    State(app): State<SharedApp>,
    caller: ApiCaller,
    Body(new): Body<NewWorkspace>,
) -> Result<Response, Error> {
    let workspace = app.create_workspace(caller.user(), new.name, new.channel, new.timezone).await?;
    let location = format!("/api/v1/workspaces/{}", workspace.id);
    let view = WorkspaceView::from(workspace);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// List your workspaces
#[utoipa::path(
    get, path = "/workspaces", tag = "workspaces",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "How many at most; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = List<WorkspaceView>)),
)]
pub(crate) async fn list_workspaces(
    State(app): State<SharedApp>,
    caller: ApiCaller,
    page: Page,
) -> Result<Json<List<WorkspaceView>>, Error> {
    let rows = app.store.workspaces(caller.user(), page.after, page.rows()).await?;
    let position = |workspace: &Workspace| (workspace.created_at, workspace.id.as_uuid());
    Ok(Json(page.list(rows, position, WorkspaceView::from)))
}

/// Read a workspace
#[utoipa::path(
    get, path = "/workspaces/{id}", tag = "workspaces",
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 200, description = "The workspace", body = WorkspaceView)),
)]
pub(crate) async fn read_workspace(tenant: Tenant<ApiCaller>) -> Json<WorkspaceView> {
    Json(tenant.workspace.into())
}

/// Change a workspace
#[utoipa::path(
    patch, path = "/workspaces/{id}", tag = "workspaces", request_body = WorkspacePatch,
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 200, description = "What it is now", body = WorkspaceView)),
)]
pub(crate) async fn update_workspace(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    Body(patch): Body<WorkspacePatch>,
) -> Result<Json<WorkspaceView>, Error> {
    let change = WorkspaceChange {
        name: patch.name.as_ref().map(Name::as_str),
        timezone: patch.timezone.as_ref().map(Zone::as_str),
    };
    let changed = app.update_workspace(tenant.caller.user(), tenant.workspace.id, change).await?;
    Ok(Json(changed.into()))
}

/// Delete a workspace
///
/// It is hidden at once; its credentials and everything else in it are deleted
/// for good right after.
#[utoipa::path(
    delete, path = "/workspaces/{id}", tag = "workspaces",
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 204, description = "Gone")),
)]
pub(crate) async fn delete_workspace(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
) -> Result<StatusCode, Error> {
    app.delete_workspace(tenant.caller.user(), tenant.workspace.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
