//! `OpenAI`'s rules, as its page says them.

use coachbot_sandbox::accounts::{OPENAI_KEY, OPENAI_NO_QUOTA_KEY, OPENAI_RESTRICTED_KEY};
use coachbot_sandbox::ledger::Verdict;
use serde_json::{Value, json};

use crate::rig::{Rig, is_violation, read, start};

pub fn tool(name: &str, properties: &Value) -> Value {
    let required: Vec<_> = properties.as_object().unwrap().keys().cloned().collect();
    json!({
        "type": "function", "name": name, "description": "A tool", "strict": true,
        "parameters": {
            "type": "object", "additionalProperties": false, "properties": properties, "required": required,
        },
    })
}

pub fn question(changes: Value) -> Value {
    let mut question = json!({
        "model": "gpt-4o",
        "instructions": "You are Coachbot.",
        "store": false,
        "input": [{ "type": "message", "role": "user", "content": "Hello" }],
        "tools": [tool("listSlots", &json!({ "from": { "type": ["string", "null"] } }))],
        "tool_choice": "auto",
        "parallel_tool_calls": false,
        "max_output_tokens": 2000,
        "safety_identifier": "lead",
    });
    question.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    question
}

fn with_items(more: &[Value]) -> Value {
    let mut items = vec![json!({ "role": "user", "content": "Hello" })];
    items.extend_from_slice(more);
    question(json!({ "input": items }))
}

async fn ask_as(rig: &Rig, key: &str) -> (u16, Value) {
    read(rig.post("/openai/v1/responses", &question(json!({}))).bearer_auth(key)).await
}

#[tokio::test]
async fn keys_are_judged_by_what_they_may() {
    let rig = start().await;
    let models = |key: &str| read(rig.get("/openai/v1/models").bearer_auth(key));
    let (status, list) = models(OPENAI_KEY).await;
    assert_eq!((status, &list["data"][0]["shutdown_date"]), (200, &json!("2027-01-14")));
    assert_eq!(models(OPENAI_NO_QUOTA_KEY).await.0, 200);
    let (status, body) = models("sk-wrong-key").await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("invalid_api_key")));
    assert!(!body.to_string().contains("sk-wrong"));
    let (status, body) = models(OPENAI_RESTRICTED_KEY).await;
    assert!(status == 403 && body.to_string().contains("Missing scopes: api.model.read"));
    let (status, body) = ask_as(&rig, OPENAI_NO_QUOTA_KEY).await;
    assert_eq!((status, &body["error"]["type"]), (429, &json!("insufficient_quota")));
    assert_eq!(ask_as(&rig, "sk-wrong-key").await.0, 401);
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_has_every_member_that_is_required() {
    let rig = start().await;
    let (status, answer) = rig.respond(&question(json!({}))).await;
    assert_eq!(status, 200, "{answer}");
    for member in [
        "id",
        "object",
        "created_at",
        "error",
        "incomplete_details",
        "instructions",
        "model",
        "tools",
        "output",
        "parallel_tool_calls",
        "metadata",
        "tool_choice",
        "temperature",
        "top_p",
        "usage",
        "status",
    ] {
        assert!(answer.get(member).is_some(), "{member}");
    }
    let message = &answer["output"][0];
    assert_eq!((&message["type"], &message["status"]), (&json!("message"), &json!("completed")));
    assert!(message["content"][0]["text"].as_str().unwrap().starts_with("I am a scripted stand-in"));
    assert!(matches!(rig.last(), Verdict::Accepted { http_status: 200 }));
    let (_, again) = rig.respond(&question(json!({}))).await;
    assert_eq!(answer["output"], again["output"]);

    let (status, reasoned) =
        rig.respond(&question(json!({ "model": "gpt-6-luna", "reasoning": { "effort": "low" } }))).await;
    assert_eq!((status, &reasoned["output"][0]["type"]), (200, &json!("reasoning")));
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_breaks_the_contract_is_refused_with_its_parameter() {
    let rig = start().await;
    let lax = json!({ "type": "function", "name": "t", "strict": true, "parameters": {
        "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] } });
    let optional = json!({ "type": "function", "name": "t", "strict": true, "parameters": {
        "type": "object", "additionalProperties": false, "properties": { "a": { "type": "string" } }, "required": [] } });
    let unsaid = json!({ "type": "function", "name": "t", "parameters": { "type": "object" } });
    let nested = json!({ "type": "function", "function": { "name": "t" }, "strict": true });
    let call =
        json!({ "type": "function_call", "call_id": "call_1", "name": "listSlots", "arguments": "{}" });
    let output = json!({ "type": "function_call_output", "call_id": "call_1", "output": "{}" });
    let mut strange = call.clone();
    strange["id"] = json!("msg_1");
    let mut long = call.clone();
    long["call_id"] = json!("x".repeat(65));
    let thought = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA" });
    let rows = [
        (question(json!({ "max_tokens": 5 })), "max_tokens"),
        (question(json!({ "max_output_tokens": 15 })), "max_output_tokens"),
        (question(json!({ "reasoning": { "effort": "low" } })), "reasoning.effort"),
        (question(json!({ "include": ["reasoning.encrypted_content"] })), "include"),
        (question(json!({ "model": "gpt-6-luna", "temperature": 1 })), "temperature"),
        (question(json!({ "model": "gpt-6-luna", "top_p": 1 })), "top_p"),
        (question(json!({ "model": "gpt-6-luna", "reasoning": { "effort": "much" } })), "reasoning.effort"),
        (question(json!({ "temperature": 3 })), "temperature"),
        (question(json!({ "safety_identifier": "x".repeat(65) })), "safety_identifier"),
        (question(json!({ "previous_response_id": "resp_1" })), "previous_response_id"),
        (question(json!({ "metadata": { "a": 1 } })), "metadata"),
        (question(json!({ "tools": [lax] })), "tools[0].parameters"),
        (question(json!({ "tools": [optional] })), "tools[0].parameters"),
        (question(json!({ "tools": [unsaid] })), "tools[0].strict"),
        (question(json!({ "tools": [nested] })), "tools[0].function"),
        (question(json!({ "tool_choice": { "type": "function", "name": "none" } })), "tool_choice"),
        (question(json!({ "input": [] })), "input"),
        (
            with_items(&[json!({ "role": "assistant", "content": [{ "type": "input_text", "text": "a" }] })]),
            "input[1].content",
        ),
        (with_items(&[json!({ "role": "assistant", "content": "a", "id": "1" })]), "input[1].id"),
        (with_items(&[json!({ "role": "assistant", "content": "a", "text": "b" })]), "input[1].text"),
        (with_items(&[strange, output.clone()]), "input[1].id"),
        (with_items(&[long]), "input[1].call_id"),
        (with_items(std::slice::from_ref(&call)), "input"),
        (with_items(std::slice::from_ref(&output)), "input"),
        (with_items(&[output.clone(), call.clone()]), "input"),
        (with_items(&[call.clone(), call.clone(), output.clone()]), "input"),
        (with_items(&[call.clone(), output.clone(), output.clone()]), "input"),
        (with_items(std::slice::from_ref(&thought)), "input"),
        (with_items(&[thought.clone(), json!({ "role": "user", "content": "b" })]), "input"),
    ];
    for (question, param) in rows {
        let (status, body) = rig.respond(&question).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!(param)), "{body}\n{question}");
        assert!(is_violation(&rig.last()), "{param}");
    }
    let unsealed = json!({ "type": "reasoning", "id": "rs_1", "summary": [] });
    let (status, body) = rig.respond(&with_items(&[unsealed, call.clone(), output.clone()])).await;
    assert!(status == 404 && body["error"]["message"].as_str().unwrap().starts_with("Item with id 'rs_1'"));
    // The same, whole.
    let (status, body) = rig.respond(&with_items(&[thought, call, output])).await;
    assert_eq!(status, 200, "{body}");
    rig.sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn an_unknown_model_is_no_broken_contract_and_keeping_the_words_is_one() {
    let rig = start().await;
    let (status, body) = rig.respond(&question(json!({ "model": "gpt-2" }))).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("model_not_found")));
    assert!(matches!(rig.last(), Verdict::Refused { .. }));
    for store in [json!(true), Value::Null] {
        assert_eq!(rig.respond(&question(json!({ "store": store }))).await.0, 200);
        assert!(is_violation(&rig.last()));
    }
    let (status, _) = rig.respond(&question(json!({ "stream": true }))).await;
    assert_eq!(status, 501);
    rig.sandbox.stop().await.unwrap();
}
