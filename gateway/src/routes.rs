//! Every path of the gateway.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{
    agent, bookings, conversations, escalations, forms as api_forms, integrations, keys, leads, openapi,
    webhooks as addresses, workspaces,
};
use crate::app::SharedApp;
use crate::dashboard::{self, assets, settings, sign_in};
use crate::error::Error;
use crate::webhooks::twilio;
use crate::{forms, health, layers};

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
        .routes(routes!(addresses::list_webhooks))
        .routes(routes!(agent::read_settings, agent::put_settings))
        .routes(routes!(leads::create_lead, leads::list_leads))
        .routes(routes!(leads::read_lead, leads::delete_lead))
        .routes(routes!(conversations::list_conversations))
        .routes(routes!(conversations::read_conversation))
        .routes(routes!(escalations::list_escalations))
        .routes(routes!(bookings::list_bookings))
        .routes(routes!(api_forms::list_forms))
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

/// What providers send. Their own signatures stand in the place of a key.
fn webhooks() -> Router<SharedApp> {
    Router::new()
        .route("/webhooks/twilio/{workspace_id}/messages", post(twilio::messages))
        .route("/webhooks/twilio/{workspace_id}/status/{intent_id}", post(twilio::statuses))
}

/// The lead form, for everybody and for the scripts of any site.
fn lead_form() -> Router<SharedApp> {
    Router::new()
        .route("/f/{form_id}", get(forms::show).post(forms::submit).options(forms::preflight))
        .route_layer(map_response(forms::open_to_other_sites))
}

/// All of it.
pub(crate) fn router(app: SharedApp) -> Router {
    let (api, _) = api().split_for_parts();
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(webhooks())
        .merge(lead_form())
        .merge(api)
        .merge(dashboard(&app))
        .fallback(async || Error::NotFound("page"))
        .method_not_allowed_fallback(async || Error::Method)
        .layer(DefaultBodyLimit::max(layers::BODY_LIMIT))
        .layer(from_fn_with_state(SharedApp::clone(&app), layers::around))
        .with_state(app)
}
