//! Twilio's rules, as its page says them.

use coachbot_sandbox::accounts::{TEMPLATES, TWILIO, TWILIO_TEST_PAIR};
use coachbot_sandbox::ledger::{Effect, Verdict};
use serde_json::{Value, json};

use crate::rig::{LEAD, Receiver, SENDER, account, is_violation, read, start};

const OPENING: &str = r#"{"1":"Zoë","2":"Sandbox Coaching"}"#;

#[tokio::test]
async fn the_account_is_read_with_its_own_credentials_only() {
    let rig = start().await;
    let path = |sid: &str| format!("/twilio/2010-04-01/Accounts/{sid}.json");
    let ask = |sid: &str, user: &str, token: &str| read(rig.get(&path(sid)).basic_auth(user, Some(token)));
    let own = account();
    let (status, body) = ask(own.sid, own.sid, own.token).await;
    assert_eq!((status, &body["status"], &body["auth_token"]), (200, &json!("active"), &json!(own.token)));
    for (sid, user, token, status, code) in [
        (own.sid, own.sid, "wrong", 401, 20003),
        (own.sid, own.sid, TWILIO[1].token, 401, 20003),
        (TWILIO_TEST_PAIR.0, TWILIO_TEST_PAIR.0, TWILIO_TEST_PAIR.1, 403, 20008),
        (TWILIO_TEST_PAIR.0, TWILIO_TEST_PAIR.0, own.token, 401, 20003),
        (TWILIO[1].sid, own.sid, own.token, 404, 20404),
    ] {
        let (found, body) = ask(sid, user, token).await;
        assert_eq!((found, &body["code"], &body["status"]), (status, &json!(code), &json!(status)), "{body}");
        assert!(matches!(rig.last(), Verdict::Refused { .. }));
    }
    assert_eq!(read(rig.get(&path(own.sid))).await.0, 401);
    rig.sandbox.stop().await.unwrap();
}

/// A form, the code of its refusal, and whether it breaks the contract.
type Row<'a> = (Vec<(&'a str, &'a str)>, u32, bool);

#[tokio::test]
async fn what_twilio_refuses_is_refused_with_its_code() {
    let rig = start().await;
    let long = "x".repeat(1601);
    let template = TEMPLATES[0].sid;
    let (to, from, text) = (("To", LEAD), ("From", SENDER), ("Body", "Hi"));
    let rows: Vec<Row<'_>> = vec![
        (vec![to, from, text, ("Colour", "blue")], 20001, true),
        (vec![to, from, text, ("Body", "again")], 20001, true),
        (vec![from, text], 21604, true),
        (vec![to, text], 21603, true),
        (vec![to, from], 21619, true),
        (vec![to, from, ("Body", &long)], 21617, true),
        (vec![to, from, text, ("StatusCallback", "nowhere")], 21609, true),
        (vec![to, from, text, ("StatusCallback", "http://a_b.example/")], 21609, true),
        (vec![to, from, text, ("ContentSid", template)], 20001, true),
        (vec![to, from, text, ("SendAt", "2026-12-01T00:00:00Z"), ("ScheduleType", "fixed")], 35118, true),
        (vec![to, from, text, ("ValidityPeriod", "0")], 20001, true),
        (vec![to, from, ("ContentSid", template)], 21656, true),
        (vec![to, from, ("ContentSid", template), ("ContentVariables", "Zoë")], 21656, true),
        (vec![to, from, ("ContentSid", template), ("ContentVariables", r#"{"1":"a"}"#)], 21656, true),
        (vec![to, from, ("ContentSid", template), ("ContentVariables", r#"{"1":"a","2":""}"#)], 21656, true),
        (vec![to, from, ("ContentSid", template), ("ContentVariables", r#"{"1":"a","2":2}"#)], 21656, true),
        (vec![to, from, text, ("ContentVariables", OPENING)], 21656, true),
        (
            vec![to, from, ("ContentSid", "HX00000000000000000000000000000000"), ("ContentVariables", "{}")],
            21655,
            false,
        ),
        (vec![("To", "whatsapp: 447700900123"), from, text], 21211, false),
        (vec![("To", "whatsapp:+0447700900123"), from, text], 21211, false),
        (vec![("To", "whatsapp:US."), from, text], 21211, false),
        (vec![("To", "+447700900123"), from, text], 21910, false),
        (vec![to, ("From", "+447700900999"), text], 21910, false),
        (vec![("To", "+447700900123"), ("From", "+447700900999"), text], 21606, false),
        (vec![to, ("From", "whatsapp:+447700900888"), text], 63007, false),
        (vec![("To", "whatsapp:+447700900610"), from, text], 21610, false),
        (vec![to, ("MessagingServiceSid", "MG00000000000000000000000000000000"), text], 21701, false),
    ];
    for (pairs, code, is_contract) in rows {
        let (status, body) = read(rig.send(&pairs)).await;
        assert_eq!((status, &body["code"]), (400, &json!(code)), "{pairs:?} {body}");
        assert_eq!(is_violation(&rig.last()), is_contract, "{pairs:?} {:?}", rig.last());
    }
    // A bare plus is a space.
    let raw = "To=whatsapp:+447700900123&From=whatsapp%3A%2B447700900999&Body=Hi";
    let (status, body) = read(rig.send(&[]).body(raw)).await;
    assert_eq!((status, &body["code"]), (400, &json!(21211)));
    let (status, _) = read(rig.twilio(rig.post(&rig.messages_path(), &json!({ "To": LEAD })))).await;
    assert!(status == 400 && is_violation(&rig.last()));
    assert!(rig.entries(r#"{"kind":"message"}"#).is_empty());
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_inside_the_window_goes_its_way_and_reports_it_signed() {
    let rig = start().await;
    let receiver = Receiver::start().await;
    rig.write(&receiver.url("/in"), json!({})).await;
    let callback = receiver.url("/webhooks/twilio/w/status/i#rc=3");
    let (status, sent) =
        read(rig.send(&[("To", LEAD), ("From", SENDER), ("Body", "Hi 👍"), ("StatusCallback", &callback)]))
            .await;
    assert_eq!(status, 201);
    assert_eq!((&sent["status"], &sent["direction"]), (&json!("queued"), &json!("outbound-api")));
    assert_eq!((&sent["date_sent"], &sent["num_media"]), (&Value::Null, &json!("0")));
    assert_eq!(sent["date_created"], "Wed, 25 Nov 2026 12:00:00 +0000");

    let came = receiver.wait(4).await;
    let states: Vec<_> = came[1..].iter().map(|came| came.get("MessageStatus")).collect();
    assert_eq!(states, ["sending", "sent", "delivered"]);
    for came in &came[1..] {
        assert!(came.is_signed && came.path == "/webhooks/twilio/w/status/i", "{came:?}");
        assert_eq!(came.get("MessageSid"), sent["sid"]);
        assert_eq!((came.get("AccountSid"), came.get("To")), (account().sid, LEAD));
    }

    let sid = sent["sid"].as_str().unwrap();
    let path = format!("/twilio/2010-04-01/Accounts/{}/Messages/{sid}.json", account().sid);
    let (_, read_back) = read(rig.twilio(rig.get(&path))).await;
    assert_eq!((&read_back["status"], &read_back["body"]), (&json!("delivered"), &json!("Hi 👍")));
    let effects = rig.entries(r#"{"kind":"message"}"#);
    let Some(Effect::Message { to, body, body_sha256, status_callback, .. }) = &effects[0].effect else {
        panic!("{effects:?}")
    };
    assert_eq!((to.as_str(), body.as_str()), (LEAD, "Hi 👍"));
    assert_eq!(status_callback.as_deref(), Some(callback.as_str()));
    assert_eq!(body_sha256.len(), 64);
    let unknown = path.replace(sid, "SM00000000000000000000000000000000");
    assert_eq!(read(rig.twilio(rig.get(&unknown))).await.0, 404);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn free_text_outside_the_window_fails_later_and_a_template_does_not() {
    let rig = start().await;
    let receiver = Receiver::start().await;
    let callback = receiver.url("/status");
    let send = |text: bool| {
        let mut pairs = vec![("To", LEAD), ("From", SENDER), ("StatusCallback", callback.as_str())];
        if text {
            pairs.push(("Body", "Hi"));
        } else {
            pairs.extend([("ContentSid", TEMPLATES[0].sid), ("ContentVariables", OPENING)]);
        }
        read(rig.send(&pairs))
    };
    assert_eq!(send(true).await.0, 201);
    let came = receiver.wait(2).await;
    let last = &came[1];
    assert_eq!((last.get("MessageStatus"), last.get("ErrorCode")), ("undelivered", "63016"));

    let (status, sent) = send(false).await;
    assert_eq!(status, 201);
    assert!(sent["body"].as_str().unwrap().starts_with("Hi Zoë, this is Sandbox Coaching."));
    assert_eq!(receiver.wait(5).await[4].get("MessageStatus"), "delivered");
    // A template opens nothing; the lead's own message does, for a day.
    send(true).await;
    assert_eq!(receiver.wait(7).await[6].get("ErrorCode"), "63016");
    rig.write(&receiver.url("/in"), json!({})).await;
    send(true).await;
    assert_eq!(receiver.wait(11).await[10].get("MessageStatus"), "delivered");
    rig.clock.advance(std::time::Duration::from_secs(24 * 60 * 60));
    send(true).await;
    assert_eq!(receiver.wait(13).await[12].get("ErrorCode"), "63016");
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn some_recipients_are_never_reached() {
    let rig = start().await;
    let receiver = Receiver::start().await;
    let callback = receiver.url("/status");
    for (index, (to, code)) in
        [("whatsapp:+447700900603", "63003"), ("whatsapp:+447700900624", "63024")].into_iter().enumerate()
    {
        let pairs = [
            ("To", to),
            ("From", SENDER),
            ("ContentSid", TEMPLATES[0].sid),
            ("ContentVariables", OPENING),
            ("StatusCallback", &callback),
        ];
        assert_eq!(read(rig.send(&pairs)).await.0, 201);
        let came = receiver.wait(2 * (index + 1)).await;
        assert_eq!(came.last().unwrap().get("ErrorCode"), code);
    }
    // A user id is an address like any other.
    let pairs = [("To", "whatsapp:US.ENT.A1B2C3"), ("From", SENDER), ("Body", "Hi")];
    assert_eq!(read(rig.send(&pairs)).await.0, 201);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn lists_are_filtered_and_paged_to_their_end() {
    let rig = start().await;
    for index in 0..5 {
        let (to, body) = (if index == 2 { "whatsapp:+447700900124" } else { LEAD }, index.to_string());
        assert_eq!(read(rig.send(&[("To", to), ("From", SENDER), ("Body", &body)])).await.0, 201);
    }
    let mut path = format!("{}?To=whatsapp%3A%2B447700900123&PageSize=3", rig.messages_path());
    let mut bodies = Vec::new();
    let mut pages = 0;
    loop {
        let (status, page) = read(rig.twilio(rig.get(&path))).await;
        assert_eq!(status, 200, "{page}");
        bodies.extend(page["messages"].as_array().unwrap().iter().map(|message| message["body"].clone()));
        pages += 1;
        let Some(next) = page["next_page_uri"].as_str() else { break };
        path = format!("/twilio{next}");
    }
    assert_eq!((pages, bodies), (2, vec![json!("4"), json!("3"), json!("1"), json!("0")]));
    let other = rig.get(&format!("/twilio/2010-04-01/Accounts/{}/Messages.json", TWILIO[1].sid));
    let (_, other) = read(other.basic_auth(TWILIO[1].sid, Some(TWILIO[1].token))).await;
    assert_eq!(other["messages"], json!([]));
    for query in ["Colour=blue", "PageSize=1001", "Page=1", "DateSent%3E=yesterday"] {
        let (status, _) = read(rig.twilio(rig.get(&format!("{}?{query}", rig.messages_path())))).await;
        assert!(status == 400 && is_violation(&rig.last()), "{query}");
    }
    let (status, _) =
        read(rig.twilio(rig.get(&format!("{}?DateSent%3E=2026-11-22", rig.messages_path())))).await;
    assert_eq!(status, 200);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_not_simulated_says_so() {
    let rig = start().await;
    let path = format!("/twilio/2010-04-01/Accounts/{}/Calls.json", account().sid);
    let (status, body) = read(rig.twilio(rig.get(&path))).await;
    assert!(status == 501 && body["message"].as_str().unwrap().contains("not simulated"), "{body}");
    assert!(is_violation(&rig.last()));
    rig.sandbox.stop().await.unwrap();
}
