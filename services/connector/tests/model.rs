//! A model's turn: what is asked of OpenAI, what becomes of its answers, and every
//! row of its page that a call can meet.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

mod support;

use coachbot_common::fault::Refusal;
use coachbot_connector::http::Limits;
use coachbot_connector::testing::{FakeVault, Reply, StubProviders, config_at, laid_over, response, stored};
use coachbot_integrations::Provider::Openai;
use coachbot_proto::connector::v1::item::Kind;
use coachbot_proto::connector::v1::{
    AssistantText, GenerateRequest, GenerateResponse, Item, OpaqueItem, Tool, ToolCall, ToolResult,
};
use serde_json::{Value, json};
use support::{
    Live, assert_fits, assert_no_complaints, assert_told, assistant, item, prompt, says, told, user,
};
use tonic::Code;

const SCHEMAS: &str = include_str!("../fixtures/openai/schema.json");

fn body(stub: &StubProviders, place: usize) -> Value {
    serde_json::from_str(&stub.seen()[place].body).unwrap()
}

fn said(text: &str, commentary: bool, refusal: bool) -> Item {
    item(Kind::AssistantText(AssistantText { text: text.to_owned(), commentary, refusal }))
}

fn opaque(model: &str, json: &str) -> Item {
    item(Kind::Opaque(OpaqueItem { model: model.to_owned(), json: json.to_owned() }))
}

fn call(id: &str) -> Item {
    item(Kind::ToolCall(ToolCall { call_id: id.into(), name: "listSlots".into(), arguments: "{}".into() }))
}

fn result(id: &str) -> Item {
    item(Kind::ToolResult(ToolResult { call_id: id.into(), output: "{\"ok\":true}".into() }))
}

#[tokio::test]
async fn a_turn_is_asked_for_as_the_page_shows_it() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    let turn = live.generate(prompt(vec![user("Can I come Tuesday at 9?")])).await.unwrap();
    assert_no_complaints(&stub);
    assert_eq!(stub.seen()[0].target, "/openai/v1/responses");
    let sent = body(&stub, 0);
    assert_eq!(
        sent,
        json!({
            "model": "gpt-6-luna", "instructions": "You are Coachbot.", "store": false,
            "input": [{ "type": "message", "role": "user", "content": "Can I come Tuesday at 9?" }],
            "tools": [{
                "type": "function", "name": "listSlots", "description": "Free consult slots between two dates",
                "strict": true,
                "parameters": { "type": "object", "additionalProperties": false, "properties": {}, "required": [] },
            }],
            "parallel_tool_calls": false, "max_output_tokens": 800, "safety_identifier": "5f2b1c",
        })
    );
    assert_fits(SCHEMAS, "CreateResponse", &sent);
    let sample = response(json!({}));
    let reasoning: Value = sample["output"][0].clone();
    let [first, rest @ ..] = turn.items.as_slice() else { panic!() };
    let Some(Kind::Opaque(kept)) = &first.kind else { panic!("{first:?}") };
    assert_eq!(
        (kept.model.as_str(), serde_json::from_str::<Value>(&kept.json).unwrap()),
        ("gpt-6-luna", reasoning)
    );
    assert_eq!(
        rest,
        [
            said("Let me look.", true, false),
            item(Kind::ToolCall(ToolCall {
                call_id: "call_a1B2c3".into(),
                name: "listSlots".into(),
                arguments: "{\"from\":\"2026-12-01\",\"to\":null}".into(),
            })),
        ]
    );
    assert_eq!(
        GenerateResponse { items: vec![], ..turn },
        GenerateResponse {
            items: vec![],
            incomplete_reason: None,
            model: "gpt-6-luna-2026-09-01".into(),
            input_tokens: 410,
            output_tokens: 60,
            provider_request_id: "req_0123456789abcdef".into(),
        }
    );
}

#[tokio::test]
async fn a_turn_handed_back_with_its_answer_is_a_good_next_request() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    let asked = user("Can I come Tuesday at 9?");
    let turn = live.generate(prompt(vec![asked.clone()])).await.unwrap();
    let mut items = vec![asked];
    items.extend(turn.items);
    items.push(result("call_a1B2c3"));
    live.generate(prompt(items)).await.unwrap();
    assert_no_complaints(&stub);
    let sent = body(&stub, 1);
    assert_fits(SCHEMAS, "CreateResponse", &sent);
    assert_eq!(
        sent["input"],
        json!([
            { "type": "message", "role": "user", "content": "Can I come Tuesday at 9?" },
            response(json!({}))["output"][0],
            { "type": "message", "role": "assistant", "content": "Let me look.", "phase": "commentary" },
            { "type": "function_call", "call_id": "call_a1B2c3", "name": "listSlots",
              "arguments": "{\"from\":\"2026-12-01\",\"to\":null}" },
            { "type": "function_call_output", "call_id": "call_a1B2c3", "output": "{\"ok\":true}" },
        ])
    );
}

#[tokio::test]
async fn opaque_items_go_back_byte_for_byte_and_to_no_other_model() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    let odd = r#"{"type":"new_thing","z":1.50,  "a":"é","id":"x_1"}"#;
    stub.answer([Reply::raw(
        200,
        "application/json",
        response(json!({ "output": "HERE" })).to_string().replace("\"HERE\"", &format!("[{odd}]")),
    )]);
    let turn = live.generate(prompt(vec![user("Hi")])).await.unwrap();
    assert_eq!(turn.items, [opaque("gpt-6-luna", odd)]);
    live.generate(prompt(vec![user("Hi"), turn.items[0].clone(), opaque("gpt-4o", odd)])).await.unwrap();
    let sent = &stub.seen()[1].body;
    assert_eq!(sent.matches(odd).count(), 1, "{sent}");
}

#[tokio::test]
async fn without_tools_nothing_is_said_of_tools() {
    let stub = StubProviders::start().await;
    let bare = GenerateRequest {
        tools: vec![],
        instructions: String::new(),
        safety_identifier: String::new(),
        ..prompt(vec![user("Hi"), assistant("Hello"), user("Bye")])
    };
    Live::at(&stub.url(), Openai).generate(bare).await.unwrap();
    let sent = body(&stub, 0);
    let names: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["input", "max_output_tokens", "model", "store"]);
    assert_no_complaints(&stub);
}

#[tokio::test]
async fn a_workspace_without_a_model_has_the_configured_one_and_a_region_its_host() {
    let plain = StubProviders::start().await;
    let european = StubProviders::start().await;
    let mut config = config_at(&plain.url(), Limits::default());
    config.providers.openai.eu = config_at(&european.url(), Limits::default()).providers.openai.eu;
    config.providers.openai_default_model = "gpt-6.1-sol".to_owned();
    let mut fields = stored(Openai);
    fields.remove("model");
    fields.insert("region".to_owned(), "eu".to_owned());
    let clock = coachbot_common::testing::MockClock::at(support::NOW);
    let transport =
        laid_over(&config, &FakeVault::with(fields), clock, coachbot_common::rpc::Identity::Agent);
    let turn = Live::over(transport).generate(prompt(vec![user("Hi")])).await.unwrap();
    assert_eq!((plain.seen().len(), body(&european, 0)["model"].as_str()), (0, Some("gpt-6.1-sol")));
    assert!(matches!(&turn.items[0].kind, Some(Kind::Opaque(kept)) if kept.model == "gpt-6.1-sol"));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_field() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    let tool = |name: &str, schema: &str| Tool {
        name: name.into(),
        description: String::new(),
        parameters_json: schema.into(),
    };
    let usual = || prompt(vec![user("Hi")]);
    let cases = [
        (GenerateRequest { workspace_id: "x".into(), ..usual() }, "workspace_id"),
        (prompt(vec![]), "items"),
        (prompt(vec![user("Hi"), Item { kind: None }]), "items[1]"),
        (prompt(vec![opaque("gpt-6-luna", "{")]), "items[0].json"),
        (prompt(vec![call("")]), "items[0].call_id"),
        (prompt(vec![result(&"x".repeat(65))]), "items[0].call_id"),
        (GenerateRequest { max_output_tokens: 15, ..usual() }, "max_output_tokens"),
        (GenerateRequest { safety_identifier: "x".repeat(65), ..usual() }, "safety_identifier"),
        (GenerateRequest { tools: vec![tool("list slots", "{}")], ..usual() }, "tools[0].name"),
        (GenerateRequest { tools: vec![tool("a", "[]")], ..usual() }, "tools[0].parameters_json"),
        (GenerateRequest { tools: vec![tool("a", "{")], ..usual() }, "tools[0].parameters_json"),
    ];
    for (request, field) in cases {
        let status = live.generate(request).await.unwrap_err();
        let read = Refusal::from_status(&status);
        assert_eq!(
            (status.code(), read.fields[0].0.as_str(), read.reason),
            (Code::InvalidArgument, field, None)
        );
    }
    assert_eq!(stub.seen().len(), 0);
}

fn message(parts: &Value, changes: Value) -> Value {
    let mut message = json!({ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": parts });
    message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    message
}

#[tokio::test]
async fn every_kind_of_output_becomes_its_item() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    let text = |text: &str| json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] });
    let refused = json!({ "type": "refusal", "refusal": "I can't." });
    let cases = [
        (json!([message(&json!([text("Tue"), text(" 9:00?")]), json!({}))]), vec![assistant("Tue 9:00?")]),
        (json!([message(&json!([text("Hi")]), json!({ "phase": "final_answer" }))]), vec![assistant("Hi")]),
        (json!([message(&json!([refused]), json!({}))]), vec![said("I can't.", false, true)]),
        (
            json!([message(&json!([text("Well."), refused]), json!({}))]),
            vec![assistant("Well."), said("I can't.", false, true)],
        ),
        (json!([message(&json!([]), json!({})), message(&json!([{ "type": "new" }]), json!({}))]), vec![]),
        (json!([]), vec![]),
    ];
    for (output, items) in cases {
        let answer = response(json!({ "output": output }));
        assert_fits(SCHEMAS, "Response", &answer);
        stub.answer([Reply::json(200, &answer)]);
        let turn = live.generate(prompt(vec![user("Hi")])).await.unwrap();
        assert_eq!((turn.items, turn.incomplete_reason), (items, None), "{output}");
    }
}

#[tokio::test]
async fn a_cut_turn_says_why_and_a_cut_call_is_not_run() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    let called = |status: &str| {
        json!([{ "type": "function_call", "id": "fc_1", "call_id": "c", "name": "listSlots",
                 "arguments": "{}", "status": status }])
    };
    let whole = vec![call("c")];
    let cases = [
        (
            json!({ "status": "incomplete", "incomplete_details": { "reason": "max_output_tokens" } }),
            "incomplete",
            vec![],
            Some("max_output_tokens"),
        ),
        (
            json!({ "status": "incomplete", "incomplete_details": { "reason": "content_filter" } }),
            "completed",
            whole.clone(),
            Some("content_filter"),
        ),
        (
            json!({ "status": "incomplete", "incomplete_details": { "reason": "A text. With a key" } }),
            "completed",
            whole.clone(),
            Some("unknown"),
        ),
        (
            json!({ "status": "incomplete", "incomplete_details": null }),
            "completed",
            whole.clone(),
            Some("unknown"),
        ),
        (json!({ "status": "completed" }), "incomplete", vec![], Some("unknown")),
        (json!({ "status": "absent" }), "completed", whole, None),
    ];
    for (mut changes, status, items, reason) in cases {
        changes["output"] = called(status);
        stub.answer([Reply::json(200, &response(changes))]);
        let turn = live.generate(prompt(vec![user("Hi")])).await.unwrap();
        assert_eq!((turn.items, turn.incomplete_reason.as_deref()), (items, reason));
    }
}

#[tokio::test]
async fn an_answer_of_a_compatible_server_may_lack_much() {
    let stub = StubProviders::start().await;
    stub.answer([Reply::json(
        200,
        &json!({ "output": [message(&json!([{ "type": "output_text", "text": "Hi" }]), json!({}))] }),
    )]);
    let turn = Live::at(&stub.url(), Openai).generate(prompt(vec![user("Hi")])).await.unwrap();
    let expected = GenerateResponse {
        items: vec![assistant("Hi")],
        model: "gpt-6-luna".into(),
        ..GenerateResponse::default()
    };
    assert_eq!(turn, expected);
}

fn unsupported(code: Option<&str>, param: &str) -> Reply {
    Reply::json(
        400,
        &json!({ "error": {
        "message": "Unsupported parameter", "type": "invalid_request_error", "param": param, "code": code,
    } }),
    )
}

#[tokio::test]
async fn a_parameter_that_the_model_does_not_take_is_left_out_once() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    let codes = [Some("unsupported_parameter"), Some("unsupported_value"), Some("unknown_parameter"), None];
    for code in codes {
        for parameter in ["parallel_tool_calls", "safety_identifier"] {
            stub.answer([unsupported(code, parameter)]);
            live.generate(prompt(vec![user("Hi")])).await.unwrap();
            let (mut first, second) = (body(&stub, 0), body(&stub, 1));
            first.as_object_mut().unwrap().remove(parameter);
            assert_eq!((stub.seen().len(), second), (2, first));
        }
    }
    stub.answer([unsupported(Some("unsupported_parameter"), "input[1].phase")]);
    live.generate(prompt(vec![user("Hi"), said("Hm", true, false), user("?")])).await.unwrap();
    assert_eq!(body(&stub, 0)["input"][1]["phase"], "commentary");
    assert_eq!(
        body(&stub, 1)["input"][1],
        json!({ "type": "message", "role": "assistant", "content": "Hm" })
    );
}

#[tokio::test]
async fn what_must_be_sent_is_never_left_out_and_nothing_is_left_out_twice() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    for parameter in
        ["store", "max_output_tokens", "tools", "input", "temperature", "reasoning.effort", "input[0].phase"]
    {
        stub.answer([unsupported(Some("unsupported_parameter"), parameter)]);
        let status = live.generate(prompt(vec![user("Hi")])).await.unwrap_err();
        assert_told(&status, Openai, "REFUSED", "unsupported_parameter", parameter);
        assert_eq!(stub.seen().len(), 1, "{parameter}");
    }
    let refused = || unsupported(Some("unsupported_parameter"), "parallel_tool_calls");
    stub.answer([refused(), unsupported(Some("unsupported_parameter"), "safety_identifier")]);
    let status = live.generate(prompt(vec![user("Hi")])).await.unwrap_err();
    assert_told(&status, Openai, "REFUSED", "unsupported_parameter", "twice");
    assert_eq!(stub.seen().len(), 2);
    stub.answer([unsupported(Some("context_length_exceeded"), "parallel_tool_calls")]);
    let status = live.generate(prompt(vec![user("Hi")])).await.unwrap_err();
    assert_told(&status, Openai, "REFUSED", "context_length_exceeded", "another code");
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn every_row_of_a_turn_has_its_reason_and_is_asked_once() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    let code = |status, code| says(Openai, status, code, "no");
    let scopes = "You have insufficient permissions for this operation. Missing scopes: api.responses.write.";
    let failed = |code: &str| {
        Reply::json(200, &response(json!({ "status": "failed", "error": { "code": code, "message": "no" } })))
    };
    let by_type = json!({ "error": { "message": "no", "type": "insufficient_quota", "param": null, "code": "new_limit" } });
    let mut rows = vec![
        ("wrong key", code(401, "invalid_api_key"), "CREDENTIAL_REJECTED", "invalid_api_key"),
        ("401 without a code", code(401, ""), "CREDENTIAL_REJECTED", "401"),
        ("401 as a page", Reply::page(401), "CREDENTIAL_REJECTED", "401"),
        ("missing scope", says(Openai, 401, "", scopes), "CREDENTIAL_REJECTED", "401"),
        (
            "missing scope as a text",
            Reply::json(403, &json!({ "error": scopes })),
            "CREDENTIAL_REJECTED",
            "403",
        ),
        ("another region", code(401, "incorrect_hostname"), "REFUSED", "incorrect_hostname"),
        (
            "an unserved country",
            code(403, "unsupported_country_region_territory"),
            "REFUSED",
            "unsupported_country_region_territory",
        ),
        ("no access to the model", code(403, "model_not_found"), "NOT_FOUND", "model_not_found"),
        ("a model that is gone", code(404, "model_not_found"), "NOT_FOUND", "model_not_found"),
        ("another 403", code(403, "something_new"), "REFUSED", "something_new"),
        ("a bot filter", Reply::page(403), "UNREADABLE_ANSWER", "403"),
        ("another base URL", code(404, ""), "UNREADABLE_ANSWER", "404"),
        ("too long", code(400, "context_length_exceeded"), "REFUSED", "context_length_exceeded"),
        (
            "a refused schema",
            code(400, "invalid_function_parameters"),
            "REFUSED",
            "invalid_function_parameters",
        ),
        ("a text for a code", code(400, "Not A Code: sk-proj"), "REFUSED", "400"),
        ("payment", code(402, ""), "NO_QUOTA", "402"),
        ("a conflict", code(409, "conflict"), "PROVIDER_AWAY", "conflict"),
        ("too large", code(413, ""), "REFUSED", "413"),
        ("too fast", code(429, "rate_limit_exceeded"), "RATE_LIMITED", "rate_limit_exceeded"),
        ("a ramp", code(429, "slow_down"), "RATE_LIMITED", "slow_down"),
        ("429 without a body", Reply::empty(429), "RATE_LIMITED", "429"),
        ("no credit by type", Reply::json(429, &by_type), "NO_QUOTA", "new_limit"),
        ("trouble", code(500, "server_error"), "PROVIDER_AWAY", "server_error"),
        ("overloaded", code(503, "server_is_overloaded"), "PROVIDER_AWAY", "server_is_overloaded"),
        ("a page with 502", Reply::page(502), "PROVIDER_AWAY", "502"),
        ("408", Reply::empty(408), "PROVIDER_AWAY", "408"),
        ("a page", Reply::page(200), "UNREADABLE_ANSWER", "200"),
        ("no output", Reply::json(200, &json!({ "status": "completed" })), "UNREADABLE_ANSWER", "200"),
        (
            "a call without an id",
            Reply::json(200, &json!({ "output": [{ "type": "function_call", "name": "x" }] })),
            "UNREADABLE_ANSWER",
            "200",
        ),
        (
            "still at it",
            Reply::json(200, &response(json!({ "status": "in_progress" }))),
            "UNREADABLE_ANSWER",
            "200",
        ),
        (
            "cancelled",
            Reply::json(200, &response(json!({ "status": "cancelled" }))),
            "UNREADABLE_ANSWER",
            "200",
        ),
        ("half an answer", Reply::raw(200, "application/json", "{\"output\": ["), "UNREADABLE_ANSWER", "200"),
        ("failed in 200", failed("server_error"), "PROVIDER_AWAY", "server_error"),
        ("limited in 200", failed("rate_limit_exceeded"), "RATE_LIMITED", "rate_limit_exceeded"),
        ("refused in 200", failed("invalid_prompt"), "REFUSED", "invalid_prompt"),
        ("against a policy", failed("bio_policy"), "REFUSED", "bio_policy"),
        ("no credit in 200", failed("insufficient_quota"), "NO_QUOTA", "insufficient_quota"),
        (
            "failed without a reason",
            Reply::json(200, &response(json!({ "status": "failed", "error": null }))),
            "PROVIDER_AWAY",
            "failed",
        ),
    ];
    for quota in [
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    ] {
        rows.push(("no credit", code(429, quota), "NO_QUOTA", quota));
    }
    for (row, reply, reason, code) in rows {
        stub.answer([reply]);
        let status = live.generate(prompt(vec![user("Hi")])).await.unwrap_err();
        assert_told(&status, Openai, reason, code, row);
        assert_eq!(stub.seen().len(), 1, "{row}");
    }
    assert_eq!(stub.ledger().turns, 0);
}

#[tokio::test]
async fn when_to_ask_again_is_told_where_the_provider_tells_it() {
    let stub = StubProviders::start().await;
    let live = Live::at(&stub.url(), Openai);
    let limited = || says(Openai, 429, "rate_limit_exceeded", "too fast");
    let cases = [
        (limited(), None),
        (limited().header("retry-after", "2.5"), Some("2026-11-25T12:00:02.5Z")),
        (
            limited().header("retry-after", "9").header("retry-after-ms", "750"),
            Some("2026-11-25T12:00:00.75Z"),
        ),
        (
            limited().header("x-ratelimit-remaining-tokens", "0").header("x-ratelimit-reset-tokens", "6m0s"),
            Some("2026-11-25T12:06:00Z"),
        ),
        (says(Openai, 503, "slow_down", "slower").header("retry-after", "20"), Some("2026-11-25T12:00:20Z")),
    ];
    for (reply, retry_at) in cases {
        stub.answer([reply]);
        let status = live.generate(prompt(vec![user("Hi")])).await.unwrap_err();
        assert_eq!(told(&status, Openai).retry_at.as_deref(), retry_at);
    }
}

#[test]
fn the_sample_keeps_to_the_specification() {
    assert_fits(SCHEMAS, "Response", &response(json!({})));
}
