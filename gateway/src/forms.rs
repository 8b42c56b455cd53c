//! `/f/{form_id}`: the lead form for everybody who has its address, as a page and
//! for the scripts of other sites.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse as _, Response};
use coachbot_common::id::new_id;
use coachbot_common::secret::sha256;
use coachbot_integrations::Channel;
use coachbot_proto::agent::v1 as wire;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tracing::{info, warn};
use uuid::Uuid;

use crate::api::body::{Value, is_type, whole};
use crate::app::{App, SharedApp};
use crate::auth::path_param;
use crate::clients::NewLead;
use crate::error::Error;
use crate::store::{Arrival, Form, FormId, InboxKind, Lease, Waiting};
use crate::trace::current_traceparent;
use crate::webhooks::twilio::lane_of;

pub(crate) mod page;
pub(crate) mod submission;

use submission::{Input, Read, Submission};

/// How long somebody who submitted waits for the agent.
const HAND_ON: Duration = Duration::from_secs(2);

/// How long a submission is left to the request that stored it.
const LEASE: SignedDuration = SignedDuration::from_secs(10);

const FORM_TYPE: &str = "application/x-www-form-urlencoded";
const JSON_TYPE: &str = "application/json";

/// Said while there is no voice feature.
const VOICE_NOTE: &str = "Calls come with the voice feature. Until it is there, your details are kept.";

/// The form that the path names.
pub(crate) struct TheForm(Form);

impl FromRequestParts<SharedApp> for TheForm {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, Error> {
        let id = path_param(parts, "form_id").await.and_then(|id| FormId::parse(&id).ok());
        let form = match id {
            Some(id) => app.store.form(id).await?,
            None => None,
        };
        form.map(Self).ok_or(Error::NotFound("form"))
    }
}

/// Whether a person looks at the answer.
pub(crate) fn accepts_page(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accept.flat_map(|list| list.split(','));
    types.any(|one| one.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("text/html")))
}

/// Scripts of any site may send the form: it takes no cookie and tells nothing.
pub(crate) async fn open_to_other_sites(mut response: Response) -> Response {
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

/// What a browser asks before it lets another site's script send.
pub(crate) async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, accept"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

pub(crate) async fn show(TheForm(form): TheForm) -> Result<Response, Error> {
    page::form(&form, &page::Typed::default(), &[])
}

impl From<Value> for Input {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.expose_secret().to_owned()),
            Value::Number(digits) => Self::Text(digits),
            Value::Flag(flag) => Self::Flag(flag),
            Value::Null => Self::Nothing,
            Value::Object(_) | Value::Other => Self::Other,
        }
    }
}

/// What somebody who submitted is told, if it is not a page.
#[derive(Serialize)]
struct Accepted {
    lead_id: Option<String>,
    /// While the agent is away and there is no lead yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    submission_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

pub(crate) async fn submit(
    State(app): State<SharedApp>,
    TheForm(form): TheForm,
    request: Request,
) -> Result<Response, Error> {
    let for_a_person = accepts_page(request.headers());
    let inputs = inputs(request, &app).await?;
    let typed = if for_a_person { page::Typed::of(&inputs) } else { page::Typed::default() };
    let now = app.now();
    let id = new_id(now);
    let lead = match submission::read(inputs) {
        Ok(Read::Lead(submission)) => match keep(&app, &form, submission, id, now).await {
            // What the agent alone knows to be wrong.
            Err(Error::Invalid(problems)) if for_a_person => return page::form(&form, &typed, &problems),
            kept => kept?,
        },
        Ok(Read::Trapped) => {
            info!(workspace = %form.workspace, "a form was filled in by a program and is dropped");
            None
        }
        Err(problems) if for_a_person => return page::form(&form, &typed, &problems),
        Err(problems) => return Err(Error::Invalid(problems)),
    };
    let note = (form.channel == Channel::Voice).then_some(VOICE_NOTE);
    if for_a_person {
        return page::thanks(&form, note);
    }
    let accepted = Accepted {
        lead_id: lead.map(|lead| lead.hyphenated().to_string()),
        submission_id: lead.is_none().then(|| id.hyphenated().to_string()),
        note,
    };
    Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
}

async fn inputs(request: Request, app: &SharedApp) -> Result<Vec<(String, Input)>, Error> {
    if is_type(request.headers(), FORM_TYPE) {
        let body = whole(request, app).await?;
        let pairs = url::form_urlencoded::parse(&body);
        return Ok(pairs.map(|(name, value)| (name.into_owned(), Input::Text(value.into_owned()))).collect());
    }
    if !is_type(request.headers(), JSON_TYPE) {
        return Err(Error::MediaType("application/x-www-form-urlencoded or application/json"));
    }
    let body = whole(request, app).await?;
    let value = serde_json::from_slice(&body)
        .map_err(|error| Error::Syntax { line: error.line(), column: error.column() })?;
    let Value::Object(members) = value else { return Err(Error::NotAnObject) };
    Ok(members.0.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// Stores a submission, then hands it on: the lead, or `None` when that happens
/// later. When this is `Ok`, it is on disk.
async fn keep(
    app: &App,
    form: &Form,
    submission: Submission,
    id: Uuid,
    now: Timestamp,
) -> Result<Option<Uuid>, Error> {
    let lease = Lease::from_uuid(new_id(now));
    let key = id.hyphenated().to_string();
    let lane = match &submission.phone {
        Some(phone) => lane_of(&format!("whatsapp:{phone}")),
        None => sha256(id.as_bytes()),
    };
    let arrival = Arrival {
        workspace: form.workspace,
        kind: InboxKind::FormSubmission,
        key: key.clone(),
        intent: None,
        lane,
        payload: serde_json::to_vec(&submission).map_err(|_| Error::Unreadable)?,
        received_at: now,
        traceparent: current_traceparent(),
    };
    let until = now.saturating_add(LEASE).unwrap_or(Timestamp::MAX);
    if !app.store.insert_arrival(&arrival, Some((lease, until))).await? {
        return Err(Error::NotFound("form"));
    }
    let request = NewLead::from(submission).into_request(form.workspace, key, wire::LeadSource::Form, now);
    let handed_on = tokio::time::timeout(
        HAND_ON,
        app.ask_agent(form.workspace, || app.agent.ingest_lead(request.clone(), HAND_ON)),
    );
    let (lead, settled) = match handed_on.await {
        Ok(Ok(lead)) => (Ok(Some(lead)), app.store.settle_inbox(lease, &[], app.now()).await),
        Ok(Err(Error::Invalid(problems))) => {
            let settled = app.store.refuse_inbox(lease, app.now()).await;
            (Err(Error::Invalid(problems)), settled)
        }
        failed => {
            if let Ok(Err(error)) = &failed {
                warn!(error = error.chain(), workspace = %form.workspace, "a form submission waits to be handed on");
            }
            (Ok(None), app.store.release_inbox(lease, app.now()).await)
        }
    };
    // It is stored: whoever hands on what waits does so again, which the agent knows.
    if let Err(error) = settled {
        Error::from(error).log();
    }
    app.inbox.wake();
    lead
}

/// A stored submission as the agent takes it.
pub(crate) fn request_of(row: &Waiting) -> Result<wire::IngestLeadRequest, Error> {
    let submission: Submission = serde_json::from_slice(&row.payload).map_err(|_| Error::Unreadable)?;
    let lead = NewLead::from(submission);
    Ok(lead.into_request(row.workspace, row.key.clone(), wire::LeadSource::Form, row.received_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_a_page_and_a_script_json() {
        let accepts = |value: &'static str| {
            accepts_page(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]))
        };
        assert!(accepts("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(accepts("application/json, Text/HTML;q=0.1"));
        assert!(!accepts("application/json"));
        assert!(!accepts("*/*"));
        assert!(!accepts_page(&HeaderMap::new()));
    }
}
