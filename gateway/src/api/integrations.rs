//! `/api/v1/workspaces/{id}/integrations`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use coachbot_integrations::{Fields, Provider};
use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Body, FromObject, Members, Object, Value, shown};
use super::page::List;
use crate::app::SharedApp;
use crate::auth::{ApiCaller, Caller as _, Target, Tenant};
use crate::convert::{Integration, Verification, verdict_name};
use crate::error::Error;

/// The account that a workspace brings.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Provider)]
pub(crate) enum ProviderName {
    /// WhatsApp workspaces.
    Twilio,
    /// Voice workspaces.
    Vapi,
    /// Both.
    Calcom,
    /// Both.
    Openai,
}

impl From<Provider> for ProviderName {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Twilio => Self::Twilio,
            Provider::Vapi => Self::Vapi,
            Provider::Calcom => Self::Calcom,
            Provider::Openai => Self::Openai,
        }
    }
}

/// A field's value: a text, or a number for `event_type_id`.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = FieldValue)]
pub(crate) enum FieldView {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// One provider of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Integration)]
pub(crate) struct IntegrationView {
    provider: ProviderName,
    connected: bool,
    /// Ids in clear, secrets masked; empty when not connected.
    fields: BTreeMap<String, FieldView>,
    /// Grows with each save, from 1; null when not connected.
    #[schema(required)]
    revision: Option<u64>,
    /// RFC 3339, UTC; null when not connected.
    #[schema(format = DateTime, required)]
    updated_at: Option<String>,
    /// False when the credentials cannot be decrypted: enter them again.
    readable: bool,
    /// The last check of what is stored; null until there was one.
    #[schema(required)]
    verification: Option<VerificationView>,
    /// Vapi only: the masked tool token; null until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    tool_token_hint: Option<Option<String>>,
}

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verification)]
pub(crate) struct VerificationView {
    /// OK, OK_WITH_WARNING, KEY_REJECTED, KEY_LACKS_SCOPE, NOT_FOUND,
    /// ACCOUNT_INACTIVE, NO_QUOTA, RATE_LIMITED, PROVIDER_DOWN, NETWORK,
    /// UNEXPECTED_ANSWER, CANNOT_DECRYPT or NOT_CONNECTED.
    #[schema(example = "KEY_REJECTED")]
    verdict: &'static str,
    /// The field that the verdict is about; null when it is about none.
    #[schema(example = "api_key", required)]
    field: Option<String>,
    /// One line for a person.
    #[schema(example = "OpenAI rejected the API key.")]
    message: String,
    /// Where to look; null when the verdict is OK.
    #[schema(required)]
    fix: Option<String>,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    checked_at: String,
    /// The requests that were made, in order.
    probes: Vec<ProbeView>,
    /// What deserves attention although the check passed.
    warnings: Vec<WarningView>,
}

/// One request that a check made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Probe)]
pub(crate) struct ProbeView {
    /// What was asked for.
    #[schema(example = "models")]
    name: String,
    /// Null when no HTTP answer came.
    #[schema(required)]
    http_status: Option<u32>,
    milliseconds: u32,
}

/// What deserves attention.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Warning)]
pub(crate) struct WarningView {
    #[schema(example = "MODEL_SHUTS_DOWN")]
    code: String,
    message: String,
}

/// A token that Vapi proves itself with.
// No `Debug`: it holds the token.
#[derive(Serialize, ToSchema)]
#[schema(as = ToolToken)]
pub(crate) struct ToolTokenView {
    #[schema(example = "cbt_…")]
    token: String,
    /// Until when the token before this one is accepted; null when there is none.
    #[schema(format = DateTime, required)]
    previous_valid_until: Option<String>,
}

impl From<Verification> for VerificationView {
    fn from(found: Verification) -> Self {
        Self {
            verdict: verdict_name(found.verdict),
            field: found.field,
            message: found.message,
            fix: found.fix,
            checked_at: found.checked_at.to_string(),
            probes: found
                .probes
                .into_iter()
                .map(|probe| ProbeView {
                    name: probe.name,
                    http_status: probe.http_status,
                    milliseconds: probe.milliseconds,
                })
                .collect(),
            warnings: found
                .warnings
                .into_iter()
                .map(|warning| WarningView { code: warning.code, message: warning.message })
                .collect(),
        }
    }
}

impl IntegrationView {
    fn new(provider: Provider, stored: Option<Integration>, tool_token_hint: Option<String>) -> Self {
        let tool_token_hint = (provider == Provider::Vapi).then_some(tool_token_hint);
        let Some(stored) = stored else {
            return Self {
                provider: provider.into(),
                connected: false,
                fields: BTreeMap::new(),
                revision: None,
                updated_at: None,
                readable: true,
                verification: None,
                tool_token_hint,
            };
        };
        Self {
            provider: provider.into(),
            connected: true,
            fields: stored
                .fields
                .into_iter()
                .map(|(name, value)| shown_field(provider, name, value))
                .collect(),
            revision: Some(stored.revision),
            updated_at: Some(stored.updated_at.to_string()),
            readable: stored.readable,
            verification: stored.verification.map(VerificationView::from),
            tool_token_hint,
        }
    }
}

fn shown_field(provider: Provider, name: String, value: String) -> (String, FieldView) {
    let numeric = provider.field(&name).is_some_and(|spec| spec.numeric);
    let view = match value.parse() {
        Ok(number) if numeric => FieldView::Number(number),
        _ => FieldView::Text(value),
    };
    (name, view)
}

/// Fields of one provider, by name.
#[derive(ToSchema)]
pub(crate) struct FieldsRequest {
    /// A secret that is absent keeps its stored value; an empty text removes an
    /// optional field. Twilio: account_sid, auth_token, from. Vapi: api_key,
    /// assistant_id, phone_number_id, region. Cal.com: api_key, event_type_id,
    /// timezone. OpenAI: api_key, model, region.
    #[schema(value_type = BTreeMap<String, FieldView>)]
    fields: Members,
}

impl FromObject for FieldsRequest {
    fn read(object: &mut Object) -> Option<Self> {
        Some(Self { fields: object.required_object("fields")? })
    }
}

impl FieldsRequest {
    /// The values as the vault takes them. What they must look like is checked
    /// there, where they are merged with the stored ones.
    fn of(self, provider: Provider) -> Result<Fields, Error> {
        let mut fields = Fields::new();
        let mut problems = Vec::new();
        for (name, value) in self.fields.0 {
            let spec = provider.field(&name);
            let text = match value {
                Value::Text(text) => Ok(text),
                Value::Number(digits) if spec.is_some_and(|spec| spec.numeric) => Ok(digits.into()),
                _ if spec.is_some_and(|spec| spec.numeric) => Err("must be a number or its digits"),
                // The vault says which names there are.
                _ if spec.is_none() => Ok(String::new().into()),
                _ => Err("must be a text"),
            };
            match text {
                Ok(_) if fields.contains_key(&name) => problems.push((shown(&name), "is there twice")),
                Ok(text) => drop(fields.insert(name, text)),
                Err(words) => problems.push((shown(&name), words)),
            }
        }
        if problems.is_empty() {
            return Ok(fields);
        }
        let problem = |(field, words): (String, &str)| coachbot_integrations::FieldProblem {
            message: format!("{field} {words}"),
            field,
        };
        Err(Error::Invalid(problems.into_iter().map(problem).collect()))
    }
}

/// List the integrations of a workspace
///
/// Every provider that its channel uses, connected or not.
#[utoipa::path(
    get, path = "/workspaces/{id}/integrations", tag = "integrations",
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 200, description = "One for each provider", body = List<IntegrationView>)),
)]
pub(crate) async fn list_integrations(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
) -> Result<Json<List<IntegrationView>>, Error> {
    let mut described = app.vault.describe(tenant.workspace.id).await?;
    let mut items = Vec::new();
    for provider in Provider::ALL.into_iter().filter(|provider| provider.serves(tenant.workspace.channel)) {
        let at = described.integrations.iter().position(|stored| stored.provider == provider);
        let stored = at.map(|at| described.integrations.swap_remove(at));
        items.push(IntegrationView::new(provider, stored, described.tool_token_hint.clone()));
    }
    Ok(Json(List { items, next: None }))
}

/// Save credentials
///
/// A partial update: what is absent stays as it is stored.
#[utoipa::path(
    put, path = "/workspaces/{id}/integrations/{provider}", tag = "integrations", request_body = FieldsRequest,
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("provider" = ProviderName, Path, description = "The provider"),
    ),
    responses((status = 200, description = "What may be shown of it", body = IntegrationView)),
)]
pub(crate) async fn put_integration(
    State(app): State<SharedApp>,
    target: Target<ApiCaller>,
    Body(request): Body<FieldsRequest>,
) -> Result<Json<IntegrationView>, Error> {
    let fields = request.of(target.provider)?;
    let saved = app.save(target.caller.user(), target.workspace.id, target.provider, &fields).await?;
    let hint = match target.provider {
        Provider::Vapi => app.vault.describe(target.workspace.id).await?.tool_token_hint,
        _ => None,
    };
    Ok(Json(IntegrationView::new(target.provider, Some(saved), hint)))
}

/// Forget credentials
#[utoipa::path(
    delete, path = "/workspaces/{id}/integrations/{provider}", tag = "integrations",
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("provider" = ProviderName, Path, description = "The provider"),
    ),
    responses((status = 204, description = "Gone")),
)]
pub(crate) async fn delete_integration(
    State(app): State<SharedApp>,
    target: Target<ApiCaller>,
) -> Result<StatusCode, Error> {
    if app.vault.delete(target.workspace.id, target.provider).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Error::NotConnected(target.provider))
}

/// Check the stored credentials at their provider
#[utoipa::path(
    post, path = "/workspaces/{id}/integrations/{provider}/verify", tag = "integrations",
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("provider" = ProviderName, Path, description = "The provider"),
    ),
    responses((status = 200, description = "What the check found, whatever it is", body = VerificationView)),
)]
pub(crate) async fn verify_integration(
    State(app): State<SharedApp>,
    target: Target<ApiCaller>,
) -> Result<Json<VerificationView>, Error> {
    let found = app.connector.verify(target.workspace.id, target.provider).await?;
    Ok(Json(found.into()))
}

/// Check fields that are not saved
///
/// They are laid over the stored ones; nothing is stored.
#[utoipa::path(
    post, path = "/workspaces/{id}/integrations/{provider}/verify-draft", tag = "integrations",
    request_body = FieldsRequest,
    params(
        ("id" = Uuid, Path, description = "The workspace"),
        ("provider" = ProviderName, Path, description = "The provider"),
    ),
    responses((status = 200, description = "What the check found, whatever it is", body = VerificationView)),
)]
pub(crate) async fn verify_draft(
    State(app): State<SharedApp>,
    target: Target<ApiCaller>,
    Body(request): Body<FieldsRequest>,
) -> Result<Json<VerificationView>, Error> {
    let fields = request.of(target.provider)?;
    let found = app.connector.verify_draft(target.workspace.id, target.provider, &fields).await?;
    Ok(Json(found.into()))
}

/// Show the token that Vapi proves itself with
///
/// It is made at the first call.
#[utoipa::path(
    get, path = "/workspaces/{id}/integrations/vapi/tool-token", tag = "integrations",
    params(("id" = Uuid, Path, description = "The workspace")),
    responses((status = 200, description = "The token", body = ToolTokenView)),
)]
pub(crate) async fn show_tool_token(
    State(app): State<SharedApp>,
    tenant: Tenant<ApiCaller>,
) -> Result<Json<ToolTokenView>, Error> {
    if !Provider::Vapi.serves(tenant.workspace.channel) {
        return Err(Error::NotFound("integration of this workspace"));
    }
    let shown = app.tool_token(tenant.caller.user(), tenant.workspace.id).await?;
    Ok(Json(ToolTokenView {
        token: shown.token.expose_secret().to_owned(),
        previous_valid_until: shown.previous_valid_until.map(|at| at.to_string()),
    }))
}
