//! Conversations and what is said in them.

use coachbot_common::id::Uuid;
use coachbot_common::id_type;
use jiff::{SignedDuration, Timestamp};

use crate::lead::LeadId;
use crate::words::words;

id_type! {
    /// One conversation with a lead.
    pub struct ConversationId
}

id_type! {
    /// One answer in the making.
    pub struct RunId
}

/// How long a conversation without a message stays open.
pub const QUIET: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How long free text may be sent after a lead's message: a minute less than the
/// 24 hours of WhatsApp, so that no message arrives a second too late.
pub const WINDOW: SignedDuration = SignedDuration::from_mins(24 * 60 - 1);

words! {
    /// How a workspace talks with its leads.
    pub enum Channel {
        /// Messages.
        Whatsapp = "whatsapp",
        /// Calls.
        Voice = "voice",
    }
}

words! {
    /// Who answers in a conversation.
    pub enum Owner {
        /// The model.
        Bot = "bot",
        /// A person.
        Person = "person",
        /// Nobody until a person takes it.
        Nobody = "nobody",
    }
}

words! {
    /// Who wrote a message.
    pub enum Author {
        /// The lead.
        Lead = "lead",
        /// The model.
        Bot = "bot",
        /// A person in the model's place.
        Person = "person",
        /// The product: first touch, confirmations, the hand-off sentence.
        System = "system",
    }
}

words! {
    /// Where a message is.
    pub enum MessageStatus {
        /// Inbound.
        Received = "received",
        /// To be sent.
        Planned = "planned",
        /// The provider is being asked.
        Sending = "sending",
        /// The provider took it.
        Accepted = "accepted",
        /// It left the provider.
        Sent = "sent",
        /// It arrived.
        Delivered = "delivered",
        /// It was read.
        Read = "read",
        /// It will not arrive.
        Failed = "failed",
        /// The provider's answer was lost.
        Unknown = "unknown",
        /// It was never sent, and will not be.
        Dropped = "dropped",
    }
}

impl MessageStatus {
    /// Its place among the states that the provider reports. They are not
    /// ordered when they arrive: the highest one holds, and a failure is final.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Received | Self::Planned | Self::Sending | Self::Unknown | Self::Dropped => 0,
            Self::Accepted => 1,
            Self::Sent => 2,
            Self::Delivered => 3,
            Self::Read => 4,
            Self::Failed => 5,
        }
    }
}

/// A conversation, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// With whom.
    pub lead: LeadId,
    /// Over what.
    pub channel: Channel,
    /// Who answers.
    pub owner: Owner,
    /// Whether the lead's next message belongs to it.
    pub open: bool,
    /// Until when free text may be sent; `None` when the lead never wrote.
    pub window_closes_at: Option<Timestamp>,
    /// When something was last said.
    pub updated_at: Timestamp,
}

/// Why a message failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageError {
    /// The provider's code, or a word of ours.
    pub code: String,
    /// One line for a person, with the fix.
    pub message: String,
}

/// A message, as it is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: Uuid,
    /// Whether it went to the lead.
    pub outbound: bool,
    /// Who wrote it.
    pub author: Author,
    /// What it says.
    pub text: String,
    /// Where it is.
    pub status: MessageStatus,
    /// Why it failed.
    pub error: Option<MessageError>,
    /// When it came, or was written.
    pub created_at: Timestamp,
    /// The lead's messages before it; of an inbound one, its own number.
    pub turn: i64,
    /// Its place in the conversation.
    pub seq: i64,
    /// The run that wrote it.
    pub run: Option<RunId>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}
