//! `/w/{id}/settings/integrations`: a card per provider of the channel.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use coachbot_integrations::{Fields, Provider};
use http::{HeaderMap, StatusCode, Uri};
use secrecy::ExposeSecret as _;

use super::cards::{Facts, Refused, Said, action, card, result};
use super::forms::Form;
use super::views::{IntegrationsPage, PillFragment, ToolToken, ToolTokenFragment, VaultNotice};
use super::{Place, asks_for, moment, page, workspace_layout};
use crate::api::webhooks::Webhooks;
use crate::app::SharedApp;
use crate::auth::{Caller as _, Person, Target, Tenant};
use crate::convert;
use crate::error::{Error, KEY_VARIABLE, Lock};
use crate::facts::zones;
use crate::store::Workspace;

/// What one answer shows beside what is stored.
#[derive(Default)]
struct Extra {
    said: Option<(Provider, Said)>,
    refused: Option<(Provider, Refused)>,
    token: Option<convert::ToolToken>,
}

fn place(workspace: &Workspace) -> String {
    format!("/w/{}/settings/integrations", workspace.id)
}

/// Writes the page. It is shown whatever state the vault is in: what is away is
/// said, and the rest works.
async fn integrations_page(
    app: &SharedApp,
    workspace: &Workspace,
    status: StatusCode,
    extra: Extra,
) -> Result<Response, Error> {
    let (key, described) = tokio::join!(app.vault.status(), app.vault.describe(workspace.id));
    for error in [key.as_ref().err(), described.as_ref().err()].into_iter().flatten() {
        error.log();
    }
    let vault = notice(&key, described.is_ok(), workspace);
    let save_refused = vault.as_ref().map(refusal);
    let known = described.is_ok();
    let described = described.unwrap_or_default();
    let webhooks = Webhooks::of(&app.public_url, workspace.id, workspace.channel);

    let mut shown = extra.token;
    let mut cards = Vec::new();
    for provider in Provider::ALL.into_iter().filter(|provider| provider.serves(workspace.channel)) {
        let token = (provider == Provider::Vapi).then(|| {
            token_view(workspace, described.tool_token_hint.clone(), shown.take(), save_refused.clone())
        });
        cards.push(card(Facts {
            workspace,
            provider,
            stored: described.integrations.iter().find(|stored| stored.provider == provider),
            known,
            save_refused: save_refused.clone(),
            webhooks: &webhooks,
            token,
            said: extra.said.filter(|(about, _)| *about == provider).map_or(Said::Nothing, |(_, said)| said),
            refused: extra
                .refused
                .as_ref()
                .filter(|(about, _)| *about == provider)
                .map(|(_, refused)| refused),
        }));
    }
    let has_errors = cards.iter().any(|card| card.has_errors);
    let view = IntegrationsPage {
        layout: workspace_layout(workspace, Place::Integrations, has_errors),
        vault,
        urls_are_local: app.public_url.is_local(),
        cards,
        zones: zones().to_vec(),
    };
    page(status, &view)
}

fn notice(
    key: &Result<convert::KeyStatus, Error>,
    described: bool,
    workspace: &Workspace,
) -> Option<VaultNotice> {
    let plain =
        |reason| VaultNotice { reason, configured_key_id: String::new(), stored_key_id: String::new() };
    match key {
        Ok(key) => match key.lock(&workspace.id.to_string()) {
            Some(lock) => Some(VaultNotice {
                configured_key_id: key.configured_key_id.clone(),
                stored_key_id: key.stored_key_id.clone(),
                ..plain(lock.reason())
            }),
            None => (!described).then(|| plain("UNAVAILABLE")),
        },
        Err(_) => Some(plain("UNAVAILABLE")),
    }
}

fn refusal(notice: &VaultNotice) -> String {
    Lock::parse(notice.reason).map_or_else(
        || "Saving is off: the vault does not answer.".to_owned(),
        |lock| format!("Saving is off: {KEY_VARIABLE} {}.", lock.words()),
    )
}

fn token_view(
    workspace: &Workspace,
    hint: Option<String>,
    shown: Option<convert::ToolToken>,
    refused: Option<String>,
) -> ToolToken {
    let previous = shown.as_ref().and_then(|shown| shown.previous_valid_until);
    ToolToken {
        action: format!("{}/tool-token", action(workspace, Provider::Vapi)),
        back: format!("{}#vapi", place(workspace)),
        issued: hint.is_some() || shown.is_some(),
        hint: hint.unwrap_or_default(),
        value: shown.map(|shown| shown.token.expose_secret().to_owned()),
        previous_valid_until: previous.map(|at| moment(at, workspace)),
        refused,
    }
}

pub(crate) async fn show(
    State(app): State<SharedApp>,
    tenant: Tenant<Person>,
    uri: Uri,
) -> Result<Response, Error> {
    let query = uri.query().unwrap_or_default();
    let said = url::form_urlencoded::parse(query.as_bytes()).find_map(|(name, value)| {
        let said = match name.as_ref() {
            "saved" => Said::Saved,
            "removed" => Said::Removed,
            _ => return None,
        };
        Some((value.parse().ok()?, said))
    });
    let extra = Extra { said, ..Extra::default() };
    integrations_page(&app, &tenant.workspace, StatusCode::OK, extra).await
}

pub(crate) async fn save(
    State(app): State<SharedApp>,
    target: Target<Person>,
    typed: Form,
) -> Result<Response, Error> {
    let Target { caller, workspace, provider } = target;
    let mut fields = Fields::new();
    let mut refused = Refused::default();
    for spec in provider.fields() {
        let Some(value) = typed.get(spec.name) else { continue };
        // A secret is never shown again, so that an empty input means: keep it.
        if spec.secret && value.trim().is_empty() {
            continue;
        }
        fields.insert(spec.name.to_owned(), value.into());
        if !spec.secret {
            refused.typed.insert(spec.name, value.to_owned());
        }
    }
    let error = match app.save(caller.user(), workspace.id, provider, &fields).await {
        Ok(_) => {
            let place = format!("{}?saved={provider}#{provider}", place(&workspace));
            return Ok(Redirect::to(&place).into_response());
        }
        Err(error) => error,
    };
    error.log();
    let status = match error {
        Error::Invalid(problems) => {
            refused.problems = problems;
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Error::CannotDecrypt => {
            let note = "These credentials can't be read any more. Enter all of them again.";
            refused.note = Some(note.to_owned());
            StatusCode::CONFLICT
        }
        // The page says why, in rose.
        Error::Locked(_) => StatusCode::CONFLICT,
        Error::Away { .. } => {
            refused.note = Some("The vault did not answer, so nothing may be saved. Try again.".to_owned());
            StatusCode::SERVICE_UNAVAILABLE
        }
        other => return Err(other),
    };
    let extra = Extra { refused: Some((provider, refused)), ..Extra::default() };
    integrations_page(&app, &workspace, status, extra).await
}

pub(crate) async fn remove(State(app): State<SharedApp>, target: Target<Person>) -> Result<Response, Error> {
    let Target { workspace, provider, .. } = target;
    // Whoever presses twice finds it removed.
    app.vault.delete(workspace.id, provider).await?;
    Ok(Redirect::to(&format!("{}?removed={provider}#{provider}", place(&workspace))).into_response())
}

pub(crate) async fn verify(
    State(app): State<SharedApp>,
    target: Target<Person>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let Target { workspace, provider, .. } = target;
    let found = app.connector.verify(workspace.id, provider).await?;
    if asks_for(&headers, "pill") {
        return page(StatusCode::OK, &PillFragment { result: result(found, &workspace) });
    }
    Ok(Redirect::to(&format!("{}#{provider}", place(&workspace))).into_response())
}

pub(crate) async fn show_tool_token(
    State(app): State<SharedApp>,
    tenant: Tenant<Person>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let workspace = &tenant.workspace;
    if !Provider::Vapi.serves(workspace.channel) {
        return Err(Error::NotFound("integration of this workspace"));
    }
    let fragment = asks_for(&headers, "tool-token");
    match app.tool_token(tenant.caller.user(), workspace.id).await {
        Ok(shown) if fragment => {
            let token = token_view(workspace, None, Some(shown), None);
            page(StatusCode::OK, &ToolTokenFragment { token })
        }
        Ok(shown) => {
            let extra = Extra { token: Some(shown), ..Extra::default() };
            integrations_page(&app, workspace, StatusCode::OK, extra).await
        }
        Err(error @ Error::Locked(_)) if !fragment => {
            error.log();
            integrations_page(&app, workspace, StatusCode::CONFLICT, Extra::default()).await
        }
        Err(error) => Err(error),
    }
}
