//! What a check found, before it is put into words.

use std::time::Duration;

use crate::http::Cause;

/// The outcome of a check. Each variant is a row of the design's tables; words,
/// fix, field and verdict are in `messages.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The provider accepted the credentials.
    Accepted(Vec<Caution>),
    /// The provider refused the key.
    KeyRejected,
    /// The key is good, and may not do this.
    KeyLacksScope,
    /// The key is good, and something it should reach is not there.
    NotFound(Missing),
    /// The account behind the key is suspended or closed.
    AccountInactive,
    /// No money, or a limit reached.
    NoQuota,
    /// Too many requests.
    RateLimited,
    /// The provider is in trouble.
    ProviderDown {
        /// The HTTP status.
        status: u16,
    },
    /// No answer came.
    Unreachable(Cause),
    /// The key belongs to another of the provider's regions.
    OtherRegion,
    /// Any other answer.
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// What is known about it.
        kind: Unexpected,
    },
    /// The vault cannot open what is stored.
    CannotDecrypt(Sealed),
    /// Nothing is stored.
    NotConnected,
}

/// What the provider does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A Vapi assistant of this id.
    Assistant(String),
    /// A Vapi phone number of this id.
    PhoneNumber(String),
    /// A Cal.com event type of this id.
    EventType(String),
    /// An `OpenAI` model of this name.
    Model(String),
}

/// Kinds of answers that are no verdict on the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpected {
    /// A page, another shape, a status that no table names.
    Unknown,
    /// The provider does not know the path that we asked for: our fault.
    OurRequest,
    /// The provider does not serve the country that this server is in.
    Country,
}

/// Why the vault cannot open what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// No platform key is configured.
    KeyMissing,
    /// The platform key is not 32 bytes.
    KeyMalformed,
    /// The platform key is no random key.
    KeyWeak,
    /// The data was sealed under another platform key.
    KeyMismatch,
    /// This one record does not open, or does not hold what it should.
    Damaged,
}

/// What deserves attention although the credentials were accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caution {
    /// Twilio: a trial account.
    TrialAccount,
    /// Vapi: the number is blocked.
    NumberBlocked,
    /// Vapi: a free number.
    FreeNumber,
    /// Cal.com: only the host may book.
    BookingNeedsSignIn,
    /// Cal.com: the booker must type a code from an e-mail.
    BookerEmailVerification,
    /// Cal.com: a template of which only the children can be booked.
    ManagedEventType,
    /// Cal.com: a paid event.
    PaidEventType,
    /// Cal.com: questions that must be answered; how many.
    RequiredQuestions(usize),
    /// Cal.com: the host confirms each booking.
    NeedsConfirmation,
    /// `OpenAI`: the model is not among those that the key may use.
    ModelNotListed(String),
    /// `OpenAI`: the model is shut down on that day.
    ModelShutsDown {
        /// The model's name.
        model: String,
        /// Its last day.
        on: jiff::civil::Date,
        /// Whether that day is over.
        past: bool,
    },
}

/// One HTTP call that a check made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What was asked for, such as `account`.
    pub name: &'static str,
    /// Absent when no answer came.
    pub status: Option<u16>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A finished check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it found.
    pub finding: Finding,
    /// The calls that it made, in order.
    pub probes: Vec<Probe>,
}

impl Check {
    /// A check that made no call.
    #[must_use]
    pub fn without_calls(finding: Finding) -> Self {
        Self { finding, probes: Vec::new() }
    }
}
