//! Texts of Cal.com's refusals, by their beginnings: the provider gives no codes
//! that would tell these cases apart. They are hints and no contract; what none
//! of them matches is decided by the status.

use crate::failure::Reason;
use crate::http::Answer;
use crate::providers::node::Node;

/// An unknown route or version, which is our mistake: a 404 like that of an
/// unknown event type, whose text begins with `Event type`.
const NO_SUCH_ROUTE: &str = "Cannot ";

/// The key is the problem. On bookings a 401 or 403 with any other text is about
/// the booking.
const KEY: [&str; 3] =
    ["CustomThrottlerGuard - Invalid API Key", "ApiAuthStrategy - ", "PermissionsGuard - "];

/// What a refused booking means for the lead or the coach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    SlotGone,
    TooSoon,
    BookingLimit,
    EmailRefused,
    AlreadyBooked,
    FieldMissing,
    FieldInvalid,
    NotBookable,
}

impl Code {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SlotGone => "SLOT_GONE",
            Self::TooSoon => "TOO_SOON",
            Self::BookingLimit => "BOOKING_LIMIT",
            Self::EmailRefused => "EMAIL_REFUSED",
            Self::AlreadyBooked => "ALREADY_BOOKED",
            Self::FieldMissing => "FIELD_MISSING",
            Self::FieldInvalid => "FIELD_INVALID",
            Self::NotBookable => "NOT_BOOKABLE",
        }
    }
}

/// Beginnings of the texts of `POST /v2/bookings`.
const BEGINNINGS: [(&str, Code); 19] = [
    ("User either already has booking at this time or is not available", Code::SlotGone),
    ("One of the hosts either already has booking at this time or is not available", Code::SlotGone),
    ("booking_conflict_error", Code::SlotGone),
    ("The event type can't be booked at the \"start\" time provided", Code::TooSoon),
    ("Attempting to book a meeting in the past", Code::TooSoon),
    ("booking_limit_reached", Code::BookingLimit),
    ("duration_limit_reached", Code::BookingLimit),
    ("Cannot use this email to create the booking", Code::EmailRefused),
    ("Attendee email has been blocked", Code::EmailRefused),
    (
        "Attendee with this email can't book because the maximum number of active bookings has been reached",
        Code::AlreadyBooked,
    ),
    ("Missing attendee phone number", Code::FieldMissing),
    ("Missing required booking field response", Code::FieldMissing),
    ("Attendee must have at least one contact method", Code::FieldMissing),
    ("Invalid phone number format", Code::FieldInvalid),
    ("Invalid type for booking field", Code::FieldInvalid),
    ("Invalid option '", Code::FieldInvalid),
    ("email_verification_required", Code::NotBookable),
    ("invalid_verification_code", Code::NotBookable),
    ("checkBookingRequiresAuthentication", Code::NotBookable),
];

/// Words that stand behind a field's name in braces, anywhere in the text: more
/// than one field may be refused at once.
const MENTIONS: [(&str, Code); 5] = [
    ("exclude_emails_match_found", Code::EmailRefused),
    ("require_emails_no_match_found", Code::EmailRefused),
    ("error_required_field", Code::FieldMissing),
    ("email_validation_error", Code::FieldInvalid),
    ("}invalid_", Code::FieldInvalid),
];

/// The text of a refusal. Two shapes are known: with an envelope, and bare, where
/// it may be a list.
fn matches(answer: &Answer, wanted: impl Fn(&str) -> bool) -> bool {
    answer.json::<Node<'_>>().is_some_and(|body| {
        let enveloped = body.get("error").get("message");
        let text = if enveloped.text().is_some() { enveloped } else { body.get("message") };
        text.text().is_some_and(&wanted) || text.items().iter().filter_map(Node::text).any(&wanted)
    })
}

/// Whether a 404 is about the path and not about a thing.
pub(super) fn says_no_such_route(answer: &Answer) -> bool {
    matches(answer, |text| text.starts_with(NO_SUCH_ROUTE))
}

/// Whether a refusal is about the key.
pub(super) fn blames_the_key(answer: &Answer) -> bool {
    matches(answer, |text| KEY.iter().any(|beginning| text.starts_with(beginning)))
}

/// Why a booking is refused, apart from the key.
pub(super) fn of_booking(answer: &Answer) -> (Reason, Option<Code>) {
    let beginning = BEGINNINGS.iter().find(|(start, _)| matches(answer, |text| text.starts_with(start)));
    let mention = || MENTIONS.iter().find(|(word, _)| matches(answer, |text| text.contains(word)));
    if let Some((_, code)) = beginning.or_else(mention) {
        return (Reason::Refused, Some(*code));
    }
    match answer.status.as_u16() {
        // The event type, which is all that a booking names.
        404 => (Reason::NotFound, None),
        // All conflicts are about the slot: two bookings, no seat left.
        409 => (Reason::Refused, Some(Code::SlotGone)),
        _ => (Reason::Refused, Some(Code::NotBookable)),
    }
}
