//! What is read of Cal.com's JSON.

use serde::Deserialize;

use crate::http::Answer;
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
        let questions = self.booking_fields.items().iter().filter(|field| must_be_answered(field)).count();
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
}

fn must_be_answered(field: &Node<'_>) -> bool {
    let ours = field.get("isDefault").is_true()
        && field.get("slug").text().is_some_and(|slug| ANSWERED.contains(&slug));
    field.get("required").is_true() && !ours
}

/// The text of an answer for an unknown route or version. The provider gives the
/// same status and code for an unknown event type, whose text begins with
/// `Event type`.
const NO_SUCH_ROUTE: &str = "Cannot ";

/// Whether a 404 is about the path and not about the event type.
pub(super) fn says_no_such_route(answer: &Answer) -> bool {
    // Two shapes are known: with an envelope, and bare.
    answer.json::<Node<'_>>().is_some_and(|body| {
        let enveloped = body.get("error").get("message").text();
        enveloped.or_else(|| body.get("message").text()).is_some_and(|text| text.starts_with(NO_SUCH_ROUTE))
    })
}
