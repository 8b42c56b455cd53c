//! What a coach reads and sets over the API: the agent's part.

use coachbot_proto::agent::v1::{
    Author, Booking, BookingState, Channel, Conversation, Escalation, Message, MessageError, MessageStatus,
    Owner, Step, StepKind,
};
use prost_types::Timestamp;
use serde_json::{Value, json};

use crate::support::{OTHER_KEY, TestGateway};

const AT: Option<Timestamp> = Some(Timestamp { seconds: 1_795_608_000, nanos: 0 });
const TEXT: &str = "2026-11-25T12:00:00Z";

fn id(number: u8) -> String {
    format!("01937a3e-6f00-7000-8000-0000000000{number:02x}")
}

async fn start() -> (TestGateway, String) {
    let test = TestGateway::start().await;
    let workspace = test.workspace("whatsapp").await;
    (test, workspace)
}

#[tokio::test]
async fn settings_have_defaults_and_a_change_keeps_the_rest() {
    let (test, workspace) = start().await;
    let path = format!("/workspaces/{workspace}/agent");
    let defaults = json!({
        "persona": "", "goals": "", "instructions": "", "opening_message": "Hi {first_name}",
        "opening_template_sid": null, "handoff_message": "Somebody will be with you.",
        "debounce_milliseconds": 1500, "daily_token_budget": 500_000, "language": "en",
    });
    // Also right after the workspace was made.
    assert_eq!(test.get(&path).await.json(), defaults);
    let change =
        json!({"persona": "A kind coach", "opening_template_sid": "HX1", "debounce_milliseconds": 0});
    let saved = test.call("PUT", &path, Some(change)).await;
    let mut expected = defaults.clone();
    expected["persona"] = json!("A kind coach");
    expected["opening_template_sid"] = json!("HX1");
    expected["debounce_milliseconds"] = json!(0);
    assert_eq!((saved.status, saved.json()), (200, expected.clone()));
    assert_eq!(test.get(&path).await.json(), expected);
    // What was read can be sent back whole.
    assert_eq!(test.call("PUT", &path, Some(expected.clone())).await.json(), expected);
    let cleared = test.call("PUT", &path, Some(json!({"opening_template_sid": null}))).await.json();
    assert_eq!(cleared["opening_template_sid"], Value::Null);

    let refused = async |body: Value| test.call("PUT", &path, Some(body)).await.refused_fields();
    assert_eq!(refused(json!({"persona": "p".repeat(4_001)})).await, ["persona"]);
    assert_eq!(refused(json!({"persona": 1, "goals": null})).await, ["persona", "goals"]);
    for wrong in [json!(-1), json!(1.5), json!("1500"), json!(5_000_000_000_u64), json!(null)] {
        assert_eq!(refused(json!({"debounce_milliseconds": wrong})).await, ["debounce_milliseconds"]);
    }
    assert_eq!(refused(json!({"temperature": 1})).await, ["temperature"]);
    test.end().await;
}

#[tokio::test]
async fn leads_are_taken_listed_read_and_forgotten() {
    let (test, workspace) = start().await;
    let path = format!("/workspaces/{workspace}/leads");
    assert_eq!(test.get(&path).await.json(), json!({"items": [], "next": null}));
    let body = json!({"name": " Zoë ", "phone": "+44 7700 900123", "email": null, "message": "Hi"});
    let made = test.call("POST", &path, Some(body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let lead = made.json();
    let first = lead["id"].as_str().unwrap().to_owned();
    let expected = json!({
        "id": first, "name": "Zoë", "phone": "+447700900123", "email": null, "stage": "new", "source": "api",
        "created_at": TEXT,
    });
    assert_eq!(lead, expected);
    assert_eq!(made.header("location"), Some(format!("/api/v1{path}/{first}").as_str()));
    assert_eq!(test.get(&format!("{path}/{first}")).await.json(), expected);
    for number in 0..2 {
        let body = json!({"name": "More", "email": format!("more{number}@example.com")});
        assert_eq!(test.call("POST", &path, Some(body)).await.status, 201);
    }
    let page = test.get(&format!("{path}?limit=2")).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let rest = test.get(&format!("{path}?limit=2&cursor={}", page["next"].as_str().unwrap())).await.json();
    assert_eq!(rest, json!({"items": [expected], "next": null}));

    let refused = async |body: Value| test.call("POST", &path, Some(body)).await.refused_fields();
    assert_eq!(refused(json!({})).await, ["name"]);
    assert_eq!(refused(json!({"name": "x"})).await, ["phone"]);
    assert_eq!(
        refused(json!({"name": "", "phone": "07700", "email": "x"})).await,
        ["name", "phone", "email"]
    );
    for query in ["limit=0", "limit=101", "cursor="] {
        assert_eq!(test.get(&format!("{path}?{query}")).await.refused_fields().len(), 1, "{query}");
    }

    assert_eq!(test.call("DELETE", &format!("{path}/{first}"), None).await.status, 204);
    for method in ["GET", "DELETE"] {
        test.call(method, &format!("{path}/{first}"), None).await.problem(404);
        test.call(method, &format!("{path}/nothing"), None).await.problem(404);
    }
    test.end().await;
}

#[tokio::test]
async fn conversations_escalations_and_bookings_have_their_shapes() {
    let (test, workspace) = start().await;
    let base = format!("/workspaces/{workspace}");
    let conversation = Conversation {
        conversation_id: id(1),
        lead_id: id(2),
        channel: Channel::Whatsapp.into(),
        owner: Owner::Nobody.into(),
        open: true,
        window_closes_at: None,
        updated_at: AT,
    };
    let inbound = Message {
        message_id: id(3),
        outbound: false,
        author: Author::Lead.into(),
        text: "Hi".to_owned(),
        status: MessageStatus::Received.into(),
        error: None,
        created_at: AT,
        steps: Vec::new(),
    };
    let step = |kind: StepKind, name: &str, arguments: &str, result: &str, tokens| Step {
        kind: kind.into(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        result: result.to_owned(),
        milliseconds: 12,
        tokens,
    };
    let outbound = Message {
        message_id: id(4),
        outbound: true,
        author: Author::Bot.into(),
        text: "Hello".to_owned(),
        status: MessageStatus::Failed.into(),
        error: Some(MessageError { code: "63016".to_owned(), message: "Send a template.".to_owned() }),
        created_at: AT,
        steps: vec![
            step(StepKind::Model, "gpt-4o", "{}", "not json", 40),
            step(StepKind::Tool, "listSlots", "{\"from\":\"2026-12-01\"}", "{\"ok\":true}", 0),
        ],
    };
    test.agent.add_conversation(&workspace, conversation, vec![inbound, outbound]);
    let expected = json!({
        "id": id(1), "lead_id": id(2), "channel": "whatsapp", "owner": "nobody", "status": "open",
        "window_closes_at": null, "updated_at": TEXT,
    });
    let listed = test.get(&format!("{base}/conversations")).await.json();
    assert_eq!(listed, json!({"items": [expected], "next": null}));
    let mut whole = expected;
    whole["messages"] = json!([
        {
            "id": id(3), "direction": "inbound", "author": "lead", "text": "Hi", "status": "received",
            "error": null, "created_at": TEXT, "steps": [],
        },
        {
            "id": id(4), "direction": "outbound", "author": "bot", "text": "Hello", "status": "failed",
            "error": {"code": "63016", "message": "Send a template."}, "created_at": TEXT,
            "steps": [
                {
                    "kind": "model", "name": "gpt-4o", "arguments": {}, "result": "not json",
                    "milliseconds": 12, "tokens": 40,
                },
                {
                    "kind": "tool", "name": "listSlots", "arguments": {"from": "2026-12-01"},
                    "result": {"ok": true}, "milliseconds": 12, "tokens": 0,
                },
            ],
        },
    ]);
    assert_eq!(test.get(&format!("{base}/conversations/{}", id(1))).await.json(), whole);
    test.get(&format!("{base}/conversations/{}", id(9))).await.problem(404);

    let escalation = Escalation {
        escalation_id: id(5),
        conversation_id: id(1),
        lead_id: id(2),
        reason: "LEAD_ASKED".to_owned(),
        message: "The lead wants a person.".to_owned(),
        created_at: AT,
        resolved_at: None,
    };
    test.agent.add_escalation(&workspace, escalation);
    let expected = json!({
        "id": id(5), "conversation_id": id(1), "lead_id": id(2), "reason": "LEAD_ASKED",
        "message": "The lead wants a person.", "created_at": TEXT, "resolved_at": null,
    });
    assert_eq!(test.get(&format!("{base}/escalations")).await.json()["items"], json!([expected]));

    let booking = Booking {
        booking_id: id(6),
        lead_id: id(2),
        provider_uid: Some("uid-1".to_owned()),
        start: AT,
        end: AT,
        timezone: "Europe/London".to_owned(),
        state: BookingState::Accepted.into(),
        created_at: AT,
    };
    test.agent.add_booking(&workspace, booking);
    let expected = json!({
        "id": id(6), "lead_id": id(2), "provider_uid": "uid-1", "start": TEXT, "end": TEXT,
        "timezone": "Europe/London", "status": "accepted", "created_at": TEXT,
    });
    assert_eq!(test.get(&format!("{base}/bookings")).await.json()["items"], json!([expected]));
    test.end().await;
}

#[tokio::test]
async fn what_belongs_to_another_workspace_is_not_found_in_ones_own() {
    let (test, workspace) = start().await;
    let body = json!({"name": "Zoë", "email": "zoe@example.com"});
    let lead = test.call("POST", &format!("/workspaces/{workspace}/leads"), Some(body)).await.json();
    let theirs = test.workspace_of(OTHER_KEY, "whatsapp").await;
    for method in ["GET", "DELETE"] {
        let path = format!("/workspaces/{theirs}/leads/{}", lead["id"].as_str().unwrap());
        test.call_as(OTHER_KEY, method, &path, None).await.problem(404);
    }
    let path = format!("/workspaces/{theirs}/leads");
    assert_eq!(test.call_as(OTHER_KEY, "GET", &path, None).await.json()["items"], json!([]));
    test.end().await;
}

#[tokio::test]
async fn an_agent_that_is_away_is_a_503_and_the_rest_works() {
    let (test, workspace) = start().await;
    test.agent.was_told(&workspace, 1).await;
    test.agent.be_away(true);
    for path in ["agent", "leads", "conversations", "escalations", "bookings"] {
        let answer = test.get(&format!("/workspaces/{workspace}/{path}")).await;
        answer.problem(503);
        assert_eq!(answer.header("retry-after"), Some("10"));
    }
    for path in [format!("leads/{}", id(1)), format!("conversations/{}", id(1))] {
        test.get(&format!("/workspaces/{workspace}/{path}")).await.problem(503);
    }
    let lead = json!({"name": "Zoë", "email": "zoe@example.com"});
    test.call("POST", &format!("/workspaces/{workspace}/leads"), Some(lead)).await.problem(503);
    test.call("PUT", &format!("/workspaces/{workspace}/agent"), Some(json!({}))).await.problem(503);
    assert_eq!(test.get(&format!("/workspaces/{workspace}/forms")).await.status, 200);
    assert_eq!(test.get(&format!("/workspaces/{workspace}/integrations")).await.status, 200);
    test.end().await;
}
