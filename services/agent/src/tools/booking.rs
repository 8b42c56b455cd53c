use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{NOT_CONNECTED, text};
use crate::store::{Step, StepKind};

/// How long an offered slot may be booked.
const OFFERED_FOR: SignedDuration = SignedDuration::from_mins(30);

/// What bookConsult was asked, as far as it is written.
#[derive(Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Which slot.
    pub start: Option<&'a str>,
    /// Whose name.
    pub name: &'a str,
    /// Which e-mail address.
    pub email: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// Reads the arguments.
    #[must_use]
    pub fn read(arguments: &'a Value) -> Self {
        Self {
            start: text(arguments, "start"),
            name: text(arguments, "name").unwrap_or_default(),
            email: text(arguments, "email"),
        }
    }
}

/// The instant of a start as listSlots writes them.
#[must_use]
pub fn start_of(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Whether a slot was offered in this conversation within the last half hour, and
/// in which zone.
#[must_use]
pub fn was_offered(steps: &[Step], start: Timestamp, now: Timestamp) -> Option<String> {
    offered_since(steps, start, now - OFFERED_FOR)
}

/// Whether the slot was offered at all, however long ago.
#[must_use]
pub fn was_ever_offered(steps: &[Step], start: Timestamp) -> bool {
    offered_since(steps, start, Timestamp::MIN).is_some()
}

fn offered_since(steps: &[Step], start: Timestamp, since: Timestamp) -> Option<String> {
    steps
        .iter()
        .rev()
        .map(|step| &step.step)
        .filter(|step| step.kind == StepKind::Tool && step.name == "listSlots")
        .filter(|step| step.created_at >= since)
        .filter_map(|step| serde_json::from_str::<Value>(&step.result).ok())
        .find(|result| {
            let slots = result.get("slots").and_then(Value::as_array);
            slots
                .into_iter()
                .flatten()
                .filter_map(|slot| text(slot, "start"))
                .any(|text| start_of(text) == Some(start))
        })
        .and_then(|result| text(&result, "timezone").map(str::to_owned))
}

/// What the model is told of a booking that was refused, by the word that it was
/// refused with.
#[must_use]
pub fn refusal_text(code: &str) -> &'static str {
    match code {
        "NOT_CONNECTED" => NOT_CONNECTED,
        "SLOT_GONE" => "That slot was just taken. Call listSlots and offer others.",
        "TOO_SOON" => "That slot is too soon to be booked. Call listSlots and offer later ones.",
        "BOOKING_LIMIT" => "The coach takes no more bookings for that time. Offer another day.",
        "EMAIL_REFUSED" => "The calendar does not accept this e-mail address. Ask the lead for another one.",
        "ALREADY_BOOKED" => "There is a booking for this person at that time already.",
        "FIELD_MISSING" | "FIELD_INVALID" | "NOT_BOOKABLE" => {
            "The calendar cannot be booked from here. Tell the lead that a person will arrange it."
        }
        "NEWER_MESSAGE" => "The lead wrote once more. Read it before you book.",
        _ => "The calendar cannot be booked right now. Tell the lead so.",
    }
}
