//! A conversation as the model is told it, rebuilt from what is stored.

use std::collections::HashMap;

use serde_json::Value;

use crate::conversation::{Author, MessageStatus, RunId};
use crate::item::{Item, calls};
use crate::store::{RunContext, Step, StepKind};

/// What stands in for the result of a call that was never run.
const NOT_RUN: &str = r#"{"ok":false,"error":"This was not run."}"#;

/// The items of a conversation, in order: what the lead wrote, then what was said
/// and done with that much known. A message that came while a tool was running
/// comes after the tool's result, so that each call is answered at once.
#[must_use]
pub fn items(context: &RunContext) -> Vec<Item> {
    let results: HashMap<(RunId, &str), &str> = context
        .steps
        .iter()
        .filter(|step| step.step.kind == StepKind::Tool)
        .filter_map(|step| Some(((step.run, step.step.call_id.as_deref()?), step.step.result.as_str())))
        .collect();
    let mut entries: Vec<((i64, bool, i64), Vec<Item>)> = Vec::new();
    for message in &context.messages {
        let item = match message.author {
            Author::Lead => Item::User { text: message.text.clone() },
            // The model's own words are in its steps.
            Author::Bot => continue,
            Author::System | Author::Person => {
                if matches!(message.status, MessageStatus::Dropped | MessageStatus::Failed) {
                    continue;
                }
                Item::Assistant { text: message.text.clone(), commentary: false, refusal: false }
            }
        };
        entries.push(((message.turn, message.outbound, message.seq), vec![item]));
    }
    for step in context.steps.iter().filter(|step| step.step.kind == StepKind::Model && !step.superseded) {
        entries.push(((step.step.turn, true, step.seq), answered(step, &results)));
    }
    entries.sort_by_key(|(place, _)| *place);
    let form = form(&context.details).map(|text| Item::User { text });
    form.into_iter().chain(entries.into_iter().flat_map(|(_, items)| items)).collect()
}

/// A model's answer with the result of each of its calls behind it.
fn answered(step: &Step, results: &HashMap<(RunId, &str), &str>) -> Vec<Item> {
    let mut items = stored_items(step);
    let calls = calls(&items);
    // A second call of the same id would be answered twice.
    let mut seen: Vec<String> = Vec::new();
    items.retain(|item| match item {
        Item::Call { call_id, .. } if seen.contains(call_id) => false,
        Item::Call { call_id, .. } => {
            seen.push(call_id.clone());
            true
        }
        _ => true,
    });
    for call in calls {
        let output = results.get(&(step.run, call.call_id.as_str())).copied().unwrap_or(NOT_RUN).to_owned();
        items.push(Item::Result { call_id: call.call_id, output });
    }
    items
}

/// The items of a model step.
#[must_use]
pub fn stored_items(step: &Step) -> Vec<Item> {
    serde_json::from_str(&step.step.result).unwrap_or_default()
}

/// What the lead wrote into the form, as a message of theirs.
fn form(details: &Value) -> Option<String> {
    let mut lines = Vec::new();
    if let Some(Value::String(message)) = details.get("message") {
        lines.push(message.clone());
    }
    if let Some(Value::Object(answers)) = details.get("answers") {
        let answers = answers.iter().filter_map(|(name, value)| Some(format!("{name}: {}", value.as_str()?)));
        lines.extend(answers);
    }
    (!lines.is_empty()).then(|| format!("(From the form)\n{}", lines.join("\n")))
}
