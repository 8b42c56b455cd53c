//! The calendar: what is asked of Cal.com, what becomes of its answers, and every
//! row of its page that a call can meet.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

mod support;

use coachbot_common::fault::Refusal;
use coachbot_connector::testing::{
    EVENT_TYPE_ID, Reply, StubProviders, WORKSPACE, booking, booking_page, event_type, slots,
};
use coachbot_integrations::Provider::Calcom;
use coachbot_proto::connector::v1::{Booking, BookingStatus, CreateBookingRequest, GetEventTypeResponse};
use serde_json::{Value, json};
use support::{
    INTENT, Live, assert_fits, assert_no_complaints, assert_told, at, bare, new_booking, says, told,
};
use tonic::Code;

const SCHEMAS: &str = include_str!("../fixtures/calcom/schema.json");

fn enveloped(data: &Value) -> Value {
    json!({ "status": "success", "data": data })
}

#[tokio::test]
async fn an_event_type_tells_what_a_booking_needs() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let usual = GetEventTypeResponse {
        title: "Free consult".to_owned(),
        length_minutes: 30,
        email_optional: false,
        required_questions: vec![],
    };
    assert_eq!(live.event_type().await.unwrap(), usual);
    assert_no_complaints(&stub);

    let fields = json!([
        { "type": "name", "slug": "name", "isDefault": true, "required": true },
        { "type": "email", "slug": "email", "isDefault": true, "required": false },
        { "type": "phone", "slug": "attendeePhoneNumber", "isDefault": true, "required": true },
        { "type": "textarea", "slug": "notes", "isDefault": true, "required": true },
        { "type": "text", "slug": "goal", "isDefault": false, "required": true },
        { "type": "text", "slug": "budget", "isDefault": false, "required": false },
    ]);
    stub.answer([Reply::json(200, &event_type(json!({ "bookingFields": fields })))]);
    let asked = GetEventTypeResponse {
        email_optional: true,
        required_questions: vec!["notes".to_owned(), "goal".to_owned()],
        ..usual
    };
    assert_eq!(live.event_type().await.unwrap(), asked);
}

#[tokio::test]
async fn slots_are_asked_for_with_a_day_more_on_each_side_and_filtered() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let found = live.slots("2026-12-01T09:30:00Z", "2026-12-02T14:00:00Z").await.unwrap();
    assert_eq!(found.timezone, "Europe/London");
    let starts = ["2026-12-01T09:30:00Z", "2026-12-01T23:30:00Z", "2026-12-02T00:00:00Z"];
    assert_eq!(found.starts, starts.map(at));
    assert_no_complaints(&stub);
    assert_eq!(
        stub.seen()[0].target,
        "/calcom/v2/slots?eventTypeId=1234567&start=2026-11-30T09%3A30%3A00Z&end=2026-12-03T14%3A00%3A00Z\
         &timeZone=Europe%2FLondon&format=time"
    );
}

#[tokio::test]
async fn slots_may_be_none_or_texts_or_not_slots_at_all() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let ask = async |data: Value| {
        stub.answer([Reply::json(200, &enveloped(&data))]);
        live.slots("2026-12-01T00:00:00Z", "2026-12-04T00:00:00Z").await.map(|found| found.starts)
    };
    assert_eq!(ask(json!({})).await.unwrap(), []);
    let texts = json!({ "2026-12-01": ["2026-12-01T09:00:00Z", "2026-12-01T09:00:00.000+00:00"] });
    assert_eq!(ask(texts).await.unwrap(), [at("2026-12-01T09:00:00Z")]);
    for wrong in
        [json!([]), json!(null), json!({ "2026-12-01": [{ "start": "9:00" }] }), json!({ "d": [{}] })]
    {
        let status = ask(wrong).await.unwrap_err();
        assert_told(&status, Calcom, "UNREADABLE_ANSWER", "200", "slots");
    }
}

#[tokio::test]
async fn a_booking_is_asked_for_as_the_page_shows_it() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let booked = live.book(new_booking()).await.unwrap();
    assert_eq!(
        booked,
        Booking {
            provider_uid: "booking1".to_owned(),
            status: BookingStatus::Accepted.into(),
            start: Some(at("2026-12-01T09:00:00Z")),
            end: Some(at("2026-12-01T09:30:00Z")),
            intent_id: Some(INTENT.to_owned()),
            rescheduled_from_uid: None,
        }
    );
    assert_no_complaints(&stub);
    let sent: Value = serde_json::from_str(&stub.seen()[0].body).unwrap();
    assert_eq!(
        sent,
        json!({
            "start": "2026-12-01T09:00:00Z",
            "eventTypeId": 1_234_567,
            "attendee": {
                "name": "Zoë K.", "email": "zoe@example.com", "phoneNumber": "+447700900123",
                "timeZone": "Europe/London", "language": "en",
            },
            "metadata": { "coachbotIntent": INTENT, "coachbotWorkspace": WORKSPACE },
        })
    );
    assert_fits(SCHEMAS, "CreateBookingInput_2024_08_13", &sent);
    assert_eq!(live.booking("booking1").await.unwrap(), booked);
    assert_eq!(live.bookings(support::NOW).await.unwrap(), [booked]);
    assert_no_complaints(&stub);
}

#[tokio::test]
async fn an_attendee_has_what_is_known_of_him_and_no_more() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let unknown =
        CreateBookingRequest { attendee_email: None, attendee_phone: Some(String::new()), ..new_booking() };
    live.book(unknown).await.unwrap();
    let sent: Value = serde_json::from_str(&stub.seen()[0].body).unwrap();
    let attendee = json!({ "name": "Zoë K.", "timeZone": "Europe/London", "language": "en" });
    assert_eq!(sent["attendee"], attendee);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_field() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let cases = [
        (CreateBookingRequest { workspace_id: String::new(), ..new_booking() }, "workspace_id"),
        (CreateBookingRequest { intent_id: String::new(), ..new_booking() }, "intent_id"),
        (CreateBookingRequest { attendee_name: " ".into(), ..new_booking() }, "attendee_name"),
        (CreateBookingRequest { start: None, ..new_booking() }, "start"),
    ];
    for (request, field) in cases {
        let status = live.book(request).await.unwrap_err();
        let read = Refusal::from_status(&status);
        assert_eq!(
            (status.code(), read.fields[0].0.as_str(), read.reason),
            (Code::InvalidArgument, field, None)
        );
    }
    let status = live.slots("2026-12-02T00:00:00Z", "2026-12-02T00:00:00Z").await.unwrap_err();
    assert_eq!(Refusal::from_status(&status).fields[0].0, "until");
    for uid in ["", "..", "a/b", "a?b"] {
        assert_eq!(live.booking(uid).await.unwrap_err().code(), Code::InvalidArgument, "{uid}");
    }
    assert_eq!(stub.seen().len(), 0);
}

#[tokio::test]
async fn a_booking_of_a_recurring_event_type_is_the_first_of_its_list() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let many = json!([booking(json!({ "uid": "first" })), booking(json!({ "uid": "second" }))]);
    stub.answer([Reply::json(201, &enveloped(&many)), Reply::json(200, &enveloped(&many))]);
    assert_eq!(live.book(new_booking()).await.unwrap().provider_uid, "first");
    assert_eq!(live.booking("first").await.unwrap().provider_uid, "first");
}

#[tokio::test]
async fn every_state_that_is_not_told_is_pending() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let cases = [
        (json!("accepted"), BookingStatus::Accepted),
        (json!("cancelled"), BookingStatus::Cancelled),
        (json!("rejected"), BookingStatus::Rejected),
        (json!("pending"), BookingStatus::Pending),
        (json!("awaiting_host"), BookingStatus::Pending),
        (json!("ACCEPTED"), BookingStatus::Pending),
        (json!("absent"), BookingStatus::Pending),
        (json!(null), BookingStatus::Pending),
    ];
    for (status, expected) in cases {
        stub.answer([Reply::json(201, &enveloped(&booking(json!({ "status": status }))))]);
        assert_eq!(live.book(new_booking()).await.unwrap().status(), expected, "{status}");
    }
}

#[tokio::test]
async fn bookings_are_looked_for_by_the_time_they_were_made_a_minute_early() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let moved = booking(json!({ "uid": "moved", "rescheduledFromUid": "first" }));
    let foreign = booking(json!({ "uid": "foreign", "metadata": "absent" }));
    stub.answer([Reply::json(200, &booking_page(&[moved, foreign]))]);
    let found = live.bookings("2026-11-25T12:00:30Z").await.unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|found| {
            let moved_from = found.rescheduled_from_uid.as_deref();
            (found.provider_uid.as_str(), found.intent_id.as_deref(), moved_from)
        })
        .collect();
    assert_eq!(told, [("moved", Some(INTENT), Some("first")), ("foreign", None, None)]);
    assert_no_complaints(&stub);
    assert_eq!(
        stub.seen()[0].target,
        format!(
            "/calcom/v2/bookings?eventTypeId={EVENT_TYPE_ID}&afterCreatedAt=2026-11-25T11%3A59%3A30Z\
             &sortCreated=desc&take=250"
        )
    );
    for wrong in [json!({}), json!(null), json!([{ "status": "accepted" }])] {
        stub.answer([Reply::json(200, &enveloped(&wrong))]);
        let status = live.bookings(support::NOW).await.unwrap_err();
        assert_told(&status, Calcom, "UNREADABLE_ANSWER", "200", "list");
    }
}

/// The texts of the page's table, each with its status.
const TEXTS: &[(u16, &str, &str)] = &[
    (400, "User either already has booking at this time or is not available", "SLOT_GONE"),
    (400, "One of the hosts either already has booking at this time or is not available", "SLOT_GONE"),
    (
        400,
        "The event type can't be booked at the \"start\" time provided. This could be because it's too soon",
        "TOO_SOON",
    ),
    (400, "Attempting to book a meeting in the past.", "TOO_SOON"),
    (
        400,
        "Attendee with this email can't book because the maximum number of active bookings has been reached.",
        "ALREADY_BOOKED",
    ),
    (400, "Missing attendee phone number - it is required by the event type. Pass it as", "FIELD_MISSING"),
    (
        400,
        "Missing required booking field response: goal - it is required by the event type",
        "FIELD_MISSING",
    ),
    (400, "Attendee must have at least one contact method (email or phone number)", "FIELD_MISSING"),
    (400, "{email}error_required_field", "FIELD_MISSING"),
    (400, "Invalid booking: {goal}error_required_field, {x}error_required_field", "FIELD_MISSING"),
    (400, "Invalid phone number format. Please use", "FIELD_INVALID"),
    (400, "Invalid type for booking field goal", "FIELD_INVALID"),
    (400, "Invalid option 'x' for", "FIELD_INVALID"),
    (400, "{email}email_validation_error", "FIELD_INVALID"),
    (400, "{attendeePhoneNumber}invalid_number", "FIELD_INVALID"),
    (400, "{email}exclude_emails_match_found_error_message", "EMAIL_REFUSED"),
    (400, "{email}require_emails_no_match_found_error_message", "EMAIL_REFUSED"),
    (400, "email_verification_required", "NOT_BOOKABLE"),
    (400, "invalid_verification_code", "NOT_BOOKABLE"),
    (400, "Event type with id 1234567 is the parent managed event type", "NOT_BOOKABLE"),
    (400, "something new", "NOT_BOOKABLE"),
    (401, "booking_limit_reached", "BOOKING_LIMIT"),
    (401, "duration_limit_reached", "BOOKING_LIMIT"),
    (403, "booking_limit_reached", "BOOKING_LIMIT"),
    (401, "checkBookingRequiresAuthentication - user is not", "NOT_BOOKABLE"),
    (403, "checkBookingRequiresAuthentication - user is not", "NOT_BOOKABLE"),
    (401, "something new", "NOT_BOOKABLE"),
    (403, "Cannot use this email to create the booking.", "EMAIL_REFUSED"),
    (403, "Attendee email has been blocked. Ask", "EMAIL_REFUSED"),
    (403, "something new", "NOT_BOOKABLE"),
    (409, "booking_conflict_error", "SLOT_GONE"),
    (409, "booking_seats_full_error", "SLOT_GONE"),
    (422, "Can't book this team event type because it has no hosts. Please", "NOT_BOOKABLE"),
];

#[tokio::test]
async fn every_refusal_of_a_booking_is_understood_in_all_its_forms() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    for (status, text, code) in TEXTS {
        let both = json!({ "statusCode": status, "message": "Bad Request", "error": { "code": "X", "message": text } });
        let forms = [
            says(Calcom, *status, "BadRequestException", text),
            bare(*status, &json!(text)),
            bare(*status, &json!(["first of all", text])),
            Reply::json(*status, &both),
        ];
        for reply in forms {
            stub.answer([reply]);
            let refused = live.book(new_booking()).await.unwrap_err();
            assert_told(&refused, Calcom, "REFUSED", code, text);
            assert_eq!(stub.seen().len(), 1, "{text}");
        }
    }
    assert_eq!(stub.ledger().bookings.len(), 0);
}

#[tokio::test]
async fn only_the_texts_about_the_key_blame_the_key_of_a_booking() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let rows = [
        (401_u16, "CustomThrottlerGuard - Invalid API Key"),
        (401, "ApiAuthStrategy - api key - Your api key is not valid"),
        (401, "ApiAuthStrategy - api key - Your api key is expired"),
        (403, "PermissionsGuard - no oAuth client found for access token="),
    ];
    for (status, text) in rows {
        for reply in [says(Calcom, status, "UnauthorizedException", text), bare(status, &json!(text))] {
            stub.answer([reply]);
            let refused = live.book(new_booking()).await.unwrap_err();
            assert_told(&refused, Calcom, "CREDENTIAL_REJECTED", &status.to_string(), text);
        }
    }
    // Their words in another answer mean nothing.
    stub.answer([bare(400, &json!("ApiAuthStrategy - x"))]);
    let refused = live.book(new_booking()).await.unwrap_err();
    assert_told(&refused, Calcom, "REFUSED", "NOT_BOOKABLE", "400");
}

#[tokio::test]
async fn every_other_row_of_a_booking_has_its_reason() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let rows = [
        (
            "no such event type",
            says(Calcom, 404, "NotFoundException", "Event type with id 1234567 not found."),
            "NOT_FOUND",
            "404",
        ),
        ("no such event type, bare", bare(404, &json!("event_type_not_found")), "NOT_FOUND", "404"),
        (
            "our version",
            says(Calcom, 404, "NotFoundException", "Cannot POST /v2/bookings"),
            "UNREADABLE_ANSWER",
            "404",
        ),
        ("a page with 404", Reply::page(404), "UNREADABLE_ANSWER", "404"),
        ("a page with 401", Reply::page(401), "UNREADABLE_ANSWER", "401"),
        ("a page with 403", Reply::page(403), "UNREADABLE_ANSWER", "403"),
        ("an empty 403", Reply::empty(403), "UNREADABLE_ANSWER", "403"),
        (
            "an encoded 401",
            says(Calcom, 401, "", "x").header("content-encoding", "br"),
            "UNREADABLE_ANSWER",
            "401",
        ),
        ("payment", Reply::empty(402), "NO_QUOTA", "402"),
        (
            "throttled",
            says(Calcom, 429, "ThrottlerException", "CustomThrottlerGuard - Too many requests."),
            "RATE_LIMITED",
            "429",
        ),
        ("bare 500", bare(500, &json!("Internal server error")), "UNKNOWN_EFFECT", "500"),
        ("a page with 502", Reply::page(502), "UNKNOWN_EFFECT", "502"),
        ("timeout of the server", Reply::empty(408), "UNKNOWN_EFFECT", "408"),
        ("an empty success", Reply::empty(201), "UNKNOWN_EFFECT", "201"),
        (
            "a success without data",
            Reply::json(201, &json!({ "status": "success" })),
            "UNKNOWN_EFFECT",
            "201",
        ),
        (
            "a success without a uid",
            Reply::json(201, &enveloped(&json!({ "id": 1 }))),
            "UNKNOWN_EFFECT",
            "201",
        ),
    ];
    for (row, reply, reason, code) in rows {
        stub.answer([reply]);
        let status = live.book(new_booking()).await.unwrap_err();
        assert_told(&status, Calcom, reason, code, row);
        assert_eq!(stub.seen().len(), 1, "{row}");
    }
}

#[tokio::test]
async fn every_row_of_a_read_has_its_reason() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let rows = || {
        [
            (
                says(Calcom, 401, "UnauthorizedException", "CustomThrottlerGuard - Invalid API Key"),
                "CREDENTIAL_REJECTED",
                "401",
            ),
            (Reply::page(401), "CREDENTIAL_REJECTED", "401"),
            (
                says(Calcom, 403, "ForbiddenException", "PermissionsGuard - no oAuth client"),
                "CREDENTIAL_REJECTED",
                "403",
            ),
            (Reply::page(403), "UNREADABLE_ANSWER", "403"),
            (says(Calcom, 404, "NotFoundException", "Event Type not found"), "NOT_FOUND", "404"),
            (says(Calcom, 404, "NotFoundException", "Cannot GET /v2/slots"), "UNREADABLE_ANSWER", "404"),
            (says(Calcom, 400, "BadRequestException", "Invalid time range given"), "REFUSED", "400"),
            (Reply::page(200), "UNREADABLE_ANSWER", "200"),
            (bare(500, &json!("Internal server error")), "PROVIDER_AWAY", "500"),
        ]
    };
    for (reply, reason, code) in rows() {
        for read in ["event type", "slots", "list", "booking"] {
            stub.answer([reply.clone()]);
            let status = match read {
                "event type" => live.event_type().await.unwrap_err(),
                "slots" => live.slots("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z").await.unwrap_err(),
                "list" => live.bookings(support::NOW).await.unwrap_err(),
                _ => live.booking("uid").await.unwrap_err(),
            };
            assert_told(&status, Calcom, reason, code, read);
            assert_eq!(stub.seen().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_blocked_key_waits_a_minute_unless_the_provider_says_less() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Calcom);
    let limited = || says(Calcom, 429, "ThrottlerException", "CustomThrottlerGuard - Too many requests.");
    let cases = [
        (limited(), "2026-11-25T12:01:00Z"),
        (limited().header("x-ratelimit-reset-default", "37"), "2026-11-25T12:00:37Z"),
        (limited().header("x-ratelimit-reset-default", "1795608010"), "2026-11-25T12:00:10Z"),
        (
            limited().header("retry-after", "5").header("x-ratelimit-reset-default", "37"),
            "2026-11-25T12:00:05Z",
        ),
    ];
    for (reply, retry_at) in cases {
        stub.answer([reply.clone(), reply]);
        let refused = live.book(new_booking()).await.unwrap_err();
        assert_eq!(told(&refused, Calcom).retry_at.as_deref(), Some(retry_at));
        let refused = live.bookings(support::NOW).await.unwrap_err();
        assert_eq!(told(&refused, Calcom).retry_at.as_deref(), Some(retry_at));
        assert_eq!(stub.seen().len(), 2);
    }
}

#[test]
fn the_samples_keep_to_the_specification() {
    assert_fits(SCHEMAS, "CreateBookingOutput_2024_08_13", &enveloped(&booking(json!({}))));
    assert_fits(SCHEMAS, "GetBookingOutput_2024_08_13", &enveloped(&booking(json!({}))));
    assert_fits(SCHEMAS, "GetBookingsOutput_2024_08_13", &booking_page(&[booking(json!({}))]));
    assert_fits(SCHEMAS, "GetSlotsOutput", &slots());
}
