//! Vapi, below `/vapi`: the two reads of Verify. Calls are not simulated.

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::accounts::{VAPI_ASSISTANT, VAPI_KEY, VAPI_ORGANISATION, VAPI_PHONE_NUMBER};
use crate::call::Asked;
use crate::outcome::{Outcome, not_simulated};
use crate::providers::{Operation, Provider};
use crate::sandbox::Sandbox;
use crate::wire::Wire;
use crate::world::World;

/// The paths below Vapi's base URL.
pub fn router() -> Router<Sandbox> {
    Router::new()
        .route("/assistant/{id}", get(assistant))
        .route("/phone-number/{id}", get(phone_number))
        .route("/call", post(call))
}

/// Vapi's refusal; its message is a text or a list of texts.
pub fn refuse(status: u16, message: Value) -> Outcome {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let reason = reason.unwrap_or("Error");
    let body = json!({ "message": message, "error": reason, "statusCode": status });
    Outcome::refused(status, reason, body)
}

fn allowed(asked: &Asked) -> Result<(), Outcome> {
    if asked.header(AUTHORIZATION.as_str()).is_none() {
        return Err(refuse(401, json!("Missing Authorization Header.")));
    }
    if !asked.has_key(VAPI_KEY) {
        let text = "Invalid Key. Hot tip, you may be using the private key instead of the public key, or vice versa.";
        return Err(refuse(401, json!(text)));
    }
    Ok(())
}

fn resource(asked: &Asked, id: &str, own: &str, found: Value) -> Outcome {
    if let Err(refused) = allowed(asked) {
        return refused;
    }
    if Uuid::parse_str(id).is_err() {
        return refuse(400, json!(["id must be a UUID"])).violating("the id is not a UUID");
    }
    if id == own { Outcome::accepted(200, found) } else { refuse(404, json!("Not Found")) }
}

async fn assistant(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let found = json!({
        "id": VAPI_ASSISTANT,
        "orgId": VAPI_ORGANISATION,
        "createdAt": "2026-03-02T10:11:12.345Z",
        "updatedAt": "2026-11-01T08:00:00.000Z",
        "name": "Sandbox voice",
    });
    let judge = move |_: &mut World, asked: &Asked| resource(asked, &id, VAPI_ASSISTANT, found);
    sandbox.call(wire, (Provider::Vapi, Operation::FetchAssistant), request, judge).await
}

async fn phone_number(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let found = json!({
        "id": VAPI_PHONE_NUMBER,
        "orgId": VAPI_ORGANISATION,
        "createdAt": "2026-03-02T10:15:00.000Z",
        "updatedAt": "2026-03-02T10:15:00.000Z",
        "provider": "twilio",
        "number": "+441632960123",
        "status": "active",
        "assistantId": VAPI_ASSISTANT,
        "twilioAccountSid": crate::accounts::TWILIO[0].sid,
        "twilioAuthToken": crate::accounts::TWILIO[0].token,
    });
    let judge = move |_: &mut World, asked: &Asked| resource(asked, &id, VAPI_PHONE_NUMBER, found);
    sandbox.call(wire, (Provider::Vapi, Operation::FetchPhoneNumber), request, judge).await
}

async fn call(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge = |_: &mut World, asked: &Asked| match allowed(asked) {
        Ok(()) => not_simulated(Provider::Vapi, "POST /call"),
        Err(refused) => refused,
    };
    sandbox.call(wire, (Provider::Vapi, Operation::CreateCall), request, judge).await
}

/// Any other path or method.
pub async fn unknown(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge = |_: &mut World, asked: &Asked| {
        not_simulated(Provider::Vapi, &format!("{} on this path", asked.method))
    };
    sandbox.call(wire, (Provider::Vapi, Operation::Unknown), request, judge).await
}
