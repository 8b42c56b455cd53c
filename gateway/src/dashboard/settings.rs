//! `/w/{id}/settings` and `/w/{id}/delete`.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{StatusCode, Uri};

use super::forms::Form;
use super::views::{FieldError, WorkspaceSettingsPage};
use super::{Place, channel_words, page, workspace_layout};
use crate::app::{App, SharedApp};
use crate::auth::{Caller as _, Person, Tenant};
use crate::error::Error;
use crate::facts::{Name, Zone, zones};
use crate::store::{Workspace, WorkspaceChange};

/// What a refused form comes back with.
#[derive(Default)]
struct Refused {
    name: Option<String>,
    timezone: Option<String>,
    delete: Option<String>,
}

async fn settings_page(
    app: &App,
    workspace: &Workspace,
    (name, timezone): (&str, &str),
    saved: bool,
    refused: Refused,
) -> Result<Response, Error> {
    let errors: Vec<_> =
        [("name", &refused.name), ("timezone", &refused.timezone), ("confirm-name", &refused.delete)]
            .into_iter()
            .filter_map(|(target, message)| {
                Some(FieldError { target: target.to_owned(), message: message.clone()? })
            })
            .collect();
    let has_errors = !errors.is_empty();
    let (_, form_url) = app.form_url(workspace.id).await?;
    let view = WorkspaceSettingsPage {
        layout: workspace_layout(workspace, Place::General, has_errors),
        action: format!("/w/{}/settings", workspace.id),
        delete_action: format!("/w/{}/delete", workspace.id),
        workspace_name: workspace.name.clone(),
        channel: channel_words(workspace.channel).0.to_owned(),
        id: workspace.id.to_string(),
        form_url,
        name: name.to_owned(),
        timezone: timezone.to_owned(),
        name_error: refused.name,
        timezone_error: refused.timezone,
        delete_error: refused.delete,
        errors,
        has_errors,
        saved,
        zones: zones().to_vec(),
    };
    page(if has_errors { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &view)
}

pub(crate) async fn show(
    State(app): State<SharedApp>,
    tenant: Tenant<Person>,
    uri: Uri,
) -> Result<Response, Error> {
    let workspace = &tenant.workspace;
    let saved = uri.query() == Some("saved");
    settings_page(&app, workspace, (&workspace.name, &workspace.timezone), saved, Refused::default()).await
}

pub(crate) async fn save(
    State(app): State<SharedApp>,
    tenant: Tenant<Person>,
    typed: Form,
) -> Result<Response, Error> {
    let id = tenant.workspace.id;
    match (Name::parse(typed.text("name")), Zone::parse(typed.text("timezone"))) {
        (Ok(name), Ok(zone)) => {
            let change = WorkspaceChange { name: Some(name.as_str()), timezone: Some(zone.as_str()) };
            app.update_workspace(tenant.caller.user(), id, change).await?;
            Ok(Redirect::to(&format!("/w/{id}/settings?saved")).into_response())
        }
        (name, zone) => {
            let refused = Refused {
                name: name.err().map(|words| format!("Name {words}")),
                timezone: zone.err().map(|words| format!("Timezone {words}")),
                delete: None,
            };
            let typed = (typed.text("name"), typed.text("timezone"));
            settings_page(&app, &tenant.workspace, typed, false, refused).await
        }
    }
}

pub(crate) async fn delete(
    State(app): State<SharedApp>,
    tenant: Tenant<Person>,
    typed: Form,
) -> Result<Response, Error> {
    let workspace = &tenant.workspace;
    if typed.text("confirm_name").trim() != workspace.name {
        let refused = Refused {
            delete: Some("Type the name of the workspace exactly as it stands there".to_owned()),
            ..Refused::default()
        };
        let stored = (workspace.name.as_str(), workspace.timezone.as_str());
        return settings_page(&app, workspace, stored, false, refused).await;
    }
    app.delete_workspace(tenant.caller.user(), workspace.id).await?;
    Ok(Redirect::to("/").into_response())
}
