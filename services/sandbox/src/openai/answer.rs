//! Writes the script's reply as an answer of the Responses API.

use coachbot_common::secret::sha256;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::request::Question;
use crate::script::Reply;

/// The whole answer. Its ids come from the question, so that the same question
/// has the same answer.
pub fn body(question: &Question, reply: Reply, now: Timestamp) -> Value {
    let asked = Value::Array(question.input.clone()).to_string();
    let stem: String = hex::encode(sha256(asked.as_bytes())).chars().take(32).collect();
    let mut output = Vec::new();
    let (mut status, mut error, mut incomplete) = ("completed", Value::Null, Value::Null);
    if question.model.reasons && !matches!(reply, Reply::Empty | Reply::Failed) {
        output.push(json!({
            "type": "reasoning",
            "id": format!("rs_{stem}"),
            "summary": [],
            "encrypted_content": format!("gAAAA{stem}"),
        }));
    }
    let message = |status: &str, part: Value| {
        json!({
            "type": "message",
            "id": format!("msg_{stem}"),
            "role": "assistant",
            "status": status,
            "content": [part],
        })
    };
    let text =
        |text: String| json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] });
    match reply {
        Reply::Say(words) => output.push(message("completed", text(words))),
        Reply::Refuse(words) => {
            output.push(message("completed", json!({ "type": "refusal", "refusal": words })));
        }
        Reply::Cut(words) => {
            status = "incomplete";
            incomplete = json!({ "reason": "max_output_tokens" });
            output.push(message("incomplete", text(words)));
        }
        Reply::Call(calls) => {
            for (index, (name, arguments)) in calls.into_iter().enumerate() {
                output.push(json!({
                    "type": "function_call",
                    "id": format!("fc_{index}{stem}"),
                    "call_id": format!("call_{index}{stem}"),
                    "name": name,
                    "arguments": arguments,
                    "status": "completed",
                }));
            }
        }
        Reply::Empty => {}
        Reply::Failed => {
            status = "failed";
            error = json!({ "code": "server_error", "message": "The model failed, as it was told to." });
        }
    }
    let tokens = |text: &str| text.len().div_ceil(4);
    let (read, written) = (tokens(&asked), tokens(&Value::Array(output.clone()).to_string()));
    let seconds = now.as_second();
    let given = |name: &str, default: Value| {
        question.body.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default)
    };
    json!({
        "id": format!("resp_{stem}"),
        "object": "response",
        "created_at": seconds,
        "completed_at": if status == "completed" { json!(seconds) } else { Value::Null },
        "status": status,
        "error": error,
        "incomplete_details": incomplete,
        "instructions": given("instructions", Value::Null),
        "model": answered_by(question.model.id),
        "output": output,
        "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
        "store": given("store", json!(true)),
        "temperature": given("temperature", json!(1)),
        "top_p": given("top_p", json!(1)),
        "tool_choice": given("tool_choice", json!("auto")),
        "tools": given("tools", json!([])),
        "max_output_tokens": given("max_output_tokens", Value::Null),
        "metadata": given("metadata", json!({})),
        "usage": {
            "input_tokens": read,
            "input_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
            "output_tokens": written,
            "output_tokens_details": { "reasoning_tokens": 0 },
            "total_tokens": read + written,
        },
    })
}

/// A name without a date stands for the newest snapshot, which is what answers.
fn answered_by(model: &str) -> &str {
    match model {
        "gpt-4o" => "gpt-4o-2024-11-20",
        "gpt-4.1" => "gpt-4.1-2025-04-14",
        other => other,
    }
}
