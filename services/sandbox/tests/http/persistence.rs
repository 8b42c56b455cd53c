//! What a restart keeps.

use coachbot_common::testing::MockClock;
use coachbot_sandbox::{Config, Error, Sandbox};
use serde_json::json;
use tempfile::tempdir;

use crate::rig::{LEAD, Receiver, SENDER, read, start_with};

#[tokio::test]
async fn a_restart_keeps_messages_bookings_window_and_ledger() {
    let folder = tempdir().unwrap();
    let config = Config { folder: Some(folder.path().join("sandbox")), ..Config::in_memory() };
    let receiver = Receiver::start().await;
    let wanted = json!({
        "start": "2026-12-01T09:00:00Z", "eventTypeId": 4_100_001,
        "attendee": { "name": "Zoë", "email": "zoe@example.com", "timeZone": "UTC" },
    });

    let rig = start_with(&config).await;
    rig.write(&receiver.url("/in"), json!({ "text": "Hi" })).await;
    let (_, made) = read(rig.calcom(rig.post("/calcom/v2/bookings", &wanted), "2024-08-13")).await;
    // Its delivery is under way when the sandbox stops.
    rig.fault(json!({ "provider": "twilio", "operation": "status_callback", "kind": "hold" })).await;
    let callback = receiver.url("/status");
    let pairs = [("To", LEAD), ("From", SENDER), ("Body", "Hello"), ("StatusCallback", callback.as_str())];
    let (_, sent) = read(rig.send(&pairs)).await;
    rig.sandbox.next_held().await;
    let before = rig.entries("{}");
    rig.sandbox.stop().await.unwrap();

    let rig = start_with(&config).await;
    let came = receiver.wait(4).await;
    assert_eq!(came[3].get("MessageStatus"), "delivered");
    assert_eq!(came[3].get("MessageSid"), sent["sid"]);
    assert_eq!(rig.entries("{}")[..before.len()], before);
    let uid = made["data"]["uid"].as_str().unwrap();
    let (status, kept) = read(rig.calcom(rig.get(&format!("/calcom/v2/bookings/{uid}")), "2024-08-13")).await;
    assert_eq!((status, kept), (200, made));
    assert_eq!(read(rig.calcom(rig.post("/calcom/v2/bookings", &wanted), "2024-08-13")).await.0, 400);
    let (_, list) = read(rig.twilio(rig.get(&rig.messages_path()))).await;
    assert_eq!(list["messages"].as_array().unwrap().len(), 2);
    read(rig.send(&pairs)).await;
    assert_eq!(receiver.wait(7).await[6].get("MessageStatus"), "delivered");
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn an_effect_is_in_the_file_before_it_is_answered() {
    let folder = tempdir().unwrap();
    let config = Config { folder: Some(folder.path().to_owned()), ..Config::in_memory() };
    let rig = start_with(&config).await;
    for index in 0..20 {
        let (_, sent) = read(rig.send(&[("To", LEAD), ("From", SENDER), ("Body", &index.to_string())])).await;
        let file = std::fs::read_to_string(folder.path().join("sandbox.json")).unwrap();
        assert!(file.contains(sent["sid"].as_str().unwrap()));
    }
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_left_alone() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("sandbox.json"), "not ours").unwrap();
    let config = Config { folder: Some(folder.path().to_owned()), ..Config::in_memory() };
    let refused = Sandbox::start(&config, MockClock::at("2026-11-25T12:00:00Z")).await;
    assert!(matches!(refused, Err(Error::Save(_))));
    assert_eq!(std::fs::read_to_string(folder.path().join("sandbox.json")).unwrap(), "not ours");
}

#[tokio::test]
async fn a_folder_is_used_by_one_sandbox_at_a_time() {
    let folder = tempdir().unwrap();
    let config = Config { folder: Some(folder.path().to_owned()), ..Config::in_memory() };
    let rig = start_with(&config).await;
    let clock = || MockClock::at("2026-11-25T12:00:00Z");
    assert!(matches!(Sandbox::start(&config, clock()).await, Err(Error::Folder(_))));
    rig.sandbox.stop().await.unwrap();
    Sandbox::start(&config, clock()).await.unwrap().stop().await.unwrap();
}
