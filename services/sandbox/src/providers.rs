//! The providers and what can be asked of them.

use serde::{Deserialize, Serialize};

/// A provider that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Twilio, below `/twilio`.
    Twilio,
    /// Vapi, below `/vapi`.
    Vapi,
    /// Cal.com, below `/calcom`.
    Calcom,
    /// `OpenAI`, below `/openai/v1`.
    Openai,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Twilio, Self::Vapi, Self::Calcom, Self::Openai];

    /// The path that its base URL has.
    #[must_use]
    pub const fn base_path(self) -> &'static str {
        match self {
            Self::Twilio => "/twilio",
            Self::Vapi => "/vapi",
            Self::Calcom => "/calcom",
            Self::Openai => "/openai/v1",
        }
    }
}

/// One thing that can be asked of a provider, or that it does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Twilio's account read.
    FetchAccount,
    /// Twilio's send.
    SendMessage,
    /// Twilio's list of messages.
    ListMessages,
    /// Twilio's read of one message.
    FetchMessage,
    /// What Twilio reports about a message.
    StatusCallback,
    /// What Twilio hands on from a lead.
    InboundMessage,
    /// Cal.com's owner of the key.
    FetchMe,
    /// Cal.com's event type.
    FetchEventType,
    /// Cal.com's free slots.
    ListSlots,
    /// Cal.com's booking.
    CreateBooking,
    /// Cal.com's list of bookings.
    ListBookings,
    /// Cal.com's read of one booking.
    FetchBooking,
    /// `OpenAI`'s list of models.
    ListModels,
    /// `OpenAI`'s answer of a model.
    CreateResponse,
    /// Vapi's assistant.
    FetchAssistant,
    /// Vapi's phone number.
    FetchPhoneNumber,
    /// Vapi's outbound call, which is not simulated.
    CreateCall,
    /// A path that the sandbox does not know.
    Unknown,
}

impl Operation {
    /// All that belong to a provider.
    const OWNED: [Self; 17] = [
        Self::FetchAccount,
        Self::SendMessage,
        Self::ListMessages,
        Self::FetchMessage,
        Self::StatusCallback,
        Self::InboundMessage,
        Self::FetchMe,
        Self::FetchEventType,
        Self::ListSlots,
        Self::CreateBooking,
        Self::ListBookings,
        Self::FetchBooking,
        Self::ListModels,
        Self::CreateResponse,
        Self::FetchAssistant,
        Self::FetchPhoneNumber,
        Self::CreateCall,
    ];

    /// Those of a provider.
    pub(crate) fn of(provider: Provider) -> impl Iterator<Item = Self> {
        Self::OWNED.into_iter().filter(move |operation| operation.provider() == Some(provider))
    }

    /// Whose it is; `None` for one that any provider may be asked.
    #[must_use]
    pub const fn provider(self) -> Option<Provider> {
        Some(match self {
            Self::FetchAccount
            | Self::SendMessage
            | Self::ListMessages
            | Self::FetchMessage
            | Self::StatusCallback
            | Self::InboundMessage => Provider::Twilio,
            Self::FetchMe
            | Self::FetchEventType
            | Self::ListSlots
            | Self::CreateBooking
            | Self::ListBookings
            | Self::FetchBooking => Provider::Calcom,
            Self::ListModels | Self::CreateResponse => Provider::Openai,
            Self::FetchAssistant | Self::FetchPhoneNumber | Self::CreateCall => Provider::Vapi,
            Self::Unknown => return None,
        })
    }
}
