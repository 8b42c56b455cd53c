//! Effects outside the product, each a row before it happens.

use std::collections::BTreeMap;
use std::fmt;

use coachbot_common::id::WorkspaceId;
use coachbot_common::id_type;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::conversation::{ConversationId, RunId};
use crate::lead::LeadId;
use crate::words::words;

id_type! {
    /// One effect: a message's id is its intent's.
    pub struct IntentId
}

words! {
    /// What an intent is for.
    pub enum Purpose {
        /// The model's reply, or a part of it.
        Reply = "reply",
        /// The first message to a lead from a form.
        FirstTouch = "first_touch",
        /// The confirmation of STOP.
        Stop = "stop",
        /// The confirmation of START.
        Start = "start",
        /// The hand-off sentence.
        Handoff = "handoff",
        /// A booking.
        Booking = "booking",
    }
}

words! {
    /// How far an intent is.
    pub enum State {
        /// To happen.
        Planned = "planned",
        /// The provider is being asked.
        Sending = "sending",
        /// The provider did it.
        Accepted = "accepted",
        /// It arrived.
        Delivered = "delivered",
        /// It did not happen, and will not.
        Failed = "failed",
        /// The answer was lost: evidence is looked for.
        Unknown = "unknown",
        /// It was never tried, or never happened, and will not.
        Dropped = "dropped",
    }
}

/// What is to happen.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Payload {
    /// Free text to an address.
    Text {
        /// Where to.
        to: String,
        /// What it says.
        body: String,
    },
    /// An approved template to an address.
    Template {
        /// Where to.
        to: String,
        /// `HX…`.
        content_sid: String,
        /// By the gap's number.
        variables: BTreeMap<String, String>,
    },
    /// A slot for an attendee.
    Booking {
        /// When it starts.
        start: Timestamp,
        /// Who comes.
        name: String,
        /// Where the invitation goes.
        email: Option<String>,
        /// Where they can be called.
        phone: Option<String>,
        /// The zone that the slot was labelled in.
        timezone: String,
    },
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text { .. } => "Text",
            Self::Template { .. } => "Template",
            Self::Booking { .. } => "Booking",
        })
    }
}

/// A claimed intent: the fence is the claim's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: IntentId,
    /// Where it belongs.
    pub conversation: ConversationId,
    /// To whom.
    pub lead: LeadId,
    /// What it is for.
    pub purpose: Purpose,
    /// How far it was when it was claimed.
    pub state: State,
    /// The run that wants it.
    pub run: Option<RunId>,
    /// The claim's number.
    pub fence: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// What is to happen.
    pub payload: Payload,
    /// When it was first tried.
    pub sending_at: Option<Timestamp>,
    /// When its absence was first seen since the last try.
    pub absent_at: Option<Timestamp>,
    /// When the present row of failures began.
    pub failing_since: Option<Timestamp>,
    /// The provider's refusal that evidence is looked for against.
    pub code: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// A booking at the provider, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// The provider's id.
    pub provider_uid: String,
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// The zone that its slots were labelled in.
    pub timezone: String,
    /// How far it is.
    pub state: BookingState,
}

words! {
    /// How far a booking is.
    pub enum BookingState {
        /// Waits for somebody's consent: never told as booked.
        Pending = "pending",
        /// It will take place.
        Accepted = "accepted",
        /// It will not.
        Cancelled = "cancelled",
        /// It was refused.
        Rejected = "rejected",
    }
}
