//! Nothing secret is in a log, at any level.

use std::sync::LazyLock;

use coachbot_common::testing::CapturedLogs;
use coachbot_proto::types::v1::Verdict;
use coachbot_proto::vault::v1::KeyState;
use serde_json::json;
use tonic::Status;

#[cfg(test)]
#[expect(dead_code, reason = "this binary uses a part of it")]
mod support;

use support::agent::Taken;
use support::connector::verification;
use support::twilio::{LEAD, SID, TOKEN, message, status};
use support::{KEY, OTHER_KEY, TestGateway};

const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OPENAI_KEY: &str = "sk-planted-0123456789abcdef";
const REFUSED_KEY: &str = "planted-and-refused-0123456789";
/// Those of all tests of this process.
fn logs() -> CapturedLogs {
    static LOGS: LazyLock<CapturedLogs> = LazyLock::new(CapturedLogs::start);
    LOGS.clone()
}

const NUMBER: &str = "447700900999";

/// A lead's own, sent over every way in, taken, refused, kept and forged.
#[tokio::test]
async fn nothing_of_a_lead_is_logged_at_any_level() {
    let logs = logs();
    let (test, workspace) = TestGateway::with_twilio().await;
    let planted = [
        "447700900123",
        "447700911999",
        "planted text",
        "Planted Name",
        "planted@example.com",
        "planted-custom",
        TOKEN,
        SID,
    ];
    let path = format!("/webhooks/twilio/{workspace}/messages");
    let text = |number| {
        let mut params = message(number, LEAD, "planted text");
        params.push(("ProfileName2".to_owned(), "Planted Name".to_owned()));
        params
    };
    assert_eq!(test.twilio(&path, &text(1)).await.status, 200);
    assert_eq!(test.twilio_as("wrong", &path, &text(2)).await.status, 403);
    assert_eq!(test.twilio("/webhooks/twilio/nobody/messages", &text(3)).await.status, 403);
    test.agent.refuse(Status::internal("hiccup"));
    let state = format!("/webhooks/twilio/{workspace}/status/01937a3e-6f00-7000-8000-0000000000aa");
    assert_eq!(test.twilio(&state, &status(4, "delivered")).await.status, 204);
    test.vault.be_away(true);
    assert_eq!(test.twilio(&path, &text(5)).await.status, 200);
    assert_eq!(test.twilio_as("wrong", &path, &text(6)).await.status, 200);
    test.vault.be_away(false);
    test.agent.took_messages(2).await;

    let form = test.get(&format!("/workspaces/{workspace}/forms")).await.json();
    let form = format!("/f/{}", form["items"][0]["id"].as_str().unwrap());
    let lead = json!({
        "name": "Planted Name", "phone": "+447700911999", "email": "planted@example.com",
        "message": "planted text", "goal": "planted-custom", "consent": true,
    });
    let json_type = [("content-type", "application/json")];
    for away in [false, true] {
        test.agent.be_away(away);
        assert_eq!(test.send("POST", &form, &json_type, &lead.to_string()).await.status, 202);
    }
    test.agent.be_away(false);
    let mut refused = lead.clone();
    refused["phone"] = json!("447700911999");
    refused["email"] = json!("planted@example.com@");
    assert_eq!(test.send("POST", &form, &json_type, &refused.to_string()).await.status, 422);
    let page = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
    let typed = "name=Planted+Name&phone=447700911999&email=planted%40example.com";
    assert_eq!(test.send("POST", &form, &page, typed).await.status, 422);
    let by_api = json!({"name": "Planted Name", "phone": "+447700911999"});
    let leads = format!("/workspaces/{workspace}/leads");
    assert_eq!(test.call("POST", &leads, Some(by_api)).await.status, 201);
    assert_eq!(test.get(&leads).await.status, 200);
    test.agent
        .took(|ledger| ledger.iter().filter(|taken| matches!(taken, Taken::Lead(_))).count() >= 3)
        .await;
    test.gateway.close().await;
    assert_eq!(test.twilio(&path, &text(7)).await.status, 503);
    test.end().await;

    let text = logs.text();
    assert!(text.contains("inbox.hand_on") && text.contains("not genuine"), "nothing was captured");
    for secret in planted {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn no_secret_and_no_number_is_logged_at_any_level() {
    let logs = logs();
    let test = TestGateway::start().await;
    let mut planted: Vec<String> =
        [KEY, OTHER_KEY, AUTH_TOKEN, OPENAI_KEY, REFUSED_KEY, NUMBER].map(str::to_owned).to_vec();

    let whatsapp = test.workspace("whatsapp").await;
    let voice = test.workspace("voice").await;
    let sender = format!("whatsapp:+{NUMBER}");
    let twilio = json!({"fields": {
        "account_sid": "AC00112233445566778899aabbccddeeff", "auth_token": AUTH_TOKEN, "from": sender,
    }});
    let base = format!("/workspaces/{whatsapp}/integrations");
    assert_eq!(test.call("PUT", &format!("{base}/twilio"), Some(twilio.clone())).await.status, 200);
    let refused = json!({"fields": {"api_key": REFUSED_KEY, REFUSED_KEY: REFUSED_KEY}, REFUSED_KEY: 1});
    for body in [json!({"fields": {"api_key": REFUSED_KEY}}), refused, json!({"fields": REFUSED_KEY})] {
        assert_eq!(test.call("PUT", &format!("{base}/openai"), Some(body)).await.status, 422);
    }
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let broken = format!("{{\"fields\":{{\"api_key\":\"{REFUSED_KEY}\"");
    test.send("PUT", &format!("/api/v1{base}/openai"), &headers, &broken).await.problem(400);
    let draft = json!({"fields": {"api_key": OPENAI_KEY}});
    assert_eq!(test.call("POST", &format!("{base}/openai/verify-draft"), Some(draft)).await.status, 200);
    test.connector.find(Ok(verification(
        Verdict::KeyRejected,
        Some("api_key"),
        "OpenAI rejected the API key.",
    )));
    assert_eq!(test.call("POST", &format!("{base}/openai/verify"), None).await.status, 200);
    let token = test.get(&format!("/workspaces/{voice}/integrations/vapi/tool-token")).await.json();
    planted.push(token["token"].as_str().unwrap().to_owned());
    let made = test.call("POST", "/keys", Some(json!({"name": "CI"}))).await.json();
    planted.push(made["key"].as_str().unwrap().to_owned());
    test.call_as(REFUSED_KEY, "GET", "/workspaces", None).await.problem(401);

    let link = test.gateway.sign_in_link().await.unwrap();
    planted.push(link.path().rsplit('/').next().unwrap().to_owned());
    let answer = test.send("GET", link.path(), &[], "").await;
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    planted.push(cookie.split('=').nth(1).unwrap().to_owned());
    test.send("GET", link.path(), &[], "").await;
    let page = format!("/w/{whatsapp}/settings/integrations");
    test.submit(&cookie, &format!("{page}/openai"), &[("api_key", OPENAI_KEY)]).await;
    test.submit(&cookie, &format!("{page}/openai"), &[("api_key", REFUSED_KEY), (REFUSED_KEY, REFUSED_KEY)])
        .await;
    test.page(&cookie, &format!("{page}?saved={REFUSED_KEY}")).await;
    test.submit(&cookie, &format!("/w/{voice}/settings/integrations/vapi/tool-token"), &[]).await;
    test.vault.lock(KeyState::Missing, "KEY_MISSING");
    test.call("PUT", &format!("{base}/twilio"), Some(twilio.clone())).await.problem(409);
    test.vault.be_away(true);
    test.call("PUT", &format!("{base}/twilio"), Some(twilio)).await.problem(503);
    test.gateway.close().await;
    test.get("/workspaces").await.problem(503);
    test.end().await;

    let text = logs.text();
    assert!(text.contains("request refused") && text.contains("http.server"), "nothing was captured");
    for secret in planted {
        assert!(!text.contains(&secret), "{secret} is in the log");
    }
}
