//! `/webhooks/twilio/{workspace_id}/…`: a lead's messages, and what became of
//! ours (<https://www.twilio.com/docs/messaging/guides/webhook-request>).

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coachbot_common::clock::to_wire;
use coachbot_common::id::{self, WorkspaceId};
use coachbot_common::secret::sha256;
use coachbot_integrations::{Channel, Provider};
use coachbot_proto::agent::v1 as wire;
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode, header};
use tracing::warn;
use uuid::Uuid;

use crate::api::body::{is_type, whole};
use crate::app::{App, SharedApp};
use crate::auth::path_param;
use crate::config::PublicUrl;
use crate::error::Error;
use crate::quarantine::BOUNDS;
use crate::store::{Arrival, Hash, InboxKind, Quarantined, Waiting};
use crate::trace::current_traceparent;

const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");

/// Names another key and hash. No such key is stored here, and a request must not
/// choose how it is checked.
const SETTINGS: HeaderName = HeaderName::from_static("x-twilio-webhooks-signature-settings");

/// HMAC-SHA1 has 20 bytes.
const SIGNATURE_LENGTH: usize = 20;

/// Longest path with its query, in bytes. Ours have none.
const MAX_TARGET: usize = 1_024;

/// Most attachments that are named; WhatsApp has one a message.
const MAX_MEDIA: usize = 10;

/// The parameters of a request, decoded: names in the order of their bytes, the
/// distinct values of each likewise. No `Debug`: they are a lead's.
pub(crate) struct Params(BTreeMap<String, BTreeSet<String>>);

impl Params {
    /// Reads a form-encoded body.
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut params: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            params.entry(name.into_owned()).or_default().insert(value.into_owned());
        }
        Self(params)
    }

    /// The one value of a parameter.
    fn one(&self, name: &str) -> Option<&str> {
        let values = self.0.get(name)?;
        values.first().filter(|_| values.len() == 1).map(String::as_str)
    }

    /// The one value of a parameter, unless it is empty.
    fn filled(&self, name: &str) -> Option<&str> {
        self.one(name).filter(|value| !value.is_empty())
    }

    /// What Twilio signs for this address: each name with each value behind it
    /// (<https://www.twilio.com/docs/usage/webhooks/webhooks-security>).
    fn signed_with(&self, url: &str) -> Vec<u8> {
        let mut text = url.to_owned();
        for (name, values) in &self.0 {
            for value in values {
                text.push_str(name);
                text.push_str(value);
            }
        }
        text.into_bytes()
    }
}

/// What may have been signed: Twilio writes a port that need not be there, or not.
fn candidates(public_url: &PublicUrl, target: &str, params: &Params) -> Vec<Vec<u8>> {
    let url = |origin: String| params.signed_with(&format!("{origin}{target}"));
    public_url.signed_origins().map(url).into()
}

/// Whether the workspace's own account signed these parameters for this address.
///
/// The workspace comes from the path and its token judges; then the account that
/// the request names must be the one that the token belongs to.
pub(crate) async fn is_genuine(
    app: &App,
    workspace: WorkspaceId,
    target: &str,
    params: &Params,
    signature: &[u8],
) -> Result<bool, Error> {
    let candidates = candidates(&app.public_url, target, params);
    let clear = app.vault.verify_mac(workspace, (Provider::Twilio, "auth_token"), candidates, signature);
    let Some(clear) = clear.await? else { return Ok(false) };
    let stored = clear.get("account_sid").map(String::as_str);
    Ok(stored.is_some() && params.one("AccountSid") == stored)
}

/// A lead's message came in.
pub(crate) async fn messages(State(app): State<SharedApp>, request: Request) -> Result<Response, Error> {
    receive(&app, request, InboxKind::TwilioMessage).await?;
    // Replies go over the REST API: this one says nothing.
    Ok(([(header::CONTENT_TYPE, "text/xml")], "<Response></Response>").into_response())
}

/// The state of one of our messages changed.
pub(crate) async fn statuses(State(app): State<SharedApp>, request: Request) -> Result<StatusCode, Error> {
    receive(&app, request, InboxKind::TwilioStatus).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Judges a request and stores it: when this is `Ok`, it is on disk.
///
/// Whatever is wrong with one, the answer is the same.
async fn receive(app: &SharedApp, request: Request, kind: InboxKind) -> Result<(), Error> {
    let (mut parts, body) = request.into_parts();
    let signature = signature(&parts.headers)?;
    let (workspace, intent) = addressee(app, &mut parts, kind).await?;
    if !is_type(&parts.headers, "application/x-www-form-urlencoded") {
        return Err(Error::NotGenuine);
    }
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let body = whole(Request::from_parts(parts, body), app).await?;
    let params = Params::parse(&body);
    let (key, lane) = key_and_lane(kind, &params, intent).ok_or(Error::NotGenuine)?;
    let arrival = Arrival {
        workspace,
        kind,
        key,
        intent,
        lane,
        payload: body.to_vec(),
        received_at: app.now(),
        traceparent: current_traceparent(),
    };
    match is_genuine(app, workspace, &target, &params, &signature).await {
        Ok(true) => {
            app.store.insert_arrival(&arrival, None).await?;
            app.quarantine.vault_is_back();
            app.inbox.wake();
            Ok(())
        }
        Ok(false) => Err(Error::NotGenuine),
        // Nobody can judge it now: it is kept, and has no effect before somebody did.
        Err(unjudged) => keep_unverified(app, &arrival, &target, &signature, &unjudged).await,
    }
}

async fn keep_unverified(
    app: &App,
    arrival: &Arrival,
    target: &str,
    signature: &[u8],
    unjudged: &Error,
) -> Result<(), Error> {
    let whole = [signature, target.as_bytes(), &[0], arrival.payload.as_slice()].concat();
    let kept = app.store.quarantine(arrival, target, signature, &sha256(&whole), BOUNDS).await?;
    warn!(error = unjudged.chain(), workspace = %arrival.workspace, outcome = ?kept, "a webhook cannot be verified now");
    if kept == Quarantined::Full {
        return Err(Error::QuarantineFull);
    }
    app.quarantine.kept();
    Ok(())
}

/// The MAC that came with a request.
fn signature(headers: &HeaderMap) -> Result<Vec<u8>, Error> {
    if headers.contains_key(SETTINGS) {
        warn!("a webhook is signed with a shared key of Twilio, which Coachbot does not hold: it is refused");
        return Err(Error::NotGenuine);
    }
    let mut values = headers.get_all(SIGNATURE).iter();
    let (Some(only), None) = (values.next(), values.next()) else { return Err(Error::NotGenuine) };
    let mac = STANDARD.decode(only.as_bytes()).map_err(|_| Error::NotGenuine)?;
    if mac.len() == SIGNATURE_LENGTH { Ok(mac) } else { Err(Error::NotGenuine) }
}

/// Whom the path names: a WhatsApp workspace that lives, and of a status the
/// intent.
async fn addressee(
    app: &App,
    parts: &mut Parts,
    kind: InboxKind,
) -> Result<(WorkspaceId, Option<Uuid>), Error> {
    if parts.uri.path_and_query().is_none_or(|target| target.as_str().len() > MAX_TARGET) {
        return Err(Error::NotGenuine);
    }
    let workspace = path_param(parts, "workspace_id").await;
    let workspace = workspace.and_then(|text| WorkspaceId::parse(&text).ok()).ok_or(Error::NotGenuine)?;
    let intent = match kind {
        InboxKind::TwilioStatus => {
            let intent = path_param(parts, "intent_id").await.and_then(|text| id::parse(&text).ok());
            Some(intent.ok_or(Error::NotGenuine)?)
        }
        InboxKind::TwilioMessage | InboxKind::FormSubmission => None,
    };
    match app.store.channel_of(workspace).await? {
        Some(Channel::Whatsapp) => Ok((workspace, intent)),
        Some(Channel::Voice) | None => Err(Error::NotGenuine),
    }
}

/// By what a request is known again, and whom it is about. `None` when it lacks
/// what every request of its kind has.
fn key_and_lane(kind: InboxKind, params: &Params, intent: Option<Uuid>) -> Option<(String, Hash)> {
    let word = |name: &str, longest: usize| {
        params.filled(name).filter(|value| {
            value.len() <= longest && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    };
    let sid = word("MessageSid", 64)?;
    params.filled("AccountSid")?;
    match intent {
        Some(intent) if kind == InboxKind::TwilioStatus => {
            let status = word("MessageStatus", 32)?;
            Some((format!("{sid}/{status}"), sha256(format!("intent {intent}").as_bytes())))
        }
        _ => {
            params.filled("To")?;
            Some((sid.to_owned(), lane_of(params.filled("From")?)))
        }
    }
}

/// The lane of a person, by the address that messages come from.
pub(crate) fn lane_of(address: &str) -> Hash {
    sha256(format!("from {address}").as_bytes())
}

/// A stored message as the agent takes it.
pub(crate) fn message(row: &Waiting) -> Result<wire::IngestMessageRequest, Error> {
    let params = Params::parse(&row.payload);
    let text = params.one("Body").unwrap_or_default().to_owned();
    Ok(wire::IngestMessageRequest {
        workspace_id: row.workspace.to_string(),
        provider_message_id: row.key.clone(),
        from: params.filled("From").ok_or(Error::Unreadable)?.to_owned(),
        external_user_id: params.filled("ExternalUserId").map(str::to_owned),
        profile_name: params.filled("ProfileName").map(str::to_owned),
        media_types: media_types(&params, text.is_empty()),
        text,
        received_at: Some(to_wire(row.received_at)),
    })
}

/// What was attached. A message with neither text nor attachment, such as a
/// place, is named by its type, so that it can be answered honestly.
fn media_types(params: &Params, without_text: bool) -> Vec<String> {
    let count: usize = params.one("NumMedia").and_then(|count| count.parse().ok()).unwrap_or_default();
    let mut types: Vec<String> = (0..count.min(MAX_MEDIA))
        .map(|at| params.filled(&format!("MediaContentType{at}")).unwrap_or("unknown").to_owned())
        .collect();
    if types.is_empty() && without_text {
        types.push(params.filled("MessageType").unwrap_or("unknown").to_owned());
    }
    types
}

/// A stored status as the agent takes it.
pub(crate) fn status(row: &Waiting) -> Result<wire::IngestDeliveryStatusRequest, Error> {
    let params = Params::parse(&row.payload);
    Ok(wire::IngestDeliveryStatusRequest {
        workspace_id: row.workspace.to_string(),
        intent_id: row.intent.ok_or(Error::Unreadable)?.hyphenated().to_string(),
        provider_message_id: params.filled("MessageSid").ok_or(Error::Unreadable)?.to_owned(),
        status: params.filled("MessageStatus").ok_or(Error::Unreadable)?.to_owned(),
        error_code: params.filled("ErrorCode").and_then(|code| code.parse().ok()),
    })
}

#[cfg(test)]
mod tests;
