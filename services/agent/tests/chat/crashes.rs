//! A worker that dies anywhere leaves what another one goes on with.

use std::sync::Arc;

use coachbot_agent::testing::{Fault, Hold, Operation};
use coachbot_common::suite;
use coachbot_proto::agent::v1::MessageStatus;

use crate::booking::script;
use crate::world::World;

/// Where in the run its process dies: at the call of this operation, so many
/// calls in, before or after its effect.
const POINTS: [(Operation, usize, bool); 12] = [
    (Operation::Generate, 0, false),
    (Operation::Generate, 0, true),
    (Operation::ListSlots, 0, false),
    (Operation::ListSlots, 0, true),
    (Operation::Generate, 1, false),
    (Operation::Generate, 1, true),
    (Operation::CreateBooking, 0, false),
    (Operation::CreateBooking, 0, true),
    (Operation::Generate, 2, false),
    (Operation::Generate, 2, true),
    (Operation::SendMessage, 0, false),
    (Operation::SendMessage, 0, true),
];

/// The model plays by what it is told: it repeats nothing that is answered.
fn plays(world: &World) {
    use coachbot_agent::testing::{call, response, say};
    use coachbot_proto::connector::v1::item::Kind;
    world.fake.plays(|request| {
        let results =
            request.items.iter().filter(|item| matches!(item.kind, Some(Kind::ToolResult(_)))).count();
        match results {
            0 => response([call("c1", "listSlots", r#"{"from":"2026-12-01","to":"2026-12-02"}"#)]),
            1 => response([call("c2", "bookConsult", crate::booking::BOOK)]),
            _ => response([say("You're booked for Tue 1 Dec, 09:00.")]),
        }
    });
}

async fn a_process_that_dies_at_any_of_twelve_points_loses_and_doubles_nothing(world: World) {
    let world = world.known().await;
    plays(&world);
    for (number, (operation, after, effect)) in POINTS.into_iter().enumerate() {
        {
            let mut state = world.fake.state();
            state.sent.clear();
            state.booked.clear();
            state.asked.clear();
        }
        let from = format!("whatsapp:+44770090010{number:02}");
        world.ingest(world.message(&from, "Tuesday 9:00, anna@example.com")).await;
        world.clock.advance(std::time::Duration::from_secs(2));
        let hold = Arc::new(Hold::default());
        for _ in 0..after {
            world.fake.fails(operation, Fault::None);
        }
        world.fake.fails(
            operation,
            if effect { Fault::HeldAfter(hold.clone()) } else { Fault::Held(hold.clone()) },
        );
        let doomed = world.another();
        let process = tokio::spawn(async move { doomed.drain().await });
        hold.reached.notified().await;
        process.abort();
        assert!(process.await.unwrap_err().is_cancelled());
        for _ in 0..6 {
            world.passes(11).await;
        }
        let point = format!("{operation:?} {after} {effect}");
        let state = world.fake.state();
        assert_eq!(state.sent.len(), 1, "{point}");
        assert_eq!(state.sent[0].body, "You're booked for Tue 1 Dec, 09:00.", "{point}");
        assert_eq!(state.booked.len(), 1, "{point}");
    }
}

async fn a_stored_step_is_not_asked_for_again(world: World) {
    let world = world.known().await;
    script(&world);
    let hold = Arc::new(Hold::default());
    world.fake.fails(Operation::CreateBooking, Fault::Held(hold.clone()));
    world.writes("Tuesday 9:00, anna@example.com").await;
    world.clock.advance(std::time::Duration::from_secs(2));
    let doomed = world.another();
    let process = tokio::spawn(async move { doomed.drain().await });
    hold.reached.notified().await;
    process.abort();
    let _ = process.await;
    for _ in 0..4 {
        world.passes(11).await;
    }
    assert_eq!(world.fake.texts(), ["You're booked for Tue 1 Dec, 09:00."]);
    assert_eq!(world.fake.count(Operation::Generate), 3);
}

async fn a_claim_holds_until_its_lease_is_over_and_a_late_write_is_refused(world: World) {
    let world = world.known().await;
    let hold = Arc::new(Hold::default());
    world.fake.fails(Operation::Generate, Fault::Held(hold.clone()));
    world.writes("Hi").await;
    world.clock.advance(std::time::Duration::from_secs(2));
    let slow = world.another();
    let process = tokio::spawn(async move { slow.drain().await });
    hold.reached.notified().await;
    world.passes(5).await;
    assert_eq!(world.fake.count(Operation::Generate), 1, "the claim holds");
    world.passes(6).await;
    assert_eq!(world.fake.texts(), ["Hello!"], "the lease is over");
    hold.release.notify_one();
    process.await.unwrap().unwrap();
    assert_eq!(world.fake.texts(), ["Hello!"], "whoever comes late writes nothing");
    assert_eq!(world.said().await.len(), 2);
}

async fn two_processes_share_the_work_and_do_nothing_twice(world: World) {
    let world = Arc::new(world.known().await);
    for number in 0..30 {
        world.ingest(world.message(&format!("whatsapp:+4477009{number:05}"), "Hi")).await;
    }
    world.clock.advance(std::time::Duration::from_secs(2));
    let both: Vec<_> = (0..4)
        .map(|_| {
            let agent = world.another();
            tokio::spawn(async move { agent.drain().await })
        })
        .collect();
    for process in both {
        process.await.unwrap().unwrap();
    }
    assert_eq!(world.fake.texts().len(), 30);
    assert_eq!(world.fake.count(Operation::Generate), 30);
}

async fn what_was_sending_when_the_process_died_is_found_out(world: World) {
    let world = world.known().await;
    world.submits("one", Some("+447700900123"), None).await;
    let hold = Arc::new(Hold::default());
    world.fake.fails(Operation::SendMessage, Fault::HeldAfter(hold.clone()));
    let doomed = world.another();
    let process = tokio::spawn(async move { doomed.drain().await });
    hold.reached.notified().await;
    process.abort();
    let _ = process.await;
    assert_eq!(world.said().await[0].1, MessageStatus::Sending);
    world.passes(11).await;
    assert_eq!(world.said().await[0].1, MessageStatus::Accepted);
    assert_eq!(world.fake.texts().len(), 1);
}

suite!(
    World::new,
    coachbot_agent::store::MIGRATIONS,
    [
        a_process_that_dies_at_any_of_twelve_points_loses_and_doubles_nothing,
        a_stored_step_is_not_asked_for_again,
        a_claim_holds_until_its_lease_is_over_and_a_late_write_is_refused,
        two_processes_share_the_work_and_do_nothing_twice,
        what_was_sending_when_the_process_died_is_found_out,
    ]
);
