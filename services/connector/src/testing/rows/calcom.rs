//! Cal.com's rows.

use coachbot_integrations::Provider::Calcom;
use coachbot_proto::types::v1::Verdict;
use serde_json::{Value, json};

use super::{Row, ends, passes, says, unexpected};
use crate::testing::{Reply, event_type};

const REJECTED: &str = "Cal.com rejected the API key.";
const NO_EVENT_TYPE: &str = "Cal.com can't find event type id 1234567.";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = found();
    let rejected = |name, status: u16, reply| {
        ends(Calcom, name, status.into(), reply, Verdict::KeyRejected, REJECTED).about("api_key")
    };
    let missing = |name, status: u16, reply| {
        ends(Calcom, name, status.into(), reply, Verdict::NotFound, NO_EVENT_TYPE).about("event_type_id")
    };
    let unauthorized = |text| says(Calcom, 401, "UnauthorizedException", text);
    let not_found = |text| says(Calcom, 404, "NotFoundException", text);
    let bare = |text: &str| Reply::json(404, &json!({ "statusCode": 404, "message": text }));
    rows.extend([
        rejected("unknown key", 401, unauthorized("CustomThrottlerGuard - Invalid API Key")),
        rejected("expired key", 401, unauthorized("ApiAuthStrategy - api key - Your api key is expired")),
        rejected("401 without a body", 401, Reply::empty(401)),
        rejected(
            "another prefix, key repeated",
            403,
            says(
                Calcom,
                403,
                "ForbiddenException",
                "PermissionsGuard - no oAuth client found for access token=",
            ),
        ),
        rejected(
            "a missing permission",
            403,
            Reply::json(403, &json!({ "statusCode": 403, "message": "no" })),
        ),
        missing("unknown id", 404, not_found("Event type with id 1234567 not found")),
        missing("unknown id, bare", 404, bare("Event type with id 1234567 not found")),
        missing("unknown id, no body", 404, Reply::empty(404)),
        missing("malformed id", 400, says(Calcom, 400, "BadRequestException", "Validation failed")),
        unexpected(Calcom, "wrong version", 404, not_found("Cannot GET /v2/event-types/1234567")),
        unexpected(Calcom, "wrong version, bare", 404, bare("Cannot GET /v2/event-types/1234567")),
        ends(
            Calcom,
            "throttled",
            429,
            says(Calcom, 429, "ThrottlerException", "CustomThrottlerGuard - Too many requests."),
            Verdict::RateLimited,
            "Cal.com is limiting requests right now. The key was not judged; try again in a minute.",
        ),
    ]);
    rows
}

fn found() -> Vec<Row> {
    let reply = |changes: Value| Reply::json(200, &event_type(changes));
    let row = |name, changes| passes(Calcom, name, vec![reply(changes)]);
    let field =
        |slug, ours: bool, required: bool| json!({ "slug": slug, "isDefault": ours, "required": required });
    vec![
        row("found", json!({})),
        row("found, with nothing but an id", json!({ "bookingFields": "absent", "price": null, "users": 7 })),
        passes(Calcom, "an id as a text", vec![reply(json!({ "id": "1234567" }))]),
        row("sign-in", json!({ "bookingRequiresAuthentication": true })).warns(&["BOOKING_NEEDS_SIGN_IN"]),
        row("e-mail code", json!({ "requiresBookerEmailVerification": true }))
            .warns(&["EMAIL_VERIFICATION_REQUIRED"]),
        row("managed", json!({ "schedulingType": "managed" })).warns(&["MANAGED_EVENT_TYPE"]),
        row("managed, in capitals", json!({ "schedulingType": "MANAGED" })).warns(&["MANAGED_EVENT_TYPE"]),
        row("round robin", json!({ "schedulingType": "roundRobin" })),
        row("paid", json!({ "price": 4900 })).warns(&["PAYMENT_REQUIRED"]),
        row("a question", json!({ "bookingFields": [field("goal", false, true)] }))
            .warns(&["REQUIRED_QUESTIONS"]),
        row(
            "notes required",
            json!({ "bookingFields": [field("notes", true, true), field("name", true, true)] }),
        )
        .warns(&["REQUIRED_QUESTIONS"]),
        row("a question that may stay open", json!({ "bookingFields": [field("goal", false, false)] })),
        row("always confirmed", json!({ "confirmationPolicy": { "type": "always" } }))
            .warns(&["CONFIRMATION_REQUIRED"]),
        row("confirmed on short notice", json!({ "confirmationPolicy": { "type": "time" } })),
        row(
            "everything at once",
            json!({
                "bookingRequiresAuthentication": true, "requiresBookerEmailVerification": true,
                "schedulingType": "managed", "price": 0.5,
                "bookingFields": [field("a", false, true), field("b", false, true)],
                "confirmationPolicy": { "type": "always", "blockUnconfirmedBookingsInBooker": false },
            }),
        )
        .warns(&[
            "BOOKING_NEEDS_SIGN_IN",
            "EMAIL_VERIFICATION_REQUIRED",
            "MANAGED_EVENT_TYPE",
            "PAYMENT_REQUIRED",
            "REQUIRED_QUESTIONS",
            "CONFIRMATION_REQUIRED",
        ]),
        unexpected(Calcom, "another event type", 200, reply(json!({ "id": 7_654_321 }))),
        unexpected(Calcom, "no id", 200, reply(json!({ "id": "absent" }))),
        unexpected(Calcom, "no data", 200, Reply::json(200, &json!({ "status": "success" }))),
        unexpected(
            Calcom,
            "null for data",
            200,
            Reply::json(200, &json!({ "status": "success", "data": null })),
        ),
    ]
}
