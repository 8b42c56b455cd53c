//! Checks the items of a conversation that is handed back.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{invalid, refuse};
use crate::outcome::Outcome;

type Checked = Result<(), Outcome>;

/// Checks each item, and that calls and their outputs belong together.
pub fn check(items: &[Value]) -> Checked {
    // By call: how many outputs it has.
    let mut calls: BTreeMap<&str, u32> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let at = format!("input[{index}]");
        let Some(item) = item.as_object() else {
            return Err(invalid(Some("invalid_type"), &at, "An item must be an object."));
        };
        match kind(item) {
            Some("message") => message(item, &at)?,
            Some("function_call") => {
                let call = call(item, &at)?;
                if calls.insert(call, 0).is_some() {
                    return Err(invalid(None, "input", &format!("Duplicate call_id {call}.")));
                }
            }
            Some("function_call_output") => {
                let call = output(item, &at)?;
                match calls.get_mut(call) {
                    None => {
                        let text =
                            format!("No tool call found for function call output with call_id {call}.");
                        return Err(invalid(None, "input", &text));
                    }
                    Some(outputs) => *outputs += 1,
                }
            }
            Some("reasoning") => reasoning(item, items.get(index + 1), &at)?,
            _ => {
                let text = "This kind of item is not one that the script has made.";
                return Err(invalid(Some("invalid_value"), &format!("{at}.type"), text));
            }
        }
    }
    for (call, outputs) in calls {
        match outputs {
            0 => {
                let text = format!("No tool output found for function call {call}.");
                return Err(invalid(None, "input", &text));
            }
            1 => {}
            _ => {
                let text = format!("Duplicate output for function call {call}.");
                return Err(invalid(None, "input", &text));
            }
        }
    }
    Ok(())
}

/// A message may leave its type out.
fn kind(item: &Map<String, Value>) -> Option<&str> {
    match item.get("type") {
        Some(kind) => kind.as_str(),
        None => item.contains_key("role").then_some("message"),
    }
}

fn only(item: &Map<String, Value>, known: &[&str], at: &str) -> Checked {
    match item.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let place = format!("{at}.{name}");
            let text = format!("Unknown parameter: '{place}'.");
            Err(invalid(Some("unknown_parameter"), &place, &text))
        }
    }
}

fn check_id(item: &Map<String, Value>, prefix: &str, at: &str) -> Checked {
    let is_right = match item.get("id") {
        None | Some(Value::Null) => true,
        Some(id) => id.as_str().is_some_and(|id| id.starts_with(prefix)),
    };
    if is_right {
        return Ok(());
    }
    let text = format!("Invalid '{at}.id'. Expected an ID that begins with '{prefix}'.");
    Err(invalid(Some("invalid_value"), &format!("{at}.id"), &text))
}

fn check_status(item: &Map<String, Value>, at: &str) -> Checked {
    let known = ["in_progress", "completed", "incomplete"];
    match item.get("status") {
        None => Ok(()),
        Some(status) if status.as_str().is_some_and(|status| known.contains(&status)) => Ok(()),
        Some(_) => Err(invalid(Some("invalid_value"), &format!("{at}.status"), "Invalid value.")),
    }
}

fn message(item: &Map<String, Value>, at: &str) -> Checked {
    only(item, &["type", "role", "content", "id", "status", "phase"], at)?;
    check_id(item, "msg", at)?;
    check_status(item, at)?;
    let role = item.get("role").and_then(Value::as_str).unwrap_or_default();
    let parts: &[&str] = match role {
        "assistant" => &["output_text", "refusal"],
        "user" | "system" | "developer" => &["input_text", "input_image"],
        _ => return Err(invalid(Some("invalid_value"), &format!("{at}.role"), "Invalid value.")),
    };
    match item.get("phase").map(|phase| phase.as_str()) {
        None => {}
        Some(Some("commentary" | "final_answer")) if role == "assistant" => {}
        Some(_) => return Err(invalid(Some("invalid_value"), &format!("{at}.phase"), "Invalid value.")),
    }
    let place = format!("{at}.content");
    match item.get("content") {
        Some(Value::String(_)) => Ok(()),
        Some(Value::Array(content)) if !content.is_empty() => {
            let wrong = |part: &&Value| {
                !part.get("type").and_then(Value::as_str).is_some_and(|kind| parts.contains(&kind))
            };
            match content.iter().find(wrong) {
                None => Ok(()),
                Some(part) => {
                    let kind = part.get("type").and_then(Value::as_str).unwrap_or("nothing");
                    let text = format!(
                        "Invalid value: '{kind}'. Supported values are: '{}'.",
                        parts.join("' and '")
                    );
                    Err(invalid(Some("invalid_value"), &place, &text))
                }
            }
        }
        _ => Err(invalid(Some("missing_required_parameter"), &place, "content is missing.")),
    }
}

fn call_id<'a>(item: &'a Map<String, Value>, at: &str) -> Result<&'a str, Outcome> {
    let id = item.get("call_id").and_then(Value::as_str).unwrap_or_default();
    if (1..=64).contains(&id.chars().count()) {
        return Ok(id);
    }
    let text = "call_id must have 1 to 64 characters.";
    Err(invalid(Some("string_above_max_length"), &format!("{at}.call_id"), text))
}

fn call<'a>(item: &'a Map<String, Value>, at: &str) -> Result<&'a str, Outcome> {
    only(item, &["type", "id", "call_id", "name", "arguments", "status"], at)?;
    check_id(item, "fc", at)?;
    check_status(item, at)?;
    for member in ["name", "arguments"] {
        if !item.get(member).is_some_and(Value::is_string) {
            let place = format!("{at}.{member}");
            let text = format!("Missing required parameter: '{place}'.");
            return Err(invalid(Some("missing_required_parameter"), &place, &text));
        }
    }
    call_id(item, at)
}

fn output<'a>(item: &'a Map<String, Value>, at: &str) -> Result<&'a str, Outcome> {
    only(item, &["type", "id", "call_id", "output", "status"], at)?;
    check_id(item, "fc", at)?;
    check_status(item, at)?;
    if !item.get("output").is_some_and(Value::is_string) {
        let text = "output must be a text.";
        return Err(invalid(Some("invalid_type"), &format!("{at}.output"), text));
    }
    call_id(item, at)
}

fn reasoning(item: &Map<String, Value>, next: Option<&Value>, at: &str) -> Checked {
    only(item, &["type", "id", "summary", "content", "encrypted_content", "status"], at)?;
    check_id(item, "rs", at)?;
    let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
    if !item.get("encrypted_content").is_some_and(Value::is_string) {
        let text = format!(
            "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input."
        );
        let refused = refuse(404, "invalid_request_error", None, Some("input"), &text);
        return Err(refused.violating("a reasoning item without its encrypted_content"));
    }
    if !item.get("summary").is_some_and(Value::is_array) {
        let place = format!("{at}.summary");
        return Err(invalid(Some("missing_required_parameter"), &place, "summary is missing."));
    }
    let follows = next.and_then(Value::as_object).is_some_and(|next| match kind(next) {
        Some("function_call" | "reasoning") => true,
        Some("message") => next.get("role").and_then(Value::as_str) == Some("assistant"),
        _ => false,
    });
    if follows {
        return Ok(());
    }
    let text = format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
    Err(invalid(None, "input", &text))
}
