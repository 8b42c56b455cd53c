//! Checks a request of the Responses API, member by member.

use serde_json::{Map, Value};

use super::{invalid, items, refuse, tools};
use crate::accounts::{MODELS, Model};
use crate::call::Asked;
use crate::outcome::{Outcome, not_simulated};
use crate::providers::Provider;
use crate::script::Tool;

/// Every member of the specification.
const MEMBERS: [&str; 24] = [
    "background",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
];

const TIERS: [&str; 7] = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// A request that keeps to the interface.
pub struct Question {
    pub model: &'static Model,
    pub instructions: String,
    pub input: Vec<Value>,
    pub tools: Vec<Tool>,
    pub body: Map<String, Value>,
    /// What the provider lets pass and a caller must not do.
    pub mistake: Option<&'static str>,
}

type Checked<T> = Result<T, Outcome>;

/// Checks everything.
pub fn check(asked: &Asked) -> Checked<Question> {
    let Some(body) = asked.object().filter(|_| asked.is_of_type("application/json")) else {
        return Err(invalid(None, "body", "We could not parse the JSON body of your request."));
    };
    if let Some(name) = body.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        let text = format!("Unknown parameter: '{name}'.");
        return Err(invalid(Some("unknown_parameter"), name, &text));
    }
    let model = model(&body)?;
    check_types(&body)?;
    check_for_model(&body, model)?;
    let tools = tools::check(&body)?;
    let input = match body.get("input") {
        Some(Value::String(text)) if !text.is_empty() => {
            vec![serde_json::json!({ "type": "message", "role": "user", "content": text })]
        }
        Some(Value::Array(items)) if !items.is_empty() => items.clone(),
        _ => return Err(invalid(Some("missing_required_parameter"), "input", "input is missing or empty.")),
    };
    items::check(&input)?;
    let instructions = body.get("instructions").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mistake = match body.get("store") {
        Some(Value::Bool(false)) => None,
        // The default is true: the provider would keep the lead's words.
        _ => Some("store is not false: the conversation is kept by the provider"),
    };
    Ok(Question { model, instructions, input, tools, body, mistake })
}

fn model(body: &Map<String, Value>) -> Checked<&'static Model> {
    let Some(name) = body.get("model").and_then(Value::as_str) else {
        let text = "Missing required parameter: 'model'.";
        return Err(invalid(Some("missing_required_parameter"), "model", text));
    };
    MODELS.iter().find(|model| model.id == name).ok_or_else(|| {
        let text = format!("The model `{name}` does not exist or you do not have access to it.");
        refuse(404, "invalid_request_error", Some("model_not_found"), Some("model"), &text)
    })
}

fn check_types(body: &Map<String, Value>) -> Checked<()> {
    for (name, value) in body {
        let is_right = match name.as_str() {
            "parallel_tool_calls" | "store" | "stream" | "background" => {
                value.is_boolean() || value.is_null()
            }
            "instructions" | "prompt_cache_key" | "previous_response_id" => {
                value.is_string() || value.is_null()
            }
            "safety_identifier" => {
                value.is_null() || value.as_str().is_some_and(|text| text.chars().count() <= 64)
            }
            "max_output_tokens" => value.is_null() || value.as_u64().is_some_and(|tokens| tokens >= 16),
            "temperature" => value.is_null() || in_range(value, 2.0),
            "top_p" => value.is_null() || in_range(value, 1.0),
            "top_logprobs" => value.as_u64().is_some_and(|count| count <= 20),
            "service_tier" => value.is_null() || one_of(value, &TIERS),
            "truncation" => value.is_null() || one_of(value, &["auto", "disabled"]),
            "prompt_cache_retention" => value.is_null() || one_of(value, &["in_memory", "24h"]),
            "metadata" => {
                let texts = |members: &Map<String, Value>| members.values().all(Value::is_string);
                value.is_null() || value.as_object().is_some_and(texts)
            }
            "text" | "stream_options" => value.is_object(),
            "reasoning" => value.is_null() || value.is_object(),
            "include" => value.is_null() || value.is_array(),
            _ => true,
        };
        if !is_right {
            let code = if name == "max_output_tokens" { "integer_below_min_value" } else { "invalid_value" };
            return Err(invalid(Some(code), name, &format!("Invalid value for '{name}'.")));
        }
    }
    for name in ["stream", "background"] {
        if body.get(name) == Some(&Value::Bool(true)) {
            return Err(not_simulated(Provider::Openai, name));
        }
    }
    if body.get("previous_response_id").is_some_and(Value::is_string) {
        let text = "Previous response not found.";
        return Err(invalid(Some("previous_response_not_found"), "previous_response_id", text));
    }
    Ok(())
}

/// What one kind of model takes and the other refuses.
fn check_for_model(body: &Map<String, Value>, model: &Model) -> Checked<()> {
    let unsupported = |param: &str, text: &str| Err(invalid(Some("unsupported_parameter"), param, text));
    let is_given = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    if model.reasons {
        for name in ["temperature", "top_p"] {
            if is_given(name) {
                let text = format!("Unsupported parameter: '{name}' is not supported with this model.");
                return unsupported(name, &text);
            }
        }
        let effort = body.get("reasoning").and_then(|reasoning| reasoning.get("effort"));
        if effort.is_some_and(|effort| !effort.is_null() && !one_of(effort, &EFFORTS)) {
            let text = "Unsupported value: 'reasoning.effort'.";
            return Err(invalid(Some("unsupported_value"), "reasoning.effort", text));
        }
        return Ok(());
    }
    if is_given("reasoning") {
        let text = "Unsupported parameter: 'reasoning.effort' is not supported with this model.";
        return unsupported("reasoning.effort", text);
    }
    let included = body.get("include").and_then(Value::as_array);
    if included.is_some_and(|names| names.iter().any(|name| name.as_str() == Some(ENCRYPTED))) {
        return Err(invalid(None, "include", "Encrypted content is not supported with this model."));
    }
    Ok(())
}

fn in_range(value: &Value, most: f64) -> bool {
    value.as_f64().is_some_and(|number| (0.0..=most).contains(&number))
}

fn one_of(value: &Value, known: &[&str]) -> bool {
    value.as_str().is_some_and(|text| known.contains(&text))
}
