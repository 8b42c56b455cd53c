//! The four providers and the two channels.

use std::fmt;
use std::str::FromStr;

use coachbot_proto::types::v1 as wire;

/// An account that a workspace brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provider {
    /// WhatsApp messages.
    Twilio,
    /// Phone calls.
    Vapi,
    /// The coach's calendar.
    Calcom,
    /// The model behind every WhatsApp reply.
    Openai,
}

/// How a workspace talks with its leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// By WhatsApp message.
    Whatsapp,
    /// By phone call.
    Voice,
}

/// A text or number that names no provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("provider must be one of twilio, vapi, calcom, openai")]
pub struct UnknownProvider;

impl Provider {
    /// All of them, in the order of the wire enum.
    pub const ALL: [Self; 4] = [Self::Twilio, Self::Vapi, Self::Calcom, Self::Openai];

    /// The name in paths, columns and sealing contexts, such as `calcom`.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Vapi => "vapi",
            Self::Calcom => "calcom",
            Self::Openai => "openai",
        }
    }

    /// The name that people know, such as `Cal.com`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "Twilio",
            Self::Vapi => "Vapi",
            Self::Calcom => "Cal.com",
            Self::Openai => "OpenAI",
        }
    }

    /// Whether workspaces of this channel use the provider.
    #[must_use]
    pub const fn serves(self, channel: Channel) -> bool {
        match self {
            Self::Twilio => matches!(channel, Channel::Whatsapp),
            Self::Vapi => matches!(channel, Channel::Voice),
            Self::Calcom | Self::Openai => true,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|provider| provider.slug() == text).ok_or(UnknownProvider)
    }
}

impl TryFrom<wire::Provider> for Provider {
    type Error = UnknownProvider;

    fn try_from(provider: wire::Provider) -> Result<Self, Self::Error> {
        match provider {
            wire::Provider::Unspecified => Err(UnknownProvider),
            wire::Provider::Twilio => Ok(Self::Twilio),
            wire::Provider::Vapi => Ok(Self::Vapi),
            wire::Provider::Calcom => Ok(Self::Calcom),
            wire::Provider::Openai => Ok(Self::Openai),
        }
    }
}

/// From the number of a wire field; a number that is not in the enum is unknown.
impl TryFrom<i32> for Provider {
    type Error = UnknownProvider;

    fn try_from(number: i32) -> Result<Self, Self::Error> {
        wire::Provider::try_from(number).map_err(|_| UnknownProvider)?.try_into()
    }
}

impl From<Provider> for wire::Provider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Twilio => Self::Twilio,
            Provider::Vapi => Self::Vapi,
            Provider::Calcom => Self::Calcom,
            Provider::Openai => Self::Openai,
        }
    }
}

impl Channel {
    /// The name in the JSON API and in columns.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Voice => "voice",
        }
    }

    /// The channel of that name, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Whatsapp, Self::Voice].into_iter().find(|channel| channel.slug() == text)
    }
}
