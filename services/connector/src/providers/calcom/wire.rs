//! What is read of Cal.com's JSON.

use coachbot_proto::connector::v1::BookingStatus;
use jiff::Timestamp;
use serde::Deserialize;

use crate::providers::node::Node;
use crate::verify::Caution;

/// The envelope of a found event type.
#[derive(Deserialize)]
pub(super) struct Found<'a> {
    #[serde(borrow, default)]
    pub data: Option<EventType<'a>>,
}

/// An event type; every member but the id is optional.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventType<'a> {
    #[serde(borrow, default)]
    pub id: Node<'a>,
    #[serde(borrow, default)]
    pub title: Node<'a>,
    #[serde(borrow, default)]
    length_in_minutes: Node<'a>,
    #[serde(borrow, default)]
    booking_requires_authentication: Node<'a>,
    #[serde(borrow, default)]
    requires_booker_email_verification: Node<'a>,
    #[serde(borrow, default)]
    scheduling_type: Node<'a>,
    #[serde(borrow, default)]
    price: Node<'a>,
    #[serde(borrow, default)]
    booking_fields: Node<'a>,
    #[serde(borrow, default)]
    confirmation_policy: Node<'a>,
}

/// Fields of Cal.com's own that Coachbot fills in, or that bookings do without.
const ANSWERED: [&str; 5] = ["name", "email", "attendeePhoneNumber", "location", "rescheduleReason"];

impl EventType<'_> {
    /// What makes booking without a person impossible.
    pub(super) fn cautions(&self) -> Vec<Caution> {
        let questions = self.required_questions().count();
        let managed = self.scheduling_type.text().is_some_and(|kind| kind.eq_ignore_ascii_case("managed"));
        let confirmed = self.confirmation_policy.get("type").text() == Some("always")
            && !self.confirmation_policy.get("disabled").is_true();
        [
            (self.booking_requires_authentication.is_true(), Caution::BookingNeedsSignIn),
            (self.requires_booker_email_verification.is_true(), Caution::BookerEmailVerification),
            (managed, Caution::ManagedEventType),
            (self.price.is_positive(), Caution::PaidEventType),
            (questions > 0, Caution::RequiredQuestions(questions)),
            (confirmed, Caution::NeedsConfirmation),
        ]
        .into_iter()
        .filter_map(|(holds, caution)| holds.then_some(caution))
        .collect()
    }

    /// Its length in minutes.
    pub(super) fn length(&self) -> Option<u32> {
        self.length_in_minutes.integer()?.try_into().ok()
    }

    /// Whether a booking needs no e-mail address.
    pub(super) fn email_is_optional(&self) -> bool {
        self.booking_fields
            .items()
            .iter()
            .any(|field| field.get("slug").text() == Some("email") && field.get("required").is_false())
    }

    /// The questions that a booking must answer and Coachbot does not, by their
    /// slugs.
    pub(super) fn required_questions(&self) -> impl Iterator<Item = &str> {
        let fields = self.booking_fields.items().iter();
        fields
            .filter(|field| must_be_answered(field))
            .map(|field| field.get("slug").text().unwrap_or_default())
    }
}

fn must_be_answered(field: &Node<'_>) -> bool {
    let ours = field.get("isDefault").is_true()
        && field.get("slug").text().is_some_and(|slug| ANSWERED.contains(&slug));
    field.get("required").is_true() && !ours
}

/// The envelope of anything.
#[derive(Deserialize)]
pub(super) struct Data<'a> {
    #[serde(borrow, default)]
    pub data: Node<'a>,
}

/// The starts of slots, by local day. An element is an object in practice, and a
/// text according to the provider's published specification.
pub(super) fn slots(days: &Node<'_>) -> Option<Vec<Timestamp>> {
    days.is_object().then_some(())?;
    let elements = days.members().iter().flat_map(|(_, day)| day.items());
    elements.map(|slot| slot.get("start").text().or_else(|| slot.text())?.parse().ok()).collect()
}

/// The states that are taken as they are; every other one is pending, and never
/// told to a lead as booked.
pub(super) fn status(text: Option<&str>) -> BookingStatus {
    match text {
        Some("accepted") => BookingStatus::Accepted,
        Some("cancelled") => BookingStatus::Cancelled,
        Some("rejected") => BookingStatus::Rejected,
        _ => BookingStatus::Pending,
    }
}
