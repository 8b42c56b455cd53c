//! What comes back.

use coachbot_proto::connector::v1::item::Kind;
use coachbot_proto::connector::v1::{AssistantText, GenerateResponse, Item, OpaqueItem, ToolCall};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::Reason;
use crate::http::Answer;
use crate::providers::call::{Failed, Nature, unreadable, word};
use crate::providers::node::Node;

use super::wire::{self, Named};

/// Stands for a reason that the provider does not give.
const CUT: &str = "unknown";

/// A model's turn; the members that are read.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    /// `completed`, `incomplete`, `failed`; a compatible server may leave it out.
    #[serde(borrow, default)]
    status: Node<'a>,
    #[serde(borrow, default)]
    incomplete_details: Node<'a>,
    #[serde(borrow, default)]
    model: Node<'a>,
    #[serde(borrow, default)]
    usage: Node<'a>,
    /// Kept as they came: an item of an unknown type goes back as it is.
    #[serde(borrow, default)]
    output: Option<Vec<&'a RawValue>>,
}

impl Response<'_> {
    /// A failure that comes with 200.
    pub(super) fn failure(&self, answer: &Answer) -> Option<Failed> {
        match self.status.text() {
            None | Some("completed" | "incomplete") => None,
            Some("failed") => Some(failed(answer)),
            // Not asked for: a turn that is still being made, or was cancelled.
            Some(_) => Some(unreadable(Nature::Turn, answer)),
        }
    }

    /// The turn; `None` when it makes no sense. Opaque items are the asked
    /// model's: the name in the answer is that of a snapshot, which may change
    /// under the same model.
    pub(super) fn turn(&self, asked: &str, request_id: &str) -> Option<GenerateResponse> {
        let mut items = Vec::new();
        let mut cut = false;
        for raw in self.output.as_ref()? {
            let item: Node<'_> = serde_json::from_str(raw.get()).ok()?;
            match item.get("type").text()? {
                "message" => items.extend(texts(&item)),
                // Its arguments broke off: it must not be run.
                "function_call" if item.get("status").text() == Some("incomplete") => cut = true,
                "function_call" => items.push(Kind::ToolCall(tool_call(&item)?)),
                _ => items
                    .push(Kind::Opaque(OpaqueItem { model: asked.to_owned(), json: raw.get().to_owned() })),
            }
        }
        let reason = || {
            let told = self.incomplete_details.get("reason").text().and_then(word);
            told.unwrap_or_else(|| CUT.to_owned())
        };
        cut |= self.status.text() == Some("incomplete");
        Some(GenerateResponse {
            items: items.into_iter().map(|kind| Item { kind: Some(kind) }).collect(),
            incomplete_reason: cut.then(reason),
            model: self.model.text().unwrap_or(asked).to_owned(),
            input_tokens: count(self.usage.get("input_tokens")),
            output_tokens: count(self.usage.get("output_tokens")),
            provider_request_id: request_id.to_owned(),
        })
    }
}

fn failed(answer: &Answer) -> Failed {
    let code = wire::code_of(answer);
    let reason = match (wire::cause_of(answer), code.as_deref()) {
        (Some(Named::Quota), _) => Reason::NoQuota,
        (Some(Named::Model), _) => Reason::NotFound,
        (_, Some("rate_limit_exceeded")) => Reason::RateLimited,
        (_, Some("server_error") | None) => Reason::ProviderAway,
        _ => Reason::Refused,
    };
    Failed::new(reason, code.as_deref().and_then(word).unwrap_or_else(|| "failed".to_owned())).waiting(answer)
}

/// The parts of a message, joined: what it says, and what it refuses.
fn texts(message: &Node<'_>) -> Vec<Kind> {
    let commentary = message.get("phase").text() == Some("commentary");
    let joined = |kind: &str, member: &str| {
        let parts = message.get("content").items().iter();
        let parts = parts.filter(|part| part.get("type").text() == Some(kind));
        parts.filter_map(|part| part.get(member).text()).collect::<String>()
    };
    [(joined("output_text", "text"), false), (joined("refusal", "refusal"), true)]
        .into_iter()
        .filter(|(text, _)| !text.is_empty())
        .map(|(text, refusal)| Kind::AssistantText(AssistantText { text, commentary, refusal }))
        .collect()
}

fn tool_call(item: &Node<'_>) -> Option<ToolCall> {
    Some(ToolCall {
        call_id: item.get("call_id").text().filter(|id| !id.is_empty())?.to_owned(),
        name: item.get("name").text()?.to_owned(),
        arguments: item.get("arguments").text().unwrap_or_default().to_owned(),
    })
}

fn count(node: &Node<'_>) -> u32 {
    node.integer().and_then(|count| count.try_into().ok()).unwrap_or_default()
}
