//! What is sent. Nothing in it depends on the model: reasoning models refuse
//! `temperature`, the others `reasoning` and `include`, so that none of them is
//! sent.

use serde::Serialize;
use serde_json::value::RawValue;

use super::responses::{Step, Tool};
use crate::providers::node::Node;

/// The body of a request.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub instructions: &'a str,
    /// Always `false`: the provider would keep the conversation.
    pub store: bool,
    pub input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    pub max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<&'a str>,
}

/// A parameter that a request can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Optional {
    ParallelToolCalls,
    SafetyIdentifier,
    Phase,
}

impl Optional {
    const ALL: [Self; 3] = [Self::ParallelToolCalls, Self::SafetyIdentifier, Self::Phase];

    /// As a refusal names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ParallelToolCalls => "parallel_tool_calls",
            Self::SafetyIdentifier => "safety_identifier",
            Self::Phase => "phase",
        }
    }
}

impl Body<'_> {
    /// The optional parameter that a refusal names, if it was sent. A phase is
    /// named by its place: `input[3].phase`.
    pub(super) fn sent(&self, named: &str) -> Option<Optional> {
        Optional::ALL.into_iter().find(|optional| match optional {
            Optional::ParallelToolCalls => named == optional.name() && self.parallel_tool_calls.is_some(),
            Optional::SafetyIdentifier => named == optional.name() && self.safety_identifier.is_some(),
            Optional::Phase => {
                named.starts_with("input")
                    && named.ends_with(".phase")
                    && self.input.iter().any(Item::has_phase)
            }
        })
    }

    /// Leaves one out.
    pub(super) fn leave_out(&mut self, optional: Optional) {
        match optional {
            Optional::ParallelToolCalls => self.parallel_tool_calls = None,
            Optional::SafetyIdentifier => self.safety_identifier = None,
            Optional::Phase => self.input.iter_mut().for_each(Item::drop_phase),
        }
    }
}

/// A tool, flat, and always strict.
#[derive(Serialize)]
pub(super) struct Function<'a> {
    r#type: &'static str,
    name: &'a str,
    description: &'a str,
    strict: bool,
    parameters: &'a RawValue,
}

impl<'a> From<&'a Tool> for Function<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self {
            r#type: "function",
            name: &tool.name,
            description: &tool.description,
            strict: true,
            parameters: &tool.parameters,
        }
    }
}

/// An item of the input. Ours have no ids, because ids are checked by prefix, and
/// plain texts, because an assistant's message takes no `input_text` part.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Ours(Ours<'a>),
    Opaque(&'a RawValue),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Ours<'a> {
    Message {
        role: &'static str,
        content: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        phase: Option<&'static str>,
    },
    FunctionCall {
        call_id: &'a str,
        name: &'a str,
        arguments: &'a str,
    },
    FunctionCallOutput {
        call_id: &'a str,
        output: &'a str,
    },
}

impl Item<'_> {
    fn has_phase(&self) -> bool {
        matches!(self, Self::Ours(Ours::Message { phase: Some(_), .. }))
    }

    fn drop_phase(&mut self) {
        if let Self::Ours(Ours::Message { phase, .. }) = self {
            *phase = None;
        }
    }
}

/// The conversation as the model reads it.
pub(super) fn input<'a>(steps: &'a [Step], model: &str) -> Vec<Item<'a>> {
    let mut items = Vec::with_capacity(steps.len());
    for (place, step) in steps.iter().enumerate() {
        let rest = steps.get(place + 1..).unwrap_or_default();
        items.push(match step {
            Step::User(text) => Item::Ours(Ours::Message { role: "user", content: text, phase: None }),
            Step::Assistant { text, commentary } => Item::Ours(Ours::Message {
                role: "assistant",
                content: text,
                phase: commentary.then_some("commentary"),
            }),
            Step::Call { call_id, name, arguments } => {
                Item::Ours(Ours::FunctionCall { call_id, name, arguments })
            }
            Step::Result { call_id, output } => Item::Ours(Ours::FunctionCallOutput { call_id, output }),
            Step::Opaque { model: made_by, json } => {
                if made_by != model || !is_replayed(json, rest) {
                    continue;
                }
                Item::Opaque(json)
            }
        });
    }
    items
}

/// Whether an opaque item may be handed back. Reasoning is refused without its
/// encrypted content, and without what it led to behind it.
fn is_replayed(json: &RawValue, rest: &[Step]) -> bool {
    let Ok(item) = serde_json::from_str::<Node<'_>>(json.get()) else { return false };
    if item.get("type").text() != Some("reasoning") {
        return true;
    }
    let follower = rest.iter().find(|step| !matches!(step, Step::Opaque { .. }));
    let led_to_something = matches!(follower, Some(Step::Assistant { .. } | Step::Call { .. }));
    led_to_something && item.get("encrypted_content").text().is_some_and(|content| !content.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        RawValue::from_string(value.to_string()).unwrap()
    }

    fn opaque(value: &Value) -> Step {
        Step::Opaque { model: "gpt-6-luna".to_owned(), json: raw(value) }
    }

    fn sent(steps: &[Step], model: &str) -> Value {
        serde_json::to_value(input(steps, model)).unwrap()
    }

    fn reasoning() -> Value {
        json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA" })
    }

    fn call() -> Step {
        Step::Call { call_id: "call_1".into(), name: "listSlots".into(), arguments: "{}".into() }
    }

    #[test]
    fn our_items_have_no_ids_and_plain_texts() {
        let steps = [
            Step::User("Hi".into()),
            Step::Assistant { text: "One moment".into(), commentary: true },
            call(),
            Step::Result { call_id: "call_1".into(), output: "{\"ok\":true}".into() },
            Step::Assistant { text: "Tuesday?".into(), commentary: false },
        ];
        assert_eq!(
            sent(&steps, "gpt-4o"),
            json!([
                { "type": "message", "role": "user", "content": "Hi" },
                { "type": "message", "role": "assistant", "content": "One moment", "phase": "commentary" },
                { "type": "function_call", "call_id": "call_1", "name": "listSlots", "arguments": "{}" },
                { "type": "function_call_output", "call_id": "call_1", "output": "{\"ok\":true}" },
                { "type": "message", "role": "assistant", "content": "Tuesday?" },
            ])
        );
    }

    #[test]
    fn an_opaque_item_goes_back_byte_for_byte_to_its_own_model_alone() {
        let text = r#"{"type":"new_thing", "z": 1.0, "a": 1E+2,  "id":"x_1"}"#;
        let json = RawValue::from_string(text.to_owned()).unwrap();
        let steps = [Step::User("Hi".into()), Step::Opaque { model: "gpt-6-luna".into(), json }];
        let body = serde_json::to_string(&input(&steps, "gpt-6-luna")).unwrap();
        assert!(body.ends_with(&format!("{text}]")), "{body}");
        assert_eq!(input(&steps, "gpt-6.1-sol").len(), 1);
    }

    #[test]
    fn reasoning_goes_back_with_what_it_led_to_or_not_at_all() {
        let model = "gpt-6-luna";
        assert_eq!(input(&[opaque(&reasoning()), call()], model).len(), 2);
        assert_eq!(input(&[opaque(&reasoning()), opaque(&reasoning()), call()], model).len(), 3);
        assert_eq!(input(&[opaque(&reasoning()), Step::User("Hi".into())], model).len(), 1);
        assert_eq!(input(&[opaque(&reasoning())], model).len(), 0);
        let bare = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": null });
        assert_eq!(input(&[opaque(&bare), call()], model).len(), 1);
    }
}
