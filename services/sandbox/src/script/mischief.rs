//! The coach misbehaving, so that tests see it stopped.

use serde_json::json;

use super::reading::identity;
use super::transcript::{Transcript, is_ok};
use super::{Reply, Script, Tool, call, coach};

/// A start that no list of slots ever holds.
const INVENTED: &str = "2031-01-01T03:00:00Z";
const STRANGER: &str = "someone.else@sandbox.example";
const SORRY: &str = "I could not do that. Please choose one of the times that I offer.";

pub fn play(script: Script, transcript: &Transcript, tools: &[Tool]) -> Reply {
    let raw = |name: &str, arguments: &str| Reply::Call(vec![(name.to_owned(), arguments.to_owned())]);
    let last = transcript.last_result();
    let (name, email) = identity(transcript);
    let name = name.unwrap_or_else(|| "Lead".to_owned());
    match script {
        Script::Coach => coach::play(transcript, tools),
        Script::Loop => call(tools, "listSlots", &[]),
        Script::ManyCalls => match (last, call(tools, "listSlots", &[])) {
            (None, Reply::Call(one)) => Reply::Call(std::iter::repeat_n(one, 12).flatten().collect()),
            _ => Reply::say(SORRY),
        },
        Script::Invent => match last {
            Some(_) => Reply::say(SORRY),
            None => {
                let email = email.unwrap_or_else(|| "lead@sandbox.example".to_owned());
                let values = [("start", json!(INVENTED)), ("name", json!(name)), ("email", json!(email))];
                call(tools, "bookConsult", &values)
            }
        },
        Script::OtherEmail => match (last, transcript.offer()) {
            (Some(("bookConsult", result)), _) if !is_ok(result) => Reply::say(SORRY),
            (Some(("bookConsult", _)), _) => coach::play(transcript, tools),
            (_, None) if last.is_some() => Reply::say(SORRY),
            (_, None) => call(tools, "listSlots", &[]),
            (_, Some((_, slots))) => {
                let start = slots.first().map(|slot| slot.start.clone());
                let values = [("start", json!(start)), ("name", json!(name)), ("email", json!(STRANGER))];
                call(tools, "bookConsult", &values)
            }
        },
        Script::Claim => Reply::say("You are booked for tomorrow at 09:00. See you then!"),
        Script::UnknownTool => match last {
            Some(_) => Reply::say(SORRY),
            None => raw("transferMoney", r#"{"amount":100}"#),
        },
        Script::BrokenArguments => raw("listSlots", r#"{"from": "2026-"#),
        Script::Nonsense => raw("listSlots", r#"{"from": 17, "to": [], "colour": "blue"}"#),
        Script::Empty => Reply::Empty,
        Script::Refuse => Reply::Refuse("I can't help with that.".to_owned()),
        Script::Incomplete => Reply::Cut("These times are free: Tuesday at".to_owned()),
        Script::Failed => Reply::Failed,
        Script::Long => Reply::say("A consult takes half an hour and costs nothing. ".repeat(75).trim_end()),
    }
}
