//! The credentials that the sandbox accepts. They are no secrets: they open
//! nothing anywhere else, and the README lists them.
//!
//! Several workspaces may share an account; state belongs to the account.

/// A Twilio account.
#[derive(Clone, Copy, Debug)]
pub struct TwilioAccount {
    /// `AC…`
    pub sid: &'static str,
    /// The Auth Token, by which webhooks are signed too.
    pub token: &'static str,
    /// The approved WhatsApp senders.
    pub senders: &'static [&'static str],
    /// The account's name.
    pub name: &'static str,
}

/// The Twilio accounts: two customers'.
pub const TWILIO: [TwilioAccount; 2] = [
    TwilioAccount {
        sid: "AC5a4db0c05a4db0c05a4db0c05a4db0c1",
        token: "70c0e1a57a4db0c00000000000000001",
        senders: &["whatsapp:+447700900999", "whatsapp:+447700900998"],
        name: "Sandbox Coaching",
    },
    TwilioAccount {
        sid: "AC5a4db0c05a4db0c05a4db0c05a4db0c2",
        token: "70c0e1a57a4db0c00000000000000002",
        senders: &["whatsapp:+447700900888"],
        name: "Sandbox Fitness",
    },
];

/// A pair of Twilio test credentials: they may read no account.
pub const TWILIO_TEST_PAIR: (&str, &str) =
    ("AC5a4db0c05a4db0c05a4db0c05a4db0ff", "70c0e1a57a4db0c000000000000000ff");

/// An approved WhatsApp template.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    /// `HX…`
    pub sid: &'static str,
    /// Its text, with gaps such as `{{1}}`.
    pub text: &'static str,
    /// The gaps.
    pub gaps: &'static [&'static str],
}

/// The templates, of every account alike.
pub const TEMPLATES: [Template; 2] = [
    Template {
        sid: "HX5a4db0c05a4db0c05a4db0c05a4db0c1",
        text: "Hi {{1}}, this is {{2}}. Thank you for your message! Would you like to book a free consult?",
        gaps: &["1", "2"],
    },
    Template {
        sid: "HX5a4db0c05a4db0c05a4db0c05a4db0c2",
        text: "Hello! Reply to this message to go on where we stopped.",
        gaps: &[],
    },
];

/// What becomes of a message to a recipient whose number has this ending,
/// whatever the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// Refused at once, with HTTP 400 and this code.
    Refused(u32),
    /// Accepted, then reported as undelivered with this code.
    Undelivered(u32),
}

/// Recipients that are never reached: `whatsapp:+4477009006` and two digits.
pub const RECIPIENTS: [(&str, Recipient); 5] = [
    ("whatsapp:+447700900610", Recipient::Refused(21610)),
    ("whatsapp:+447700900608", Recipient::Refused(21608)),
    ("whatsapp:+447700900603", Recipient::Undelivered(63003)),
    ("whatsapp:+447700900624", Recipient::Undelivered(63024)),
    ("whatsapp:+447700900649", Recipient::Undelivered(63049)),
];

/// A Cal.com account.
#[derive(Clone, Copy, Debug)]
pub struct CalcomAccount {
    /// `cal_live_…`
    pub key: &'static str,
    /// The owner's id.
    pub owner: u64,
    /// The owner's name.
    pub name: &'static str,
    /// The owner's user name.
    pub username: &'static str,
    /// The owner's address.
    pub email: &'static str,
    /// The zone of the owner's schedule: Monday to Friday, 09:00 to 17:00.
    pub timezone: &'static str,
    /// What can be booked.
    pub event_types: &'static [EventType],
}

/// Something that can be booked at a [`CalcomAccount`].
#[derive(Clone, Copy, Debug)]
pub struct EventType {
    /// Its id.
    pub id: u64,
    /// Its title.
    pub title: &'static str,
    /// Its name in URLs.
    pub slug: &'static str,
    /// How long it is.
    pub minutes: i64,
    /// Whether the host must confirm: a booking starts as `pending`.
    pub confirmation: bool,
    /// The slug of a question that must be answered.
    pub question: Option<&'static str>,
    /// Whether an attendee may have a phone number only.
    pub email_optional: bool,
}

/// How long before its start a slot can be booked, in minutes.
pub const MINIMUM_NOTICE_MINUTES: i64 = 120;

const PLAIN: EventType = EventType {
    id: 4_100_001,
    title: "Free consult",
    slug: "free-consult",
    minutes: 30,
    confirmation: false,
    question: None,
    email_optional: false,
};

/// The Cal.com accounts: two coaches'.
pub const CALCOM: [CalcomAccount; 2] = [
    CalcomAccount {
        key: "cal_live_sandbox0000000000000000001",
        owner: 9001,
        name: "Sam",
        username: "sam",
        email: "sam@sandbox.example",
        timezone: "Europe/London",
        event_types: &[
            PLAIN,
            EventType {
                id: 4_100_002,
                title: "Consult on request",
                slug: "on-request",
                confirmation: true,
                ..PLAIN
            },
            EventType {
                id: 4_100_003,
                title: "Consult with a question",
                slug: "with-question",
                question: Some("goal"),
                ..PLAIN
            },
            EventType {
                id: 4_100_004,
                title: "Phone consult",
                slug: "phone-consult",
                email_optional: true,
                ..PLAIN
            },
        ],
    },
    CalcomAccount {
        key: "cal_live_sandbox0000000000000000002",
        owner: 9002,
        name: "Alex",
        username: "alex",
        email: "alex@sandbox.example",
        timezone: "America/New_York",
        event_types: &[EventType { id: 4_200_001, ..PLAIN }],
    },
];

/// A key whose time is over.
pub const CALCOM_EXPIRED_KEY: &str = "cal_live_sandbox0000000000000expired";

/// Attendees that Cal.com refuses in a way of its own: the address, the status,
/// the text.
pub const ATTENDEES: [(&str, u16, &str); 3] = [
    ("blocked@sandbox.example", 403, "Cannot use this email to create the booking."),
    ("limit@sandbox.example", 401, "booking_limit_reached"),
    (
        "active@sandbox.example",
        400,
        "Attendee with this email can't book because the maximum number of active bookings has been reached.",
    ),
];

/// The `OpenAI` key that is answered by the script.
pub const OPENAI_KEY: &str = "sk-sandbox-scripted-0000000000000001";
/// An `OpenAI` key without credit: it may list models, and nothing else.
pub const OPENAI_NO_QUOTA_KEY: &str = "sk-sandbox-no-quota-0000000000000002";
/// An `OpenAI` key that lacks the scope of models and of responses.
pub const OPENAI_RESTRICTED_KEY: &str = "sk-sandbox-restricted-000000000000003";

/// A model of the sandbox.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Its name.
    pub id: &'static str,
    /// When it was made.
    pub created: i64,
    /// Its last day.
    pub shutdown: Option<&'static str>,
    /// Whether it reasons, and so takes other parameters.
    pub reasons: bool,
}

/// The models: the script plays each of them.
pub const MODELS: [Model; 3] = [
    Model { id: "gpt-4o", created: 1_715_367_049, shutdown: Some("2027-01-14"), reasons: false },
    Model { id: "gpt-4.1", created: 1_744_316_542, shutdown: Some("2027-01-14"), reasons: false },
    Model { id: "gpt-6-luna", created: 1_788_000_000, shutdown: None, reasons: true },
];

/// Vapi's private key.
pub const VAPI_KEY: &str = "5a4db0c0-7a91-4c0a-8f00-000000000001";
/// Vapi's organisation.
pub const VAPI_ORGANISATION: &str = "5a4db0c0-7a91-4c0a-8f00-000000000009";
/// Vapi's assistant.
pub const VAPI_ASSISTANT: &str = "5a4db0c0-7a91-4c0a-8f00-000000000002";
/// Vapi's phone number.
pub const VAPI_PHONE_NUMBER: &str = "5a4db0c0-7a91-4c0a-8f00-000000000003";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_have_the_shapes_that_the_product_demands() {
        let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        for account in TWILIO {
            assert_eq!((account.sid.len(), account.token.len()), (34, 32));
            assert!(account.sid.starts_with("AC") && hex(&account.sid[2..]) && hex(account.token));
        }
        for template in TEMPLATES {
            assert!(template.sid.len() == 34 && template.sid.starts_with("HX") && hex(&template.sid[2..]));
        }
        assert!(CALCOM.iter().all(|account| account.key.starts_with("cal_")));
        for id in [VAPI_KEY, VAPI_ORGANISATION, VAPI_ASSISTANT, VAPI_PHONE_NUMBER] {
            assert!(uuid::Uuid::parse_str(id).is_ok());
        }
    }
}
