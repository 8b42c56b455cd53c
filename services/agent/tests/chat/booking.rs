//! From a question to a booked consult.

use coachbot_agent::testing::{Fault, Operation, call, say};
use coachbot_common::suite;
use coachbot_proto::agent::v1::{BookingState, MessageStatus, Stage};
use coachbot_proto::connector::v1::item::Kind;

use crate::world::World;

pub const BOOK: &str = r#"{"start":"2026-12-01T09:00:00Z","name":"Anna King","email":"anna@example.com"}"#;

/// The model offers slots, books, and says so: in one run.
pub fn script(world: &World) {
    world.fake.answers([call("c1", "listSlots", r#"{"from":"2026-12-01","to":"2026-12-02"}"#)]);
    world.fake.answers([call("c2", "bookConsult", BOOK)]);
    world.fake.answers([say("You're booked for Tue 1 Dec, 09:00.")]);
}

/// The results of tools that the model was told last.
pub fn results(world: &World) -> Vec<String> {
    let state = world.fake.state();
    let items = &state.asked.last().unwrap().items;
    items
        .iter()
        .filter_map(|item| match &item.kind {
            Some(Kind::ToolResult(result)) => Some(result.output.clone()),
            _ => None,
        })
        .collect()
}

async fn a_lead_is_offered_slots_and_books_one(world: World) {
    let world = world.known().await;
    script(&world);
    world.writes("Book me Tuesday 9:00, anna@example.com").await;
    let before = world.agent.commits();
    world.passes(2).await;
    assert!(world.agent.commits() - before <= 7, "{}", world.agent.commits() - before);
    assert_eq!(world.fake.texts(), ["You're booked for Tue 1 Dec, 09:00."]);
    {
        let state = world.fake.state();
        assert_eq!(state.booked.len(), 1);
        assert_eq!(state.booked[0].phone.as_deref(), Some("+447700900123"));
        assert_eq!(state.booked[0].email.as_deref(), Some("anna@example.com"));
    }
    assert_eq!(
        results(&world),
        [
            r#"{"ok":true,"timezone":"Europe/London","slots":[{"start":"2026-12-01T09:00:00Z","label":"Tue 1 Dec, 09:00"},{"start":"2026-12-01T10:00:00Z","label":"Tue 1 Dec, 10:00"},{"start":"2026-12-02T15:30:00Z","label":"Wed 2 Dec, 15:30"}]}"#,
            r#"{"ok":true,"start":"2026-12-01T09:00:00Z","status":"accepted"}"#,
        ]
    );
    let bookings = world.bookings().await;
    assert_eq!(bookings.len(), 1);
    assert_eq!(bookings[0].state(), BookingState::Accepted);
    assert_eq!(bookings[0].timezone, "Europe/London");
    assert_eq!(world.lead().await.stage(), Stage::Booked);
    let (_, messages) = world.conversation().await;
    let names: Vec<_> = messages[1].steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["gpt-4o", "listSlots", "gpt-4o", "bookConsult", "gpt-4o"]);
}

async fn only_offered_slots_are_booked_and_only_for_half_an_hour(world: World) {
    let world = world.known().await;
    world.fake.answers([call("c1", "bookConsult", BOOK)]);
    world.fake.answers([call("c2", "listSlots", "{}")]);
    world.fake.answers([say("Tue 1 Dec, 09:00?")]);
    world.chats("Tuesday 9:00 please, anna@example.com").await;
    assert!(results(&world)[0].contains("start must be one of the slots"));
    world.passes(31 * 60).await;
    world.fake.answers([call("c3", "bookConsult", BOOK)]);
    world.fake.answers([say("Let me look again.")]);
    world.chats("Yes").await;
    assert_eq!(world.fake.count(Operation::CreateBooking), 0);
    let invented = BOOK.replace("09:00:00Z", "09:15:00Z");
    world.fake.answers([call("c4", "listSlots", "{}"), call("c5", "bookConsult", &invented)]);
    world.fake.answers([call("c6", "bookConsult", &BOOK.replace("09:00:00Z", "10:00:00+01:00"))]);
    world.fake.answers([say("See you!")]);
    world.chats("9:15?").await;
    // The same instant, written differently.
    assert_eq!(world.fake.count(Operation::CreateBooking), 1);
}

async fn another_ones_address_is_not_booked_for(world: World) {
    let world = world.known().await;
    world.fake.answers([call("c1", "listSlots", "{}")]);
    world.fake.answers([call("c2", "bookConsult", BOOK)]);
    world.fake.answers([say("Which e-mail may I use?")]);
    world.chats("Tuesday 9:00 please, eve@example.com").await;
    assert!(results(&world)[1].contains("is not one that the lead gave"), "{:?}", results(&world));
    assert_eq!(world.fake.count(Operation::CreateBooking), 0);
}

async fn a_conversation_has_one_booking(world: World) {
    let world = world.known().await;
    script(&world);
    world.chats("Book me Tuesday 9:00, anna@example.com").await;
    world.fake.answers([call("d1", "listSlots", "{}")]);
    world.fake.answers([call("d2", "bookConsult", &BOOK.replace("T09", "T10"))]);
    world.fake.answers([say("You have one already.")]);
    world.chats("And 10:00 too").await;
    assert!(results(&world)[3].contains("already, at 2026-12-01T09:00:00Z"), "{:?}", results(&world));
    assert_eq!(world.fake.state().booked.len(), 1);
}

async fn a_pending_booking_is_not_told_as_booked(world: World) {
    let world = world.known().await;
    world.fake.state().pending = true;
    script(&world);
    world.chats("Book me Tuesday 9:00, anna@example.com").await;
    assert_eq!(world.reasons().await, ["REPLY_HELD"]);
    assert_eq!(world.bookings().await[0].state(), BookingState::Pending);
    assert_ne!(world.lead().await.stage(), Stage::Booked);
}

async fn a_slot_that_is_gone_is_told_to_the_model(world: World) {
    let world = world.known().await;
    world.fake.answers([call("c1", "listSlots", "{}")]);
    world.fake.answers([call("c2", "bookConsult", BOOK)]);
    world.fake.answers([say("That one is gone, sorry.")]);
    world.fake.fails(Operation::CreateBooking, Fault::Fails { reason: "REFUSED", code: "SLOT_GONE" });
    world.chats("Book me Tuesday 9:00, anna@example.com").await;
    assert!(results(&world)[1].contains("was just taken"));
    // It might have been a booking of ours.
    assert_eq!(world.fake.count(Operation::ListBookings), 1);
    assert_eq!(world.reasons().await, Vec::<String>::new());
}

async fn without_a_calendar_the_lead_is_told_and_the_bot_goes_on(world: World) {
    let world = world.known().await;
    world.fake.always(Operation::ListSlots, Some(Fault::Fails { reason: "NOT_CONNECTED", code: "" }));
    world.fake.answers([call("c1", "listSlots", "{}")]);
    world.fake.answers([call("c2", "escalate", r#"{"reason":"no calendar"}"#)]);
    world.fake.answers([say("I can't book right now.")]);
    world.chats("Any slots?").await;
    assert_eq!(results(&world), [r#"{"ok":false,"error":"Cal.com not connected"}"#, r#"{"ok":true}"#]);
    assert_eq!(world.reasons().await, ["CALENDAR_NOT_CONNECTED"]);
    assert_eq!(world.fake.texts(), ["I can't book right now."]);
    world.chats("And now?").await;
    assert_eq!(world.fake.texts().len(), 2, "the bot goes on answering");
}

async fn a_booking_that_is_put_off_is_made_later_and_then_told(world: World) {
    let world = world.known().await;
    script(&world);
    world.fake.fails(Operation::CreateBooking, Fault::Fails { reason: "RATE_LIMITED", code: "429" });
    world.chats("Book me Tuesday 9:00, anna@example.com").await;
    assert_eq!(world.fake.texts(), Vec::<String>::new());
    world.passes(60).await;
    assert_eq!(world.fake.texts(), ["You're booked for Tue 1 Dec, 09:00."]);
    assert_eq!(world.fake.state().booked.len(), 1);
    assert_eq!(world.fake.count(Operation::Generate), 3);
}

async fn a_message_during_the_offer_is_read_before_anything_is_booked(world: World) {
    let world = std::sync::Arc::new(world.known().await);
    let hold = std::sync::Arc::new(coachbot_agent::testing::Hold::default());
    world.fake.answers([call("c1", "listSlots", "{}")]);
    world.fake.answers([call("c2", "bookConsult", BOOK)]);
    world.fake.answers([say("Wednesday, then?")]);
    world.fake.fails(Operation::ListSlots, Fault::Held(hold.clone()));
    let second = std::sync::Arc::new(coachbot_agent::testing::Hold::default());
    let writer = world.clone();
    world.fake.fails(Operation::Generate, Fault::None);
    world.fake.fails(Operation::Generate, Fault::Held(second.clone()));
    let task = tokio::spawn(async move {
        hold.reached.notified().await;
        hold.release.notify_one();
        second.reached.notified().await;
        writer.writes("No, wait: Wednesday!").await;
        second.release.notify_one();
    });
    world.chats("Book me Tuesday 9:00, anna@example.com").await;
    task.await.unwrap();
    assert_eq!(world.fake.count(Operation::CreateBooking), 0);
    assert!(results(&world)[1].contains("wrote once more"), "{:?}", results(&world));
    assert_eq!(world.fake.texts(), ["Wednesday, then?"]);
    let said = world.said().await;
    assert_eq!(said.last().unwrap().1, MessageStatus::Accepted);
}

suite!(
    World::new,
    coachbot_agent::store::MIGRATIONS,
    [
        a_lead_is_offered_slots_and_books_one,
        only_offered_slots_are_booked_and_only_for_half_an_hour,
        another_ones_address_is_not_booked_for,
        a_conversation_has_one_booking,
        a_pending_booking_is_not_told_as_booked,
        a_slot_that_is_gone_is_told_to_the_model,
        without_a_calendar_the_lead_is_told_and_the_bot_goes_on,
        a_booking_that_is_put_off_is_made_later_and_then_told,
        a_message_during_the_offer_is_read_before_anything_is_booked,
    ]
);
