//! The agent's answers in the words of the JSON API.

use coachbot_common::clock::from_wire;
use coachbot_proto::agent::v1 as wire;

use crate::error::{Error, Peer};

/// An answer of the agent that its contract does not allow.
pub(crate) const fn broken(field: &'static str) -> Error {
    Error::Answer { peer: Peer::Agent, field }
}

/// The name of an enum's value without what stands before all of them, in lower
/// case: `STAGE_OPTED_OUT` as `opted_out`.
fn word(name: &str, prefix: &str, field: &'static str) -> Result<String, Error> {
    match name.strip_prefix(prefix) {
        Some(word) if word != "UNSPECIFIED" => Ok(word.to_ascii_lowercase()),
        _ => Err(broken(field)),
    }
}

pub(crate) fn stage(stage: wire::Stage) -> Result<String, Error> {
    word(stage.as_str_name(), "STAGE_", "stage")
}

pub(crate) fn source(source: wire::LeadSource) -> Result<String, Error> {
    word(source.as_str_name(), "LEAD_SOURCE_", "source")
}

pub(crate) fn channel(channel: wire::Channel) -> Result<String, Error> {
    word(channel.as_str_name(), "CHANNEL_", "channel")
}

pub(crate) fn owner(owner: wire::Owner) -> Result<String, Error> {
    word(owner.as_str_name(), "OWNER_", "owner")
}

pub(crate) fn author(author: wire::Author) -> Result<String, Error> {
    word(author.as_str_name(), "AUTHOR_", "author")
}

pub(crate) fn message_status(status: wire::MessageStatus) -> Result<String, Error> {
    word(status.as_str_name(), "MESSAGE_STATUS_", "status")
}

pub(crate) fn step_kind(kind: wire::StepKind) -> Result<String, Error> {
    word(kind.as_str_name(), "STEP_KIND_", "kind")
}

pub(crate) fn booking_state(state: wire::BookingState) -> Result<String, Error> {
    word(state.as_str_name(), "BOOKING_STATE_", "state")
}

/// An instant that must be there, in RFC 3339.
pub(crate) fn instant(at: Option<&prost_types::Timestamp>, field: &'static str) -> Result<String, Error> {
    at.and_then(from_wire).map(|at| at.to_string()).ok_or(broken(field))
}

/// An instant that may be missing, in RFC 3339.
pub(crate) fn optional_instant(at: Option<&prost_types::Timestamp>) -> Option<String> {
    at.and_then(from_wire).map(|at| at.to_string())
}

/// JSON that the agent sends as text; what is none stays a text.
pub(crate) fn json(text: String) -> serde_json::Value {
    serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_names_of_the_design() {
        assert_eq!(stage(wire::Stage::OptedOut).unwrap(), "opted_out");
        assert_eq!(source(wire::LeadSource::Whatsapp).unwrap(), "whatsapp");
        assert_eq!(channel(wire::Channel::Voice).unwrap(), "voice");
        assert_eq!(owner(wire::Owner::Nobody).unwrap(), "nobody");
        assert_eq!(author(wire::Author::System).unwrap(), "system");
        assert_eq!(message_status(wire::MessageStatus::Accepted).unwrap(), "accepted");
        assert_eq!(step_kind(wire::StepKind::Tool).unwrap(), "tool");
        assert_eq!(booking_state(wire::BookingState::Cancelled).unwrap(), "cancelled");
        assert!(stage(wire::Stage::Unspecified).is_err());
        assert_eq!(json("{\"a\":1}".to_owned()), serde_json::json!({"a": 1}));
        assert_eq!(json("not json".to_owned()), serde_json::json!("not json"));
    }
}
