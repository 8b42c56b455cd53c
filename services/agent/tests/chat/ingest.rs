//! What comes in: once, to the right lead, and STOP before any model.

use coachbot_agent::testing::{Fault, Operation};
use coachbot_common::suite;
use coachbot_proto::agent::v1::{Channel, LeadSource, MessageStatus, Owner, Stage};

use crate::world::{ANNA, World};

const STOPPED: &str = "You will get no more messages from us. Reply START to get them again.";
const STARTED: &str = "You will get our messages again. Reply STOP at any time to end them.";

async fn fifty_copies_of_one_message_are_one(world: World) {
    let world = std::sync::Arc::new(world.known().await);
    let message = world.message(ANNA, "Hi");
    let copies: Vec<_> = (0..50)
        .map(|_| {
            let (world, message) = (world.clone(), message.clone());
            tokio::spawn(async move { world.ingest(message).await })
        })
        .collect();
    let mut answers = Vec::new();
    for copy in copies {
        answers.push(copy.await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    world.passes(2).await;
    assert_eq!(world.said().await.len(), 2);
    assert_eq!(world.fake.texts(), ["Hello!"]);
    assert_eq!(world.leads().await.len(), 1);
}

async fn many_leads_at_once_get_their_own_answers(world: World) {
    let world = std::sync::Arc::new(world.known().await);
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let world = world.clone();
            tokio::spawn(async move {
                let from = format!("whatsapp:+4477009{:05}", number / 2);
                world.ingest(world.message(&from, "Hi")).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(world.leads().await.len(), 10);
    world.passes(2).await;
    assert_eq!(world.fake.texts().len(), 10);
}

async fn a_hidden_number_and_a_shown_one_are_merged(world: World) {
    let world = world.known().await;
    world.chats("Hi").await;
    let hidden = world.message("whatsapp:GB.A1B2C3", "Hi from my other self");
    world.ingest(hidden).await;
    assert_eq!(world.leads().await.len(), 2);
    let mut both = world.message(ANNA, "It is me");
    both.external_user_id = Some("GB.A1B2C3".into());
    world.ingest(both).await;
    let lead = world.lead().await;
    assert_eq!(lead.phone.as_deref(), Some("+447700900123"));
    assert_eq!(world.conversations().await.iter().filter(|found| found.open).count(), 1);
    let later = world.message("whatsapp:GB.A1B2C3", "Hidden again");
    assert_eq!(world.ingest(later).await.lead_id, lead.lead_id);
}

async fn stop_ends_everything_and_start_brings_it_back(world: World) {
    let world = world.known().await;
    world.chats("Hi").await;
    world.writes("I wanted to ask").await;
    world.writes(" Stop. ").await;
    world.passes(2).await;
    assert_eq!(world.fake.texts(), ["Hello!", STOPPED], "the answer in the making is dropped");
    assert_eq!(world.lead().await.stage(), Stage::OptedOut);
    world.chats("STOP").await;
    world.chats("Are you there?").await;
    world.submits("again", Some("+447700900123"), None).await;
    world.passes(2).await;
    assert_eq!(world.fake.texts(), ["Hello!", STOPPED], "nothing more, not even a second confirmation");
    world.chats("start").await;
    assert_eq!(world.fake.texts(), ["Hello!", STOPPED, STARTED]);
    assert_eq!(world.lead().await.stage(), Stage::Contacted);
    world.chats("Thanks").await;
    assert_eq!(world.fake.texts(), ["Hello!", STOPPED, STARTED, "Hello!"]);
    assert_eq!(world.fake.state().asked.len(), 2, "no model saw STOP or START");
}

async fn twilios_own_opt_out_holds_too(world: World) {
    let world = world.known().await;
    world.fake.fails(Operation::SendMessage, Fault::Fails { reason: "REFUSED", code: "21610" });
    world.chats("Hi").await;
    assert_eq!(world.lead().await.stage(), Stage::OptedOut);
    assert_eq!(world.reasons().await, Vec::<String>::new());
    world.chats("Hello?").await;
    assert_eq!(world.fake.texts(), Vec::<String>::new());
}

async fn a_lead_from_a_form_is_written_to_first(world: World) {
    let world = world.known().await;
    let lead = world.submits("one", Some("+447700900123"), Some("Anna@example.com")).await;
    assert_eq!(world.submits("one", Some("+447700900123"), None).await, lead, "a submission is taken once");
    world.passes(0).await;
    let opening = "Hi Anna, thank you for getting in touch with Northside! What would you like to work on?";
    assert_eq!(world.fake.texts(), [opening]);
    assert_eq!(world.submits("two", None, Some("anna@example.com")).await, lead, "the same e-mail");
    world.passes(0).await;
    assert_eq!(world.fake.texts(), [opening], "nothing new while a conversation is open");
    world.chats("Run faster").await;
    assert_eq!(world.lead().await.source(), LeadSource::Form);
    let state = world.fake.state();
    assert_eq!(state.asked[0].items.len(), 3, "the form, the first touch, the reply");
    assert!(state.asked[0].instructions.contains("anna@example.com"));
}

async fn a_first_touch_by_template_fills_its_gaps(world: World) {
    let world = world.known().await;
    let sid = format!("HX{}", "a".repeat(32));
    world.change_settings(|settings| settings.opening_template_sid = Some(sid.clone())).await;
    world.submits("one", Some("+447700900123"), None).await;
    world.passes(0).await;
    assert_eq!(world.fake.texts(), [format!(r#"{sid} [("1", "Anna"), ("2", "Northside")]"#)]);
}

async fn a_first_touch_without_a_template_that_is_refused_asks_for_one(world: World) {
    let world = world.known().await;
    world.submits("one", Some("+447700900123"), None).await;
    world.passes(0).await;
    let sent = world.fake.state().sent[0].clone();
    for _ in 0..2 {
        world.reports(sent.intent_id(), &sent.sid, "undelivered", Some(63016)).await;
    }
    assert_eq!(world.reasons().await, ["TEMPLATE_NEEDED"]);
    let (conversation, messages) = world.conversation().await;
    assert_eq!(conversation.owner(), Owner::Bot);
    assert_eq!(messages[0].status(), MessageStatus::Failed);
    assert!(messages[0].error.as_ref().unwrap().message.contains("template"));
}

async fn a_voice_workspace_keeps_its_leads_and_writes_to_none(world: World) {
    world.put_workspace(Channel::Voice).await;
    world.submits("one", Some("+447700900123"), None).await;
    world.passes(2).await;
    assert_eq!(world.leads().await.len(), 1);
    assert_eq!(world.conversations().await.len(), 0);
}

async fn delivery_states_in_every_order_end_the_same(world: World) {
    let world = world.known().await;
    let states = ["queued", "sent", "delivered", "read", "partially_delivered"];
    for number in 0..20_usize {
        world.chats(&format!("Hi {number}")).await;
        let sent = world.fake.state().sent[number].clone();
        for place in 0..states.len() {
            let state = states[(place * (number % 4 + 1) + number) % states.len()];
            world.reports(sent.intent_id(), &sent.sid, state, None).await;
        }
    }
    let said = world.said().await;
    assert_eq!(said.iter().filter(|(_, status)| *status == MessageStatus::Read).count(), 20);
    for order in [["delivered", "failed"], ["failed", "delivered"]] {
        world.chats("Hi").await;
        let sent = world.fake.state().sent.last().unwrap().clone();
        for state in order {
            world.reports(sent.intent_id(), &sent.sid, state, Some(63005)).await;
        }
        assert_eq!(world.said().await.last().unwrap().1, MessageStatus::Failed);
    }
    assert_eq!(world.reasons().await, ["SEND_FAILED"]);
}

async fn a_quiet_conversation_is_closed_and_opened_as_a_new_one(world: World) {
    let world = world.known().await;
    world.chats("Hi").await;
    world.passes(15 * 24 * 3600).await;
    assert!(!world.conversation().await.0.open);
    world.chats("Hi again").await;
    assert_eq!(world.conversations().await.len(), 2);
    assert_eq!(world.leads().await.len(), 1);
}

async fn a_reply_after_the_window_is_not_sent(world: World) {
    let world = world.known().await;
    world.fake.always(Operation::Generate, Some(Fault::Away));
    world.chats("Hi").await;
    world.fake.always(Operation::Generate, None);
    world.passes(24 * 3600 - 50).await;
    assert_eq!(world.fake.texts(), Vec::<String>::new());
    assert_eq!(world.said().await[1].1, MessageStatus::Dropped);
}

async fn attachments_are_told_to_the_model_as_placeholders(world: World) {
    let world = world.known().await;
    let mut message = world.message(ANNA, "");
    message.media_types = vec!["image/jpeg".into()];
    world.ingest(message).await;
    assert_eq!(world.said().await[0].0, "[attachment: image/jpeg]");
}

suite!(
    World::new,
    coachbot_agent::store::MIGRATIONS,
    [
        fifty_copies_of_one_message_are_one,
        many_leads_at_once_get_their_own_answers,
        a_hidden_number_and_a_shown_one_are_merged,
        stop_ends_everything_and_start_brings_it_back,
        twilios_own_opt_out_holds_too,
        a_lead_from_a_form_is_written_to_first,
        a_first_touch_by_template_fills_its_gaps,
        a_first_touch_without_a_template_that_is_refused_asks_for_one,
        a_voice_workspace_keeps_its_leads_and_writes_to_none,
        delivery_states_in_every_order_end_the_same,
        a_quiet_conversation_is_closed_and_opened_as_a_new_one,
        a_reply_after_the_window_is_not_sent,
        attachments_are_told_to_the_model_as_placeholders,
    ]
);
