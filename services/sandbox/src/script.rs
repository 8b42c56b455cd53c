//! The scripted model: a small coach, and the same coach misbehaving for tests.
//!
//! It knows nothing but the items of the request: the same conversation always
//! has the same next step.

mod coach;
mod mischief;
mod reading;
mod transcript;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use transcript::{Transcript, Turn};

/// Stands at the beginning of the first message that the script writes.
pub const SCRIPTED: &str = "I am a scripted stand-in, not a real model.";

/// What the script does. A lead chooses one by writing its name after `#`, such
/// as `#loop`; a fault chooses one for the next calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// Asks a name and an e-mail address, offers slots, books.
    Coach,
    /// Lists slots again and again.
    Loop,
    /// Asks for twelve tools at once.
    ManyCalls,
    /// Books a slot that nobody offered.
    Invent,
    /// Books an offered slot for another address.
    OtherEmail,
    /// Says that something is booked, and books nothing.
    Claim,
    /// Asks for a tool that does not exist.
    UnknownTool,
    /// Writes arguments that are no JSON, again and again.
    BrokenArguments,
    /// Writes arguments that are none of the tool's, again and again.
    Nonsense,
    /// Answers nothing.
    Empty,
    /// Refuses.
    Refuse,
    /// Stops in the middle of a sentence.
    Incomplete,
    /// Fails inside an answer that looks well.
    Failed,
    /// Writes more than one message can hold.
    Long,
}

impl Script {
    const ALL: [(Self, &'static str); 14] = [
        (Self::Coach, "coach"),
        (Self::Loop, "loop"),
        (Self::ManyCalls, "many_calls"),
        (Self::Invent, "invent"),
        (Self::OtherEmail, "other_email"),
        (Self::Claim, "claim"),
        (Self::UnknownTool, "unknown_tool"),
        (Self::BrokenArguments, "broken_arguments"),
        (Self::Nonsense, "nonsense"),
        (Self::Empty, "empty"),
        (Self::Refuse, "refuse"),
        (Self::Incomplete, "incomplete"),
        (Self::Failed, "failed"),
        (Self::Long, "long"),
    ];

    /// The script that a text names.
    fn named_in(text: &str) -> Option<Self> {
        let named = |word: &str| {
            let name = word.strip_prefix('#')?;
            let name = name.trim_end_matches(|letter: char| !letter.is_alphanumeric());
            Self::ALL.iter().find(|(_, own)| *own == name.to_lowercase()).map(|(script, _)| *script)
        };
        text.split_whitespace().find_map(named)
    }
}

/// A tool that the script may ask for.
#[derive(Clone, Debug)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

/// What the script does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A message.
    Say(String),
    /// Tools, with their arguments as JSON.
    Call(Vec<(String, String)>),
    /// A refusal.
    Refuse(String),
    /// A message that was cut off.
    Cut(String),
    /// Nothing.
    Empty,
    /// A failure.
    Failed,
}

impl Reply {
    fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into())
    }
}

/// The next step of a conversation.
#[must_use]
pub fn play(instructions: &str, items: &[Value], tools: &[Tool], forced: Option<Script>) -> Reply {
    let transcript = Transcript::read(instructions, items);
    let script = forced.or_else(|| Script::named_in(&transcript.burst())).unwrap_or(Script::Coach);
    let reply = match script {
        Script::Coach => coach::play(&transcript, tools),
        other => mischief::play(other, &transcript, tools),
    };
    let has_said = |turn: &Turn| matches!(turn, Turn::Assistant(text) if text.contains(SCRIPTED));
    match reply {
        Reply::Say(text) if !transcript.turns.iter().any(has_said) => {
            Reply::Say(format!("{SCRIPTED} {text}"))
        }
        reply => reply,
    }
}

/// A call of a tool. In strict mode every argument is named: those without a
/// value are null.
fn call(tools: &[Tool], name: &str, values: &[(&str, Value)]) -> Reply {
    let Some(tool) = tools.iter().find(|tool| tool.name == name) else {
        return Reply::say("I can't do that here, but a person will read what you wrote.");
    };
    let mut arguments = Map::new();
    let named = tool.parameters.get("properties").and_then(Value::as_object);
    for property in named.into_iter().flat_map(Map::keys) {
        arguments.insert(property.clone(), Value::Null);
    }
    for (property, value) in values {
        arguments.insert((*property).to_owned(), value.clone());
    }
    Reply::Call(vec![(name.to_owned(), Value::Object(arguments).to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_named_by_a_word() {
        assert_eq!(Script::named_in("hello #loop, please"), Some(Script::Loop));
        assert_eq!(Script::named_in("#Other_Email!"), Some(Script::OtherEmail));
        assert_eq!(Script::named_in("loop #nothing # 1"), None);
        for (script, name) in Script::ALL {
            assert_eq!(serde_json::to_value(script).unwrap(), Value::String(name.to_owned()));
        }
    }
}
