//! Requests to a model.

use coachbot_common::id::WorkspaceId;
use coachbot_proto::connector::v1::item::Kind;
use coachbot_proto::connector::v1::{self as wire, GenerateRequest};
use serde_json::value::RawValue;

use super::problems::Problems;
use crate::error::Error;
use crate::providers::openai::responses::{Prompt, Step, Tool};

/// The provider's own bound.
const FEWEST_TOKENS: u32 = 16;

/// The provider's own bound for `call_id` and `safety_identifier`.
const LONGEST_ID: usize = 64;

pub(crate) fn prompt(request: GenerateRequest) -> Result<(WorkspaceId, Prompt), Error> {
    let workspace = WorkspaceId::parse(&request.workspace_id)?;
    let mut problems = Problems::default();
    problems.check(!request.items.is_empty(), "items", "must not be empty");
    problems.check(request.max_output_tokens >= FEWEST_TOKENS, "max_output_tokens", "must be at least 16");
    problems.check(
        request.safety_identifier.len() <= LONGEST_ID,
        "safety_identifier",
        "must have at most 64 letters",
    );
    let items = request.items.into_iter().enumerate();
    let items = items.filter_map(|(place, item)| step(place, item, &mut problems)).collect();
    let tools = request.tools.into_iter().enumerate();
    let tools = tools.filter_map(|(place, tool)| described(place, tool, &mut problems)).collect();
    problems.none((
        workspace,
        Prompt {
            instructions: request.instructions,
            items,
            tools,
            max_output_tokens: request.max_output_tokens,
            safety_identifier: request.safety_identifier,
        },
    ))
}

fn step(place: usize, item: wire::Item, problems: &mut Problems) -> Option<Step> {
    let call_id = |id: &str, problems: &mut Problems| {
        let fits = (1..=LONGEST_ID).contains(&id.len());
        problems.check(fits, &format!("items[{place}].call_id"), "must have 1 to 64 letters");
    };
    Some(match item.kind {
        None => {
            problems.add(&format!("items[{place}]"), "must be one of the kinds of items");
            return None;
        }
        Some(Kind::UserText(said)) => Step::User(said.text),
        Some(Kind::AssistantText(said)) => Step::Assistant { text: said.text, commentary: said.commentary },
        Some(Kind::ToolCall(call)) => {
            call_id(&call.call_id, problems);
            Step::Call { call_id: call.call_id, name: call.name, arguments: call.arguments }
        }
        Some(Kind::ToolResult(result)) => {
            call_id(&result.call_id, problems);
            Step::Result { call_id: result.call_id, output: result.output }
        }
        Some(Kind::Opaque(opaque)) => match RawValue::from_string(opaque.json) {
            Ok(json) => Step::Opaque { model: opaque.model, json },
            Err(_) => {
                problems.add(&format!("items[{place}].json"), "must be JSON");
                return None;
            }
        },
    })
}

fn described(place: usize, tool: wire::Tool, problems: &mut Problems) -> Option<Tool> {
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_');
    problems.check(
        (1..=64).contains(&tool.name.len()) && tool.name.bytes().all(fits),
        &format!("tools[{place}].name"),
        "must be 1 to 64 letters, digits, dashes and underscores",
    );
    let parameters = RawValue::from_string(tool.parameters_json).ok();
    let Some(parameters) = parameters.filter(|json| json.get().starts_with('{')) else {
        problems.add(&format!("tools[{place}].parameters_json"), "must be a JSON Schema");
        return None;
    };
    Some(Tool { name: tool.name, description: tool.description, parameters })
}
