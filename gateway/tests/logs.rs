//! Nothing secret is in a log, at any level.

use coachbot_common::testing::CapturedLogs;
use coachbot_proto::types::v1::Verdict;
use coachbot_proto::vault::v1::KeyState;
use serde_json::json;

#[cfg(test)]
#[expect(dead_code, reason = "this binary uses a part of it")]
mod support;

use support::connector::verification;
use support::{KEY, OTHER_KEY, TestGateway};

const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OPENAI_KEY: &str = "sk-planted-0123456789abcdef";
const REFUSED_KEY: &str = "planted-and-refused-0123456789";
const NUMBER: &str = "447700900999";

#[tokio::test]
async fn no_secret_and_no_number_is_logged_at_any_level() {
    let logs = CapturedLogs::start();
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
