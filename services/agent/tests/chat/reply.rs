//! One burst, one reply.

use coachbot_agent::testing::{Fault, Operation, call, say};
use coachbot_common::suite;
use coachbot_proto::agent::v1::{Author, MessageStatus, Owner, Stage};
use coachbot_proto::connector::v1::item::Kind;

use crate::world::World;

async fn a_burst_gets_one_reply(world: World) {
    let world = world.known().await;
    world.writes("Hi").await;
    world.passes(1).await;
    world.writes("I need a coach").await;
    world.passes(1).await;
    assert_eq!(world.fake.texts(), Vec::<String>::new(), "the second message moved the timer");
    world.passes(1).await;
    assert_eq!(world.fake.texts(), ["Hello!"]);
    let state = world.fake.state();
    assert_eq!(state.asked.len(), 1);
    let said: Vec<_> = state.asked[0]
        .items
        .iter()
        .map(|item| match &item.kind {
            Some(Kind::UserText(user)) => user.text.as_str(),
            _ => "?",
        })
        .collect();
    assert_eq!(said, ["Hi", "I need a coach"]);
    assert_eq!(state.sent[0].to, "whatsapp:+447700900123");
    assert!(
        state.sent[0]
            .callback
            .starts_with(&format!("https://bot.example/webhooks/twilio/{}/status/", world.workspace))
    );
}

async fn a_plain_reply_costs_three_commits(world: World) {
    let world = world.known().await;
    world.writes("Hi").await;
    let before = world.agent.commits();
    world.passes(2).await;
    assert_eq!(world.agent.commits() - before, 3, "claim, answer and sending, accepted");
    let (conversation, messages) = world.conversation().await;
    assert_eq!(conversation.owner(), Owner::Bot);
    assert_eq!(messages[1].author(), Author::Bot);
    assert_eq!(messages[1].status(), MessageStatus::Accepted);
    assert_eq!(messages[1].steps.len(), 1);
    assert_eq!(messages[1].steps[0].tokens, 120);
    assert_eq!(world.lead().await.stage(), Stage::Contacted);
}

async fn a_long_reply_comes_in_at_most_three_parts_in_order(world: World) {
    let world = world.known().await;
    let sentence = "This is a sentence of some length that fills the answer. ";
    world.fake.answers([say(&sentence.repeat(70))]);
    world.chats("Tell me everything").await;
    let texts = world.fake.texts();
    assert_eq!(texts.len(), 3);
    assert!(texts.iter().all(|text| text.chars().count() <= 1500));
    assert_eq!(texts.join(" ").matches("This").count(), 70);
}

async fn a_later_part_waits_until_the_earlier_one_is_accepted(world: World) {
    let world = world.known().await;
    world.fake.answers([say(&"A sentence that fills the answer up. ".repeat(60))]);
    world.fake.fails(Operation::SendMessage, Fault::LostAfter);
    world.chats("Tell me more").await;
    assert_eq!(world.fake.texts().len(), 1, "what became of the first part is not known");
    world.passes(6).await;
    assert_eq!(world.fake.texts().len(), 2);
    let said = world.said().await;
    assert_eq!((said[1].1, said[2].1), (MessageStatus::Accepted, MessageStatus::Accepted));
}

async fn a_newer_message_drops_the_unsent_reply_at_most_twice(world: World) {
    let world = std::sync::Arc::new(world.known().await);
    // The lead writes while the model thinks, three times.
    for number in 1..=3 {
        let hold = std::sync::Arc::new(coachbot_agent::testing::Hold::default());
        world.fake.fails(Operation::Generate, Fault::Held(hold.clone()));
        world.fake.answers([say(&format!("Answer {number}"))]);
        let world = world.clone();
        tokio::spawn(async move {
            hold.reached.notified().await;
            world.writes(&format!("And {number}")).await;
            hold.release.notify_one();
        });
    }
    world.fake.answers([say("Answer 4")]);
    world.chats("Hi").await;
    assert_eq!(world.fake.texts(), ["Answer 3"], "the third goes out, or it would never end");
    world.passes(2).await;
    assert_eq!(world.fake.texts(), ["Answer 3", "Answer 4"]);
    let said = world.said().await;
    let dropped: Vec<_> =
        said.iter().filter(|(_, status)| *status == MessageStatus::Dropped).map(|(text, _)| text).collect();
    assert_eq!(dropped, ["Answer 1", "Answer 2"]);
    let state = world.fake.state();
    let last = format!("{:?}", state.asked[3].items.len());
    // Hi, And 1, And 2, Answer 3, And 3: what was dropped was never said.
    assert_eq!(last, "5");
}

async fn a_send_that_the_provider_puts_off_is_sent_later(world: World) {
    let world = world.known().await;
    world.fake.fails(Operation::SendMessage, Fault::Fails { reason: "RATE_LIMITED", code: "20429" });
    world.fake.fails(Operation::SendMessage, Fault::Fails { reason: "PROVIDER_AWAY", code: "503" });
    world.chats("Hi").await;
    assert_eq!(world.fake.texts().len(), 0);
    world.passes(60).await;
    world.passes(60).await;
    assert_eq!(world.fake.texts(), ["Hello!"]);
    assert_eq!(world.fake.count(Operation::Generate), 1);
    assert_eq!(world.fake.count(Operation::ListMessages), 0);
}

async fn a_reply_that_waits_is_replaced_when_the_lead_writes_again(world: World) {
    let world = world.known().await;
    world.fake.answers([say("First")]);
    world.fake.answers([say("Second")]);
    world.fake.fails(Operation::SendMessage, Fault::Fails { reason: "PROVIDER_AWAY", code: "503" });
    world.chats("Hi").await;
    world.chats("Are you there?").await;
    world.passes(60).await;
    assert_eq!(world.fake.texts(), ["Second"]);
}

async fn a_model_that_is_away_is_asked_again(world: World) {
    let world = world.known().await;
    world.fake.fails(Operation::Generate, Fault::Away);
    world.fake.fails(Operation::Generate, Fault::Fails { reason: "CANNOT_DECRYPT", code: "" });
    world.fake.fails(Operation::Generate, Fault::Fails { reason: "RATE_LIMITED", code: "429" });
    world.chats("Hi").await;
    for _ in 0..4 {
        world.passes(30).await;
    }
    assert_eq!(world.fake.texts(), ["Hello!"]);
    assert_eq!(world.reasons().await, Vec::<String>::new());
}

async fn what_the_model_is_told_is_rebuilt_with_its_own_items(world: World) {
    use coachbot_proto::connector::v1::{Item, OpaqueItem};
    let world = world.known().await;
    let opaque = Item {
        kind: Some(Kind::Opaque(OpaqueItem {
            model: "gpt-4o".into(),
            json: r#"{"type":"reasoning"}"#.into(),
        })),
    };
    world.fake.answers([opaque.clone(), call("c1", "listSlots", "{}")]);
    world.fake.answers([say("Tue 1 Dec, 09:00?")]);
    world.chats("Hi").await;
    world.chats("Yes").await;
    let state = world.fake.state();
    let kinds: Vec<_> = state.asked[2]
        .items
        .iter()
        .map(|item| match &item.kind {
            Some(Kind::UserText(_)) => "user",
            Some(Kind::AssistantText(_)) => "assistant",
            Some(Kind::ToolCall(_)) => "call",
            Some(Kind::ToolResult(_)) => "result",
            Some(Kind::Opaque(found)) => {
                assert_eq!(found.json, r#"{"type":"reasoning"}"#);
                "opaque"
            }
            None => "none",
        })
        .collect();
    assert_eq!(kinds, ["user", "opaque", "call", "result", "assistant", "user"]);
    assert!(state.asked[0].instructions.contains("Wednesday, 25 November 2026, 12:00 (Europe/London)"));
    assert_eq!(state.asked[0].safety_identifier.len(), 64);
}

suite!(
    World::new,
    coachbot_agent::store::MIGRATIONS,
    [
        a_burst_gets_one_reply,
        a_plain_reply_costs_three_commits,
        a_long_reply_comes_in_at_most_three_parts_in_order,
        a_later_part_waits_until_the_earlier_one_is_accepted,
        a_newer_message_drops_the_unsent_reply_at_most_twice,
        a_send_that_the_provider_puts_off_is_sent_later,
        a_reply_that_waits_is_replaced_when_the_lead_writes_again,
        a_model_that_is_away_is_asked_again,
        what_the_model_is_told_is_rebuilt_with_its_own_items,
    ]
);
