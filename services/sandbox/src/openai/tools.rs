//! Checks the tools of a request, as strict mode does.

use serde_json::{Map, Value};

use super::invalid;
use crate::outcome::Outcome;
use crate::script::Tool;

const MEMBERS: [&str; 5] = ["type", "name", "description", "parameters", "strict"];

/// Checks `tools` and `tool_choice`.
pub fn check(body: &Map<String, Value>) -> Result<Vec<Tool>, Outcome> {
    let none = Vec::new();
    let listed = match body.get("tools") {
        None => &none,
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(invalid(Some("invalid_type"), "tools", "tools must be a list.")),
    };
    let mut tools: Vec<Tool> = Vec::new();
    for (index, listed) in listed.iter().enumerate() {
        let at = |member: &str| format!("tools[{index}].{member}");
        let missing = |member: &str| {
            let text = format!("Missing required parameter: '{}'.", at(member));
            invalid(Some("missing_required_parameter"), &at(member), &text)
        };
        let Some(listed) = listed.as_object() else { return Err(missing("type")) };
        if listed.get("type").and_then(Value::as_str) != Some("function") {
            return Err(invalid(Some("invalid_value"), &at("type"), "Only function tools are simulated."));
        }
        if let Some(name) = listed.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            let text = format!("Unknown parameter: '{}'.", at(name));
            return Err(invalid(Some("unknown_parameter"), &at(name), &text));
        }
        let Some(name) = listed.get("name").and_then(Value::as_str) else { return Err(missing("name")) };
        if !is_name(name) || tools.iter().any(|other| other.name == name) {
            return Err(invalid(Some("invalid_value"), &at("name"), "The name is invalid or repeated."));
        }
        let Some(strict) = listed.get("strict").and_then(Value::as_bool) else {
            return Err(missing("strict"));
        };
        let Some(parameters) = listed.get("parameters").filter(|parameters| parameters.is_object()) else {
            return Err(missing("parameters"));
        };
        if strict && let Some(problem) = problem(parameters) {
            let text = format!("Invalid schema for function '{name}': {problem}.");
            return Err(invalid(Some("invalid_function_parameters"), &at("parameters"), &text));
        }
        tools.push(Tool { name: name.to_owned(), parameters: parameters.clone() });
    }
    check_choice(body.get("tool_choice"), &tools)?;
    Ok(tools)
}

fn check_choice(choice: Option<&Value>, tools: &[Tool]) -> Result<(), Outcome> {
    let is_right = match choice {
        None => true,
        Some(Value::String(word)) => matches!(word.as_str(), "none" | "auto" | "required"),
        Some(Value::Object(choice)) => match choice.get("type").and_then(Value::as_str) {
            Some("function") => {
                let name = choice.get("name").and_then(Value::as_str);
                tools.iter().any(|tool| Some(tool.name.as_str()) == name)
            }
            Some("allowed_tools") => choice.get("tools").is_some_and(Value::is_array),
            _ => false,
        },
        Some(_) => false,
    };
    if is_right { Ok(()) } else { Err(invalid(Some("invalid_value"), "tool_choice", "Invalid value.")) }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Strict mode: an object at the root; at every level no additional properties,
/// and every property required.
fn problem(schema: &Value) -> Option<String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Some("the root must be of type object".to_owned());
    }
    level(schema)
}

fn level(schema: &Value) -> Option<String> {
    let is_object = match schema.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    };
    if is_object {
        if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Some("'additionalProperties' is required to be supplied and to be false".to_owned());
        }
        let names = schema.get("properties").and_then(Value::as_object).map(|all| all.keys());
        let required = schema.get("required").and_then(Value::as_array);
        for name in names.into_iter().flatten() {
            if !required.is_some_and(|all| all.iter().any(|own| own == name)) {
                return Some(format!("'required' lacks '{name}'"));
            }
        }
    }
    match schema {
        Value::Object(members) => members.values().find_map(level),
        Value::Array(members) => members.iter().find_map(level),
        _ => None,
    }
}
