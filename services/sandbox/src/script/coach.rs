//! The small coach: asks a name and an e-mail address, offers slots, books.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::reading::{choice, identity, wants_others, wants_person};
use super::transcript::{Slot, Transcript, Turn, is_ok, slots};
use super::{Reply, Tool, call};

/// How many slots are offered at once.
const OFFERED: usize = 3;

/// How often a booking may fail before a person is asked.
const FAILURES: usize = 2;

pub fn play(transcript: &Transcript, tools: &[Tool]) -> Reply {
    match transcript.last_result() {
        Some((tool, result)) => after_tool(transcript, tools, tool, result),
        None => after_words(transcript, tools),
    }
}

fn after_tool(transcript: &Transcript, tools: &[Tool], tool: &str, result: &Value) -> Reply {
    match tool {
        "listSlots" if is_ok(result) => {
            let slots = slots(result);
            if slots.is_empty() {
                return escalate(tools, "No free slot was found.");
            }
            let failed =
                transcript.results_of_burst().any(|(tool, result)| tool == "bookConsult" && !is_ok(result));
            let begin = if failed { "That time can't be booked. " } else { "" };
            Reply::say(format!("{begin}These times are free:\n{}", choices(&slots)))
        }
        "bookConsult" if is_ok(result) => confirm(transcript, result),
        "bookConsult" if !is_missing(result) && failures(transcript) < FAILURES => list(tools, None),
        "listSlots" | "bookConsult" => {
            let error =
                result.get("error").and_then(Value::as_str).unwrap_or("The calendar does not answer.");
            escalate(tools, error)
        }
        "escalate" => {
            let cannot_book =
                transcript.results_of_burst().any(|(tool, result)| tool != "escalate" && !is_ok(result));
            Reply::say(if cannot_book {
                "I can't book a time right now, so I have asked a person to help you."
            } else {
                "I have asked a person to take over. They will write to you here."
            })
        }
        _ => Reply::say("That did not work. How else can I help?"),
    }
}

fn is_missing(result: &Value) -> bool {
    result.get("error").and_then(Value::as_str).is_some_and(|error| error.contains("not connected"))
}

fn failures(transcript: &Transcript) -> usize {
    transcript.results_of_burst().filter(|(tool, result)| *tool == "bookConsult" && !is_ok(result)).count()
}

/// Says what the tool said, and nothing else.
fn confirm(transcript: &Transcript, result: &Value) -> Reply {
    let label = transcript.label(result.get("start").and_then(Value::as_str).unwrap_or_default());
    Reply::say(match result.get("status").and_then(Value::as_str) {
        Some("accepted") => format!("Done: you are booked for {label}. An invitation comes by e-mail."),
        _ => format!("I have asked for {label}. The coach still has to confirm it."),
    })
}

fn after_words(transcript: &Transcript, tools: &[Tool]) -> Reply {
    let words = transcript.burst();
    if wants_person(&words) {
        return escalate(tools, "The lead asks for a person.");
    }
    if let Some(booking) = transcript.booked() {
        let label = transcript.label(booking.get("start").and_then(Value::as_str).unwrap_or_default());
        return Reply::say(format!("Your consult is on {label}. Is there anything else?"));
    }
    let (name, email) = match identity(transcript) {
        (Some(name), Some(email)) => (name, email),
        (None, None) => {
            return Reply::say("What is your name, and which e-mail address should the invitation go to?");
        }
        (None, Some(_)) => return Reply::say("What is your name?"),
        (Some(_), None) => return Reply::say("Which e-mail address should the invitation go to?"),
    };
    let Some((place, slots)) = transcript.offer() else { return list(tools, None) };
    let offered = slots.get(..OFFERED).unwrap_or(&slots);
    let after = transcript.turns.iter().skip(place).filter_map(Turn::by_user);
    // The last word counts.
    let chosen = after.filter_map(|text| choice(text, offered)).next_back();
    match chosen.and_then(|index| offered.get(index)) {
        Some(slot) => call(
            tools,
            "bookConsult",
            &[("start", json!(slot.start)), ("name", json!(name)), ("email", json!(email))],
        ),
        None if wants_others(&words) => list(tools, offered.last()),
        None => Reply::say(format!("Please choose one of these times:\n{}", choices(offered))),
    }
}

/// Lists slots, from the day after a slot or from now on.
fn list(tools: &[Tool], after: Option<&Slot>) -> Reply {
    let from = after.and_then(|slot| slot.start.parse::<Timestamp>().ok());
    let from = from.map(|start| (start + SignedDuration::from_hours(12)).to_string());
    call(tools, "listSlots", &[("from", json!(from))])
}

fn escalate(tools: &[Tool], reason: &str) -> Reply {
    call(tools, "escalate", &[("reason", json!(reason))])
}

fn choices(slots: &[Slot]) -> String {
    let line = |(index, slot): (usize, &Slot)| format!("{}. {}", index + 1, slot.label);
    let lines: Vec<_> = slots.iter().take(OFFERED).enumerate().map(line).collect();
    format!("{}\nWhich one suits you? Please answer with its number.", lines.join("\n"))
}
