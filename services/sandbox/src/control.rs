//! What tests ask of the sandbox itself, below `/_sandbox`.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::accounts;
use crate::faults::Fault;
use crate::held::Release;
use crate::leads;
use crate::ledger::Filter;
use crate::sandbox::Sandbox;

/// The paths below `/_sandbox`.
pub fn router() -> Router<Sandbox> {
    Router::new()
        .route("/health", get(async || "ok"))
        .route("/accounts", get(show_accounts))
        .route("/ledger", get(ledger))
        .route("/violations", get(violations))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/held", get(held))
        .route("/held/{id}/release", post(release))
        .route("/reset", post(reset))
        .route("/messages", get(leads::chat))
        .route("/bookings", get(bookings))
        .route("/leads/messages", post(leads::write))
        .route("/leads/read", post(leads::read))
        .route("/leads/silence", post(leads::fall_silent))
}

async fn ledger(State(sandbox): State<Sandbox>, Query(filter): Query<Filter>) -> Json<Value> {
    let items = if filter.wait.is_some() {
        sandbox.until(|world| world.ledger.list(&filter)).await
    } else {
        sandbox.ledger(&filter)
    };
    let next = items.last().map_or(filter.since, |last| last.seq);
    Json(json!({ "items": items, "next": next }))
}

async fn violations(state: State<Sandbox>, Query(filter): Query<Filter>) -> Json<Value> {
    ledger(state, Query(Filter { verdict: Some("violation".to_owned()), ..filter })).await
}

async fn faults(State(sandbox): State<Sandbox>) -> Json<Value> {
    Json(json!({ "items": sandbox.faults().list() }))
}

async fn add_fault(State(sandbox): State<Sandbox>, Json(fault): Json<Fault>) -> Response {
    if let Some(problem) = fault.problem() {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": problem }))).into_response();
    }
    sandbox.fault(fault);
    StatusCode::CREATED.into_response()
}

async fn clear_faults(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.faults().clear();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    wait: Option<String>,
}

async fn held(State(sandbox): State<Sandbox>, Query(query): Query<Wait>) -> Json<Value> {
    let items = if query.wait.is_some() { sandbox.next_held().await } else { sandbox.held() };
    Json(json!({ "items": items }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Released {
    #[serde(rename = "as")]
    how: Release,
}

async fn release(
    State(sandbox): State<Sandbox>,
    Path(id): Path<u64>,
    Json(released): Json<Released>,
) -> StatusCode {
    if sandbox.release(id, released.how) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn reset(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.reset();
    StatusCode::NO_CONTENT
}

async fn bookings(State(sandbox): State<Sandbox>) -> Json<Value> {
    let items = sandbox.look(|world, _| world.diary.all().map(crate::calcom::describe).collect::<Vec<_>>());
    Json(json!({ "items": items }))
}

/// What a person, or a test, types in where the product asks for keys.
async fn show_accounts() -> Json<Value> {
    let twilio = accounts::TWILIO.map(|account| {
        json!({ "account_sid": account.sid, "auth_token": account.token, "senders": account.senders })
    });
    let calcom = accounts::CALCOM.map(|account| {
        let ids: Vec<_> = account.event_types.iter().map(|event_type| event_type.id).collect();
        json!({ "api_key": account.key, "event_type_ids": ids, "timezone": account.timezone })
    });
    let templates =
        accounts::TEMPLATES.map(|template| json!({ "content_sid": template.sid, "text": template.text }));
    Json(json!({
        "twilio": twilio,
        "templates": templates,
        "calcom": calcom,
        "openai": {
            "api_key": accounts::OPENAI_KEY,
            "models": accounts::MODELS.map(|model| model.id),
        },
        "vapi": {
            "api_key": accounts::VAPI_KEY,
            "assistant_id": accounts::VAPI_ASSISTANT,
            "phone_number_id": accounts::VAPI_PHONE_NUMBER,
        },
    }))
}
