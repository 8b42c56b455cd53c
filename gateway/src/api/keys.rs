//! `/api/v1/keys`: the caller's own API keys.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use coachbot_common::clock::{from_micros, to_micros};
use coachbot_common::id::new_id;
use coachbot_common::secret::random_token;
use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{Body, FromObject, Object};
use super::page::{List, Page};
use crate::app::SharedApp;
use crate::auth::{ApiCaller, Caller as _, PathId, hash_of, hint_of};
use crate::error::Error;
use crate::facts::Name;
use crate::store::{ApiKey, ApiKeyId};

/// An API key, without the key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct KeyView {
    #[schema(value_type = Uuid)]
    id: String,
    #[schema(example = "CI")]
    name: String,
    /// Its beginning and end.
    #[schema(example = "cbk_…abcd")]
    hint: String,
    /// RFC 3339, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339, UTC, to the minute; null when it was never used.
    #[schema(format = DateTime, required)]
    last_used_at: Option<String>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            hint: key.hint,
            created_at: key.created_at.to_string(),
            last_used_at: key.last_used_at.map(|at| at.to_string()),
        }
    }
}

/// A new API key, with the key: it is shown this once.
// No `Debug`: it holds the key.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub(crate) struct NewKeyView {
    #[serde(flatten)]
    about: KeyView,
    /// Keep it: it is stored as a hash and cannot be shown again.
    #[schema(example = "cbk_…")]
    key: String,
}

/// A key to be made.
#[derive(ToSchema)]
pub(crate) struct KeyRequest {
    /// What it is for, 1 to 80 characters.
    #[schema(value_type = String, min_length = 1, max_length = 80, example = "CI")]
    name: Name,
}

impl FromObject for KeyRequest {
    fn read(object: &mut Object) -> Option<Self> {
        Some(Self { name: object.required("name", Name::parse)? })
    }
}

/// Make an API key
///
/// It acts as you. The answer is the only place where it is shown.
#[utoipa::path(
    post, path = "/keys", tag = "keys", request_body = KeyRequest,
    responses((status = 201, description = "Made", body = NewKeyView)),
)]
pub(crate) async fn create_key(
    State(app): State<SharedApp>,
    caller: ApiCaller,
    Body(request): Body<KeyRequest>,
) -> Result<Response, Error> {
    let now = app.now();
    let token = random_token("cbk_");
    let key = ApiKey {
        id: ApiKeyId::from_uuid(new_id(now)),
        name: request.name.into_string(),
        hint: hint_of(&token),
        // As a column keeps it.
        created_at: from_micros(to_micros(now)),
        last_used_at: None,
    };
    app.store.insert_api_key(caller.user(), &key, &hash_of(token.expose_secret())).await?;
    let view = NewKeyView { about: key.into(), key: token.expose_secret().to_owned() };
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// List your API keys
#[utoipa::path(
    get, path = "/keys", tag = "keys",
    params(
        ("limit" = Option<u16>, Query, minimum = 1, maximum = 100, description = "How many at most; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = List<KeyView>)),
)]
pub(crate) async fn list_keys(
    State(app): State<SharedApp>,
    caller: ApiCaller,
    page: Page,
) -> Result<Json<List<KeyView>>, Error> {
    let rows = app.store.api_keys(caller.user(), page.after, page.rows()).await?;
    Ok(Json(page.list(rows, |key: &ApiKey| (key.created_at, key.id.as_uuid()), KeyView::from)))
}

/// Delete an API key
///
/// It works no more from the next request on.
#[utoipa::path(
    delete, path = "/keys/{id}", tag = "keys",
    params(("id" = Uuid, Path, description = "The key")),
    responses((status = 204, description = "Gone")),
)]
pub(crate) async fn delete_key(
    State(app): State<SharedApp>,
    caller: ApiCaller,
    PathId(id): PathId,
) -> Result<StatusCode, Error> {
    let deleted = match ApiKeyId::parse(&id) {
        Ok(id) => app.store.delete_api_key(caller.user(), id).await?,
        Err(_) => false,
    };
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Error::NotFound("API key")) }
}
