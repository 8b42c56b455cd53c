//! Items of a conversation with a model, as they are stored and as they travel.

use coachbot_proto::connector::v1::item::Kind;
use coachbot_proto::connector::v1::{
    AssistantText, Item as WireItem, OpaqueItem, ToolCall, ToolResult, UserText,
};
use serde::{Deserialize, Serialize};

/// One item.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Item {
    /// What the lead wrote.
    User {
        /// Its text.
        text: String,
    },
    /// What the model, or a person in its place, wrote.
    Assistant {
        /// Its text.
        text: String,
        /// Beside the answer, not for the lead.
        commentary: bool,
        /// The model refused.
        refusal: bool,
    },
    /// A tool that the model wants to be run.
    Call {
        /// The model's id.
        call_id: String,
        /// The tool's name.
        name: String,
        /// As the model wrote them.
        arguments: String,
    },
    /// What the tool answered.
    Result {
        /// The model's id of the call.
        call_id: String,
        /// JSON.
        output: String,
    },
    /// What only its provider understands.
    Opaque {
        /// The model that made it.
        model: String,
        /// As it came.
        json: String,
    },
}

impl Item {
    /// Reads an item that came; one of no kind is left out.
    #[must_use]
    pub fn from_wire(item: WireItem) -> Option<Self> {
        Some(match item.kind? {
            Kind::UserText(user) => Self::User { text: user.text },
            Kind::AssistantText(said) => {
                Self::Assistant { text: said.text, commentary: said.commentary, refusal: said.refusal }
            }
            Kind::ToolCall(call) => {
                Self::Call { call_id: call.call_id, name: call.name, arguments: call.arguments }
            }
            Kind::ToolResult(result) => Self::Result { call_id: result.call_id, output: result.output },
            Kind::Opaque(opaque) => Self::Opaque { model: opaque.model, json: opaque.json },
        })
    }

    /// The item as it travels.
    #[must_use]
    pub fn into_wire(self) -> WireItem {
        let kind = match self {
            Self::User { text } => Kind::UserText(UserText { text }),
            Self::Assistant { text, commentary, refusal } => {
                Kind::AssistantText(AssistantText { text, commentary, refusal })
            }
            Self::Call { call_id, name, arguments } => Kind::ToolCall(ToolCall { call_id, name, arguments }),
            Self::Result { call_id, output } => Kind::ToolResult(ToolResult { call_id, output }),
            Self::Opaque { model, json } => Kind::Opaque(OpaqueItem { model, json }),
        };
        WireItem { kind: Some(kind) }
    }
}

/// A tool call of an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The model's id.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// As the model wrote them.
    pub arguments: String,
}

/// The tool calls among items, each id once.
#[must_use]
pub fn calls(items: &[Item]) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for item in items {
        if let Item::Call { call_id, name, arguments } = item
            && !calls.iter().any(|call| call.call_id == *call_id)
        {
            calls.push(Call { call_id: call_id.clone(), name: name.clone(), arguments: arguments.clone() });
        }
    }
    calls
}

/// What the items say to the lead.
#[must_use]
pub fn reply(items: &[Item]) -> String {
    let said: Vec<&str> = items
        .iter()
        .filter_map(|item| match item {
            Item::Assistant { text, commentary: false, refusal: false } => Some(text.trim()),
            _ => None,
        })
        .filter(|text| !text.is_empty())
        .collect();
    said.join("\n\n")
}

/// Whether the model refused.
#[must_use]
pub fn refuses(items: &[Item]) -> bool {
    items.iter().any(|item| matches!(item, Item::Assistant { refusal: true, .. }))
}
