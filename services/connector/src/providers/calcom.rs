//! Cal.com: the check of an event type, and the calendar.

pub(crate) mod calendar;
mod refusals;
mod wire;

use http::{HeaderName, HeaderValue};
use tracing::error;

use super::credentials::Calcom;
use super::{Calls, Checked, is_json_object, is_ok, settled_by_status, unexpected, unexpected_as};
use crate::http::{Answer, BaseUrl, Operation, Request};
use crate::verify::{Caution, Finding, Missing, Unexpected};

/// Names the shape that is wanted. Another value of it is a 404, none at all an
/// older shape.
const VERSION_HEADER: HeaderName = HeaderName::from_static("cal-api-version");

/// The version of `/v2/event-types`; other groups have others
/// (<https://cal.com/docs/api-reference/v2/v1-v2-differences>).
const EVENT_TYPES_VERSION: HeaderValue = HeaderValue::from_static("2024-06-14");

/// Reads the event type.
pub(super) async fn check(calls: &mut Calls<'_>, base: &BaseUrl, own: &Calcom) -> Checked<Vec<Caution>> {
    let url = base.below(&["v2", "event-types", &own.event_type_id]);
    let request = Request::get(Operation::CalcomFetchEventType, url)
        .header(VERSION_HEADER, EVENT_TYPES_VERSION)
        .authorization(own.authorization());
    judge(&calls.ask("event_type", request).await?, &own.event_type_id)
}

fn judge(answer: &Answer, id: &str) -> Checked<Vec<Caution>> {
    if let Some(finding) = settled_by_status(answer) {
        return Err(finding);
    }
    if is_ok(answer) {
        return answer
            .json::<wire::Found<'_>>()
            .and_then(|found| found.data)
            .filter(|event_type| event_type.id.integer().is_some_and(|found| found.to_string() == id))
            .map(|event_type| event_type.cautions())
            .ok_or_else(|| unexpected(answer));
    }
    Err(match answer.status.as_u16() {
        401 => Finding::KeyRejected,
        // A page instead of JSON is a proxy's.
        403 if is_json_object(answer) => Finding::KeyRejected,
        404 if refusals::says_no_such_route(answer) => {
            error!(version = ?EVENT_TYPES_VERSION, "cal.com does not know the path or version that was asked for");
            unexpected_as(answer, Unexpected::OurRequest)
        }
        400 | 404 if !answer.is_html() => Finding::NotFound(Missing::EventType(id.to_owned())),
        _ => unexpected(answer),
    })
}
