//! A conversation, read from the items of a request.

use std::collections::BTreeMap;

use serde_json::Value;

/// A slot that was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    pub start: String,
    pub label: String,
}

/// One step.
#[derive(Clone, Debug)]
pub enum Turn {
    User(String),
    Assistant(String),
    Call,
    Output { tool: String, result: Value },
}

/// The whole conversation.
#[derive(Debug, Default)]
pub struct Transcript {
    /// The instructions, and what a developer or the system said between.
    pub notes: String,
    pub turns: Vec<Turn>,
}

impl Transcript {
    pub fn read(instructions: &str, items: &[Value]) -> Self {
        let mut transcript = Self { notes: instructions.to_owned(), turns: Vec::new() };
        let mut names = BTreeMap::new();
        for item in items {
            let text = |member: &str| item.get(member).and_then(Value::as_str).unwrap_or_default();
            match item.get("type").and_then(Value::as_str).unwrap_or("message") {
                "message" => {
                    let content = content(item);
                    match text("role") {
                        "user" => transcript.turns.push(Turn::User(content)),
                        "assistant" => transcript.turns.push(Turn::Assistant(content)),
                        _ => {
                            transcript.notes.push('\n');
                            transcript.notes.push_str(&content);
                        }
                    }
                }
                "function_call" => {
                    names.insert(text("call_id").to_owned(), text("name").to_owned());
                    transcript.turns.push(Turn::Call);
                }
                "function_call_output" => {
                    let tool = names.get(text("call_id")).cloned().unwrap_or_default();
                    let result = serde_json::from_str(text("output")).unwrap_or(Value::Null);
                    transcript.turns.push(Turn::Output { tool, result });
                }
                _ => {}
            }
        }
        transcript
    }

    /// What the lead wrote since the last message to him.
    pub fn burst(&self) -> String {
        let since = self.turns.iter().rposition(|turn| matches!(turn, Turn::Assistant(_)));
        let turns = self.turns.iter().skip(since.map_or(0, |index| index + 1));
        let texts: Vec<_> = turns.filter_map(Turn::by_user).collect();
        texts.join("\n")
    }

    /// The last result, if the conversation ends with one.
    pub fn last_result(&self) -> Option<(&str, &Value)> {
        self.turns.last().and_then(Turn::result)
    }

    /// The slots of the last list that had any, and where it stands.
    pub fn offer(&self) -> Option<(usize, Vec<Slot>)> {
        self.turns.iter().enumerate().rev().find_map(|(index, turn)| {
            let (tool, result) = turn.result()?;
            let slots = (tool == "listSlots").then(|| slots(result))?;
            (!slots.is_empty()).then_some((index, slots))
        })
    }

    /// The results of a tool since the lead wrote last.
    pub fn results_of_burst(&self) -> impl Iterator<Item = (&str, &Value)> {
        let since = self.turns.iter().rposition(|turn| matches!(turn, Turn::User(_)));
        self.turns.iter().skip(since.map_or(0, |index| index + 1)).filter_map(Turn::result)
    }

    /// The booking that was made.
    pub fn booked(&self) -> Option<&Value> {
        let made = |turn: &Turn| matches!(turn.result(), Some(("bookConsult", result)) if is_ok(result));
        self.turns.iter().rev().find(|turn| made(turn)).and_then(Turn::result).map(|(_, result)| result)
    }

    /// How a slot is called, wherever it was listed.
    pub fn label(&self, start: &str) -> String {
        let listed = self.turns.iter().rev().filter_map(Turn::result).flat_map(|(_, result)| slots(result));
        listed
            .into_iter()
            .find(|slot| is_same(&slot.start, start))
            .map_or_else(|| start.to_owned(), |slot| slot.label)
    }
}

impl Turn {
    pub fn by_user(&self) -> Option<&str> {
        match self {
            Self::User(text) => Some(text),
            _ => None,
        }
    }

    fn result(&self) -> Option<(&str, &Value)> {
        match self {
            Self::Output { tool, result } => Some((tool, result)),
            _ => None,
        }
    }
}

/// Whether a tool did what it was asked.
pub fn is_ok(result: &Value) -> bool {
    result.get("ok") == Some(&Value::Bool(true))
}

pub fn slots(result: &Value) -> Vec<Slot> {
    let listed = result.get("slots").and_then(Value::as_array).filter(|_| is_ok(result));
    let slot = |value: &Value| {
        let start = value.get("start")?.as_str()?.to_owned();
        let label = value.get("label").and_then(Value::as_str).unwrap_or(&start).to_owned();
        Some(Slot { start, label })
    };
    listed.into_iter().flatten().filter_map(slot).collect()
}

fn is_same(left: &str, right: &str) -> bool {
    match (left.parse::<jiff::Timestamp>(), right.parse::<jiff::Timestamp>()) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

fn content(item: &Value) -> String {
    match item.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
            parts.iter().filter_map(text).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
