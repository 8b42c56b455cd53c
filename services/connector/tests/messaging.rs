//! Messages: what is asked of Twilio, what becomes of its answers, and every row
//! of its page that a call can meet.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

mod support;

use std::collections::BTreeMap;

use coachbot_common::fault::Refusal;
use coachbot_connector::testing::{ACCOUNT_SID, Reply, StubProviders, WORKSPACE, message, message_page};
use coachbot_integrations::Provider::Twilio;
use coachbot_proto::connector::v1::{DeliveryStatus, ProviderMessage, SendMessageRequest, Template, Text};
use serde_json::{Value, json};
use support::{
    INTENT, LEAD, Live, OWN, assert_fits, assert_no_complaints, assert_told, at, says, text_to_lead, told,
};
use tonic::{Code, Status};

fn form(body: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn a_text_is_sent_as_the_page_shows_it() {
    let stub = StubProviders::start().await;
    let sent =
        Live::at(&stub.url(), Twilio).send(text_to_lead("Tue 9:00 works. Shall I book it?")).await.unwrap();
    assert_eq!(sent.provider_message_id, format!("SM{:032x}", 1));
    assert_eq!(sent.status(), DeliveryStatus::Queued);

    assert_no_complaints(&stub);
    let [asked] = stub.seen().try_into().unwrap();
    assert_eq!(asked.target, format!("/twilio/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"));
    assert_eq!(
        asked.body,
        format!(
            "To=whatsapp%3A%2B447700900123&From=whatsapp%3A%2B447700900999&Body=Tue+9%3A00+works.+Shall+I+book+it%3F\
             &StatusCallback=https%3A%2F%2Fhooks.coachbot.example%2Fwebhooks%2Ftwilio%2F{WORKSPACE}%2Fstatus%2F{INTENT}"
        )
    );
    let schemas = include_str!("../fixtures/twilio/schema.json");
    assert_fits(schemas, "CreateMessage", &json!(form(&asked.body)));
}

#[tokio::test]
async fn a_template_has_its_gaps_as_a_json_text_and_no_body() {
    let stub = StubProviders::start().await;
    let template = Template {
        content_sid: "HX00112233445566778899aabbccddeeff".to_owned(),
        variables: [("1".to_owned(), "Zoë \"Z\"".to_owned()), ("2".to_owned(), "Tue 9:00".to_owned())].into(),
    };
    let request = SendMessageRequest { text: None, template: Some(template), ..text_to_lead("") };
    Live::at(&stub.url(), Twilio).send(request).await.unwrap();
    assert_no_complaints(&stub);
    let sent = form(&stub.seen()[0].body);
    assert_eq!(sent["ContentVariables"], r#"{"1":"Zoë \"Z\"","2":"Tue 9:00"}"#);
    assert_eq!(sent["ContentSid"], "HX00112233445566778899aabbccddeeff");
    assert_fits(include_str!("../fixtures/twilio/schema.json"), "CreateMessage", &json!(sent));
}

#[tokio::test]
async fn an_address_that_is_no_number_goes_back_as_it_came() {
    let stub = StubProviders::start().await;
    let request = SendMessageRequest { to: "whatsapp:US.ENT.A1B2C3D4E5".to_owned(), ..text_to_lead("Hi") };
    Live::at(&stub.url(), Twilio).send(request).await.unwrap();
    assert_eq!(form(&stub.seen()[0].body)["To"], "whatsapp:US.ENT.A1B2C3D4E5");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_field_before_anything_is_leased() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Twilio);
    let template = |sid: &str, value: &str| {
        Some(Template { content_sid: sid.to_owned(), variables: [("1".to_owned(), value.to_owned())].into() })
    };
    let good = "HX00112233445566778899aabbccddeeff";
    let text = |body: &str| Some(Text { body: body.to_owned() });
    let cases = [
        (SendMessageRequest { workspace_id: "ws".into(), ..text_to_lead("Hi") }, "workspace_id"),
        (SendMessageRequest { to: "+447700900123".into(), ..text_to_lead("Hi") }, "to"),
        (SendMessageRequest { to: String::new(), ..text_to_lead("Hi") }, "to"),
        (SendMessageRequest { text: None, ..text_to_lead("") }, "text"),
        (SendMessageRequest { template: template(good, "x"), ..text_to_lead("Hi") }, "text"),
        (SendMessageRequest { text: text(" \n"), ..text_to_lead("") }, "text.body"),
        (SendMessageRequest { text: text(&"ü".repeat(1601)), ..text_to_lead("") }, "text.body"),
        (
            SendMessageRequest { text: None, template: template("HX1", "x"), ..text_to_lead("") },
            "template.content_sid",
        ),
        (
            SendMessageRequest { text: None, template: template(good, ""), ..text_to_lead("") },
            "template.variables",
        ),
        (
            SendMessageRequest { status_callback_url: "/status".into(), ..text_to_lead("Hi") },
            "status_callback_url",
        ),
    ];
    for (request, field) in cases {
        let status = live.send(request).await.unwrap_err();
        let read = Refusal::from_status(&status);
        let fields: Vec<_> = read.fields.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!((status.code(), fields, read.reason), (Code::InvalidArgument, vec![field], None));
    }
    live.send(text_to_lead(&"ü".repeat(1600))).await.unwrap();
    for sid in ["", "SM", "XX00", "SM00/..", "../x"] {
        assert_eq!(live.message(sid).await.unwrap_err().code(), Code::InvalidArgument, "{sid}");
    }
    assert_eq!(stub.seen().len(), 1);
}

/// Rows of a refused or failed send.
fn send_rows() -> Vec<(&'static str, Reply, &'static str, &'static str)> {
    let code = |status, code| says(Twilio, status, code, "no");
    let mut rows = vec![
        ("wrong token", code(401, "20003"), "CREDENTIAL_REJECTED", "20003"),
        ("401 without a code", code(401, ""), "CREDENTIAL_REJECTED", "401"),
        ("401 without a body", Reply::empty(401), "CREDENTIAL_REJECTED", "401"),
        ("test credentials", code(403, "20008"), "CREDENTIAL_REJECTED", "20008"),
        ("403 without a code", code(403, ""), "CREDENTIAL_REJECTED", "403"),
        ("another 403", code(403, "21408"), "REFUSED", "21408"),
        ("a bot filter", Reply::page(403), "UNREADABLE_ANSWER", "403"),
        ("wrong SID", code(404, "20404"), "CREDENTIAL_REJECTED", "20404"),
        ("a page with 404", Reply::page(404), "UNREADABLE_ANSWER", "404"),
        ("no code", code(400, ""), "REFUSED", "400"),
        ("a page with 400", Reply::page(400), "UNREADABLE_ANSWER", "400"),
        (
            "a code as a text",
            Reply::json(400, &json!({ "code": "21211", "status": 400 })),
            "REFUSED",
            "21211",
        ),
        (
            "the newer form of errors",
            Reply::json(
                400,
                &json!({ "type": "about", "title": "no", "status": 400, "code": 21656, "detail": "x" }),
            ),
            "REFUSED",
            "21656",
        ),
        ("payment required", code(402, ""), "NO_QUOTA", "402"),
        ("too many requests", code(429, "20429"), "RATE_LIMITED", "20429"),
        ("429 without a body", Reply::empty(429), "RATE_LIMITED", "429"),
        ("an empty success", Reply::empty(201), "UNKNOWN_EFFECT", "201"),
        ("a success that is a page", Reply::page(201), "UNKNOWN_EFFECT", "201"),
        (
            "a success without a sid",
            Reply::json(201, &json!({ "status": "queued" })),
            "UNKNOWN_EFFECT",
            "201",
        ),
        (
            "a success of another thing",
            Reply::json(201, &message(json!({ "sid": "CA1" }))),
            "UNKNOWN_EFFECT",
            "201",
        ),
        (
            "an encoded success",
            Reply::json(201, &json!({})).header("content-encoding", "gzip"),
            "UNKNOWN_EFFECT",
            "201",
        ),
        (
            "an encoded refusal",
            Reply::json(400, &json!({})).header("content-encoding", "gzip"),
            "UNREADABLE_ANSWER",
            "400",
        ),
        ("a redirect", Reply::empty(307).header("location", "http://127.0.0.1:9/"), "UNKNOWN_EFFECT", "307"),
    ];
    for inactive in ["20403", "20005", "10001"] {
        rows.push(("account not active", code(401, inactive), "REFUSED", inactive));
        rows.push(("account not active", code(403, inactive), "REFUSED", inactive));
    }
    for refused in [
        "21211", "21408", "21608", "21610", "21617", "21658", "21656", "21910", "63007", "63008", "63016",
        "99999",
    ] {
        rows.push(("a refusal", code(400, refused), "REFUSED", refused));
    }
    for limit in ["63017", "63018", "63038"] {
        rows.push(("a limit with 400", code(400, limit), "RATE_LIMITED", limit));
        rows.push(("a limit with 429", code(429, limit), "RATE_LIMITED", limit));
    }
    for (status, text) in [(408_u16, "408"), (500, "500"), (502, "502"), (503, "503"), (504, "504")] {
        rows.push(("trouble", Reply::empty(status), "UNKNOWN_EFFECT", text));
        rows.push(("trouble as a page", Reply::page(status), "UNKNOWN_EFFECT", text));
    }
    rows.push(("trouble with a code", code(503, "20503"), "UNKNOWN_EFFECT", "20503"));
    rows
}

#[tokio::test]
async fn every_row_of_a_send_has_its_reason_and_code_and_is_sent_once() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Twilio);
    for (row, reply, reason, code) in send_rows() {
        stub.answer([reply]);
        let status = live.send(text_to_lead("Hi")).await.unwrap_err();
        assert_told(&status, Twilio, reason, code, row);
        assert_eq!(stub.seen().len(), 1, "{row}");
    }
    assert_eq!(stub.ledger().messages.len(), 0);
}

#[tokio::test]
async fn when_to_ask_again_is_told_where_the_provider_tells_it() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Twilio);
    let limited = || says(Twilio, 429, "20429", "too fast");
    let cases = [
        (limited(), None),
        (limited().header("retry-after", "30"), Some("2026-11-25T12:00:30Z")),
        (limited().header("retry-after", "Wed, 25 Nov 2026 12:01:00 GMT"), Some("2026-11-25T12:01:00Z")),
        (limited().header("retry-after", "tomorrow"), None),
    ];
    for (reply, retry_at) in cases {
        stub.answer([reply]);
        let status = live.send(text_to_lead("Hi")).await.unwrap_err();
        assert_eq!(told(&status, Twilio).retry_at.as_deref(), retry_at);
    }
}

#[tokio::test]
async fn the_first_state_is_what_the_provider_says() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Twilio);
    let cases = [
        ("accepted", DeliveryStatus::Queued),
        ("scheduled", DeliveryStatus::Queued),
        ("queued", DeliveryStatus::Queued),
        ("sending", DeliveryStatus::Sending),
        ("sent", DeliveryStatus::Sent),
        ("failed", DeliveryStatus::Failed),
        ("something_new", DeliveryStatus::Queued),
    ];
    for (status, expected) in cases {
        stub.answer([Reply::json(201, &message(json!({ "status": status })))]);
        assert_eq!(live.send(text_to_lead("Hi")).await.unwrap().status(), expected, "{status}");
    }
}

fn made(sid: u32, created: &str, changes: Value) -> Value {
    let mut made = message(changes);
    made["sid"] = json!(format!("SM{sid:032x}"));
    made["date_created"] = json!(created);
    made
}

fn sids(found: &[ProviderMessage]) -> Vec<u32> {
    found.iter().map(|message| u32::from_str_radix(&message.provider_message_id[2..], 16).unwrap()).collect()
}

#[tokio::test]
async fn a_list_asks_for_both_numbers_reads_on_and_is_cut_and_ordered_here() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Twilio);
    let next =
        format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json?PageSize=100&Page=1&PageToken=PASM1");
    stub.answer([
        Reply::json(
            200,
            &message_page(
                &[
                    made(1, "Wed, 25 Nov 2026 11:59:59 +0000", json!({})),
                    made(
                        2,
                        "Wed, 25 Nov 2026 12:00:00 +0000",
                        json!({ "date_sent": null, "status": "queued" }),
                    ),
                ],
                Some(&next),
            ),
        ),
        Reply::json(
            200,
            &message_page(
                &[
                    made(
                        3,
                        "Wed, 25 Nov 2026 13:00:30 +0100",
                        json!({ "status": "undelivered", "error_code": 63016 }),
                    ),
                    made(4, "Tue, 24 Nov 2026 12:00:00 +0000", json!({})),
                ],
                Some(&next),
            ),
        ),
        // All of it is older: nothing is read behind it.
        Reply::json(
            200,
            &message_page(&[made(5, "Tue, 24 Nov 2026 11:00:00 +0000", json!({}))], Some(&next)),
        ),
    ]);
    // The provider's times have whole seconds: what was made in this one counts.
    let found = live.messages(Some(LEAD), "2026-11-25T12:00:00.9Z").await.unwrap();
    assert_eq!(sids(&found), [3, 2]);
    assert_eq!(
        found[0],
        ProviderMessage {
            provider_message_id: format!("SM{:032x}", 3),
            to: LEAD.to_owned(),
            from: OWN.to_owned(),
            body: "Tue 9:00 works. Shall I book it?".to_owned(),
            outbound: true,
            status: DeliveryStatus::Undelivered.into(),
            error_code: Some(63016),
            created_at: Some(at("2026-11-25T12:00:30Z")),
        }
    );
    assert_no_complaints(&stub);
    let targets: Vec<_> = stub.seen().into_iter().map(|seen| seen.target).collect();
    let path = format!("/twilio/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json");
    let first = "From=whatsapp%3A%2B447700900999&To=whatsapp%3A%2B447700900123&PageSize=100";
    let then = "PageSize=100&Page=1&PageToken=PASM1";
    assert_eq!(targets, [format!("{path}?{first}"), format!("{path}?{then}"), format!("{path}?{then}")]);
}

#[tokio::test]
async fn a_list_to_everyone_is_bounded_by_the_day() {
    let stub = StubProviders::start().await;
    Live::at(&stub.url(), Twilio).messages(None, "2026-11-22T23:30:00Z").await.unwrap();
    assert_no_complaints(&stub);
    let target = &stub.seen()[0].target;
    let query = "From=whatsapp%3A%2B447700900999&DateSent%3E=2026-11-22&PageSize=100";
    assert!(target.ends_with(&format!("?{query}")), "{target}");
}

#[tokio::test]
async fn the_address_of_the_next_page_leads_nowhere_else() {
    let stub = StubProviders::start().await;
    let elsewhere = StubProviders::start().await;
    let page = message_page(&[], Some(&format!("{}stolen?PageToken=x", elsewhere.url())));
    stub.answer([Reply::json(200, &page), Reply::json(200, &message_page(&[], None))]);
    Live::at(&stub.url(), Twilio).messages(Some(LEAD), support::NOW).await.unwrap();
    assert_eq!((stub.seen().len(), elsewhere.seen().len()), (2, 0));
}

#[tokio::test]
async fn a_list_that_never_ends_is_no_list() {
    let stub = StubProviders::start().await;
    let page = Reply::json(200, &message_page(&[], Some("/x?Page=1")));
    stub.answer(std::iter::repeat_n(page, 50));
    let status = Live::at(&stub.url(), Twilio).messages(Some(LEAD), support::NOW).await.unwrap_err();
    assert_told(&status, Twilio, "UNREADABLE_ANSWER", "too_many_pages", "pages");
    assert_eq!(stub.seen().len(), 20);
}

#[tokio::test]
async fn at_most_200_are_told_and_they_are_the_newest() {
    let stub = StubProviders::start().await;
    let many: Vec<_> = (0..250)
        .map(|count| {
            made(count, &format!("Wed, 25 Nov 2026 12:{:02}:{:02} +0000", count / 60, count % 60), json!({}))
        })
        .collect();
    stub.answer([Reply::json(200, &message_page(&many, None))]);
    let found = Live::at(&stub.url(), Twilio).messages(Some(LEAD), support::NOW).await.unwrap();
    assert_eq!((found.len(), sids(&found)[0], sids(&found)[199]), (200, 249, 50));
}

#[tokio::test]
async fn a_sent_message_is_found_and_read() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Twilio);
    let sent = live.send(text_to_lead("Hi")).await.unwrap();
    let read = live.message(&sent.provider_message_id).await.unwrap();
    assert_eq!((read.body.as_str(), read.outbound), ("Hi", true));
    assert_eq!(live.messages(Some(LEAD), support::NOW).await.unwrap(), [read]);
    assert_eq!(live.messages(Some("whatsapp:+1"), support::NOW).await.unwrap(), []);
    assert_no_complaints(&stub);
    let status = live.message("SM00000000000000000000000000000099").await.unwrap_err();
    assert_told(&status, Twilio, "NOT_FOUND", "20404", "unknown message");
}

async fn fetch(live: &Live) -> Status {
    live.message("SM00000000000000000000000000000001").await.unwrap_err()
}

#[tokio::test]
async fn every_row_of_a_read_has_its_reason() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Twilio);
    let rows = [
        (says(Twilio, 401, "20003", "no"), "CREDENTIAL_REJECTED", "20003"),
        (says(Twilio, 403, "20008", "no"), "CREDENTIAL_REJECTED", "20008"),
        (says(Twilio, 401, "20403", "no"), "REFUSED", "20403"),
        (says(Twilio, 400, "20001", "no"), "REFUSED", "20001"),
        (says(Twilio, 404, "20404", "no"), "NOT_FOUND", "20404"),
        (Reply::page(404), "UNREADABLE_ANSWER", "404"),
        (Reply::page(200), "UNREADABLE_ANSWER", "200"),
        (Reply::json(200, &json!({ "sid": "SM1" })), "UNREADABLE_ANSWER", "200"),
        (Reply::json(200, &message(json!({ "date_created": "yesterday" }))), "UNREADABLE_ANSWER", "200"),
        (Reply::empty(301), "UNREADABLE_ANSWER", "301"),
        (Reply::empty(408), "PROVIDER_AWAY", "408"),
        (Reply::empty(500), "PROVIDER_AWAY", "500"),
        (says(Twilio, 429, "20429", "no"), "RATE_LIMITED", "20429"),
    ];
    for (reply, reason, code) in rows {
        stub.answer([reply]);
        assert_told(&fetch(&live).await, Twilio, reason, code, reason);
        assert_eq!(stub.seen().len(), 1, "{reason} {code}");
    }
}
