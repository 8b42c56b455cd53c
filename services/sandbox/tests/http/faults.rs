//! Faults on demand, and the sandbox's own paths.

use coachbot_sandbox::accounts::OPENAI_KEY;
use serde_json::{Value, json};

use crate::rig::{LEAD, LONG, Receiver, Rig, SENDER, read, start};

async fn send(rig: &Rig) -> Result<u16, reqwest::Error> {
    let pairs = [("To", LEAD), ("From", SENDER), ("Body", "Hi")];
    rig.send(&pairs).send().await.map(|answer| answer.status().as_u16())
}

fn effects(rig: &Rig) -> usize {
    rig.entries(r#"{"kind":"message"}"#).len()
}

async fn on_send(rig: &Rig, more: Value) {
    let mut fault = json!({ "provider": "twilio", "operation": "send_message" });
    fault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rig.fault(fault).await;
}

#[tokio::test]
async fn each_fault_does_what_it_says_to_answer_and_effect() {
    let rig = start().await;
    for (fault, answer, effect) in [
        (json!({ "kind": "status" }), Some(503), 0),
        (json!({ "kind": "status", "status": 500, "after_effect": true }), Some(500), 1),
        (json!({ "kind": "rate_limit" }), Some(429), 0),
        (json!({ "kind": "html" }), Some(502), 0),
        (json!({ "kind": "html", "status": 200, "after_effect": true }), Some(200), 1),
        (json!({ "kind": "delay", "milliseconds": 1 }), Some(201), 1),
        (json!({ "kind": "cut_before_effect" }), None, 0),
        (json!({ "kind": "cut_after_effect" }), None, 1),
    ] {
        rig.sandbox.reset();
        on_send(&rig, fault.clone()).await;
        assert_eq!(send(&rig).await.ok(), answer, "{fault}");
        assert_eq!(effects(&rig), effect, "{fault}");
        let entry = rig.entries(r#"{"operation":"send_message"}"#).pop().unwrap();
        assert_eq!(serde_json::to_value(entry.fault).unwrap(), fault["kind"]);
        assert_eq!(send(&rig).await.unwrap(), 201, "{fault}");
    }
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_fault_has_the_providers_shape() {
    let rig = start().await;
    for (provider, path, key, code) in [
        ("calcom", "/calcom/v2/bookings", "cal_live_sandbox0000000000000000001", "/error/code"),
        ("openai", "/openai/v1/models", OPENAI_KEY, "/error/code"),
        ("vapi", "/vapi/assistant/x", "x", "/statusCode"),
    ] {
        rig.fault(json!({ "provider": provider, "kind": "rate_limit" })).await;
        let ask = || rig.get(path).bearer_auth(key).header("cal-api-version", "2024-08-13");
        let answer = ask().send().await.unwrap();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers().contains_key("retry-after"), provider != "calcom");
        let body = crate::rig::body(answer).await;
        assert!(body.pointer(code).is_some(), "{body}");
        rig.fault(json!({ "provider": provider, "kind": "html", "status": 503 })).await;
        let answer = ask().send().await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    }
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_held_call_waits_for_its_release() {
    let rig = start().await;
    for (kind, release, answer, effect) in [
        ("hold", "answer", Some(201), 1),
        ("hold", "cut", None, 0),
        ("hold_after_effect", "answer", Some(201), 1),
        ("hold_after_effect", "cut", None, 1),
    ] {
        rig.sandbox.reset();
        on_send(&rig, json!({ "kind": kind })).await;
        let releasing = async {
            let (_, held) = read(rig.get("/_sandbox/held?wait=1")).await;
            let held = held["items"].as_array().unwrap();
            assert_eq!((held.len(), &held[0]["operation"]), (1, &json!("send_message")));
            assert_eq!(held[0]["after_effect"], kind == "hold_after_effect");
            assert_eq!(effects(&rig), usize::from(kind == "hold_after_effect"));
            let path = format!("/_sandbox/held/{}/release", held[0]["id"]);
            read(rig.post(&path, &json!({ "as": release }))).await.0
        };
        let (sent, released) = tokio::join!(send(&rig), releasing);
        assert_eq!((sent.ok(), released), (answer, 204), "{kind} {release}");
        assert_eq!(effects(&rig), effect, "{kind} {release}");
    }
    let (status, _) = read(rig.post("/_sandbox/held/99/release", &json!({ "as": "cut" }))).await;
    assert_eq!(status, 404);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_held_call_outlives_its_caller() {
    let rig = start().await;
    on_send(&rig, json!({ "kind": "hold" })).await;
    let request = rig.send(&[("To", LEAD), ("From", SENDER), ("Body", "Hi")]);
    let caller = tokio::spawn(request.send());
    let held = rig.sandbox.next_held().await;
    assert!(!held[0].client_gone);
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    let gone = async {
        while !rig.sandbox.held()[0].client_gone {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, gone).await.unwrap();
    // Who has sent a request cannot take it back.
    let path = format!("/_sandbox/held/{}/release", held[0].id);
    assert_eq!(read(rig.post(&path, &json!({ "as": "answer" }))).await.0, 204);
    assert_eq!(rig.wait_for("kind=message").await.len(), 1);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn callbacks_come_in_another_order_twice_or_not_at_all() {
    let rig = start().await;
    for (kind, states) in [
        ("reorder", vec!["delivered", "sent", "sending"]),
        ("duplicate", vec!["sending", "sending", "sent", "sent", "delivered", "delivered"]),
        ("drop", vec![]),
    ] {
        let receiver = Receiver::start().await;
        rig.write(&receiver.url("/in"), json!({})).await;
        rig.fault(json!({ "provider": "twilio", "operation": "status_callback", "kind": kind })).await;
        let callback = receiver.url("/status");
        let pairs = [("To", LEAD), ("From", SENDER), ("Body", "Hi"), ("StatusCallback", callback.as_str())];
        rig.send(&pairs).send().await.unwrap();
        // The next message has no fault: when it has arrived, the first is through.
        rig.send(&pairs).send().await.unwrap();
        let came = receiver.wait(1 + states.len() + 3).await;
        let first = rig.entries(r#"{"kind":"message"}"#);
        let first = serde_json::to_value(&first[first.len() - 2].effect).unwrap();
        let own: Vec<_> = came[1..].iter().filter(|came| first["sid"] == came.get("MessageSid")).collect();
        let found: Vec<_> = own.iter().map(|came| came.get("MessageStatus")).collect();
        assert_eq!(found, states, "{kind}");
    }
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_copy_that_lags_behind_lists_nothing_once() {
    let rig = start().await;
    send(&rig).await.unwrap();
    rig.fault(json!({ "provider": "twilio", "operation": "list_messages", "kind": "stale" })).await;
    let count = async || {
        let (_, list) = read(rig.twilio(rig.get(&rig.messages_path()))).await;
        list["messages"].as_array().unwrap().len()
    };
    assert_eq!((count().await, count().await), (0, 1));
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_taken_slot_is_told_in_either_way() {
    let rig = start().await;
    for (status, expected) in [(None, 400), (Some(409), 409)] {
        let fault = json!({
            "provider": "calcom", "operation": "create_booking", "kind": "slot_taken", "status": status,
        });
        rig.fault(fault).await;
        let start = if status.is_some() { "2026-12-01T09:00:00Z" } else { "2026-12-01T10:00:00Z" };
        let wanted = json!({
            "start": start, "eventTypeId": 4_100_001,
            "attendee": { "name": "Zoë", "email": "zoe@example.com", "timeZone": "UTC" },
        });
        let (found, _) = read(rig.calcom(rig.post("/calcom/v2/bookings", &wanted), "2024-08-13")).await;
        assert_eq!(found, expected);
    }
    assert!(rig.entries(r#"{"kind":"booking"}"#).is_empty());
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn the_ledger_is_filtered_and_goes_on_from_a_cursor() {
    let rig = start().await;
    send(&rig).await.unwrap();
    read(rig.twilio(rig.get(&format!("{}?Colour=blue", rig.messages_path())))).await;
    read(rig.get("/openai/v1/models").bearer_auth(OPENAI_KEY)).await;
    let (_, all) = read(rig.get("/_sandbox/ledger")).await;
    assert_eq!((all["items"].as_array().unwrap().len(), &all["next"]), (3, &json!(3)));
    for (query, count) in [
        ("provider=openai", 1),
        ("kind=message", 1),
        ("verdict=accepted", 2),
        ("since=2", 1),
        ("since=3", 0),
        ("limit=2", 2),
        ("operation=list_messages", 1),
    ] {
        let (_, some) = read(rig.get(&format!("/_sandbox/ledger?{query}"))).await;
        assert_eq!(some["items"].as_array().unwrap().len(), count, "{query}");
    }
    let (_, broken) = read(rig.get("/_sandbox/violations")).await;
    assert_eq!(broken["items"][0]["verdict"]["what"], "unknown parameter Colour");
    assert_eq!(read(rig.get("/_sandbox/ledger?colour=blue")).await.0, 400);
    let (status, body) = read(rig.post(
        "/_sandbox/faults",
        &json!({ "provider": "vapi", "kind": "stale", "operation": "send_message" }),
    ))
    .await;
    assert_eq!(status, 422, "{body}");
    let (_, accounts) = read(rig.get("/_sandbox/accounts")).await;
    assert_eq!(accounts["openai"]["api_key"], OPENAI_KEY);
    assert_eq!(read(rig.post("/_sandbox/reset", &json!({}))).await.0, 204);
    assert!(rig.entries("{}").is_empty());
    send(&rig).await.unwrap();
    assert_eq!(rig.entries("{}")[0].seq, 4);
    rig.sandbox.stop().await.unwrap();
}
