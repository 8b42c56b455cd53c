//! Answers as the providers' pages show them.

use coachbot_integrations::Provider;
use serde_json::{Value, json};

/// The account of [`account`].
pub const ACCOUNT_SID: &str = "AC00112233445566778899aabbccddeeff";
/// The assistant of [`assistant`].
pub const ASSISTANT_ID: &str = "4a170597-a0c2-4657-8c32-cb93f080cead";
/// The number of [`phone_number`].
pub const PHONE_NUMBER_ID: &str = "c6ea6cb0-0dfb-4a65-918f-6a33abb54b64";
/// The event type of [`event_type`].
pub const EVENT_TYPE_ID: &str = "1234567";

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("a fixture is JSON")
}

/// Twilio's account, with one more member or another value for one.
#[must_use]
pub fn account(changes: Value) -> Value {
    changed(parsed(include_str!("../../fixtures/twilio/account.json")), changes)
}

/// Vapi's assistant, changed likewise.
#[must_use]
pub fn assistant(changes: Value) -> Value {
    changed(parsed(include_str!("../../fixtures/vapi/assistant.json")), changes)
}

/// Vapi's phone number, changed likewise.
#[must_use]
pub fn phone_number(changes: Value) -> Value {
    changed(parsed(include_str!("../../fixtures/vapi/phone_number.json")), changes)
}

/// Cal.com's event type; the changes are to `data`.
#[must_use]
pub fn event_type(changes: Value) -> Value {
    let mut answer = parsed(include_str!("../../fixtures/calcom/event_type.json"));
    if let Some(data) = answer.get_mut("data") {
        *data = changed(data.take(), changes);
    }
    answer
}

/// `OpenAI`'s list of models.
#[must_use]
pub fn models() -> Value {
    parsed(include_str!("../../fixtures/openai/models.json"))
}

/// A message of Twilio's, changed likewise.
#[must_use]
pub fn message(changes: Value) -> Value {
    changed(parsed(include_str!("../../fixtures/twilio/message.json")), changes)
}

/// One page of Twilio's list.
#[must_use]
pub fn message_page(messages: &[Value], next: Option<&str>) -> Value {
    let own = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json?PageSize=100&Page=0");
    json!({
        "messages": messages, "page": 0, "page_size": 100, "start": 0, "end": messages.len().saturating_sub(1),
        "first_page_uri": own, "next_page_uri": next, "previous_page_uri": null, "uri": own,
    })
}

/// A booking of Cal.com's, without the envelope, changed likewise.
#[must_use]
pub fn booking(changes: Value) -> Value {
    changed(parsed(include_str!("../../fixtures/calcom/booking.json")), changes)
}

/// Cal.com's list of bookings.
#[must_use]
pub fn booking_page(bookings: &[Value]) -> Value {
    json!({ "status": "success", "data": bookings, "pagination": {
        "totalItems": bookings.len(), "remainingItems": 0, "returnedItems": bookings.len(), "itemsPerPage": 250,
        "currentPage": 1, "totalPages": 1, "hasNextPage": false, "hasPreviousPage": false,
    } })
}

/// Cal.com's slots of three days.
#[must_use]
pub fn slots() -> Value {
    parsed(include_str!("../../fixtures/calcom/slots.json"))
}

/// A turn of `OpenAI`'s: reasoning, a remark beside the answer, a tool call.
#[must_use]
pub fn response(changes: Value) -> Value {
    changed(parsed(include_str!("../../fixtures/openai/response.json")), changes)
}

fn changed(mut sample: Value, changes: Value) -> Value {
    if let (Some(members), Value::Object(changes)) = (sample.as_object_mut(), changes) {
        for (name, value) in changes {
            if value == json!("absent") {
                members.remove(&name);
            } else {
                members.insert(name, value);
            }
        }
    }
    sample
}

/// A refusal in the provider's own shape. The text is the provider's own too,
/// with the key in it, as some of them do.
#[must_use]
pub fn refusal(provider: Provider, status: u16, code: &str, text: &str) -> Value {
    let text = format!("{text} {}", super::planted(provider));
    match provider {
        Provider::Twilio => {
            let mut body = json!({ "message": text, "status": status });
            if let (Some(members), Ok(code)) = (body.as_object_mut(), code.parse::<i64>()) {
                members.insert("code".to_owned(), json!(code));
                members.insert(
                    "more_info".to_owned(),
                    json!(format!("https://www.twilio.com/docs/errors/{code}")),
                );
            }
            body
        }
        Provider::Vapi => json!({ "message": text, "error": code, "statusCode": status }),
        Provider::Calcom => json!({
            "status": "error", "timestamp": "2026-11-22T09:30:00.000Z", "path": "/v2/event-types/1234567",
            "error": { "code": code, "message": text, "details": { "message": text, "statusCode": status } },
        }),
        Provider::Openai => {
            let code = if code.is_empty() { Value::Null } else { json!(code) };
            json!({ "error": { "message": text, "type": "invalid_request_error", "param": null, "code": code } })
        }
    }
}
