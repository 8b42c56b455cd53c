//! The dashboard: pages and forms that work without scripts, fragments for those
//! that have them.

use askama::Template;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use coachbot_integrations::Channel;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::app::SharedApp;
use crate::auth::{check_same_origin, session_hash};
use crate::error::{Error, Problem};
use crate::forms::accepts_page;
use crate::store::Workspace;

pub(crate) mod assets;
mod cards;
mod forms;
pub(crate) mod integrations;
pub(crate) mod settings;
pub(crate) mod sign_in;
mod views;
pub(crate) mod workspaces;

use views::{ErrorPage, Layout, NavGroup, NavItem, WorkspaceHead};

/// The header by which our script asks for a part of a page.
const FRAGMENT: &str = "x-fragment";

/// What is known of a request before it is answered.
pub(crate) struct RequestHead {
    is_page: bool,
    /// Whoever looks at it is a lead, who knows nothing of the dashboard.
    is_public: bool,
    has_session: bool,
}

impl RequestHead {
    pub(crate) fn of(request: &Request, app: &SharedApp) -> Self {
        const FOR_PROGRAMS: [&str; 5] = ["/api/", "/webhooks/", "/assets/", "/healthz", "/readyz"];
        let path = request.uri().path();
        let is_public = path.starts_with("/f/");
        let for_programs = FOR_PROGRAMS.iter().any(|prefix| path.starts_with(prefix))
            || (is_public && !accepts_page(request.headers()));
        Self {
            is_page: !for_programs && !request.headers().contains_key(FRAGMENT),
            is_public,
            has_session: session_hash(request.headers(), &app.public_url).is_some(),
        }
    }

    /// Whether a person looks at the answer.
    pub(crate) const fn wants_page(&self) -> bool {
        self.is_page
    }
}

/// Tells a person what went wrong; somebody without a session is asked to sign in.
pub(crate) fn problem_page(head: &RequestHead, problem: &Problem, told: &HeaderMap) -> Response {
    if problem.status == StatusCode::UNAUTHORIZED.as_u16() {
        return Redirect::to("/sign-in").into_response();
    }
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut message = problem.detail.clone();
    if let Some(id) = &problem.trace_id {
        message = format!("{message} Trace id: {id}");
    }
    if head.is_public {
        return match crate::forms::page::problem(problem.title, message) {
            Ok(text) => (status, Html(text)).into_response(),
            Err(_) => (status, problem.title).into_response(),
        };
    }
    let view = ErrorPage {
        layout: layout(problem.title.to_owned(), head.has_session, None),
        status: problem.status,
        heading: problem.title.to_owned(),
        message,
        back_href: "/".to_owned(),
        back_label: "Back to the workspaces".to_owned(),
    };
    let mut response = match view.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(_) => (status, problem.title).into_response(),
    };
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = told.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Refuses a write that another site asked for.
pub(crate) async fn same_origin(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    match check_same_origin(request.method(), request.headers(), &app.public_url) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Whether our script asks for this part of a page.
fn asks_for(headers: &HeaderMap, fragment: &str) -> bool {
    headers.get(FRAGMENT).is_some_and(|value| value == fragment)
}

fn page(status: StatusCode, view: &impl Template) -> Result<Response, Error> {
    Ok((status, Html(view.render()?)).into_response())
}

fn layout(title: String, signed_in: bool, workspace: Option<WorkspaceHead>) -> Layout {
    Layout { title, assets: assets::version().to_owned(), signed_in, workspace }
}

/// A page of a workspace's settings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Integrations,
    General,
}

fn workspace_layout(workspace: &Workspace, place: Place, has_errors: bool) -> Layout {
    let item = |label, path: &str, icon, of| NavItem {
        label,
        href: format!("/w/{}/settings{path}", workspace.id),
        icon,
        current: of == place,
    };
    let (channel, channel_icon) = channel_words(workspace.channel);
    let head = WorkspaceHead {
        name: workspace.name.clone(),
        channel: channel.to_owned(),
        channel_icon,
        nav: vec![NavGroup {
            title: "Settings",
            items: vec![
                item("Integrations", "/integrations", "plug", Place::Integrations),
                item("General", "", "sliders", Place::General),
            ],
        }],
    };
    let label = match place {
        Place::Integrations => "Integrations",
        Place::General => "General",
    };
    layout(title(&format!("{label} · {}", workspace.name), has_errors), true, Some(head))
}

/// A screen reader says the title first.
fn title(text: &str, has_errors: bool) -> String {
    if has_errors { format!("Error: {text}") } else { text.to_owned() }
}

/// A channel's name and icon.
const fn channel_words(channel: Channel) -> (&'static str, &'static str) {
    match channel {
        Channel::Whatsapp => ("WhatsApp", "chat"),
        Channel::Voice => ("Voice", "phone"),
    }
}

/// `25 Nov 2026, 12:00 GMT` in the workspace's zone.
fn moment(at: Timestamp, workspace: &Workspace) -> String {
    at.to_zoned_datetime(zone(workspace)).strftime("%-d %b %Y, %H:%M %Z").to_string()
}

/// `25 Nov 2026` in the workspace's zone.
fn day(at: Timestamp, workspace: &Workspace) -> String {
    at.to_zoned_datetime(zone(workspace)).strftime("%-d %b %Y").to_string()
}

fn zone(workspace: &Workspace) -> TimeZone {
    TimeZone::get(&workspace.timezone).unwrap_or(TimeZone::UTC)
}

/// `name …` as a sentence for the person who sees the field's label.
fn sentence(field: &str, label: &str, message: &str) -> String {
    match message.strip_prefix(field) {
        Some(rest) => format!("{label}{rest}"),
        None => message.to_owned(),
    }
}
