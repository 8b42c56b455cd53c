//! Twilio, below `/twilio`: the account read, messages, and what is reported.

mod chat;
mod list;
mod report;
mod send;
mod sign;
mod webhook;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coachbot_common::secret::constant_time_eq;
use http::header::AUTHORIZATION;
use serde_json::json;

pub use chat::{Chat, Message, NewMessage, new_sid};
pub use webhook::{Webhook, parameters, verdict};

use crate::accounts::{TWILIO, TWILIO_TEST_PAIR, TwilioAccount};
use crate::call::Asked;
use crate::outcome::{Outcome, not_simulated};
use crate::providers::{Operation, Provider};
use crate::sandbox::Sandbox;
use crate::wire::Wire;
use crate::world::World;

const API_VERSION: &str = "2010-04-01";

/// The paths below Twilio's base URL.
pub fn router() -> Router<Sandbox> {
    Router::new()
        .route("/2010-04-01/Accounts/{account}", get(account))
        .route("/2010-04-01/Accounts/{account}/Messages.json", get(list).post(send))
        .route("/2010-04-01/Accounts/{account}/Messages/{message}", get(read))
}

/// Twilio's refusal.
pub fn refuse(status: u16, code: u32, message: &str) -> Outcome {
    let body = json!({
        "code": code,
        "message": message,
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status,
    });
    Outcome::refused(status, code.to_string(), body)
}

fn not_found(asked: &Asked) -> Outcome {
    refuse(404, 20404, &format!("The requested resource {} was not found", asked.path))
}

async fn account(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(resource): Path<String>,
    request: Request,
) -> Response {
    let judge = move |_: &mut World, asked: &Asked| {
        let Some(sid) = resource.strip_suffix(".json") else {
            return not_found(asked).violating("the path does not end in .json");
        };
        match allowed(asked, sid) {
            Ok(account) => Outcome::accepted(200, describe(account)),
            Err(refused) => refused,
        }
    };
    sandbox.call(wire, (Provider::Twilio, Operation::FetchAccount), request, judge).await
}

async fn send(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(sid): Path<String>,
    request: Request,
) -> Response {
    let judge = move |world: &mut World, asked: &Asked| match allowed(asked, &sid) {
        Ok(account) => send::judge(&mut world.chat, account, asked),
        Err(refused) => refused,
    };
    sandbox.call(wire, (Provider::Twilio, Operation::SendMessage), request, judge).await
}

async fn list(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(sid): Path<String>,
    request: Request,
) -> Response {
    let judge = move |world: &mut World, asked: &Asked| match allowed(asked, &sid) {
        Ok(account) => list::judge(&world.chat, account, asked),
        Err(refused) => refused,
    };
    sandbox.call(wire, (Provider::Twilio, Operation::ListMessages), request, judge).await
}

async fn read(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path((sid, resource)): Path<(String, String)>,
    request: Request,
) -> Response {
    let judge = move |world: &mut World, asked: &Asked| {
        let account = match allowed(asked, &sid) {
            Ok(account) => account,
            Err(refused) => return refused,
        };
        let Some(message) = resource.strip_suffix(".json") else {
            return not_found(asked).violating("the path does not end in .json");
        };
        match world.chat.get(message).filter(|found| found.account_sid == account.sid) {
            Some(found) => Outcome::accepted(200, found.describe()),
            None => not_found(asked),
        }
    };
    sandbox.call(wire, (Provider::Twilio, Operation::FetchMessage), request, judge).await
}

/// Any other path or method.
pub async fn unknown(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge = |_: &mut World, asked: &Asked| {
        not_simulated(Provider::Twilio, &format!("{} {}", asked.method, shape(&asked.path)))
    };
    sandbox.call(wire, (Provider::Twilio, Operation::Unknown), request, judge).await
}

/// A path without the ids in it.
fn shape(path: &str) -> String {
    let is_id = |part: &&str| part.len() >= 32 && part.bytes().any(|byte| byte.is_ascii_digit());
    path.split('/').map(|part| if is_id(&part) { "…" } else { part }).collect::<Vec<_>>().join("/")
}

/// Who asks, if he may ask this account.
fn allowed(asked: &Asked, sid: &str) -> Result<&'static TwilioAccount, Outcome> {
    let Some((user, password)) = basic(asked) else { return Err(refuse(401, 20003, "Authenticate")) };
    let is = |own: &str, sent: &str| constant_time_eq(own.as_bytes(), sent.as_bytes());
    if is(TWILIO_TEST_PAIR.0, &user) && is(TWILIO_TEST_PAIR.1, &password) {
        return Err(refuse(403, 20008, "Resource not accessible with Test Account Credentials"));
    }
    let known = |account: &&TwilioAccount| is(account.sid, &user) && is(account.token, &password);
    let Some(account) = TWILIO.iter().find(known) else {
        return Err(refuse(401, 20003, "Authentication Error - invalid username"));
    };
    if sid != account.sid {
        return Err(not_found(asked));
    }
    Ok(account)
}

fn basic(asked: &Asked) -> Option<(String, String)> {
    let encoded = asked.header(AUTHORIZATION.as_str())?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn describe(account: &TwilioAccount) -> serde_json::Value {
    let uri = format!("/{API_VERSION}/Accounts/{}", account.sid);
    json!({
        "auth_token": account.token,
        "date_created": "Tue, 04 Mar 2025 10:21:33 +0000",
        "date_updated": "Mon, 02 Nov 2026 08:00:12 +0000",
        "friendly_name": account.name,
        "owner_account_sid": account.sid,
        "sid": account.sid,
        "status": "active",
        "subresource_uris": { "messages": format!("{uri}/Messages.json") },
        "type": "Full",
        "uri": format!("{uri}.json"),
    })
}
