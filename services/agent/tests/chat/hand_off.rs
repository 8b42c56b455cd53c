//! What the model may not do is stopped by code: one honest message, and an
//! escalation says why.

use coachbot_agent::testing::{Fault, Operation, call, response, say};
use coachbot_common::suite;
use coachbot_proto::agent::v1::{MessageStatus, Owner, Stage};
use coachbot_proto::connector::v1::item::Kind;
use coachbot_proto::connector::v1::{AssistantText, Item};

use crate::booking::BOOK;
use crate::world::World;

const SENTENCE: &str = "Thank you for your message. I'm passing it on to a person, who will get back to you.";

/// The conversation is nobody's, the lead was told so once, and the reason stands.
async fn handed_off(world: &World, reason: &str) {
    assert_eq!(world.fake.texts(), [SENTENCE]);
    assert_eq!(world.reasons().await, [reason]);
    let (conversation, _) = world.conversation().await;
    assert_eq!(conversation.owner(), Owner::Nobody);
    assert_eq!(world.lead().await.stage(), Stage::Escalated);
    // Nothing more of the model's.
    let asked = world.fake.state().asked.len();
    world.chats("Hello?").await;
    assert_eq!(world.fake.texts(), [SENTENCE]);
    assert_eq!(world.fake.state().asked.len(), asked);
}

async fn the_model_asks_for_a_person(world: World) {
    let world = world.known().await;
    world.fake.answers([call("c1", "escalate", r#"{"reason":"wants a person"}"#)]);
    world.chats("I want a person").await;
    handed_off(&world, "PERSON_NEEDED").await;
}

async fn a_model_that_loops_is_stopped_after_eight_tools(world: World) {
    let world = world.known().await;
    let mut count = 0;
    world.fake.plays(move |_| {
        count += 1;
        response([call(&format!("c{count}"), "listSlots", "{}")])
    });
    world.chats("Hi").await;
    assert_eq!(world.fake.count(Operation::ListSlots), 8);
    handed_off(&world, "BUDGET_EXHAUSTED").await;
}

async fn an_answer_that_asks_for_more_tools_than_are_left_runs_those_that_are(world: World) {
    let world = world.known().await;
    world.fake.answers((0..12).map(|number| call(&format!("c{number}"), "listSlots", "{}")));
    world.chats("Hi").await;
    assert_eq!(world.fake.count(Operation::ListSlots), 8);
    handed_off(&world, "BUDGET_EXHAUSTED").await;
}

async fn a_model_that_repeats_one_call_is_stopped_after_ten_answers(world: World) {
    let world = world.known().await;
    world.fake.plays(|_| response([call("always", "listSlots", "{}")]));
    world.chats("Hi").await;
    assert_eq!((world.fake.count(Operation::ListSlots), world.fake.count(Operation::Generate)), (1, 10));
    handed_off(&world, "BUDGET_EXHAUSTED").await;
}

async fn a_claimed_booking_is_held(world: World) {
    let world = world.known().await;
    world.fake.answers([say("You're booked for Tuesday at 09:00!")]);
    world.chats("Tuesday 9:00 please").await;
    handed_off(&world, "REPLY_HELD").await;
}

async fn an_unknown_tool_and_broken_arguments_are_answered_by_an_error(world: World) {
    let world = world.known().await;
    world.fake.answers([call("c1", "deleteEverything", "{}"), call("c2", "bookConsult", "{oops")]);
    world.fake.answers([call("c3", "bookConsult", BOOK)]);
    world.fake.answers([say("Which day suits you?")]);
    world.chats("Hi").await;
    let results = crate::booking::results(&world);
    assert!(results[0].contains("no tool of that name"));
    assert!(results[1].contains("not a JSON object"));
    assert!(results[2].contains("start must be one of"));
    assert_eq!(world.fake.texts(), ["Which day suits you?"]);
    assert_eq!(world.fake.count(Operation::CreateBooking), 0);
}

async fn an_empty_answer_is_no_answer(world: World) {
    let world = world.known().await;
    world.fake.answers([]);
    world.chats("Hi").await;
    handed_off(&world, "MODEL_FAILED").await;
}

async fn a_cut_answer_is_no_answer(world: World) {
    let world = world.known().await;
    let mut cut = response([say("You could")]);
    cut.incomplete_reason = Some("max_output_tokens".into());
    world.fake.answers_with(cut);
    world.chats("Hi").await;
    handed_off(&world, "MODEL_FAILED").await;
}

async fn a_refusal_is_no_answer(world: World) {
    let world = world.known().await;
    let refusal = AssistantText { text: "I can't".into(), commentary: false, refusal: true };
    world.fake.answers([Item { kind: Some(Kind::AssistantText(refusal)) }]);
    world.chats("Hi").await;
    handed_off(&world, "MODEL_REFUSED").await;
}

async fn nonsense_is_asked_for_again_and_then_given_up(world: World) {
    let world = world.known().await;
    world.fake.always(Operation::Generate, Some(Fault::Fails { reason: "UNREADABLE_ANSWER", code: "200" }));
    world.chats("Hi").await;
    for _ in 0..4 {
        world.passes(30).await;
    }
    assert_eq!(world.fake.count(Operation::Generate), 3);
    handed_off(&world, "MODEL_FAILED").await;
}

async fn a_model_that_is_gone_is_said_to_be(world: World) {
    let world = world.known().await;
    world
        .fake
        .always(Operation::Generate, Some(Fault::Fails { reason: "NOT_FOUND", code: "model_not_found" }));
    world.chats("Hi").await;
    handed_off(&world, "MODEL_GONE").await;
}

async fn the_days_tokens_are_used_up(world: World) {
    let world = world.known().await;
    world.change_settings(|settings| settings.daily_token_budget = 1000).await;
    let mut large = response([say("Hello!")]);
    large.input_tokens = 5000;
    world.fake.answers_with(large);
    world.chats("Hi").await;
    assert_eq!(world.reasons().await, Vec::<String>::new());
    world.chats("Again").await;
    assert_eq!(world.reasons().await, ["DAILY_BUDGET_EXHAUSTED"]);
    assert_eq!(world.fake.texts(), ["Hello!", SENTENCE]);
}

async fn without_a_model_nothing_is_said_and_the_bot_stays(world: World) {
    let world = world.known().await;
    world.fake.always(Operation::Generate, Some(Fault::Fails { reason: "NOT_CONNECTED", code: "" }));
    world.chats("Hi").await;
    world.chats("Hello?").await;
    assert_eq!(world.fake.texts(), Vec::<String>::new());
    assert_eq!(world.reasons().await, ["MODEL_NOT_CONNECTED"], "one, however often");
    assert_eq!(world.conversation().await.0.owner(), Owner::Bot);
    world.fake.always(Operation::Generate, None);
    world.chats("Anybody?").await;
    assert_eq!(world.fake.texts(), ["Hello!"]);
}

async fn without_twilio_replies_are_dropped_and_nothing_is_raised(world: World) {
    let world = world.known().await;
    world.fake.always(Operation::SendMessage, Some(Fault::Fails { reason: "NOT_CONNECTED", code: "" }));
    world.chats("Hi").await;
    assert_eq!(world.said().await[1].1, MessageStatus::Dropped);
    assert_eq!(world.reasons().await, Vec::<String>::new());
    assert_eq!(world.lead().await.stage(), Stage::New);
}

async fn a_refused_message_fails_with_the_fix(world: World) {
    let world = world.known().await;
    world.fake.fails(Operation::SendMessage, Fault::Fails { reason: "REFUSED", code: "63007" });
    world.chats("Hi").await;
    let (_, messages) = world.conversation().await;
    let error = messages[1].error.clone().unwrap();
    assert_eq!(error.code, "63007");
    assert!(error.message.contains("Check From"));
    assert_eq!(world.reasons().await, ["SEND_FAILED"]);
}

suite!(
    World::new,
    coachbot_agent::store::MIGRATIONS,
    [
        the_model_asks_for_a_person,
        a_model_that_loops_is_stopped_after_eight_tools,
        an_answer_that_asks_for_more_tools_than_are_left_runs_those_that_are,
        a_model_that_repeats_one_call_is_stopped_after_ten_answers,
        a_claimed_booking_is_held,
        an_unknown_tool_and_broken_arguments_are_answered_by_an_error,
        an_empty_answer_is_no_answer,
        a_cut_answer_is_no_answer,
        a_refusal_is_no_answer,
        nonsense_is_asked_for_again_and_then_given_up,
        a_model_that_is_gone_is_said_to_be,
        the_days_tokens_are_used_up,
        without_a_model_nothing_is_said_and_the_bot_stays,
        without_twilio_replies_are_dropped_and_nothing_is_raised,
        a_refused_message_fails_with_the_fix,
    ]
);
