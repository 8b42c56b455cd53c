//! Cal.com, below `/calcom`: event type, slots, bookings.

mod book;
mod diary;
mod event_type;
mod hours;
mod list;
mod slots;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

pub use diary::{Diary, describe};

use crate::accounts::{CALCOM, CALCOM_EXPIRED_KEY, CalcomAccount, EventType};
use crate::call::Asked;
use crate::outcome::{Content, Outcome, not_simulated};
use crate::providers::{Operation, Provider};
use crate::sandbox::Sandbox;
use crate::wire::Wire;
use crate::world::World;

/// `cal-api-version` of each group.
const EVENT_TYPES: Option<&str> = Some("2024-06-14");
const SLOTS: Option<&str> = Some("2024-09-04");
const BOOKINGS: Option<&str> = Some("2024-08-13");

/// The paths below Cal.com's base URL.
pub fn router() -> Router<Sandbox> {
    Router::new()
        .route("/v2/me", get(me))
        .route("/v2/event-types/{id}", get(event_type))
        .route("/v2/slots", get(slots))
        .route("/v2/bookings", get(list).post(create))
        .route("/v2/bookings/{uid}", get(read))
}

/// An error in the envelope.
pub fn envelope(status: u16, code: &str, message: &str) -> Outcome {
    invalid(status, code, message, None)
}

fn invalid(status: u16, code: &str, message: &str, errors: Option<Value>) -> Outcome {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut details = json!({ "message": message, "error": reason, "statusCode": status });
    if let (Some(errors), Some(details)) = (errors, details.as_object_mut()) {
        details.insert("errors".to_owned(), errors);
    }
    let error = json!({ "code": code, "message": message, "details": details });
    // Texts are what a caller can tell these apart by.
    let code = message.chars().take(60).collect::<String>();
    Outcome::refused(status, code, json!({ "status": "error", "error": error }))
}

/// An error without the envelope.
pub fn bare(status: u16, message: &str) -> Outcome {
    Outcome::refused(status, message, json!({ "statusCode": status, "message": message }))
}

/// A request that does not keep to the interface.
fn broken(what: impl Into<String>) -> Outcome {
    let what = what.into();
    let errors = json!([{ "constraints": { "invalid": what } }]);
    invalid(400, "BadRequestException", &what, Some(errors)).violating(what)
}

/// A refusal that any caller may meet.
fn denied(message: &str) -> Outcome {
    envelope(400, "BadRequestException", message)
}

type Judge = fn(&mut World, Option<&'static CalcomAccount>, &str, &Asked) -> Outcome;

/// Checks version and key, judges, and stamps an error.
async fn ask(
    sandbox: Sandbox,
    wire: Wire,
    operation: Operation,
    (version, request): (Option<&'static str>, Request),
    (id, judge): (String, Judge),
) -> Response {
    let judge = move |world: &mut World, asked: &Asked| {
        let sent = asked.header("cal-api-version");
        let outcome = if version.is_some() && sent != version {
            let text = format!("Cannot {} {}", asked.method, asked.path);
            envelope(404, "NotFoundException", &text).violating("cal-api-version is missing or wrong")
        } else {
            match key(asked) {
                Err(refused) => refused,
                Ok(None) if operation != Operation::ListSlots => envelope(
                    401,
                    "UnauthorizedException",
                    "ApiAuthStrategy - no authentication method provided.",
                ),
                Ok(account) => judge(world, account, &id, asked),
            }
        };
        stamp(outcome, asked)
    };
    sandbox.call(wire, (Provider::Calcom, operation), request, judge).await
}

/// The account of the key that was sent, if one was.
fn key(asked: &Asked) -> Result<Option<&'static CalcomAccount>, Outcome> {
    let no = |text: &str| Err(envelope(401, "UnauthorizedException", text));
    if asked.header(AUTHORIZATION.as_str()).is_none() {
        return Ok(None);
    }
    let Some(sent) = asked.bearer() else {
        return no("ApiAuthStrategy - no authentication method provided.");
    };
    if !sent.starts_with("cal_") {
        // As the provider does: it repeats what may be a secret.
        let text = format!("PermissionsGuard - no oAuth client found for access token={sent}");
        let mut refused = envelope(403, "ForbiddenException", &text);
        refused.verdict = envelope(403, "ForbiddenException", "PermissionsGuard").verdict;
        return Err(refused);
    }
    if asked.has_key(CALCOM_EXPIRED_KEY) {
        return no("ApiAuthStrategy - api key - Your api key is expired");
    }
    match CALCOM.iter().find(|account| asked.has_key(account.key)) {
        Some(account) => Ok(Some(account)),
        None => no("CustomThrottlerGuard - Invalid API Key"),
    }
}

fn stamp(mut outcome: Outcome, asked: &Asked) -> Outcome {
    if let Content::Json(Value::Object(body)) = &mut outcome.body
        && body.get("status").is_some_and(|status| status == "error")
    {
        body.insert("timestamp".to_owned(), json!(diary::instant(asked.now)));
        body.insert("path".to_owned(), json!(asked.path));
    }
    outcome
}

fn success(status: u16, data: Value) -> Outcome {
    Outcome::accepted(status, json!({ "status": "success", "data": data }))
}

/// Any event type, whosoever it is.
fn find_event_type(id: u64) -> Option<(&'static CalcomAccount, &'static EventType)> {
    CALCOM.iter().find_map(|account| {
        account.event_types.iter().find(|found| found.id == id).map(|found| (account, found))
    })
}

async fn me(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge: Judge = |_, account, _, _| match account {
        Some(account) => success(200, event_type::owner(account)),
        None => not_simulated(Provider::Calcom, "GET /v2/me without a key"),
    };
    ask(sandbox, wire, Operation::FetchMe, (None, request), (String::new(), judge)).await
}

async fn event_type(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let judge: Judge = |_, account, id, _| {
        let Ok(number) = id.parse::<u64>() else {
            let text = "There was an error, please try again later.";
            return envelope(500, "INTERNAL_SERVER_ERROR", text).violating("the id is not a number");
        };
        let own = |account: &CalcomAccount| account.event_types.iter().find(|own| own.id == number);
        match account.and_then(|account| own(account).map(|own| (account, own))) {
            Some((account, own)) => success(200, event_type::describe(account, own)),
            None => {
                let text = format!("Event type with id {number} not found");
                envelope(404, "NotFoundException", &text)
            }
        }
    };
    ask(sandbox, wire, Operation::FetchEventType, (EVENT_TYPES, request), (id, judge)).await
}

async fn slots(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge: Judge = |world, _, _, asked| slots::judge(&world.diary, asked);
    ask(sandbox, wire, Operation::ListSlots, (SLOTS, request), (String::new(), judge)).await
}

async fn create(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge: Judge = |world, account, _, asked| book::judge(&mut world.diary, account, asked);
    ask(sandbox, wire, Operation::CreateBooking, (BOOKINGS, request), (String::new(), judge)).await
}

async fn list(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge: Judge = |world, account, _, asked| list::judge(&world.diary, account, asked);
    ask(sandbox, wire, Operation::ListBookings, (BOOKINGS, request), (String::new(), judge)).await
}

async fn read(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(uid): Path<String>,
    request: Request,
) -> Response {
    let judge: Judge = |world, account, uid, _| {
        let owner = account.map(|account| account.owner);
        let own = world.diary.all().find(|own| own.uid == uid && Some(own.owner) == owner);
        match own {
            Some(own) => success(200, describe(own)),
            None => {
                let text = format!("Booking with uid={uid} was not found in the database");
                envelope(404, "NotFoundException", &text)
            }
        }
    };
    ask(sandbox, wire, Operation::FetchBooking, (BOOKINGS, request), (uid, judge)).await
}

/// Any other path or method.
pub async fn unknown(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge = |_: &mut World, asked: &Asked| {
        if !asked.path.starts_with("/v2/") {
            let text = format!("Cannot {} {}", asked.method, asked.path);
            let refused = envelope(404, "NotFoundException", &text).violating("the path is unknown");
            return stamp(refused, asked);
        }
        not_simulated(Provider::Calcom, &format!("{} on this path", asked.method))
    };
    sandbox.call(wire, (Provider::Calcom, Operation::Unknown), request, judge).await
}
