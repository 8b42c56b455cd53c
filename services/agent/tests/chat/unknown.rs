//! A lost answer neither loses nor doubles.

use std::collections::HashSet;

use coachbot_agent::testing::{Fault, Operation, call, say};
use coachbot_common::suite;
use coachbot_proto::agent::v1::MessageStatus;
use coachbot_proto::connector::v1::DeliveryStatus;

use crate::booking::{BOOK, script};
use crate::world::World;

async fn a_message_whose_answer_was_lost_is_found_and_not_sent_again(world: World) {
    let world = world.known().await;
    world.fake.fails(Operation::SendMessage, Fault::LostAfter);
    world.chats("Hi").await;
    assert_eq!(world.said().await[1].1, MessageStatus::Unknown);
    world.passes(6).await;
    assert_eq!(world.said().await[1].1, MessageStatus::Accepted);
    assert_eq!(world.fake.texts(), ["Hello!"]);
}

async fn a_message_that_was_twice_not_there_is_sent_again_within_240_seconds(world: World) {
    let world = world.known().await;
    world.fake.fails(Operation::SendMessage, Fault::LostBefore);
    world.chats("Hi").await;
    world.passes(6).await;
    assert_eq!(world.fake.count(Operation::SendMessage), 1, "absence was seen once");
    world.passes(6).await;
    assert_eq!(world.fake.count(Operation::SendMessage), 1, "too short a time between");
    world.passes(6).await;
    world.passes(2).await;
    assert_eq!(world.fake.texts(), ["Hello!"]);
    assert_eq!(world.said().await[1].1, MessageStatus::Accepted);
}

async fn evidence_is_waited_for_as_long_as_the_provider_is_away(world: World) {
    let world = world.known().await;
    world.fake.fails(Operation::SendMessage, Fault::LostAfter);
    world.fake.always(Operation::ListMessages, Some(Fault::Away));
    world.chats("Hi").await;
    for _ in 0..30 {
        world.passes(120).await;
    }
    assert_eq!(world.said().await[1].1, MessageStatus::Unknown);
    world.fake.always(Operation::ListMessages, None);
    for _ in 0..24 {
        world.passes(10).await;
    }
    assert_eq!(world.said().await[1].1, MessageStatus::Accepted);
    assert_eq!(world.fake.texts(), ["Hello!"]);
}

async fn a_status_callback_proves_acceptance_before_our_own_answer(world: World) {
    let world = world.known().await;
    world.fake.fails(Operation::SendMessage, Fault::LostAfter);
    world.chats("Hi").await;
    let sent = world.fake.state().sent[0].clone();
    world.reports(sent.intent_id(), &sent.sid, "delivered", None).await;
    assert_eq!(world.said().await[1].1, MessageStatus::Delivered);
    world.passes(60).await;
    assert_eq!(world.fake.count(Operation::ListMessages), 0);
    assert_eq!(world.fake.texts(), ["Hello!"]);
}

async fn the_same_words_sent_twice_are_two_messages(world: World) {
    let world = world.known().await;
    world.chats("Hi").await;
    // The first "Hello!" is no evidence of the second.
    world.fake.fails(Operation::SendMessage, Fault::LostBefore);
    world.chats("Hi again").await;
    world.passes(6).await;
    world.passes(11).await;
    world.passes(2).await;
    assert_eq!(world.fake.texts(), ["Hello!", "Hello!"]);
}

async fn a_message_that_failed_meanwhile_is_found_failed(world: World) {
    let world = world.known().await;
    world.fake.fails(Operation::SendMessage, Fault::LostAfter);
    world.chats("Hi").await;
    {
        let mut state = world.fake.state();
        state.sent[0].status = DeliveryStatus::Undelivered;
        state.sent[0].error_code = Some(63016);
    }
    world.passes(6).await;
    let (_, messages) = world.conversation().await;
    assert_eq!(messages[1].status(), MessageStatus::Failed);
    assert_eq!(messages[1].error.as_ref().unwrap().code, "63016");
}

async fn a_booking_whose_answer_was_lost_is_found_and_then_told(world: World) {
    let world = world.known().await;
    script(&world);
    world.fake.fails(Operation::CreateBooking, Fault::LostAfter);
    world.chats("Book me Tuesday 9:00, anna@example.com").await;
    assert_eq!(world.fake.texts(), Vec::<String>::new(), "nothing is claimed before it is known");
    world.passes(6).await;
    assert_eq!(world.fake.texts(), ["You're booked for Tue 1 Dec, 09:00."]);
    assert_eq!(world.fake.state().booked.len(), 1);
    assert_eq!(world.bookings().await.len(), 1);
    assert_eq!(world.fake.count(Operation::Generate), 3);
}

async fn a_booking_that_was_twice_not_there_is_made_once(world: World) {
    let world = world.known().await;
    script(&world);
    world.fake.fails(Operation::CreateBooking, Fault::LostBefore);
    world.chats("Book me Tuesday 9:00, anna@example.com").await;
    for _ in 0..4 {
        world.passes(6).await;
    }
    assert_eq!(world.fake.state().booked.len(), 1);
    assert_eq!(world.fake.texts(), ["You're booked for Tue 1 Dec, 09:00."]);
}

async fn a_hundred_lost_messages_and_fifty_lost_bookings_are_a_hundred_and_fifty_effects(world: World) {
    let world = world.known().await;
    world.fake.state().slots = (0..50)
        .map(|number| {
            "2026-12-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap()
                + jiff::SignedDuration::from_mins(30 * number)
        })
        .collect();
    let slots = world.fake.state().slots.clone();
    for number in 0..150_usize {
        let from = format!("whatsapp:+44770090{number:04}");
        let fault = if number % 2 == 0 { Fault::LostBefore } else { Fault::LostAfter };
        if let Some(start) = slots.get(number) {
            let book = BOOK.replace("2026-12-01T09:00:00Z", &start.to_string());
            let day = r#"{"from":"2026-12-01","to":"2026-12-03"}"#;
            world.fake.answers([call("c1", "listSlots", day)]);
            world.fake.answers([call("c2", "bookConsult", &book)]);
            world.fake.fails(Operation::CreateBooking, fault);
        } else {
            world.fake.answers([say(&format!("Hello {number}!"))]);
            world.fake.fails(Operation::SendMessage, fault);
        }
        world.ingest(world.message(&from, "Hi, anna@example.com")).await;
        world.passes(2).await;
    }
    for _ in 0..6 {
        world.passes(10).await;
    }
    let state = world.fake.state();
    let bookings: HashSet<_> = state.booked.iter().map(|booking| booking.intent_id.clone()).collect();
    assert_eq!((state.booked.len(), bookings.len()), (50, 50));
    let messages: HashSet<_> = state.sent.iter().map(|sent| sent.to.clone()).collect();
    assert_eq!((state.sent.len(), messages.len()), (150, 150), "one to each lead");
}

suite!(
    World::new,
    coachbot_agent::store::MIGRATIONS,
    [
        a_message_whose_answer_was_lost_is_found_and_not_sent_again,
        a_message_that_was_twice_not_there_is_sent_again_within_240_seconds,
        evidence_is_waited_for_as_long_as_the_provider_is_away,
        a_status_callback_proves_acceptance_before_our_own_answer,
        the_same_words_sent_twice_are_two_messages,
        a_message_that_failed_meanwhile_is_found_failed,
        a_booking_whose_answer_was_lost_is_found_and_then_told,
        a_booking_that_was_twice_not_there_is_made_once,
        a_hundred_lost_messages_and_fifty_lost_bookings_are_a_hundred_and_fifty_effects,
    ]
);
