//! The JSON API, route by route.

use coachbot_integrations::Provider;
use coachbot_proto::types::v1::Verdict;
use coachbot_proto::vault::v1::KeyState;
use serde_json::{Value, json};

use crate::support::connector::verification;
use crate::support::{FakeAgent, FakeVault, KEY, OTHER_KEY, TestGateway};

const SID: &str = "AC00112233445566778899aabbccddeeff";
const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn twilio() -> Value {
    json!({"fields": {"account_sid": SID, "auth_token": AUTH_TOKEN, "from": "whatsapp:+447700900999"}})
}

fn calcom(event_type_id: Value) -> Value {
    json!({"fields": {
        "api_key": "cal_live_0123456789abcdef", "event_type_id": event_type_id, "timezone": "Europe/London",
    }})
}

#[tokio::test]
async fn a_workspace_is_made_read_changed_listed_and_deleted() {
    let test = TestGateway::start().await;
    let body = json!({"name": " Acme ", "channel": "whatsapp", "timezone": "europe/london"});
    let made = test.call("POST", "/workspaces", Some(body)).await;
    assert_eq!(made.status, 201);
    let workspace = made.json();
    let id = workspace["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), Some(format!("/api/v1/workspaces/{id}").as_str()));
    let expected = json!({
        "id": id, "name": "Acme", "channel": "whatsapp", "timezone": "Europe/London",
        "created_at": "2026-11-25T12:00:00Z",
    });
    assert_eq!(workspace, expected);
    assert_eq!(test.get(&format!("/workspaces/{id}")).await.json(), expected);
    assert_eq!(test.get("/workspaces").await.json(), json!({"items": [expected], "next": null}));

    let path = format!("/workspaces/{id}");
    let changed = test.call("PATCH", &path, Some(json!({"name": "Åcme <b>\"'"}))).await;
    assert_eq!((changed.status, &changed.json()["name"]), (200, &json!("Åcme <b>\"'")));
    let changed = test.call("PATCH", &path, Some(json!({"timezone": "Asia/Tokyo"}))).await.json();
    assert_eq!((&changed["name"], &changed["timezone"]), (&json!("Åcme <b>\"'"), &json!("Asia/Tokyo")));

    let gone = test.call("DELETE", &path, None).await;
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    test.get(&path).await.problem(404);
    test.call("DELETE", &path, None).await.problem(404);
    assert_eq!(test.get("/workspaces").await.json()["items"], json!([]));
    test.vault.deleted(&id).await;
    test.end().await;
}

#[tokio::test]
async fn every_refused_field_of_a_workspace_is_named() {
    let test = TestGateway::start().await;
    let refused = async |body: Value| test.call("POST", "/workspaces", Some(body)).await.refused_fields();
    assert_eq!(refused(json!({})).await, ["name", "channel", "timezone"]);
    let wrong = json!({"name": " ", "channel": "fax", "timezone": "Mars/Olympus", "owner": 1});
    assert_eq!(refused(wrong).await, ["name", "channel", "timezone", "owner"]);
    assert_eq!(
        refused(json!({"name": 1, "channel": null, "timezone": []})).await,
        ["name", "channel", "timezone"]
    );
    let long = json!({"name": "n".repeat(81), "channel": "voice", "timezone": "UTC"});
    assert_eq!(refused(long).await, ["name"]);

    let id = test.workspace("voice").await;
    let patched =
        test.call("PATCH", &format!("/workspaces/{id}"), Some(json!({"channel": "whatsapp"}))).await;
    assert_eq!(patched.refused_fields(), ["channel"]);
    test.end().await;
}

#[tokio::test]
async fn lists_have_pages() {
    let test = TestGateway::start().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        test.clock.advance(std::time::Duration::from_secs(1));
        made.insert(0, test.workspace("voice").await);
    }
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = test.get("/workspaces?limit=2").await.json();
    assert_eq!(ids(&first), made[..2]);
    let cursor = first["next"].as_str().unwrap();
    let last = test.get(&format!("/workspaces?limit=2&cursor={cursor}")).await.json();
    assert_eq!((ids(&last), &last["next"]), (made[2..].to_vec(), &Value::Null));
    assert_eq!(test.get("/workspaces?limit=0").await.refused_fields(), ["limit"]);
    assert_eq!(test.get("/keys?cursor=%00").await.refused_fields(), ["cursor"]);
    test.end().await;
}

#[tokio::test]
async fn integrations_are_listed_saved_and_deleted() {
    let test = TestGateway::start().await;
    let id = test.workspace("whatsapp").await;
    let path = format!("/workspaces/{id}/integrations");
    let not_connected = |provider: &str| {
        json!({
            "provider": provider, "connected": false, "fields": {}, "revision": null, "updated_at": null,
            "readable": true, "verification": null,
        })
    };
    let empty = json!({
        "items": [not_connected("twilio"), not_connected("calcom"), not_connected("openai")], "next": null,
    });
    assert_eq!(test.get(&path).await.json(), empty);

    let saved = test.call("PUT", &format!("{path}/twilio"), Some(twilio())).await;
    let expected = json!({
        "provider": "twilio", "connected": true, "revision": 1, "updated_at": "2026-11-25T12:00:00Z",
        "readable": true, "verification": null,
        "fields": {"account_sid": SID, "auth_token": "…cdef", "from": "whatsapp:+447700900999"},
    });
    assert_eq!((saved.status, saved.json()), (200, expected.clone()));
    assert_eq!(test.get(&path).await.json()["items"][0], expected);
    assert_eq!(test.vault.stored(&id, Provider::Twilio)["auth_token"], AUTH_TOKEN);

    let partial = json!({"fields": {"from": "whatsapp:+447700900111"}});
    assert_eq!(test.call("PUT", &format!("{path}/twilio"), Some(partial)).await.json()["revision"], 2);
    assert_eq!(test.vault.stored(&id, Provider::Twilio)["auth_token"], AUTH_TOKEN);

    assert_eq!(test.call("DELETE", &format!("{path}/twilio"), None).await.status, 204);
    test.call("DELETE", &format!("{path}/twilio"), None).await.problem(404);
    assert_eq!(test.get(&path).await.json(), empty);
    test.end().await;
}

#[tokio::test]
async fn an_event_type_is_a_number_or_digits_and_answered_as_a_number() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    let path = format!("/workspaces/{id}/integrations/calcom");
    for value in [json!(1_234_567), json!("1234567")] {
        let saved = test.call("PUT", &path, Some(calcom(value))).await;
        assert_eq!(saved.json()["fields"]["event_type_id"], json!(1_234_567), "{saved:?}");
    }
    for value in [json!(12.5), json!(-1), json!("twelve"), json!(true), json!(null), json!([1])] {
        let refused = test.call("PUT", &path, Some(calcom(value.clone()))).await;
        assert_eq!(refused.refused_fields(), ["event_type_id"], "{value}");
    }
    test.end().await;
}

#[tokio::test]
async fn refused_credentials_are_named_and_never_repeated() {
    let test = TestGateway::start().await;
    let id = test.workspace("whatsapp").await;
    let path = format!("/workspaces/{id}/integrations/openai");
    let put = async |body: Value| test.call("PUT", &path, Some(body)).await;

    let refused = put(json!({"fields": {"api_key": "s3cret-of-mine"}})).await;
    assert_eq!(refused.refused_fields(), ["api_key"]);
    assert!(!refused.body.contains("s3cret"), "{refused:?}");
    let wrong_type = put(json!({"fields": {"api_key": {"s3cret": 1}, "model": 4}})).await;
    let mut fields = wrong_type.refused_fields();
    fields.sort();
    assert_eq!(fields, ["api_key", "model"]);
    assert!(!wrong_type.body.contains("s3cret"));
    assert_eq!(
        put(json!({"fields": {"api_key": "sk-0123", "base_url": 1}})).await.refused_fields(),
        ["base_url"]
    );
    assert_eq!(put(json!({"fields": {}})).await.refused_fields(), ["api_key"]);
    assert_eq!(put(json!({"fields": []})).await.refused_fields(), ["fields"]);
    assert_eq!(put(json!({})).await.refused_fields(), ["fields"]);

    assert_eq!(put(json!({"fields": {"api_key": "sk-0123456789abcdef0123"}})).await.status, 200);
    let mask = test.get(&format!("/workspaces/{id}/integrations")).await.json()["items"][2]["fields"].clone();
    assert_eq!(put(json!({"fields": mask})).await.refused_fields(), ["api_key"]);
    test.end().await;
}

#[tokio::test]
async fn a_provider_that_the_channel_does_not_use_is_not_there() {
    let test = TestGateway::start().await;
    let whatsapp = test.workspace("whatsapp").await;
    let voice = test.workspace("voice").await;
    for (id, provider) in [(&whatsapp, "vapi"), (&voice, "twilio"), (&voice, "fax"), (&voice, "Vapi")] {
        let path = format!("/workspaces/{id}/integrations/{provider}");
        test.call("PUT", &path, Some(json!({"fields": {}}))).await.problem(404);
        test.call("DELETE", &path, None).await.problem(404);
        test.call("POST", &format!("{path}/verify"), None).await.problem(404);
        test.call("POST", &format!("{path}/verify-draft"), Some(json!({"fields": {}}))).await.problem(404);
    }
    test.get(&format!("/workspaces/{whatsapp}/integrations/vapi/tool-token")).await.problem(404);
    let items = test.get(&format!("/workspaces/{voice}/integrations")).await.json()["items"].clone();
    let names: Vec<_> =
        items.as_array().unwrap().iter().map(|item| item["provider"].as_str().unwrap()).collect();
    assert_eq!(names, ["vapi", "calcom", "openai"]);
    test.end().await;
}

#[tokio::test]
async fn verify_answers_200_whatever_it_finds() {
    let test = TestGateway::start().await;
    let id = test.workspace("whatsapp").await;
    let path = format!("/workspaces/{id}/integrations/openai/verify");
    let message = "OpenAI rejected the API key.";
    test.connector.find(Ok(verification(Verdict::KeyRejected, Some("api_key"), message)));
    let found = test.call("POST", &path, None).await;
    let expected = json!({
        "verdict": "KEY_REJECTED", "field": "api_key", "message": message, "fix": "Look there.",
        "checked_at": "2026-11-25T12:00:00.5Z", "warnings": [],
        "probes": [
            {"name": "models", "http_status": 200, "milliseconds": 183},
            {"name": "models", "http_status": null, "milliseconds": 5},
        ],
    });
    assert_eq!((found.status, found.json()), (200, expected.clone()));

    test.connector.find(Ok(verification(Verdict::Ok, None, "OpenAI accepted the credentials.")));
    let found = test.call("POST", &path, Some(json!({}))).await.json();
    assert_eq!(
        (&found["verdict"], &found["field"], &found["fix"]),
        (&json!("OK"), &Value::Null, &Value::Null)
    );

    test.connector.find(Ok(verification(Verdict::OkWithWarning, None, "OpenAI accepted the credentials.")));
    let found = test.call("POST", &path, None).await.json();
    assert_eq!(found["warnings"], json!([{"code": "MODEL_SHUTS_DOWN", "message": "It goes soon."}]));

    // What the vault stored of a check comes back in the list.
    let key = json!({"fields": {"api_key": "sk-0123456789abcdef0123"}});
    test.call("PUT", &format!("/workspaces/{id}/integrations/openai"), Some(key)).await;
    test.vault.record(&id, Provider::Openai, verification(Verdict::KeyRejected, Some("api_key"), message));
    let listed = test.get(&format!("/workspaces/{id}/integrations")).await.json();
    assert_eq!(listed["items"][2]["verification"], expected);
    test.end().await;
}

#[tokio::test]
async fn a_draft_is_checked_and_not_stored() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    let path = format!("/workspaces/{id}/integrations/calcom");
    let found = test.call("POST", &format!("{path}/verify-draft"), Some(calcom(json!(7)))).await;
    assert_eq!(found.json()["verdict"], "OK");
    assert_eq!(test.connector.drafts()[0]["event_type_id"], "7");
    assert!(test.vault.stored(&id, Provider::Calcom).is_empty());
    test.end().await;
}

#[tokio::test]
async fn the_tool_token_is_made_once_and_shown_in_its_answer_alone() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    let integrations = format!("/workspaces/{id}/integrations");
    assert_eq!(test.get(&integrations).await.json()["items"][0]["tool_token_hint"], Value::Null);

    let path = format!("{integrations}/vapi/tool-token");
    let shown = test.get(&path).await;
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let token = shown.json()["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("cbt_") && token.len() == 47);
    assert_eq!(shown.json(), json!({"token": token, "previous_valid_until": null}));
    assert_eq!(test.get(&path).await.json()["token"], token.as_str());

    let listed = test.get(&integrations).await;
    assert!(!listed.body.contains(&token));
    let hint = listed.json()["items"][0]["tool_token_hint"].clone();
    assert_eq!(hint, format!("cbt_…{}", &token[43..]));
    assert!(!test.get(&format!("/workspaces/{id}/webhooks")).await.body.contains(&token));
    test.end().await;
}

#[tokio::test]
async fn webhook_urls_come_from_the_public_address_alone() {
    let test = TestGateway::start_at("https://coach.example").await;
    let whatsapp = test.workspace("whatsapp").await;
    let voice = test.workspace("voice").await;
    let base = "https://coach.example/webhooks";
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("host", "evil.example")];
    let answer = test.send("GET", &format!("/api/v1/workspaces/{whatsapp}/webhooks"), &headers, "").await;
    assert_eq!(
        answer.json(),
        json!({
            "twilio": {
                "messages": format!("{base}/twilio/{whatsapp}/messages"),
                "status": format!("{base}/twilio/{whatsapp}/status/{{intent_id}}"),
            },
            "vapi": null,
            "calcom": {"events": format!("{base}/calcom/{whatsapp}")},
        })
    );
    assert_eq!(
        test.get(&format!("/workspaces/{voice}/webhooks")).await.json(),
        json!({
            "twilio": null,
            "vapi": {"tools": format!("{base}/vapi/{voice}/tools"), "events": format!("{base}/vapi/{voice}/events")},
            "calcom": {"events": format!("{base}/calcom/{voice}")},
        })
    );
    test.end().await;
}

#[tokio::test]
async fn keys_are_made_shown_once_used_and_deleted() {
    let test = TestGateway::start().await;
    let made = test.call("POST", "/keys", Some(json!({"name": "CI"}))).await;
    assert_eq!(made.status, 201);
    let key = made.json()["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("cbk_") && key.len() == 47);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let hint = format!("cbk_…{}", &key[43..]);
    assert_eq!(
        made.json(),
        json!({
            "id": id, "name": "CI", "hint": hint, "created_at": "2026-11-25T12:00:00Z", "last_used_at": null,
            "key": key,
        })
    );

    test.clock.advance(std::time::Duration::from_secs(90));
    let workspace = test.workspace_of(&key, "voice").await;
    assert_eq!(test.get(&format!("/workspaces/{workspace}")).await.status, 200);
    let listed = test.call_as(&key, "GET", "/keys", None).await;
    assert!(!listed.body.contains(&key) && !listed.body.contains(KEY));
    let items = listed.json()["items"].clone();
    let names: Vec<_> = items.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    // Both were made in one instant; which of them is first is the ids' choice.
    assert!(names == ["CI", "bootstrap"] || names == ["bootstrap", "CI"], "{names:?}");
    let listed = items.as_array().unwrap().iter().find(|item| item["id"] == id.as_str()).unwrap();
    assert_eq!(listed["last_used_at"], "2026-11-25T12:01:30Z");

    test.call_as(OTHER_KEY, "DELETE", &format!("/keys/{id}"), None).await.problem(404);
    assert_eq!(test.call("DELETE", &format!("/keys/{id}"), None).await.status, 204);
    test.call("DELETE", &format!("/keys/{id}"), None).await.problem(404);
    test.call_as(&key, "GET", "/keys", None).await.problem(401);
    assert_eq!(test.call("POST", "/keys", Some(json!({"name": ""}))).await.refused_fields(), ["name"]);
    test.end().await;
}

#[tokio::test]
async fn bootstrap_keys_are_tenants_of_their_own_and_for_an_empty_database_only() {
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    assert_eq!(test.call_as(OTHER_KEY, "GET", "/workspaces", None).await.json()["items"], json!([]));
    test.call_as(OTHER_KEY, "GET", &format!("/workspaces/{id}"), None).await.problem(404);
    let made = test.call("POST", "/keys", Some(json!({"name": "mine"}))).await.json();
    assert_eq!(
        test.call("DELETE", &format!("/keys/{}", made["id"].as_str().unwrap()), None).await.status,
        204
    );

    // A second start makes no owner again, and what was deleted stays deleted.
    let database = test.database.clone();
    let folder = test.end().await;
    let again =
        TestGateway::over(database, "http://localhost", FakeVault::default(), FakeAgent::default()).await;
    assert_eq!(again.get("/workspaces").await.json()["items"].as_array().unwrap().len(), 1);
    again.end().await;
    drop(folder);
}

#[tokio::test]
async fn a_locked_vault_refuses_saving_with_reason_and_variable() {
    let test = TestGateway::start().await;
    let id = test.workspace("whatsapp").await;
    let path = format!("/workspaces/{id}/integrations/twilio");
    test.call("PUT", &path, Some(twilio())).await;
    for (state, reason) in [
        (KeyState::Missing, "KEY_MISSING"),
        (KeyState::Malformed, "KEY_MALFORMED"),
        (KeyState::Weak, "KEY_WEAK"),
        (KeyState::Mismatch, "KEY_MISMATCH"),
    ] {
        test.vault.lock(state, reason);
        let problem = test.call("PUT", &path, Some(twilio())).await.problem(409);
        assert_eq!(problem["reason"], reason);
        assert_eq!(problem["variable"], "INTEGRATIONS_ENCRYPTION_KEY");
        assert!(problem["detail"].as_str().unwrap().contains("INTEGRATIONS_ENCRYPTION_KEY"));
    }
    let listed = test.get(&format!("/workspaces/{id}/integrations")).await.json();
    assert_eq!(
        (&listed["items"][0]["connected"], &listed["items"][0]["readable"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(test.call("DELETE", &path, None).await.status, 204);
    test.end().await;
}

#[tokio::test]
async fn one_damaged_record_asks_to_be_entered_again() {
    let test = TestGateway::start().await;
    let id = test.workspace("whatsapp").await;
    let path = format!("/workspaces/{id}/integrations/twilio");
    test.call("PUT", &path, Some(twilio())).await;
    test.vault.damage();
    let partial = json!({"fields": {"from": "whatsapp:+447700900111"}});
    let problem = test.call("PUT", &path, Some(partial)).await.problem(409);
    assert_eq!((&problem["reason"], problem.get("variable")), (&json!("CANNOT_DECRYPT"), None));
    test.end().await;
}
