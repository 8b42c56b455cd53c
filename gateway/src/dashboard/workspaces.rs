//! `/` and `/workspaces`: the list, and making one.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use coachbot_integrations::Channel;
use http::StatusCode;

use super::forms::Form;
use super::views::{FieldError, WorkspaceForm, WorkspaceRow, WorkspacesPage};
use super::{channel_words, day, layout, page, sentence, title};
use crate::api::workspaces::channel;
use crate::app::SharedApp;
use crate::auth::{Caller as _, Person, Tenant};
use crate::error::Error;
use crate::facts::{Name, Zone, zones};
use crate::store::Workspace;

/// More than one person keeps apart on one page.
const LISTED: i64 = 500;

const DEFAULT_ZONE: &str = "Europe/London";

fn row(workspace: Workspace) -> WorkspaceRow {
    let (channel, channel_icon) = channel_words(workspace.channel);
    WorkspaceRow {
        href: format!("/w/{}/settings/integrations", workspace.id),
        channel: channel.to_owned(),
        channel_icon,
        created: day(workspace.created_at, &workspace),
        created_iso: workspace.created_at.to_string(),
        name: workspace.name,
        timezone: workspace.timezone,
    }
}

async fn list_page(
    app: &SharedApp,
    person: Person,
    status: StatusCode,
    form: WorkspaceForm,
) -> Result<Response, Error> {
    let workspaces: Vec<_> =
        app.store.workspaces(person.user(), None, LISTED).await?.into_iter().map(row).collect();
    let view = WorkspacesPage {
        layout: layout(title("Workspaces", form.has_errors), true, None),
        is_empty: workspaces.is_empty(),
        workspaces,
        form,
        zones: zones().to_vec(),
    };
    page(status, &view)
}

pub(crate) async fn list(State(app): State<SharedApp>, person: Person) -> Result<Response, Error> {
    let form =
        WorkspaceForm { timezone: DEFAULT_ZONE.to_owned(), whatsapp: true, ..WorkspaceForm::default() };
    list_page(&app, person, StatusCode::OK, form).await
}

pub(crate) async fn create(
    State(app): State<SharedApp>,
    person: Person,
    typed: Form,
) -> Result<Response, Error> {
    let name = Name::parse(typed.text("name"));
    let channel = channel(typed.text("channel"));
    let zone = Zone::parse(typed.text("timezone"));
    let mut form = WorkspaceForm {
        name: typed.text("name").to_owned(),
        timezone: typed.text("timezone").to_owned(),
        whatsapp: channel == Ok(Channel::Whatsapp),
        voice: channel == Ok(Channel::Voice),
        ..WorkspaceForm::default()
    };
    match (name, channel, zone) {
        (Ok(name), Ok(channel), Ok(zone)) => {
            let workspace = app.create_workspace(person.user(), name, channel, zone).await?;
            let place = format!("/w/{}/settings/integrations", workspace.id);
            Ok(Redirect::to(&place).into_response())
        }
        (name, channel, zone) => {
            let mut note = |target: &str, label: &str, refused: Option<String>| {
                let message = sentence("", label, &format!(" {}", refused?));
                form.errors.push(FieldError { target: target.to_owned(), message: message.clone() });
                Some(message)
            };
            let name_error = note("name", "Name", name.err());
            let channel_error = note("channel-whatsapp", "Channel", channel.err());
            let timezone_error = note("timezone", "Timezone", zone.err());
            let form = WorkspaceForm { name_error, channel_error, timezone_error, has_errors: true, ..form };
            list_page(&app, person, StatusCode::UNPROCESSABLE_ENTITY, form).await
        }
    }
}

pub(crate) async fn open(tenant: Tenant<Person>) -> Redirect {
    Redirect::to(&format!("/w/{}/settings/integrations", tenant.workspace.id))
}
