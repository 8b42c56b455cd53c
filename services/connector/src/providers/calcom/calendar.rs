//! The calendar: event type, slots, bookings
//! (<https://cal.com/docs/api-reference/v2/introduction>).

use std::time::Duration;

use coachbot_common::clock::to_wire;
use coachbot_proto::connector::v1::{Booking, GetEventTypeResponse};
use http::HeaderValue;
use jiff::Timestamp;
use serde::Serialize;
use tracing::error;
use url::Url;

use super::{EVENT_TYPES_VERSION, VERSION_HEADER, refusals, wire};
use crate::failure::Reason;
use crate::http::{Answer, BaseUrl, Operation, Request};
use crate::providers::call::{Caller, Failed, Nature, Wait, settled, unreadable};
use crate::providers::credentials::Calcom;
use crate::providers::is_json_object;

/// The version of `/v2/slots`: without it the route is unknown.
const SLOTS_VERSION: HeaderValue = HeaderValue::from_static("2024-09-04");

/// The version of `/v2/bookings`. Newer ones, sent to a self-hosted copy that
/// lacks them, silently become an old shape.
const BOOKINGS_VERSION: HeaderValue = HeaderValue::from_static("2024-08-13");

/// Added on each side of the slots that are asked for: `start` and `end` are UTC,
/// the answer's days are local.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Asked for before the instant that bookings are looked for from: two clocks.
const SKEW: Duration = Duration::from_secs(60);

/// Most bookings of one list, the provider's own limit.
const MOST_BOOKINGS: &str = "250";

/// A key that is blocked is blocked for so long, and the provider may not say so.
const BLOCKED: Duration = Duration::from_secs(60);

/// A booking to be made.
pub(crate) struct NewBooking {
    /// Whose it is, for the metadata.
    pub workspace: String,
    /// What makes it, for the metadata: it is found again by that.
    pub intent: String,
    /// When.
    pub start: Timestamp,
    /// The lead's name.
    pub name: String,
    /// The lead's address.
    pub email: Option<String>,
    /// The lead's number, E.164.
    pub phone: Option<String>,
}

/// The calendar of one event type.
pub(crate) struct Calendar<'a> {
    pub(in crate::providers) caller: Caller<'a>,
    pub(in crate::providers) base: &'a BaseUrl,
    pub(in crate::providers) own: &'a Calcom,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BookingBody<'a> {
    start: String,
    event_type_id: u64,
    attendee: Attendee<'a>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attendee<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<&'a str>,
    time_zone: &'a str,
    language: &'static str,
}

/// Texts only: numbers and booleans pass the provider's first check and fail the
/// second.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    coachbot_intent: &'a str,
    coachbot_workspace: &'a str,
}

impl Calendar<'_> {
    /// Reads the event type.
    pub(crate) async fn event_type(&self) -> Result<GetEventTypeResponse, Failed> {
        let url = self.base.below(&["v2", "event-types", &self.own.event_type_id]);
        let request = self.signed(Request::get(Operation::CalcomFetchEventType, url), EVENT_TYPES_VERSION);
        self.caller.read(request, event_type).await
    }

    /// Lists the free slots of `from..until`, in order of time.
    pub(crate) async fn slots(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Timestamp>, Failed> {
        let mut url = self.base.below(&["v2", "slots"]);
        url.query_pairs_mut()
            .append_pair("eventTypeId", &self.own.event_type_id)
            .append_pair("start", &seconds(from.saturating_sub(DAY).unwrap_or(from)))
            .append_pair("end", &seconds(until.saturating_add(DAY).unwrap_or(until)))
            .append_pair("timeZone", &self.own.timezone)
            .append_pair("format", "time");
        let request = self.signed(Request::get(Operation::CalcomListSlots, url), SLOTS_VERSION);
        let mut starts = self.caller.read(request, slots).await?;
        starts.retain(|start| (from..until).contains(start));
        starts.sort_unstable();
        starts.dedup();
        Ok(starts)
    }

    /// Books one slot, once.
    pub(crate) async fn book(&self, booking: &NewBooking) -> Result<Booking, Failed> {
        let body = BookingBody {
            start: seconds(booking.start),
            event_type_id: self.own.event_type_number(),
            attendee: Attendee {
                name: &booking.name,
                email: booking.email.as_deref(),
                phone_number: booking.phone.as_deref(),
                time_zone: &self.own.timezone,
                language: "en",
            },
            metadata: Metadata { coachbot_intent: &booking.intent, coachbot_workspace: &booking.workspace },
        };
        let body = serde_json::to_string(&body).expect("texts and a number are JSON");
        let request = Request::post_json(Operation::CalcomCreateBooking, self.bookings(&[]), body);
        self.caller.once(Nature::Effect, self.signed(request, BOOKINGS_VERSION), booked).await
    }

    /// Lists the bookings of the event type that were made since, newest first.
    pub(crate) async fn list(&self, created_from: Timestamp) -> Result<Vec<Booking>, Failed> {
        let mut url = self.bookings(&[]);
        url.query_pairs_mut()
            .append_pair("eventTypeId", &self.own.event_type_id)
            .append_pair(
                "afterCreatedAt",
                &seconds(created_from.saturating_sub(SKEW).unwrap_or(created_from)),
            )
            .append_pair("sortCreated", "desc")
            .append_pair("take", MOST_BOOKINGS);
        let request = self.signed(Request::get(Operation::CalcomListBookings, url), BOOKINGS_VERSION);
        self.caller.read(request, listed).await
    }

    /// Reads one booking.
    pub(crate) async fn fetch(&self, uid: &str) -> Result<Booking, Failed> {
        let request = Request::get(Operation::CalcomFetchBooking, self.bookings(&[uid]));
        self.caller.read(self.signed(request, BOOKINGS_VERSION), fetched).await
    }

    fn bookings(&self, below: &[&str]) -> Url {
        self.base.below(&[&["v2", "bookings"], below].concat())
    }

    fn signed(&self, request: Request, version: HeaderValue) -> Request {
        request.header(VERSION_HEADER, version).authorization(self.own.authorization())
    }
}

/// UTC with `Z`, without a part of a second where there is none.
fn seconds(at: Timestamp) -> String {
    at.to_string()
}

fn event_type(answer: &Answer) -> Result<GetEventTypeResponse, Failed> {
    if let Some(failed) = failure(Nature::Read, answer) {
        return Err(failed);
    }
    answer
        .json::<wire::Found<'_>>()
        .and_then(|found| found.data)
        .filter(|event_type| event_type.id.integer().is_some())
        .map(|event_type| GetEventTypeResponse {
            title: event_type.title.text().unwrap_or_default().to_owned(),
            length_minutes: event_type.length().unwrap_or_default(),
            email_optional: event_type.email_is_optional(),
            required_questions: event_type.required_questions().map(str::to_owned).collect(),
        })
        .ok_or_else(|| unreadable(Nature::Read, answer))
}

fn slots(answer: &Answer) -> Result<Vec<Timestamp>, Failed> {
    if let Some(failed) = failure(Nature::Read, answer) {
        return Err(failed);
    }
    let starts = answer.json::<wire::Data<'_>>().and_then(|answer| wire::slots(&answer.data));
    starts.ok_or_else(|| unreadable(Nature::Read, answer))
}

fn booked(answer: &Answer) -> Result<Booking, Failed> {
    if let Some(failed) = refused_booking(answer) {
        return Err(failed);
    }
    booking(answer).ok_or_else(|| unreadable(Nature::Effect, answer))
}

fn fetched(answer: &Answer) -> Result<Booking, Failed> {
    if let Some(failed) = failure(Nature::Read, answer) {
        return Err(failed);
    }
    booking(answer).ok_or_else(|| unreadable(Nature::Read, answer))
}

/// One booking; a recurring event type answers a list of them.
fn booking(answer: &Answer) -> Option<Booking> {
    let data = answer.json::<wire::Data<'_>>()?.data;
    told(data.items().first().unwrap_or(&data))
}

fn listed(answer: &Answer) -> Result<Vec<Booking>, Failed> {
    if let Some(failed) = failure(Nature::Read, answer) {
        return Err(failed);
    }
    let all = answer.json::<wire::Data<'_>>().and_then(|answer| {
        let data = answer.data.is_list().then_some(answer.data)?;
        data.items().iter().map(told).collect::<Option<_>>()
    });
    all.ok_or_else(|| unreadable(Nature::Read, answer))
}

fn told(booking: &crate::providers::node::Node<'_>) -> Option<Booking> {
    let text = |name: &str| booking.get(name).text().filter(|text| !text.is_empty());
    let instant = |name: &str| text(name)?.parse().ok().map(to_wire);
    Some(Booking {
        provider_uid: text("uid")?.to_owned(),
        status: wire::status(text("status")).into(),
        start: instant("start"),
        end: instant("end"),
        intent_id: booking.get("metadata").get("coachbotIntent").text().map(str::to_owned),
        rescheduled_from_uid: text("rescheduledFromUid").map(str::to_owned),
    })
}

/// What all calls have in common. `None` for a success, and for a refusal that
/// the call reads itself.
fn common(nature: Nature, answer: &Answer) -> Option<Failed> {
    if let Some(mut failed) = settled(nature, answer, None) {
        if failed.reason == Reason::RateLimited {
            failed.wait.get_or_insert(Wait::For(BLOCKED));
        }
        return Some(failed);
    }
    if answer.status.is_success() {
        return None;
    }
    if !is_json_object(answer) {
        return Some(match answer.status.as_u16() {
            401 => Failed::by(Reason::CredentialRejected, answer, None),
            _ => unreadable(nature, answer),
        });
    }
    if answer.status.as_u16() == 404 && refusals::says_no_such_route(answer) {
        error!("cal.com does not know the path or version that was asked for");
        return Some(unreadable(nature, answer));
    }
    None
}

/// What is wrong with the answer to a read.
fn failure(nature: Nature, answer: &Answer) -> Option<Failed> {
    if let Some(failed) = common(nature, answer) {
        return Some(failed);
    }
    let reason = match answer.status.as_u16() {
        200..=299 => return None,
        401 | 403 => Reason::CredentialRejected,
        404 => Reason::NotFound,
        _ => Reason::Refused,
    };
    Some(Failed::by(reason, answer, None))
}

/// What is wrong with the answer to a booking. Here a 401 may be the coach's
/// limit and a 403 a blocked address.
fn refused_booking(answer: &Answer) -> Option<Failed> {
    let status = answer.status.as_u16();
    // A page with 401 says nothing about the key here either.
    if status == 401 && answer.unreadable().is_none() && !is_json_object(answer) {
        return Some(unreadable(Nature::Effect, answer));
    }
    if let Some(failed) = common(Nature::Effect, answer) {
        return Some(failed);
    }
    if answer.status.is_success() {
        return None;
    }
    if matches!(status, 401 | 403) && refusals::blames_the_key(answer) {
        return Some(Failed::by(Reason::CredentialRejected, answer, None));
    }
    let (reason, code) = refusals::of_booking(answer);
    Some(Failed::by(reason, answer, code.map(|code| code.name().to_owned())))
}
