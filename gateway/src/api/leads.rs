//! `/api/v1/workspaces/{id}/leads`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use coachbot_common::id::new_id;
use coachbot_proto::agent::v1 as wire;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Body, FromObject, Object};
use super::page::{List, Part};
use super::words::{instant, source, stage};
use crate::app::SharedApp;
use crate::auth::{ApiCaller, LeadId, Tenant};
use crate::clients::NewLead;
use crate::error::Error;
use crate::forms::submission::{email, message, name, phone};

/// Somebody who may become a client.
#[derive(Serialize, ToSchema)]
#[schema(as = Lead)]
pub(crate) struct LeadView {
    #[schema(value_type = Uuid)]
    id: String,
    name: String,
    /// E.164; null when it is not known.
    #[schema(example = "+447700900123", required)]
    phone: Option<String>,
    #[schema(required)]
    email: Option<String>,
    /// new, contacted, qualified, booked, escalated, lost or opted_out.
    #[schema(example = "new")]
    stage: String,
    /// form, whatsapp, phone or api.
    #[schema(example = "form")]
    source: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
}

impl TryFrom<wire::Lead> for LeadView {
    type Error = Error;

    fn try_from(lead: wire::Lead) -> Result<Self, Error> {
        Ok(Self {
            stage: stage(lead.stage())?,
            source: source(lead.source())?,
            created_at: instant(lead.created_at.as_ref(), "created_at")?,
            id: lead.lead_id,
            name: lead.name,
            phone: lead.phone,
            email: lead.email,
        })
    }
}

/// A lead to be taken. Phone or email must be there.
#[derive(ToSchema)]
#[schema(as = NewLead)]
pub(crate) struct LeadBody {
    /// 1 to 120 characters.
    #[schema(min_length = 1, max_length = 120)]
    name: String,
    /// E.164; separators are dropped.
    #[schema(example = "+44 7700 900123")]
    phone: Option<String>,
    email: Option<String>,
    /// What the lead wrote, 4000 characters at most.
    #[schema(max_length = 4000)]
    message: Option<String>,
}

impl FromObject for LeadBody {
    fn read(object: &mut Object) -> Option<Self> {
        fn words<T>(parsed: Result<T, &str>) -> Result<T, String> {
            parsed.map_err(str::to_owned)
        }
        let before = object.problems();
        let name = object.required("name", |text| words(name(text)));
        let phone = object.nullable("phone", |text| words(phone(text))).flatten();
        let email = object.nullable("email", |text| words(email(text))).flatten();
        let message = object.nullable("message", |text| words(message(text))).flatten();
        if phone.is_none() && email.is_none() && object.problems() == before {
            object.refuse("phone", "or email must be given");
        }
        Some(Self { name: name?, phone, email, message })
    }
}

/// Take a lead
///
/// One with the same phone or e-mail as a known lead is that lead.
#[utoipa::path(
    post, path = "/workspaces/{id}/leads", tag = "leads", request_body = LeadBody,
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 201, description = "The lead as it is now", body = LeadView)),
)]
pub(crate) async fn create_lead(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    Body(lead): Body<LeadBody>,
) -> Result<Response, Error> {
    let (now, workspace) = (app.now(), tenant.workspace.id);
    let LeadBody { name, phone, email, message } = lead;
    let lead = NewLead { name, phone, email, message, custom_fields: BTreeMap::new() };
    let submission = new_id(now).hyphenated().to_string();
    let request = lead.into_request(workspace, submission, wire::LeadSource::Api, now);
    let call = || app.agent.ingest_lead(request.clone(), Duration::from_secs(3));
    let id = app.ask_agent(workspace, call).await?;
    let lead = LeadView::try_from(app.agent.lead(workspace, id).await?)?;
    let location = format!("/api/v1/workspaces/{workspace}/leads/{id}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(lead)).into_response())
}

/// List leads
#[utoipa::path(
    get, path = "/workspaces/{id}/leads", tag = "leads",
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "How many at most; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = List<LeadView>)),
)]
pub(crate) async fn list_leads(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    Part(cut): Part,
) -> Result<Json<List<LeadView>>, Error> {
    let workspace = tenant.workspace.id;
    let answer = app.ask_agent(workspace, || app.agent.leads(workspace, cut.clone())).await?;
    List::of(answer.leads, answer.next_cursor).map(Json)
}

/// Read a lead
#[utoipa::path(
    get, path = "/workspaces/{id}/leads/{lead_id}", tag = "leads",
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("lead_id" = Uuid, Path, description = "The lead"),
    ),
    responses((status = 200, description = "The lead", body = LeadView)),
)]
pub(crate) async fn read_lead(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    LeadId(lead): LeadId,
) -> Result<Json<LeadView>, Error> {
    Ok(Json(app.agent.lead(tenant.workspace.id, lead).await?.try_into()?))
}

/// Forget a lead
///
/// Conversations, messages and bookings of the lead are forgotten with it. A
/// booking at the calendar's provider stays there.
#[utoipa::path(
    delete, path = "/workspaces/{id}/leads/{lead_id}", tag = "leads",
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("lead_id" = Uuid, Path, description = "The lead"),
    ),
    responses((status = 204, description = "Gone")),
)]
pub(crate) async fn delete_lead(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
    LeadId(lead): LeadId,
) -> Result<StatusCode, Error> {
    app.agent.delete_lead(tenant.workspace.id, lead).await?;
    Ok(StatusCode::NO_CONTENT)
}
