//! What is read of Twilio's JSON.

use coachbot_proto::connector::v1::DeliveryStatus;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;

use crate::http::Answer;
use crate::providers::node::Node;

/// An account. The answer also holds the Auth Token in clear: it is not named
/// here, so that no copy of it is made.
#[derive(Deserialize)]
pub(super) struct Account<'a> {
    /// `active`, `suspended` or `closed`.
    #[serde(borrow, default)]
    pub status: Node<'a>,
    /// `Trial` or `Full`.
    #[serde(borrow, default, rename = "type")]
    pub kind: Node<'a>,
}

/// Codes that all mean "account not active"
/// (<https://www.twilio.com/docs/api/errors/20403>, `/20005`, `/10001`).
pub(super) const INACTIVE: [i64; 3] = [20403, 20005, 10001];

/// Codes that mean "too much at once", whatever the status: requests, messages
/// of the account, of the channel, of the day
/// (<https://www.twilio.com/docs/api/errors/20429>, `/63017`, `/63018`, `/63038`).
pub(super) const LIMITS: [i64; 4] = [20429, 63017, 63018, 63038];

/// The test credentials, which send nothing
/// (<https://www.twilio.com/docs/api/errors/20008>).
pub(super) const TEST_CREDENTIALS: i64 = 20008;

/// A message.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    sid: Node<'a>,
    #[serde(borrow, default)]
    pub to: Node<'a>,
    #[serde(borrow, default)]
    pub from: Node<'a>,
    #[serde(borrow, default)]
    pub body: Node<'a>,
    /// `inbound`, `outbound-api`, `outbound-reply`, `outbound-call`.
    #[serde(borrow, default)]
    direction: Node<'a>,
    #[serde(borrow, default)]
    status: Node<'a>,
    /// A number or null.
    #[serde(borrow, default)]
    pub error_code: Node<'a>,
    /// RFC 2822, whole seconds.
    #[serde(borrow, default)]
    date_created: Node<'a>,
}

/// One page of messages.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    #[serde(borrow)]
    pub messages: Vec<Message<'a>>,
    /// A path with a query, or null on the last page.
    #[serde(borrow, default)]
    pub next_page_uri: Node<'a>,
}

impl Message<'_> {
    /// `SM…` or `MM…`.
    pub(super) fn sid(&self) -> Option<&str> {
        self.sid.text().filter(|sid| is_message_sid(sid))
    }

    pub(super) fn created_at(&self) -> Option<Timestamp> {
        Some(rfc2822::parse(self.date_created.text()?).ok()?.timestamp())
    }

    pub(super) fn is_outbound(&self) -> bool {
        self.direction.text().is_some_and(|direction| direction.starts_with("outbound"))
    }

    /// Where it is; a state that is none of ours tells nothing.
    pub(super) fn delivery(&self) -> DeliveryStatus {
        match self.status.text() {
            Some("accepted" | "scheduled" | "queued") => DeliveryStatus::Queued,
            Some("sending") => DeliveryStatus::Sending,
            Some("sent") => DeliveryStatus::Sent,
            Some("delivered") => DeliveryStatus::Delivered,
            Some("read") => DeliveryStatus::Read,
            Some("failed") => DeliveryStatus::Failed,
            Some("undelivered") => DeliveryStatus::Undelivered,
            Some("canceled") => DeliveryStatus::Canceled,
            _ => DeliveryStatus::Unspecified,
        }
    }
}

/// Whether a text can be the SID of a message. How long the rest is, is left to
/// the provider; what matters is that it stays one segment of a path.
pub(crate) fn is_message_sid(sid: &str) -> bool {
    let rest = sid.strip_prefix("SM").or_else(|| sid.strip_prefix("MM")).unwrap_or_default();
    (1..=62).contains(&rest.len()) && rest.bytes().all(|letter| letter.is_ascii_alphanumeric())
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow, default)]
    code: Node<'a>,
}

/// Whether a refusal is about the account and not about the key.
pub(super) fn says_inactive(answer: &Answer) -> bool {
    code_of(answer).is_some_and(|code| INACTIVE.contains(&code))
}

/// The code of a refusal; a gateway's has none.
pub(super) fn code_of(answer: &Answer) -> Option<i64> {
    if answer.status.is_success() {
        return None;
    }
    answer.json::<Refusal<'_>>()?.code.integer()
}
