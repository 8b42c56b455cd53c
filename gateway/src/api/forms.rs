//! `/api/v1/workspaces/{id}/forms`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::page::List;
use crate::app::SharedApp;
use crate::auth::{ApiCaller, Tenant};
use crate::error::Error;

/// A lead form.
#[derive(Serialize, ToSchema)]
#[schema(as = Form)]
pub(crate) struct FormView {
    #[schema(value_type = Uuid)]
    id: String,
    /// A page for people, and where the form of another site sends to.
    #[schema(example = "https://coach.example/f/01937a3e-6f00-7000-8000-000000000001")]
    url: String,
    /// What it asks. Whatever else is sent is kept as a custom field.
    fields: Vec<FormField>,
}

/// One question of a form.
#[derive(Serialize, ToSchema)]
pub(crate) struct FormField {
    #[schema(example = "phone")]
    name: &'static str,
    /// text, tel, email or boolean.
    #[schema(example = "tel")]
    kind: &'static str,
    /// Phone or email must be there, whichever.
    required: bool,
}

const FIELDS: [(&str, &str, bool); 5] = [
    ("name", "text", true),
    ("phone", "tel", false),
    ("email", "email", false),
    ("message", "text", false),
    ("consent", "boolean", true),
];

/// List the lead forms of a workspace
///
/// Every workspace has one.
#[utoipa::path(
    get, path = "/workspaces/{id}/forms", tag = "leads",
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 200, description = "The forms", body = List<FormView>)),
)]
pub(crate) async fn list_forms(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
) -> Result<Json<List<FormView>>, Error> {
    let (id, url) = app.form_url(tenant.workspace.id).await?;
    let fields = FIELDS.map(|(name, kind, required)| FormField { name, kind, required }).into();
    Ok(Json(List { items: vec![FormView { id: id.to_string(), url, fields }], next: None }))
}
