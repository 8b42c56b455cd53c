//! The tools that the model may ask for, and what they answer.
//!
//! Arguments are foreign input: they are parsed into domain types, and what does
//! not parse is answered by an error that the model can act on.

use coachbot_proto::connector::v1::Tool;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::intent::BookingState;

mod attendee;
mod booking;
mod slots;

pub use attendee::{Attendee, InvalidAttendee};
pub use booking::{Asked, refusal_text, start_of, was_ever_offered, was_offered};
pub use slots::{Window, answer as slots_answer, label, window};

/// Tool runs in one run.
pub const MOST_TOOLS: usize = 8;
/// Model calls in one run.
pub const MOST_ANSWERS: usize = 10;

/// The sentence of a workspace without Cal.com.
pub const NOT_CONNECTED: &str = "Cal.com not connected";

/// The tools as the model is told them, in strict mode.
#[must_use]
pub fn specs() -> Vec<Tool> {
    let optional = |description: &str| json!({ "type": ["string", "null"], "description": description });
    let required = |description: &str| json!({ "type": "string", "description": description });
    vec![
        spec(
            "listSlots",
            "Lists free slots for a consult. Without dates: the next seven days.",
            &[
                ("from", optional("The first day or time, ISO 8601, such as 2026-12-01; null for now.")),
                ("to", optional("The last day or time, ISO 8601; null for a week later.")),
            ],
        ),
        spec(
            "bookConsult",
            "Books one of the slots that listSlots returned in the last half hour, once the lead chose it.",
            &[
                ("start", required("The slot's start, exactly as listSlots returned it.")),
                ("name", required("The lead's name.")),
                ("email", optional("The e-mail address that the lead gave.")),
            ],
        ),
        spec(
            "escalate",
            "Hands the conversation over to a person.",
            &[("reason", required("Why, in one sentence."))],
        ),
    ]
}

fn spec(name: &str, description: &str, properties: &[(&str, Value)]) -> Tool {
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let parameters = json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    });
    Tool {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters_json: parameters.to_string(),
    }
}

/// A result as a line of JSON, its fields in the order that is promised.
fn line(result: &impl Serialize) -> String {
    serde_json::to_string(result).unwrap_or_else(|_| r#"{"ok":false,"error":"internal error"}"#.to_owned())
}

#[derive(Serialize)]
struct Failed<'a> {
    ok: bool,
    error: &'a str,
}

#[derive(Serialize)]
struct Done {
    ok: bool,
}

#[derive(Serialize)]
struct Booked {
    ok: bool,
    start: String,
    status: &'static str,
}

/// A failure, as the model is told it.
#[must_use]
pub fn failed(error: &str) -> String {
    line(&Failed { ok: false, error })
}

/// A success without more to say.
#[must_use]
pub fn done() -> String {
    line(&Done { ok: true })
}

/// A booking, as the model is told it.
#[must_use]
pub fn booked(start: Timestamp, state: BookingState) -> String {
    line(&Booked { ok: true, start: start.to_string(), status: state.word() })
}

/// Whether a stored result says that Cal.com is missing.
#[must_use]
pub fn says_not_connected(result: &str) -> bool {
    serde_json::from_str::<Value>(result)
        .is_ok_and(|result| result.get("error").and_then(Value::as_str) == Some(NOT_CONNECTED))
}

/// Arguments as an object of texts.
fn text<'a>(arguments: &'a Value, name: &str) -> Option<&'a str> {
    arguments.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// Reads the arguments of a call.
///
/// # Errors
/// What to tell the model.
pub fn arguments(written: &str) -> Result<Value, &'static str> {
    match serde_json::from_str(written) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ if written.trim().is_empty() => Ok(json!({})),
        _ => Err("The arguments are not a JSON object."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_required_and_none_may_be_added() {
        for tool in specs() {
            let schema: Value = serde_json::from_str(&tool.parameters_json).unwrap();
            assert_eq!(schema["additionalProperties"], false);
            let named: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
            let mut required: Vec<String> = serde_json::from_value(schema["required"].clone()).unwrap();
            required.sort();
            let mut sorted = named.clone();
            sorted.sort();
            assert_eq!(required, sorted, "{}", tool.name);
        }
    }

    #[test]
    fn arguments_are_an_object_or_nothing() {
        assert_eq!(arguments(r#"{"from":null}"#), Ok(json!({ "from": null })));
        assert_eq!(arguments(""), Ok(json!({})));
        for wrong in ["{", "[]", "\"x\"", "null"] {
            assert!(arguments(wrong).is_err(), "{wrong}");
        }
        assert!(says_not_connected(&failed(NOT_CONNECTED)));
        assert!(!says_not_connected(&failed("Something else")));
    }
}
