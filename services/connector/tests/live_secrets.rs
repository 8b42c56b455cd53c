//! Keys, numbers, addresses and texts of live calls, echoed by the providers
//! wherever they can be, are in no line that is logged at any level, in no span
//! and in no status. Lies in a test binary of its own, because it captures the
//! process's logs.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

mod support;

use std::time::Duration;

use coachbot_common::testing::CapturedLogs;
use coachbot_connector::http::Limits;
use coachbot_connector::testing::{
    ACCOUNT_SID, FakeVault, Reply, StubProviders, booking, impatient, message, message_page, planted,
    refusal, response, stored,
};
use coachbot_integrations::Provider::{self, Calcom, Openai, Twilio};
use coachbot_proto::connector::v1::item::Kind;
use coachbot_proto::connector::v1::{
    CreateBookingRequest, GenerateRequest, SendMessageRequest, Template, ToolCall, ToolResult,
};
use serde_json::json;
use support::{INTENT, LEAD, Live, NOW, assistant, item, new_booking, prompt, text_to_lead, user};

/// What people wrote, in its places.
const TEXT: &str = "planted-text-of-a-lead";
const GAP: &str = "planted-gap";
const NAME: &str = "Planted-Name";
const EMAIL: &str = "planted@example.com";
const INSTRUCTIONS: &str = "planted-instructions";
const ARGUMENTS: &str = "{\\\"planted-arguments\\\":1}";
const OUTPUT: &str = "planted-output";
const SAFETY: &str = "hash-of-the-lead";
const PROVIDERS_OWN: &str = "planted-words-of-the-provider";

fn bad_answers(provider: Provider) -> Vec<Reply> {
    let everything =
        format!("{PROVIDERS_OWN} {} {LEAD} {EMAIL} {NAME} {TEXT} {INSTRUCTIONS}", planted(provider));
    let mut replies = Vec::new();
    for status in [200_u16, 201, 302, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 503] {
        for code in ["", "20003", "invalid_api_key", &everything] {
            replies.push(Reply::json(status, &refusal(provider, status, code, &everything)));
        }
        replies.push(Reply::json(status, &json!({ "statusCode": status, "message": [everything] })));
        replies.push(Reply::raw(status, "text/html", format!("<html>{everything}</html>")));
        replies.push(
            Reply::raw(status, "application/json", everything.clone())
                .header("retry-after", everything.clone()),
        );
    }
    // Reads of these are made again, with pauses.
    for status in [200, 401] {
        replies.push(Reply::raw(status, "application/json", everything.clone()).that_breaks_off());
    }
    let named = json!({ "error": { "message": everything, "code": null, "param": everything } });
    replies.push(Reply::json(400, &named));
    let failed = json!({ "code": everything, "message": everything });
    replies.push(Reply::json(200, &response(json!({ "status": "failed", "error": failed }))));
    let cut = json!({ "status": "incomplete", "incomplete_details": { "reason": everything } });
    replies.push(Reply::json(200, &response(cut)).header("x-request-id", "req_1"));
    replies
}

fn good_answers(provider: Provider) -> Vec<Reply> {
    let echo = json!({ "body": TEXT, "to": LEAD });
    match provider {
        Twilio => {
            let next = format!("/x?PageToken={TEXT}");
            vec![
                Reply::json(201, &message(echo.clone())),
                Reply::json(200, &message_page(&[message(echo.clone())], Some(&next))),
                Reply::json(200, &message_page(&[message(echo)], None)),
            ]
        }
        Calcom => {
            let data = json!({ "title": NAME, "attendees": [{ "email": EMAIL }] });
            vec![Reply::json(201, &json!({ "status": "success", "data": booking(data) }))]
        }
        _ => {
            let text = json!([{ "type": "message", "content": [{ "type": "output_text", "text": TEXT }] }]);
            let unsupported = json!({ "error": { "message": PROVIDERS_OWN, "code": "unsupported_parameter",
                "param": "safety_identifier", "type": "invalid_request_error" } });
            vec![Reply::json(400, &unsupported), Reply::json(200, &response(json!({ "output": text })))]
        }
    }
}

fn whole_prompt() -> GenerateRequest {
    let call =
        |id: &str| ToolCall { call_id: id.into(), name: "listSlots".into(), arguments: ARGUMENTS.into() };
    let items = vec![
        user(TEXT),
        assistant(TEXT),
        item(Kind::ToolCall(call("call_1"))),
        item(Kind::ToolResult(ToolResult { call_id: "call_1".into(), output: OUTPUT.into() })),
    ];
    GenerateRequest { instructions: INSTRUCTIONS.into(), safety_identifier: SAFETY.into(), ..prompt(items) }
}

/// Makes every call of the provider, and returns what could be printed of it.
async fn call_all(live: &Live, provider: Provider, stub: &StubProviders, replies: &[Reply]) -> String {
    let mut printed = String::new();
    let again = || stub.answer(std::iter::repeat_n(replies.to_vec(), 3).flatten());
    match provider {
        Twilio => {
            let template = SendMessageRequest {
                text: None,
                template: Some(Template {
                    content_sid: "HX00112233445566778899aabbccddeeff".into(),
                    variables: [("1".to_owned(), GAP.to_owned())].into(),
                }),
                ..text_to_lead("")
            };
            for request in [text_to_lead(TEXT), template] {
                printed.push_str(&format!("{request:?}"));
                again();
                printed.push_str(&format!("{:?}", live.send(request).await));
            }
            again();
            printed.push_str(&format!("{:?}", live.messages(Some(LEAD), NOW).await));
            again();
            printed.push_str(&format!("{:?}", live.message("SM00000000000000000000000000000001").await));
        }
        Calcom => {
            let request = CreateBookingRequest {
                attendee_name: NAME.into(),
                attendee_email: Some(EMAIL.into()),
                ..new_booking()
            };
            printed.push_str(&format!("{request:?}"));
            again();
            printed.push_str(&format!("{:?}", live.book(request).await));
            again();
            printed.push_str(&format!("{:?}", live.event_type().await.map(|_| ())));
            again();
            printed.push_str(&format!("{:?}", live.slots(NOW, "2026-12-30T00:00:00Z").await));
            again();
            printed.push_str(&format!("{:?}", live.bookings(NOW).await));
            again();
            printed.push_str(&format!("{:?}", live.booking("uid").await));
        }
        _ => {
            printed.push_str(&format!("{:?}", whole_prompt()));
            again();
            printed.push_str(&format!("{:?}", live.generate(whole_prompt()).await));
        }
    }
    printed
}

#[tokio::test]
async fn nothing_of_a_live_call_is_logged_but_words_of_our_own() {
    let logs = CapturedLogs::start();
    let stub = StubProviders::start().await;
    let mut printed = String::new();
    for provider in [Twilio, Calcom, Openai] {
        // Pauses are of no interest here.
        let vault = FakeVault::with(stored(provider));
        let live = Live::with(&stub.url(), Limits::default(), &vault).within(Duration::from_millis(700));
        printed.push_str(&call_all(&live, provider, &stub, &good_answers(provider)).await);
        printed.push_str(&call_all(&live, provider, &stub, &[]).await);
        for reply in bad_answers(provider) {
            printed.push_str(&call_all(&live, provider, &stub, &[reply]).await);
        }
        let live = Live::with(&stub.url(), impatient(), &vault);
        printed.push_str(&call_all(&live, provider, &stub, &[Reply::never()]).await);
        // What is refused before it is sent repeats nothing either.
        printed.push_str(&format!("{:?}", live.message(TEXT).await));
        printed.push_str(&format!("{:?}", live.booking("planted uid").await));
        let wrong =
            SendMessageRequest { to: TEXT.into(), status_callback_url: TEXT.into(), ..text_to_lead("") };
        printed.push_str(&format!("{:?}", live.send(wrong).await));
    }

    let logged = logs.text();
    for span in [
        "twilio.send_message",
        "twilio.list_messages",
        "twilio.fetch_message",
        "calcom.fetch_event_type",
        "calcom.list_slots",
        "calcom.create_booking",
        "calcom.list_bookings",
        "calcom.fetch_booking",
        "openai.create_response",
        "message sent",
        "slot booked",
        "turn made",
        "a read is made again",
        "asked again without it",
    ] {
        assert!(logged.contains(span), "{span}");
    }
    let keys = [Twilio, Calcom, Openai].map(planted);
    let written = [
        TEXT,
        GAP,
        NAME,
        EMAIL,
        INSTRUCTIONS,
        OUTPUT,
        PROVIDERS_OWN,
        "planted",
        "447700900",
        "Zoë",
        "zoe@example.com",
        "gAAAA",
        "Tue 9:00",
        "Incorrect API key",
    ];
    for needle in keys.iter().chain(&written) {
        assert!(!logged.contains(needle), "{needle} is logged: {}", around(&logged, needle));
        assert!(!printed.contains(needle), "{needle} is printed: {}", around(&printed, needle));
    }
    // Ids stand in URLs, and URLs are not logged.
    let elsewhere = ["event-types", "Accounts/", "PageSize", "eventTypeId", "hooks.coachbot.example"];
    for needle in elsewhere.into_iter().chain([ACCOUNT_SID, INTENT, SAFETY]) {
        assert!(!logged.contains(needle), "{needle} is logged: {}", around(&logged, needle));
    }
}

fn around(text: &str, needle: &str) -> String {
    let at = text.find(needle).unwrap_or_default();
    text.chars()
        .skip(text.get(..at).unwrap_or_default().chars().count().saturating_sub(300))
        .take(600)
        .collect()
}
