//! What happened, in order: the record by which tests judge.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::faults::Kind;
use crate::providers::{Operation, Provider};

/// How many entries are kept; older ones are dropped.
pub const KEPT: usize = 50_000;

/// One request that a provider got, or sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place, from 1 on; the cursor of a list.
    pub seq: u64,
    /// When it was judged.
    pub at: Timestamp,
    /// Which provider.
    pub provider: Provider,
    /// What was asked.
    pub operation: Operation,
    /// How it was judged.
    pub verdict: Verdict,
    /// The fault that was laid over it.
    pub fault: Option<Kind>,
    /// What it changed in the world.
    pub effect: Option<Effect>,
}

/// How a request was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// It was done.
    Accepted {
        /// The answer's status.
        http_status: u16,
    },
    /// It was refused, as it may happen to anyone.
    Refused {
        /// The answer's status.
        http_status: u16,
        /// The provider's code, or a word of its text.
        code: String,
    },
    /// The caller broke the provider's contract.
    Violation {
        /// The answer's status: some providers let a mistake pass.
        http_status: u16,
        /// The provider's code.
        code: String,
        /// What was wrong.
        what: String,
    },
    /// No answer was sent.
    Cut,
}

impl Verdict {
    /// Its name in filters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::Violation { .. } => "violation",
            Self::Cut => "cut",
        }
    }
}

/// A change in the world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// A message was taken for delivery.
    Message {
        /// Its id.
        sid: String,
        /// Whose it is.
        account_sid: String,
        /// The recipient.
        to: String,
        /// The sender.
        from: String,
        /// The text, of a template with its gaps filled.
        body: String,
        /// SHA-256 of the text, in hex.
        body_sha256: String,
        /// The template.
        content_sid: Option<String>,
        /// Where its states are reported.
        status_callback: Option<String>,
    },
    /// A booking was made.
    Booking {
        /// Its id.
        uid: String,
        /// What was booked.
        event_type_id: u64,
        /// Its first instant.
        start: Timestamp,
        /// `accepted` or `pending`.
        status: String,
        /// Who comes.
        attendee: Attendee,
        /// What the caller attached.
        metadata: BTreeMap<String, String>,
    },
    /// A state was reported.
    Status {
        /// The message.
        sid: String,
        /// The state.
        status: String,
    },
    /// A lead's message was handed on.
    Inbound {
        /// Its id.
        sid: String,
        /// The lead.
        from: String,
        /// The sender that the lead wrote to.
        to: String,
        /// What was changed on the way, for a test.
        tampered: Option<String>,
    },
}

impl Effect {
    /// Its name in filters.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Booking { .. } => "booking",
            Self::Status { .. } => "status",
            Self::Inbound { .. } => "inbound",
        }
    }
}

/// Who comes to a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attendee {
    /// The name.
    pub name: String,
    /// The address; made up from the number where there is none.
    pub email: String,
    /// E.164.
    pub phone_number: Option<String>,
    /// IANA.
    pub time_zone: String,
    /// The language that mails are written in.
    pub language: String,
}

/// Which entries are asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only this provider's.
    pub provider: Option<Provider>,
    /// Only this operation's.
    pub operation: Option<Operation>,
    /// Only those with this effect: `message`, `booking`, `status`, `inbound`.
    pub kind: Option<String>,
    /// Only those judged so: `accepted`, `refused`, `violation`, `cut`.
    pub verdict: Option<String>,
    /// Only those after this place.
    #[serde(default)]
    pub since: u64,
    /// At most so many.
    pub limit: Option<usize>,
    /// Any value: wait until there is one.
    pub wait: Option<String>,
}

impl Filter {
    fn fits(&self, entry: &Entry) -> bool {
        entry.seq > self.since
            && self.provider.is_none_or(|provider| provider == entry.provider)
            && self.operation.is_none_or(|operation| operation == entry.operation)
            && self.verdict.as_ref().is_none_or(|verdict| verdict == entry.verdict.name())
            && self
                .kind
                .as_ref()
                .is_none_or(|kind| entry.effect.as_ref().is_some_and(|effect| effect.name() == kind))
    }
}

/// All entries, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    last: u64,
    entries: VecDeque<Entry>,
}

impl Ledger {
    /// Writes down what came of a request.
    pub(crate) fn write(
        &mut self,
        at: Timestamp,
        (provider, operation): (Provider, Operation),
        verdict: Verdict,
        fault: Option<Kind>,
        effect: Option<Effect>,
    ) {
        self.last += 1;
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { seq: self.last, at, provider, operation, verdict, fault, effect });
    }

    /// The entries that fit, oldest first.
    #[must_use]
    pub fn list(&self, filter: &Filter) -> Vec<Entry> {
        let limit = filter.limit.unwrap_or(usize::MAX);
        self.entries.iter().filter(|entry| filter.fits(entry)).take(limit).cloned().collect()
    }

    /// Forgets all entries; places go on, so that a cursor stays good.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
