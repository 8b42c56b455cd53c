//! Cal.com's rules, as its page says them.

use coachbot_sandbox::accounts::{CALCOM, CALCOM_EXPIRED_KEY};
use coachbot_sandbox::ledger::{Effect, Verdict};
use serde_json::{Value, json};

use crate::rig::{Rig, is_violation, read, start};

const EVENT_TYPES: &str = "2024-06-14";
const SLOTS: &str = "2024-09-04";
const BOOKINGS: &str = "2024-08-13";
const PLAIN: u64 = 4_100_001;
const START: &str = "2026-12-01T09:00:00Z";

fn wanted(changes: Value) -> Value {
    let mut wanted = json!({
        "start": START,
        "eventTypeId": PLAIN,
        "attendee": { "name": "Zoë K.", "email": "zoe@example.com", "timeZone": "Europe/London", "language": "en" },
        "metadata": { "coachbotIntent": "intent-1" },
    });
    wanted.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    wanted
}

async fn book(rig: &Rig, changes: Value) -> (u16, Value) {
    read(rig.calcom(rig.post("/calcom/v2/bookings", &wanted(changes)), BOOKINGS)).await
}

async fn slots(rig: &Rig, query: &str) -> (u16, Value) {
    read(rig.calcom(rig.get(&format!("/calcom/v2/slots?{query}")), SLOTS)).await
}

#[tokio::test]
async fn a_wrong_version_is_a_route_that_is_not_there() {
    let rig = start().await;
    for (path, own) in [
        (format!("/calcom/v2/event-types/{PLAIN}"), EVENT_TYPES),
        (format!("/calcom/v2/slots?eventTypeId={PLAIN}&start=2026-12-01&end=2026-12-01"), SLOTS),
        ("/calcom/v2/bookings".to_owned(), BOOKINGS),
    ] {
        for version in [EVENT_TYPES, SLOTS, BOOKINGS] {
            let (status, body) = read(rig.calcom(rig.get(&path), version)).await;
            if version == own {
                assert_eq!(status, 200, "{path} {body}");
                continue;
            }
            assert_eq!(status, 404, "{path} {version}");
            assert!(body["error"]["message"].as_str().unwrap().starts_with("Cannot GET /v2/"), "{body}");
            assert!(is_violation(&rig.last()));
        }
        assert_eq!(read(rig.get(&path).bearer_auth(CALCOM[0].key)).await.0, 404);
    }
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn keys_are_refused_in_cal_coms_ways() {
    let rig = start().await;
    let ask = |key: &str, id: &str| {
        read(
            rig.get(&format!("/calcom/v2/event-types/{id}"))
                .bearer_auth(key)
                .header("cal-api-version", EVENT_TYPES),
        )
    };
    for (key, id, status, text) in [
        (CALCOM[0].key, "4100001", 200, ""),
        (CALCOM[0].key, "4200001", 404, "Event type with id 4200001 not found"),
        (CALCOM[0].key, "1", 404, "Event type with id 1 not found"),
        (CALCOM[0].key, "free", 500, "There was an error"),
        ("cal_live_unknown", "4100001", 401, "CustomThrottlerGuard - Invalid API Key"),
        (CALCOM_EXPIRED_KEY, "4100001", 401, "ApiAuthStrategy - api key - Your api key is expired"),
        ("sk-pasted", "4100001", 403, "PermissionsGuard - no oAuth client found for access token=sk-pasted"),
    ] {
        let (found, body) = ask(key, id).await;
        assert_eq!(found, status, "{body}");
        if status == 200 {
            assert_eq!((&body["status"], &body["data"]["id"]), (&json!("success"), &json!(PLAIN)));
        } else {
            assert!(body["error"]["message"].as_str().unwrap().starts_with(text), "{body}");
            assert_eq!(body["path"], format!("/v2/event-types/{id}"));
        }
    }
    assert!(rig.entries("{}").iter().all(|entry| !format!("{entry:?}").contains("sk-pasted")));
    let (_, me) = read(rig.calcom(rig.get("/calcom/v2/me"), BOOKINGS)).await;
    assert_eq!(me["data"]["timeZone"], "Europe/London");
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn slots_are_the_schedule_in_the_asked_zone_minus_bookings() {
    let rig = start().await;
    let query =
        format!("eventTypeId={PLAIN}&start=2026-12-01&end=2026-12-02&timeZone=Europe%2FLondon&format=range");
    let (status, body) = slots(&rig, &query).await;
    assert_eq!(status, 200);
    let day = body["data"]["2026-12-01"].as_array().unwrap();
    assert_eq!(day.len(), 16);
    assert_eq!(
        day[0],
        json!({ "start": "2026-12-01T09:00:00.000+00:00", "end": "2026-12-01T09:30:00.000+00:00" })
    );
    assert_eq!(book(&rig, json!({})).await.0, 201);
    let (_, body) = slots(&rig, &query).await;
    assert_eq!(body["data"]["2026-12-01"].as_array().unwrap().len(), 15);

    // Keys are days of the asked zone: nine in London is another day's evening in Honolulu.
    let far =
        format!("eventTypeId={PLAIN}&start=2026-12-02&end=2026-12-02T09:00:00Z&timeZone=Pacific%2FHonolulu");
    let (_, body) = slots(&rig, &far).await;
    assert_eq!(body["data"], json!({ "2026-12-01": [{ "start": "2026-12-01T23:00:00.000-10:00" }] }));
    let (_, utc) = slots(&rig, &format!("eventTypeId={PLAIN}&start=2026-12-05&end=2026-12-06")).await;
    assert_eq!(utc["data"], json!({}));
    let (_, utc) = slots(&rig, &format!("eventTypeId={PLAIN}&start=2026-11-25&end=2026-11-25")).await;
    assert_eq!(utc["data"]["2026-11-25"][0], json!({ "start": "2026-11-25T14:00:00.000Z" }));

    for query in [
        "eventTypeId=4100001&startTime=2026-12-01&endTime=2026-12-02",
        "eventTypeId=4100001&start=2026-12-01",
        "eventTypeId=4100001&start=soon&end=2026-12-02",
        "eventTypeId=4100001&start=2026-12-03&end=2026-12-02",
        "eventTypeId=4100001&start=2026-12-01&end=2026-12-02&timeZone=Mars",
        "eventTypeId=free&start=2026-12-01&end=2026-12-02",
    ] {
        assert!(slots(&rig, query).await.0 == 400 && is_violation(&rig.last()), "{query}");
    }
    let (status, body) = slots(&rig, "eventTypeId=1&start=2026-12-01&end=2026-12-02").await;
    assert_eq!((status, &body["error"]["message"]), (404, &json!("Event Type not found")));
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_booking_is_made_once_and_found_again() {
    let rig = start().await;
    let (status, body) = book(&rig, json!({})).await;
    assert_eq!(status, 201);
    let made = &body["data"];
    assert_eq!((&made["status"], &made["start"]), (&json!("accepted"), &json!("2026-12-01T09:00:00.000Z")));
    assert_eq!(made["metadata"], json!({ "coachbotIntent": "intent-1" }));
    assert_eq!(made["attendees"][0]["email"], "zoe@example.com");
    let effects = rig.entries(r#"{"kind":"booking"}"#);
    let Some(Effect::Booking { attendee, metadata, .. }) = &effects[0].effect else { panic!("{effects:?}") };
    assert_eq!((attendee.name.as_str(), metadata["coachbotIntent"].as_str()), ("Zoë K.", "intent-1"));

    let (status, body) = book(&rig, json!({})).await;
    assert_eq!(status, 400);
    assert!(body["error"]["message"].as_str().unwrap().starts_with("User either already has booking"));
    assert_eq!(rig.entries(r#"{"kind":"booking"}"#).len(), 1);

    let uid = made["uid"].as_str().unwrap();
    let (_, one) = read(rig.calcom(rig.get(&format!("/calcom/v2/bookings/{uid}")), BOOKINGS)).await;
    assert_eq!(&one["data"], made);
    assert_eq!(read(rig.calcom(rig.get("/calcom/v2/bookings/none"), BOOKINGS)).await.0, 404);

    rig.clock.advance(std::time::Duration::from_secs(60));
    book(&rig, json!({ "start": "2026-12-01T10:00:00Z" })).await;
    let list = |query: &str| read(rig.calcom(rig.get(&format!("/calcom/v2/bookings?{query}")), BOOKINGS));
    let (_, all) =
        list("eventTypeId=4100001&afterCreatedAt=2026-11-25T11:59:00Z&sortCreated=desc&take=250").await;
    let starts: Vec<_> = all["data"].as_array().unwrap().iter().map(|own| own["start"].clone()).collect();
    assert_eq!(starts, ["2026-12-01T10:00:00.000Z", "2026-12-01T09:00:00.000Z"]);
    assert_eq!(all["pagination"]["totalItems"], 2);
    let (_, newer) = list("afterCreatedAt=2026-11-25T12:00:30Z").await;
    assert_eq!(newer["data"].as_array().unwrap().len(), 1);
    let (_, first) = list("take=1").await;
    assert_eq!(
        (&first["pagination"]["hasNextPage"], &first["pagination"]["remainingItems"]),
        (&json!(true), &json!(1))
    );
    for query in ["metadata=x", "take=251", "sortCreated=down", "afterCreatedAt=yesterday", "status=lost"] {
        assert!(list(query).await.0 == 400 && is_violation(&rig.last()), "{query}");
    }
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_cal_com_refuses_is_refused_in_its_words() {
    let rig = start().await;
    let person = |changes: Value| {
        let mut person = json!({ "name": "Zoë", "email": "zoe@example.com", "timeZone": "Europe/London" });
        person.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({ "attendee": person })
    };
    let by_mail = |email: &str| person(json!({ "email": email }));
    let many: serde_json::Map<String, Value> = (0..51).map(|key| (key.to_string(), json!(""))).collect();
    // Broken contracts.
    for changes in [
        json!({ "allowConflicts": true }),
        json!({ "start": "2026-12-01T09:00:00+00:00" }),
        json!({ "start": "tomorrow" }),
        json!({ "eventTypeId": "4100001" }),
        json!({ "metadata": { "step": 7 } }),
        json!({ "metadata": { "x".repeat(41): "" } }),
        json!({ "metadata": { "step": "x".repeat(501) } }),
        json!({ "metadata": many }),
        json!({ "lengthInMinutes": 30 }),
        json!({ "attendee": { "name": "Zoë", "email": "zoe@example.com" } }),
        person(json!({ "timeZone": "London" })),
        person(json!({ "language": "xx" })),
        person(json!({ "age": "7" })),
        person(json!({ "name": "" })),
    ] {
        let (status, body) = book(&rig, changes.clone()).await;
        assert_eq!((status, &body["status"]), (400, &json!("error")), "{changes}");
        assert!(is_violation(&rig.last()), "{changes} {:?}", rig.last());
        assert!(body["error"]["details"]["errors"].is_array());
    }
    // Business answers, in both envelopes.
    let without_mail =
        json!({ "attendee": { "name": "Zoë", "phoneNumber": "+447700900123", "timeZone": "Europe/London" } });
    for (changes, status, is_bare, text) in [
        (json!({ "start": "2026-11-24T09:00:00Z" }), 400, false, "Attempting to book a meeting in the past."),
        (
            json!({ "start": "2026-11-25T13:30:00Z" }),
            400,
            false,
            "The event type can't be booked at the \"start\" time",
        ),
        (json!({ "start": "2026-12-01T09:10:00Z" }), 400, false, "User either already has booking"),
        (json!({ "start": "2026-12-05T09:00:00Z" }), 400, false, "User either already has booking"),
        (json!({ "eventTypeId": 1 }), 404, false, "Event type with id 1 not found."),
        (json!({ "eventTypeId": 4_100_003 }), 400, false, "Missing required booking field response: goal - "),
        (without_mail.clone(), 400, false, "responses - {email}error_required_field"),
        (by_mail("zoe@example"), 400, false, "responses - {email}email_validation_error"),
        (person(json!({ "phoneNumber": "07700" })), 400, false, "Invalid phone number format"),
        (by_mail("active@sandbox.example"), 400, false, "Attendee with this email can't book because"),
        (by_mail("blocked@sandbox.example"), 403, true, "Cannot use this email to create the booking."),
        (by_mail("limit@sandbox.example"), 401, true, "booking_limit_reached"),
    ] {
        let (found, body) = book(&rig, changes.clone()).await;
        assert_eq!(found, status, "{changes} {body}");
        let message = if is_bare { &body["message"] } else { &body["error"]["message"] };
        assert!(message.as_str().unwrap().starts_with(text), "{changes} {body}");
        assert!(matches!(rig.last(), Verdict::Refused { .. }), "{changes}");
    }
    assert!(rig.entries(r#"{"kind":"booking"}"#).is_empty());
    // The same with what was lacking.
    let answered = json!({ "eventTypeId": 4_100_003, "bookingFieldsResponses": { "goal": "Run" } });
    assert_eq!(book(&rig, answered).await.0, 201);
    let mut by_phone = without_mail;
    by_phone["eventTypeId"] = json!(4_100_004);
    by_phone["start"] = json!("2026-12-01T10:00:00Z");
    let (status, body) = book(&rig, by_phone).await;
    assert_eq!((status, &body["data"]["attendees"][0]["email"]), (201, &json!("447700900123@sms.cal.com")));
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_booking_that_waits_for_its_confirmation_is_answered_once_more() {
    let rig = start().await;
    let (status, first) = book(&rig, json!({ "eventTypeId": 4_100_002 })).await;
    assert_eq!((status, &first["data"]["status"]), (201, &json!("pending")));
    let again = json!({ "eventTypeId": 4_100_002, "metadata": { "coachbotIntent": "intent-2" } });
    let (status, second) = book(&rig, again).await;
    assert_eq!((status, &second), (201, &first));
    assert_eq!(rig.entries(r#"{"kind":"booking"}"#).len(), 1);
    rig.sandbox.stop().await.unwrap();
}
