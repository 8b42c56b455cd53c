//! The lead's side: webhooks to the product, and the chat on the phone.

use coachbot_sandbox::accounts::{TEMPLATES, TWILIO};
use http::StatusCode;
use serde_json::{Value, json};

use crate::rig::{LEAD, Receiver, SENDER, account, read, start};

#[tokio::test]
async fn a_leads_message_is_handed_on_signed_and_is_in_twilios_list() {
    let rig = start().await;
    let receiver = Receiver::start().await;
    let url = receiver.url("/webhooks/twilio/w/messages");
    let text = "Hi! a+b=c & 50% 👍";
    let answer = rig.write(&url, json!({ "text": text, "profile_name": "Zoë K." })).await;
    assert_eq!(answer["status"], 204);
    let came = &receiver.wait(1).await[0];
    assert!(came.is_signed);
    for (name, value) in [
        ("MessageSid", answer["message_sid"].as_str().unwrap()),
        ("AccountSid", account().sid),
        ("Body", text),
        ("From", LEAD),
        ("To", SENDER),
        ("WaId", "447700900123"),
        ("ProfileName", "Zoë K."),
        ("SmsStatus", "received"),
        ("NumMedia", "0"),
    ] {
        assert_eq!(came.get(name), value, "{name}");
    }
    let (_, list) =
        read(rig.twilio(rig.get(&format!("{}?To=whatsapp%3A%2B447700900999", rig.messages_path())))).await;
    let own = &list["messages"][0];
    assert_eq!((&own["direction"], &own["body"]), (&json!("inbound"), &json!(text)));
    let (status, _) = read(rig.post(
        "/_sandbox/leads/messages",
        &json!({ "workspace_webhook_url": url, "to": LEAD, "from": SENDER, "text": "" }),
    ))
    .await;
    assert_eq!(status, 422);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn copies_are_one_message_and_a_later_one_too() {
    let rig = start().await;
    let receiver = Receiver::start().await;
    let answer = rig.write(&receiver.url("/in"), json!({ "copies": 50 })).await;
    assert_eq!(answer["statuses"].as_array().unwrap().len(), 50);
    rig.write(&receiver.url("/in"), json!({ "message_sid": answer["message_sid"] })).await;
    let came = receiver.wait(51).await;
    assert!(came.iter().all(|came| came.get("MessageSid") == answer["message_sid"] && came.is_signed));
    let (_, list) = read(rig.twilio(rig.get(&rig.messages_path()))).await;
    assert_eq!(list["messages"].as_array().unwrap().len(), 1);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_stranger_changes_what_he_is_told_to_and_leaves_no_trace_at_twilio() {
    let rig = start().await;
    let receiver = Receiver::answering(StatusCode::FORBIDDEN).await;
    for (index, tamper) in ["signature", "param", "account"].into_iter().enumerate() {
        let answer = rig.write(&receiver.url("/in"), json!({ "tamper": tamper })).await;
        assert_eq!(answer["status"], 403);
        let came = &receiver.wait(index + 1).await[index];
        match tamper {
            "account" => assert!(came.is_signed && came.get("AccountSid") == TWILIO[1].sid),
            "param" => assert!(!came.is_signed && came.get("Body") == "Hello!"),
            _ => assert!(!came.is_signed && came.get("AccountSid") == account().sid),
        }
    }
    let (_, list) = read(rig.twilio(rig.get(&rig.messages_path()))).await;
    assert_eq!(list["messages"], json!([]));
    let entries = rig.entries(r#"{"kind":"inbound","verdict":"refused"}"#);
    assert_eq!(entries.len(), 3);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_product_that_is_away_gets_nothing_and_the_message_is_kept() {
    let rig = start().await;
    let answer = rig.write("http://127.0.0.1:9/in", json!({})).await;
    assert_eq!(answer["status"], Value::Null);
    let (_, list) = read(rig.twilio(rig.get(&rig.messages_path()))).await;
    assert_eq!(list["messages"].as_array().unwrap().len(), 1);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn the_phone_shows_what_arrived_and_reading_is_reported() {
    let rig = start().await;
    let receiver = Receiver::start().await;
    let callback = receiver.url("/status");
    // Free text before the lead wrote never arrives.
    rig.send(&[("To", LEAD), ("From", SENDER), ("Body", "lost")]).send().await.unwrap();
    let variables = r#"{"1":"Zoë","2":"Sandbox"}"#;
    let template =
        [("ContentSid", TEMPLATES[0].sid), ("ContentVariables", variables), ("StatusCallback", &callback)];
    let pairs = [&[("To", LEAD), ("From", SENDER)][..], &template].concat();
    rig.send(&pairs).send().await.unwrap();
    receiver.wait(3).await;
    rig.write(&receiver.url("/in"), json!({ "text": "Yes" })).await;
    let chat =
        |query: &str| read(rig.get(&format!("/_sandbox/messages?with=whatsapp%3A%2B447700900123{query}")));
    let (_, seen) = chat("").await;
    let texts: Vec<_> = seen["items"].as_array().unwrap().iter().map(|item| item["text"].clone()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].as_str().unwrap().starts_with("Hi Zoë") && texts[1] == "Yes");
    let (_, all) = chat("&all=1").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 3);

    let after = seen["items"][1]["seq"].as_u64().unwrap();
    let (more, _) = tokio::join!(
        chat(&format!("&wait=1&after={after}")),
        rig.send(&[("To", LEAD), ("From", SENDER), ("Body", "more")]).send()
    );
    assert_eq!(more.1["items"][0]["text"], "more");

    let pair = json!({ "from": LEAD, "to": SENDER });
    assert!(read(rig.post("/_sandbox/leads/read", &pair)).await.1["read"].as_u64().unwrap() >= 1);
    let came = receiver.wait(5).await;
    assert_eq!((came[4].get("MessageStatus"), came[4].get("EventType")), ("read", "READ"));
    assert_eq!(read(rig.post("/_sandbox/leads/silence", &pair)).await.0, 204);
    let (_, sent) =
        read(rig.send(&[("To", LEAD), ("From", SENDER), ("Body", "late"), ("StatusCallback", &callback)]))
            .await;
    assert_eq!(sent["status"], "queued");
    assert_eq!(receiver.wait(7).await[6].get("ErrorCode"), "63016");
    rig.sandbox.stop().await.unwrap();
}
