//! Phone numbers, e-mail addresses, names and texts are in no line that is logged
//! at any level. Lies in a test binary of its own, because it captures the
//! process's logs.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

#[path = "chat/world.rs"]
#[expect(dead_code, reason = "one test needs little of it")]
mod world;

use coachbot_agent::store::MIGRATIONS;
use coachbot_agent::testing::{Fault, Operation, call, say};
use coachbot_common::testing::{CapturedLogs, fresh_postgres, fresh_sqlite};
use world::World;

const BOOK: &str =
    r#"{"start":"2026-12-01T09:00:00Z","name":"Planted Person","email":"planted@example.com"}"#;

async fn everything_happens(world: World) {
    let world = world.known().await;
    world.submits("one", Some("+447700900123"), Some("planted@example.com")).await;
    world.passes(0).await;
    world.fake.answers([call("c1", "listSlots", "{}"), call("c0", "planted-tool", "{planted")]);
    world.fake.answers([call("c2", "bookConsult", BOOK)]);
    world.fake.answers([say("You're booked, planted words.")]);
    world.fake.fails(Operation::CreateBooking, Fault::LostAfter);
    world.fake.fails(Operation::SendMessage, Fault::LostBefore);
    world.chats("Planted question").await;
    for _ in 0..5 {
        world.passes(11).await;
    }
    world.fake.fails(Operation::SendMessage, Fault::Fails { reason: "REFUSED", code: "63007" });
    world.chats("Planted again").await;
    let mut wrong = world.message("+447700900123", "Planted wrong");
    wrong.received_at = None;
    let wrong = coachbot_common::rpc::with_deadline(wrong, std::time::Duration::from_secs(5));
    world.service().ingest_message(wrong).await.unwrap_err();
    world.chats("STOP").await;
    assert!(world.fake.texts().len() >= 3);
}

#[tokio::test]
async fn nothing_of_a_lead_is_logged() {
    let logs = CapturedLogs::start();
    let test = fresh_sqlite(&MIGRATIONS).await;
    everything_happens(World::new(test.db.clone())).await;
    test.end().await;
    if let Some(test) = fresh_postgres(&MIGRATIONS).await {
        everything_happens(World::new(test.db.clone())).await;
        test.end().await;
    }
    let logged = logs.text();
    assert!(
        logged.contains("agent.turn") && logged.contains("a booking was refused") || logged.contains("lost")
    );
    let lower = logged.to_lowercase();
    for private in ["447700900123", "planted", "anna king", "marathon"] {
        let line = lower.lines().find(|line| line.contains(private));
        assert!(line.is_none(), "{private}: {line:?}");
    }
}
