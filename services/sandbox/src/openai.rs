//! `OpenAI`, below `/openai/v1`: the models, and answers of the script by the
//! Responses API.

mod answer;
mod items;
mod request;
mod tools;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::accounts::{MODELS, OPENAI_KEY, OPENAI_NO_QUOTA_KEY, OPENAI_RESTRICTED_KEY};
use crate::call::Asked;
use crate::outcome::{Outcome, not_simulated};
use crate::providers::{Operation, Provider};
use crate::sandbox::Sandbox;
use crate::script;
use crate::wire::Wire;
use crate::world::World;

/// The paths below the base URL.
pub fn router() -> Router<Sandbox> {
    Router::new().route("/models", get(models)).route("/responses", post(respond))
}

/// `OpenAI`'s refusal.
pub fn refuse(status: u16, kind: &str, code: Option<&str>, param: Option<&str>, message: &str) -> Outcome {
    let error = json!({ "message": message, "type": kind, "param": param, "code": code });
    Outcome::refused(status, code.or(param).unwrap_or(kind), json!({ "error": error }))
}

/// A request that the interface does not allow.
fn invalid(code: Option<&str>, param: &str, message: &str) -> Outcome {
    let what = format!("{param}: {message}");
    refuse(400, "invalid_request_error", code, Some(param), message).violating(what)
}

fn allowed(asked: &Asked, scope: &str) -> Result<(), Outcome> {
    let Some(sent) = asked.bearer() else {
        let text = "You didn't provide an API key.";
        return Err(refuse(401, "invalid_request_error", None, None, text));
    };
    if asked.has_key(OPENAI_RESTRICTED_KEY) {
        let text = format!("You have insufficient permissions for this operation. Missing scopes: {scope}.");
        return Err(refuse(403, "invalid_request_error", Some("missing_scope"), None, &text));
    }
    if asked.has_key(OPENAI_KEY) || asked.has_key(OPENAI_NO_QUOTA_KEY) {
        return Ok(());
    }
    let letters: Vec<char> = sent.chars().collect();
    let end: String = letters.iter().skip(letters.len().saturating_sub(4)).collect();
    let text = format!(
        "Incorrect API key provided: sk-****{end}. You can find your API key at https://platform.openai.com/account/api-keys."
    );
    Err(refuse(401, "invalid_request_error", Some("invalid_api_key"), None, &text))
}

async fn models(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge = |_: &mut World, asked: &Asked| {
        if let Err(refused) = allowed(asked, "api.model.read") {
            return refused;
        }
        let all = MODELS.map(|model| {
            json!({
                "id": model.id,
                "object": "model",
                "created": model.created,
                "owned_by": "system",
                "shutdown_date": model.shutdown,
            })
        });
        Outcome::accepted(200, json!({ "object": "list", "data": all }))
    };
    sandbox.call(wire, (Provider::Openai, Operation::ListModels), request, judge).await
}

async fn respond(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge = |_: &mut World, asked: &Asked| {
        if let Err(refused) = allowed(asked, "api.responses.write") {
            return refused;
        }
        let question = match request::check(asked) {
            Ok(question) => question,
            Err(refused) => return refused,
        };
        if asked.has_key(OPENAI_NO_QUOTA_KEY) {
            let text = "You exceeded your current quota, please check your plan and billing details.";
            return refuse(429, "insufficient_quota", Some("insufficient_quota"), None, text);
        }
        let forced = asked.fault.as_ref().and_then(|fault| fault.script);
        let reply = script::play(&question.instructions, &question.input, &question.tools, forced);
        let outcome = Outcome::accepted(200, answer::body(&question, reply, asked.now));
        match question.mistake {
            Some(what) => outcome.violating(what),
            None => outcome,
        }
    };
    sandbox.call(wire, (Provider::Openai, Operation::CreateResponse), request, judge).await
}

/// Any other path or method.
pub async fn unknown(
    State(sandbox): State<Sandbox>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let judge = |_: &mut World, asked: &Asked| {
        not_simulated(Provider::Openai, &format!("{} {}", asked.method, asked.path))
    };
    sandbox.call(wire, (Provider::Openai, Operation::Unknown), request, judge).await
}
