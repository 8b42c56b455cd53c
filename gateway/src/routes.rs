//! Every path of the gateway.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{integrations, keys, openapi, webhooks, workspaces};
use crate::app::SharedApp;
use crate::dashboard::{self, assets, settings, sign_in};
use crate::error::Error;
use crate::{health, layers};

/// The JSON API. What is a route here is in the description too.
fn api() -> OpenApiRouter<SharedApp> {
    let routes = OpenApiRouter::new()
        .routes(routes!(workspaces::create_workspace, workspaces::list_workspaces))
        .routes(routes!(
            workspaces::read_workspace,
            workspaces::update_workspace,
            workspaces::delete_workspace
        ))
        .routes(routes!(integrations::list_integrations))
        .routes(routes!(integrations::put_integration, integrations::delete_integration))
        .routes(routes!(integrations::verify_integration))
        .routes(routes!(integrations::verify_draft))
        .routes(routes!(integrations::show_tool_token))
        .routes(routes!(webhooks::list_webhooks))
        .routes(routes!(keys::create_key, keys::list_keys))
        .routes(routes!(keys::delete_key))
        .routes(routes!(openapi::openapi_json));
    OpenApiRouter::with_openapi(openapi::base()).nest("/api/v1", routes)
}

/// The description of the JSON API.
pub(crate) fn description() -> OpenApi {
    openapi::complete(api().into_openapi())
}

/// Pages and forms for people.
fn dashboard(app: &SharedApp) -> Router<SharedApp> {
    use dashboard::{integrations, workspaces};

    Router::new()
        .route("/", get(workspaces::list))
        .route("/workspaces", post(workspaces::create))
        .route("/w/{id}", get(workspaces::open))
        .route("/w/{id}/settings", get(settings::show).post(settings::save))
        .route("/w/{id}/delete", post(settings::delete))
        .route("/w/{id}/settings/integrations", get(integrations::show))
        .route("/w/{id}/settings/integrations/{provider}", post(integrations::save))
        .route("/w/{id}/settings/integrations/{provider}/delete", post(integrations::remove))
        .route("/w/{id}/settings/integrations/{provider}/verify", post(integrations::verify))
        .route("/w/{id}/settings/integrations/vapi/tool-token", post(integrations::show_tool_token))
        .route("/sign-in", get(sign_in::show))
        .route("/sign-in/{token}", get(sign_in::follow_link))
        .route("/sign-out", post(sign_in::sign_out))
        .route_layer(from_fn_with_state(SharedApp::clone(app), dashboard::same_origin))
        .route("/assets/app.css", get(assets::style))
        .route("/assets/app.js", get(assets::script))
        .route("/assets/icon.svg", get(assets::icon))
}

/// All of it.
pub(crate) fn router(app: SharedApp) -> Router {
    let (api, _) = api().split_for_parts();
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(api)
        .merge(dashboard(&app))
        .fallback(async || Error::NotFound("page"))
        .method_not_allowed_fallback(async || Error::Method)
        .layer(DefaultBodyLimit::max(layers::BODY_LIMIT))
        .layer(from_fn_with_state(SharedApp::clone(&app), layers::around))
        .with_state(app)
}
