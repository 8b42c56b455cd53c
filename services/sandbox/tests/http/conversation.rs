//! The script, driven through the model's interface by a small loop, with the
//! calendar behind its tools.

use coachbot_sandbox::accounts::CALCOM;
use serde_json::{Value, json};

use crate::openai::tool;
use crate::rig::{Rig, is_violation, read, start};

/// A conversation as an agent keeps it.
struct Talk<'a> {
    rig: &'a Rig,
    model: &'a str,
    instructions: &'a str,
    has_calendar: bool,
    items: Vec<Value>,
    /// The tools that were asked for, with their arguments.
    asked: Vec<(String, String)>,
}

impl<'a> Talk<'a> {
    fn new(rig: &'a Rig) -> Self {
        Self {
            rig,
            model: "gpt-4o",
            instructions: "You are Coachbot. Write to support@example.com in doubt.",
            has_calendar: true,
            items: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// The lead writes; the last message of the model comes back.
    async fn say(&mut self, text: &str) -> String {
        self.items.push(json!({ "type": "message", "role": "user", "content": text }));
        for _ in 0..8 {
            let (status, answer) = self.rig.respond(&self.question()).await;
            assert_eq!(status, 200, "{answer}");
            let output = answer["output"].as_array().unwrap().clone();
            self.items.extend(output.iter().cloned());
            let calls: Vec<_> = output.iter().filter(|item| item["type"] == "function_call").collect();
            if calls.is_empty() {
                return output
                    .last()
                    .map_or("", |last| last["content"][0]["text"].as_str().unwrap())
                    .to_owned();
            }
            for call in calls {
                let result = self.run(call).await;
                self.items.push(json!({
                    "type": "function_call_output", "call_id": call["call_id"], "output": result.to_string(),
                }));
            }
        }
        "(no end)".to_owned()
    }

    fn question(&self) -> Value {
        let text = json!({ "type": "string" });
        let maybe = json!({ "type": ["string", "null"] });
        json!({
            "model": self.model, "instructions": self.instructions, "store": false, "input": self.items,
            "tools": [
                tool("listSlots", &json!({ "from": maybe, "to": maybe })),
                tool("bookConsult", &json!({ "start": text, "name": text, "email": text })),
                tool("escalate", &json!({ "reason": text })),
            ],
            "parallel_tool_calls": false, "max_output_tokens": 1000,
        })
    }

    async fn run(&mut self, call: &Value) -> Value {
        let (name, arguments) = (call["name"].as_str().unwrap(), call["arguments"].as_str().unwrap());
        self.asked.push((name.to_owned(), arguments.to_owned()));
        let Ok(arguments) = serde_json::from_str::<Value>(arguments) else {
            return json!({ "ok": false, "error": "arguments are not JSON" });
        };
        match name {
            "escalate" => json!({ "ok": true }),
            "listSlots" | "bookConsult" if !self.has_calendar => {
                json!({ "ok": false, "error": "Cal.com not connected" })
            }
            "listSlots" => self.list(&arguments).await,
            "bookConsult" => self.book(&arguments).await,
            _ => json!({ "ok": false, "error": "unknown tool" }),
        }
    }

    async fn list(&self, arguments: &Value) -> Value {
        let from = arguments["from"].as_str().unwrap_or("2026-12-01");
        let path = format!("/calcom/v2/slots?eventTypeId=4100001&start={from}&end=2026-12-04");
        let (status, found) = read(self.rig.calcom(self.rig.get(&path), "2024-09-04")).await;
        assert_eq!(status, 200, "{found}");
        let days = found["data"].as_object().unwrap().values();
        let slots: Vec<_> = days
            .flat_map(|day| day.as_array().unwrap())
            .map(|slot| {
                let start = slot["start"].as_str().unwrap().replace(".000Z", "Z");
                let label = format!("{} {}", &start[..10], &start[11..16]);
                json!({ "start": start, "label": label })
            })
            .collect();
        json!({ "ok": true, "timezone": CALCOM[0].timezone, "slots": slots })
    }

    async fn book(&self, arguments: &Value) -> Value {
        let wanted = json!({
            "start": arguments["start"], "eventTypeId": 4_100_001,
            "attendee": { "name": arguments["name"], "email": arguments["email"], "timeZone": "Europe/London" },
        });
        let (status, made) =
            read(self.rig.calcom(self.rig.post("/calcom/v2/bookings", &wanted), "2024-08-13")).await;
        if status == 201 {
            json!({ "ok": true, "start": arguments["start"], "status": made["data"]["status"] })
        } else {
            json!({ "ok": false, "error": "That slot is gone." })
        }
    }

    fn tools(&self) -> Vec<&str> {
        self.asked.iter().map(|(name, _)| name.as_str()).collect()
    }
}

#[tokio::test]
async fn a_stranger_is_asked_offered_and_booked() {
    let rig = start().await;
    for model in ["gpt-4o", "gpt-6-luna"] {
        rig.sandbox.reset();
        let mut talk = Talk { model, ..Talk::new(&rig) };
        let first = talk.say("Hi! Can I come for a consult?").await;
        assert!(
            first.starts_with("I am a scripted stand-in, not a real model. What is your name"),
            "{first}"
        );
        let offer = talk.say("My name is Zoë K, zoe@example.com").await;
        assert_eq!(
            offer,
            "These times are free:\n1. 2026-12-01 09:00\n2. 2026-12-01 09:30\n3. 2026-12-01 10:00\n\
             Which one suits you? Please answer with its number."
        );
        let unclear = talk.say("hm").await;
        assert!(unclear.starts_with("Please choose one of these times:"), "{unclear}");
        let done = talk.say("the second").await;
        assert_eq!(done, "Done: you are booked for 2026-12-01 09:30. An invitation comes by e-mail.");
        assert_eq!(talk.say("Thanks!").await, "Your consult is on 2026-12-01 09:30. Is there anything else?");
        assert_eq!(talk.tools(), ["listSlots", "bookConsult"]);

        let bookings = rig.entries(r#"{"kind":"booking"}"#);
        assert_eq!(bookings.len(), 1);
        let effect = serde_json::to_value(&bookings[0].effect).unwrap();
        assert_eq!(effect["start"], "2026-12-01T09:30:00Z");
        assert_eq!(
            (&effect["attendee"]["name"], &effect["attendee"]["email"]),
            (&json!("Zoë K"), &json!("zoe@example.com"))
        );
        assert!(rig.entries("{}").iter().all(|entry| !is_violation(&entry.verdict)));
    }
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn who_is_known_is_offered_at_once_and_may_want_other_times() {
    let rig = start().await;
    let instructions = "You are Coachbot of Northside.\nLead:\n- Name: Ann\n- E-mail: ann@example.com";
    let mut talk = Talk { instructions, ..Talk::new(&rig) };
    let offer = talk.say("Yes please").await;
    assert!(offer.contains("1. 2026-12-01 09:00"), "{offer}");
    let other = talk.say("something later?").await;
    assert!(other.contains("1. 2026-12-02 09:00"), "{other}");
    let done = talk.say("2026-12-02 10:00 please").await;
    assert!(done.starts_with("Done: you are booked for 2026-12-02 10:00."), "{done}");
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_slot_that_is_gone_is_said_and_others_are_offered() {
    let rig = start().await;
    let mut talk = Talk { instructions: "Name: Ann\nE-mail: ann@example.com", ..Talk::new(&rig) };
    talk.say("Hello").await;
    rig.fault(json!({ "provider": "calcom", "operation": "create_booking", "kind": "slot_taken" })).await;
    let again = talk.say("1").await;
    assert!(
        again.starts_with("That time can't be booked. These times are free:\n1. 2026-12-01 09:30"),
        "{again}"
    );
    assert!(talk.say("1").await.starts_with("Done: you are booked for 2026-12-01 09:30."));
    assert_eq!(rig.entries(r#"{"kind":"booking"}"#).len(), 1);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_person_is_asked_for_and_a_missing_calendar_is_said() {
    let rig = start().await;
    let mut talk = Talk::new(&rig);
    talk.say("I want to talk to a real person").await;
    assert_eq!(talk.tools(), ["escalate"]);
    let mut talk =
        Talk { has_calendar: false, instructions: "Name: Ann\nE-mail: ann@example.com", ..Talk::new(&rig) };
    let said = talk.say("Hello").await;
    assert!(said.contains("I can't book a time right now"), "{said}");
    assert_eq!(talk.tools(), ["listSlots", "escalate"]);
    assert!(talk.asked[1].1.contains("Cal.com not connected"));
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn each_mischief_is_done_when_its_word_is_said() {
    let rig = start().await;
    let instructions = "Name: Ann\nE-mail: ann@example.com";
    for (word, tools) in [
        ("#loop", vec!["listSlots"; 8]),
        ("#many_calls", vec!["listSlots"; 12]),
        ("#invent", vec!["bookConsult"]),
        ("#other_email", vec!["listSlots", "bookConsult"]),
        ("#claim", vec![]),
        ("#unknown_tool", vec!["transferMoney"]),
        ("#broken_arguments", vec!["listSlots"; 8]),
        ("#long", vec![]),
    ] {
        rig.sandbox.reset();
        let mut talk = Talk { instructions, ..Talk::new(&rig) };
        let said = talk.say(&format!("Hello {word}")).await;
        assert_eq!(talk.tools(), tools, "{word} {said}");
        let argument = |index: usize| talk.asked[index].1.clone();
        match word {
            "#invent" => assert!(argument(0).contains("2031-01-01T03:00:00Z")),
            "#other_email" => assert!(argument(1).contains("someone.else@sandbox.example")),
            "#claim" => assert!(said.contains("You are booked"), "{said}"),
            "#broken_arguments" => assert!(serde_json::from_str::<Value>(&argument(0)).is_err()),
            "#long" => assert!(said.chars().count() > 3200),
            _ => {}
        }
        let invents = word == "#invent" || word == "#other_email";
        assert!(invents || rig.entries(r#"{"kind":"booking"}"#).is_empty());
    }
    let ask = |word: &str| {
        let mut talk = Talk::new(&rig);
        talk.items.push(json!({ "role": "user", "content": word }));
        talk.question()
    };
    let (_, empty) = rig.respond(&ask("#empty")).await;
    assert_eq!((&empty["status"], &empty["output"]), (&json!("completed"), &json!([])));
    let (_, refused) = rig.respond(&ask("#refuse")).await;
    assert_eq!(refused["output"][0]["content"][0]["type"], "refusal");
    let (_, cut) = rig.respond(&ask("#incomplete")).await;
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let (_, failed) = rig.respond(&ask("#failed")).await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("server_error")));
    // A fault chooses for the next calls only.
    rig.fault(
        json!({ "provider": "openai", "operation": "create_response", "kind": "script", "script": "claim" }),
    )
    .await;
    let said = |answer: Value| answer["output"][0]["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(said(rig.respond(&ask("Hello")).await.1).contains("You are booked"));
    assert!(said(rig.respond(&ask("Hello")).await.1).contains("What is your name"));
    rig.sandbox.stop().await.unwrap();
}
