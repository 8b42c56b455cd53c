//! The messages that Twilio remembers.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::API_VERSION;
use crate::outcome::random_hex;

/// How long a lead's message keeps the conversation open.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Taken.
    Queued,
    /// On its way.
    Sending,
    /// Handed to WhatsApp.
    Sent,
    /// On the lead's phone.
    Delivered,
    /// Seen by the lead.
    Read,
    /// Not to be delivered.
    Undelivered,
    /// From a lead.
    Received,
}

impl Status {
    /// As Twilio writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Undelivered => "undelivered",
            Self::Received => "received",
        }
    }
}

/// A message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Its place among all.
    pub seq: u64,
    /// `SM…`
    pub sid: String,
    /// Whose it is.
    pub account_sid: String,
    /// The recipient.
    pub to: String,
    /// The sender.
    pub from: String,
    /// The text.
    pub body: String,
    /// Where it is.
    pub status: Status,
    /// Why it is not delivered.
    pub error_code: Option<u32>,
    /// What its delivery will fail with.
    pub fate: Option<u32>,
    /// Where its states are reported.
    pub status_callback: Option<String>,
    /// When it was taken.
    pub created: Timestamp,
    /// When it was handed to WhatsApp.
    pub sent: Option<Timestamp>,
    /// When it changed last.
    pub updated: Timestamp,
}

/// A message that is to be remembered.
pub struct NewMessage {
    pub account_sid: String,
    pub to: String,
    pub from: String,
    pub body: String,
    pub fate: Option<u32>,
    pub status_callback: Option<String>,
}

impl Message {
    /// Whether a lead sent it.
    #[must_use]
    pub fn is_inbound(&self) -> bool {
        self.status == Status::Received
    }

    /// Whether the lead has it on the phone.
    #[must_use]
    pub const fn is_seen_by_lead(&self) -> bool {
        matches!(self.status, Status::Sent | Status::Delivered | Status::Read | Status::Received)
    }

    /// As Twilio tells it.
    #[must_use]
    pub fn describe(&self) -> Value {
        let uri = format!("/{API_VERSION}/Accounts/{}/Messages/{}", self.account_sid, self.sid);
        json!({
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "body": self.body,
            "date_created": date(self.created),
            "date_sent": self.sent.map(date),
            "date_updated": date(self.updated),
            "direction": if self.is_inbound() { "inbound" } else { "outbound-api" },
            "error_code": self.error_code,
            "error_message": null,
            "from": self.from,
            "messaging_service_sid": null,
            "num_media": "0",
            "num_segments": "1",
            "price": null,
            "price_unit": null,
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": { "media": format!("{uri}/Media.json") },
            "to": self.to,
            "uri": format!("{uri}.json"),
        })
    }
}

/// RFC 2822.
fn date(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// A new `SM…`.
pub fn new_sid() -> String {
    format!("SM{}", random_hex())
}

/// All messages, and since when each lead may be written to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Chat {
    last: u64,
    messages: BTreeMap<String, Message>,
    /// By lead and sender: when the lead wrote last.
    written: BTreeMap<String, Timestamp>,
}

impl Chat {
    /// Takes a message for delivery.
    pub fn take(&mut self, draft: NewMessage, now: Timestamp) -> Message {
        let message = self.keep(draft, new_sid(), Status::Queued, now);
        message.clone()
    }

    /// Remembers what a lead wrote, which opens the window. `false` when the
    /// message is known already.
    pub fn receive(&mut self, draft: NewMessage, sid: String, now: Timestamp) -> bool {
        if self.messages.contains_key(&sid) {
            return false;
        }
        self.written.insert(window(&draft.from, &draft.to), now);
        self.keep(draft, sid, Status::Received, now).sent = Some(now);
        true
    }

    fn keep(&mut self, draft: NewMessage, sid: String, status: Status, now: Timestamp) -> &mut Message {
        self.last += 1;
        let message = Message {
            seq: self.last,
            sid: sid.clone(),
            account_sid: draft.account_sid,
            to: draft.to,
            from: draft.from,
            body: draft.body,
            status,
            error_code: None,
            fate: draft.fate,
            status_callback: draft.status_callback,
            created: now,
            sent: None,
            updated: now,
        };
        self.messages.entry(sid).insert_entry(message).into_mut()
    }

    /// Whether free text may be sent to the lead.
    #[must_use]
    pub fn is_open(&self, lead: &str, sender: &str, now: Timestamp) -> bool {
        self.written.get(&window(lead, sender)).is_some_and(|written| now.duration_since(*written) < WINDOW)
    }

    /// Closes the window as if the lead had been silent for a day.
    pub fn close_window(&mut self, lead: &str, sender: &str) {
        self.written.remove(&window(lead, sender));
    }

    /// One message.
    #[must_use]
    pub fn get(&self, sid: &str) -> Option<&Message> {
        self.messages.get(sid)
    }

    /// All messages, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<&Message> {
        let mut all: Vec<_> = self.messages.values().collect();
        all.sort_by_key(|message| message.seq);
        all
    }

    /// Moves a message to its next state; `None` when there is none.
    pub fn advance(&mut self, sid: &str, now: Timestamp) -> Option<Message> {
        let message = self.messages.get_mut(sid)?;
        let next = match (message.status, message.fate) {
            (Status::Queued, _) => Status::Sending,
            (Status::Sending, None) => Status::Sent,
            (Status::Sending, Some(_)) => Status::Undelivered,
            (Status::Sent, _) => Status::Delivered,
            (Status::Delivered | Status::Read | Status::Undelivered | Status::Received, _) => return None,
        };
        message.status = next;
        message.updated = now;
        if next == Status::Sent {
            message.sent = Some(now);
        }
        if next == Status::Undelivered {
            message.error_code = message.fate;
        }
        Some(message.clone())
    }

    /// The lead looks at the chat: what was delivered is read.
    pub fn read_all(&mut self, lead: &str, sender: &str, now: Timestamp) -> Vec<Message> {
        let unread = |message: &&mut Message| {
            message.to == lead && message.from == sender && message.status == Status::Delivered
        };
        let mut read = Vec::new();
        for message in self.messages.values_mut().filter(unread) {
            message.status = Status::Read;
            message.updated = now;
            read.push(message.clone());
        }
        read.sort_by_key(|message| message.seq);
        read
    }

    /// Forgets everything; places go on.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.written.clear();
    }
}

fn window(lead: &str, sender: &str) -> String {
    format!("{lead} {sender}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(from: &str, to: &str, fate: Option<u32>) -> NewMessage {
        NewMessage {
            account_sid: "AC".to_owned(),
            to: to.to_owned(),
            from: from.to_owned(),
            body: "text".to_owned(),
            fate,
            status_callback: None,
        }
    }

    fn states(fate: Option<u32>) -> (Vec<&'static str>, Option<u32>) {
        let mut chat = Chat::default();
        let now = Timestamp::UNIX_EPOCH;
        let sid = chat.take(draft("us", "lead", fate), now).sid;
        let mut states = Vec::new();
        while let Some(message) = chat.advance(&sid, now) {
            states.push(message.status.name());
        }
        (states, chat.get(&sid).unwrap().error_code)
    }

    #[test]
    fn a_message_goes_forward_to_its_end() {
        assert_eq!(states(None), (vec!["sending", "sent", "delivered"], None));
        assert_eq!(states(Some(63016)), (vec!["sending", "undelivered"], Some(63016)));
    }

    #[test]
    fn the_window_is_a_day_long_and_the_leads_own() {
        let mut chat = Chat::default();
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        assert!(chat.receive(draft("lead", "us", None), "SM1".to_owned(), now));
        assert!(!chat.receive(draft("lead", "us", None), "SM1".to_owned(), now));
        assert!(chat.is_open("lead", "us", now + SignedDuration::from_secs(86_399)));
        assert!(!chat.is_open("lead", "us", now + SignedDuration::from_secs(86_400)));
        assert!(!chat.is_open("lead", "other", now) && !chat.is_open("other", "us", now));
        chat.close_window("lead", "us");
        assert!(!chat.is_open("lead", "us", now));
    }

    #[test]
    fn dates_are_rfc_2822() {
        let at = "2026-11-22T09:14:05Z".parse().unwrap();
        assert_eq!(date(at), "Sun, 22 Nov 2026 09:14:05 +0000");
    }
}
