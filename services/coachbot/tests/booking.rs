//! From a lead's first message to a booked consult, judged by the ledger of the
//! sandbox.

#![expect(clippy::indexing_slicing, reason = "a test may")]

#[path = "support/chat.rs"]
mod chat;
mod support;

use chat::{Chat, LEAD};
use reqwest::Method;
use serde_json::{Value, json};

/// Talks until a consult is booked; gives back the confirmation.
async fn book(chat: &Chat) -> String {
    // The script asks for a name and an address, offers slots, and books the first.
    for text in ["I'm Zoë Kay, zoe@example.com", "1", "yes please", "1"] {
        chat.write(text).await;
        let answer = chat.answer().await;
        if !chat.sandbox.effects("booking").await.is_empty() {
            return answer;
        }
    }
    panic!("nothing was booked: {:?}", chat.all_answers().await);
}

async fn assert_one_booking(chat: &Chat) {
    let bookings = chat.sandbox.effects("booking").await;
    assert_eq!(bookings.len(), 1, "{bookings:?}");
    assert_eq!(bookings[0]["attendee"]["email"], "zoe@example.com");
    assert_eq!(bookings[0]["metadata"]["coachbotWorkspace"], json!(chat.workspace));
    let listed = chat.until("bookings", |items| items.iter().any(|item| item["status"] == "accepted")).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["provider_uid"], bookings[0]["uid"]);
    let violations = chat.sandbox.violations().await;
    assert_eq!(violations, Vec::<Value>::new(), "the product broke a provider's contract");
}

fn assert_no_double(answers: &[String]) {
    for (i, answer) in answers.iter().enumerate() {
        assert!(!answers[i + 1..].contains(answer), "sent twice: {answer}\n{answers:#?}");
    }
}

#[tokio::test]
async fn a_lead_who_writes_ends_with_one_booking() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Chat::start(folder.path(), &[("RUST_LOG", "trace")]).await;
    chat.write("Hi! I need help with my training").await;
    let first = chat.answer().await;
    assert!(first.to_lowercase().contains("script"), "the model says that it is scripted: {first}");
    let confirmation = book(&chat).await;
    assert!(!confirmation.is_empty());
    assert_one_booking(&chat).await;
    assert_no_double(&chat.all_answers().await);

    // The API tells the same story.
    let leads = chat.until("leads", |items| items.iter().any(|lead| lead["stage"] == "booked")).await;
    assert_eq!((leads.len(), leads[0]["source"].as_str()), (1, Some("whatsapp")));
    assert_eq!(leads[0]["email"], "zoe@example.com", "the coach sees under what was booked");
    let conversations = chat.list("conversations").await;
    assert_eq!(conversations.len(), 1);
    let path =
        format!("/workspaces/{}/conversations/{}", chat.workspace, conversations[0]["id"].as_str().unwrap());
    let (_, conversation) = chat.product().api(Method::GET, &path, None).await;
    let messages = conversation["messages"].as_array().unwrap();
    let tools: Vec<_> = messages
        .iter()
        .flat_map(|message| message["steps"].as_array().cloned().unwrap_or_default())
        .filter(|step| step["kind"] == "tool")
        .map(|step| step["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        tools.contains(&"listSlots".to_owned()) && tools.contains(&"bookConsult".to_owned()),
        "{tools:?}"
    );
    assert_eq!(chat.list("escalations").await, Vec::<Value>::new());

    let log = chat.end().await;
    for private in ["447700900456", "zoe@example.com", "Zoë", "my training", "yes please"] {
        let line = log.lines().find(|line| line.contains(private));
        assert_eq!(line, None, "{private} is in the log");
    }
}

#[tokio::test]
async fn a_form_entry_is_answered_first_and_ends_with_one_booking() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Chat::start(folder.path(), &[]).await;
    let forms = chat.list("forms").await;
    let form = forms[0]["url"].as_str().unwrap();
    let entry = json!({"name": "Zoë Kay", "phone": "+44 7700 900456", "email": "zoe@example.com",
        "consent": true, "message": "I want to get fit"});
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let taken = http.post(form).header("accept", "application/json").json(&entry).send().await.unwrap();
    assert_eq!(taken.status().as_u16(), 202);
    let lead: Value = taken.json().await.unwrap();
    assert!(lead["lead_id"].is_string(), "{lead}");
    let first_touch = chat.answer().await;
    assert!(first_touch.contains("Zoë"), "the opening message names the lead: {first_touch}");
    book(&chat).await;
    assert_one_booking(&chat).await;
    assert_no_double(&chat.all_answers().await);
    let leads = chat.list("leads").await;
    assert_eq!((leads.len(), leads[0]["source"].as_str()), (1, Some("form")), "one lead, not two");
    chat.end().await;
}

#[tokio::test]
async fn what_is_not_twilios_is_refused_alike_and_has_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Chat::start(folder.path(), &[]).await;
    for tamper in ["signature", "param", "account"] {
        assert_eq!(chat.write_with("Hi", json!({"tamper": tamper})).await, [403], "{tamper}");
    }
    let nobody = "/webhooks/twilio/01937a3e-6f00-7000-8000-000000000001/messages";
    let url = format!("{}{nobody}", chat.product().base);
    assert_eq!(chat.write_with("Hi", json!({"workspace_webhook_url": url})).await, [403]);
    assert_eq!(chat.list("leads").await, Vec::<Value>::new());
    assert_eq!(chat.sandbox.effects("message").await, Vec::<Value>::new());
    chat.end().await;
}

#[tokio::test]
async fn fifty_copies_of_one_webhook_are_one_message_and_one_reply() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Chat::start(folder.path(), &[]).await;
    assert_eq!(chat.write_with("Hi", json!({"copies": 50})).await, [200; 50]);
    chat.answer().await;
    chat.write("I'm Zoë Kay, zoe@example.com").await;
    chat.answer().await;
    assert_eq!(chat.sandbox.effects("message").await.len(), 2);
    assert_eq!(chat.list("conversations").await.len(), 1);
    chat.end().await;
}

#[tokio::test]
async fn stop_is_confirmed_once_and_nothing_follows() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Chat::start(folder.path(), &[]).await;
    chat.write("Hi").await;
    chat.answer().await;
    chat.write(" Stop! ").await;
    chat.answer().await;
    chat.write("Hello? Anybody?").await;
    chat.write("stop").await;
    chat.until("leads", |items| items.iter().any(|lead| lead["stage"] == "opted_out")).await;
    chat.write("START").await;
    chat.answer().await;
    assert_eq!(chat.sandbox.effects("message").await.len(), 3, "{:?}", chat.all_answers().await);
    chat.end().await;
}

/// The model is treated as the lead: what it may not do, code stops.
#[tokio::test]
async fn a_model_that_misbehaves_is_stopped_and_an_escalation_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Chat::start(folder.path(), &[]).await;
    let words = [
        "#loop",
        "#invent",
        "#other_email",
        "#claim",
        "#unknown_tool",
        "#broken_arguments",
        "#nonsense",
        "#empty",
        "#refuse",
        "#incomplete",
    ];
    for (number, word) in words.into_iter().enumerate() {
        let lead = format!("whatsapp:+4477009{:05}", 40_000 + number);
        let text = format!("I'm Zoë Kay, zoe@example.com, book me in {word}");
        assert_eq!(chat.write_with(&text, json!({"from": lead})).await, [200]);
        let answer = chat.answer_to(&lead).await;
        assert!(!answer.contains("You are booked"), "{word}: {answer}");
        chat.until("escalations?limit=100", |items| items.len() > number).await;
    }
    chat.until_sent(words.len()).await;
    assert_eq!(chat.list("escalations?limit=100").await.len(), words.len(), "one says why, for each");
    assert_eq!(chat.sandbox.effects("message").await.len(), words.len(), "each lead got one message");
    assert_eq!(chat.sandbox.effects("booking").await, Vec::<Value>::new());
    chat.end().await;
}

#[tokio::test]
async fn without_calcom_the_lead_is_told_and_an_escalation_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Chat::start(folder.path(), &[]).await;
    let path = format!("/workspaces/{}/integrations/calcom", chat.workspace);
    assert_eq!(chat.product().api(Method::DELETE, &path, None).await.0, 204);
    chat.write("Hi, I'm Zoë Kay, zoe@example.com, please book me in").await;
    let mut escalations = chat.list("escalations").await;
    for text in ["yes", "1"] {
        chat.answer().await;
        escalations = chat.list("escalations").await;
        if !escalations.is_empty() {
            break;
        }
        chat.write(text).await;
    }
    assert_eq!(escalations.len(), 1, "{escalations:?}");
    let conversations = chat.list("conversations").await;
    assert_eq!(conversations[0]["owner"], "bot", "it can go on answering");
    assert_eq!(chat.sandbox.effects("booking").await, Vec::<Value>::new());
    chat.end().await;
}

#[tokio::test]
async fn without_openai_nothing_is_generated_and_an_escalation_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let chat = Chat::start(folder.path(), &[]).await;
    let path = format!("/workspaces/{}/integrations/openai", chat.workspace);
    assert_eq!(chat.product().api(Method::DELETE, &path, None).await.0, 204);
    chat.write("Hi").await;
    chat.until("escalations", |items| items.len() == 1).await;
    assert_eq!(chat.sandbox.effects("message").await, Vec::<Value>::new(), "nothing is sent to {LEAD}");
    chat.end().await;
}
