//! One trace from the ingest to the provider's calls, across the stored run. Lies
//! in a test binary of its own, because it captures the process's spans.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

#[path = "chat/world.rs"]
#[expect(dead_code, reason = "one test needs little of it")]
mod world;

use std::time::Duration;

use coachbot_agent::store::MIGRATIONS;
use coachbot_common::telemetry::current_trace_id;
use coachbot_common::testing::{captured_spans, fresh_sqlite};
use tracing::Instrument as _;
use world::World;

#[tokio::test]
async fn the_run_and_its_effects_belong_to_the_trace_of_the_message() {
    let spans = captured_spans();
    let test = fresh_sqlite(&MIGRATIONS).await;
    let world = World::new(test.db.clone()).known().await;
    spans.clear();
    let root = tracing::info_span!(target: "coachbot", "root");
    let trace = async {
        world.writes("Hi").await;
        current_trace_id().unwrap()
    };
    let trace = trace.instrument(root).await;
    world.passes(2).await;
    // SQLite's thread lets go of a span a little later than whoever waits for it.
    let of_trace = |name: &str| {
        let ended = spans.ended();
        ended.iter().filter(|span| span.trace_id == trace && span.name.ends_with(name)).count()
    };
    for (name, count) in [
        ("AgentService/IngestMessage", 2),
        ("ModelService/Generate", 2),
        ("MessagingService/SendMessage", 2),
        ("agent.turn", 1),
    ] {
        let ended = async {
            while of_trace(name) < count {
                tokio::task::yield_now().await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(5), ended).await;
        assert!(in_time.is_ok() && of_trace(name) == count, "{name}: {:#?}", spans.ended());
    }
    let ended = spans.ended();
    let text = format!("{ended:?}");
    for private in ["447700900123", "Anna", "Hello!"] {
        assert!(!text.contains(private), "{private}");
    }
    test.end().await;
}
