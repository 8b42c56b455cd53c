//! One trace from the HTTP request to the other services.

use std::time::Duration;

use coachbot_common::testing::{RecordedSpan, Spans, captured_spans};

#[cfg(test)]
#[expect(dead_code, reason = "this binary uses a part of it")]
mod support;

use support::twilio::{LEAD, PUBLIC, TOKEN, body, message, sign};
use support::{KEY, TestGateway};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The span of that name, as soon as it ended: SQLite's own thread may hold on to
/// the span of a request for a moment after the answer.
async fn find(spans: &Spans, name: &str, kind: &str) -> RecordedSpan {
    let search = async {
        loop {
            let found = spans.ended().into_iter().find(|span| span.name == name && span.kind == kind);
            if let Some(found) = found {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), search).await;
    found.unwrap_or_else(|_| panic!("{kind} {name}: {:#?}", spans.ended()))
}

/// The row keeps the trace, however late and by whom it is handed on.
async fn a_webhook_and_what_comes_of_it_are_one_trace(spans: &Spans) {
    let (test, workspace) = TestGateway::with_twilio().await;
    let (database, vault, agent) = (test.database.clone(), test.vault.clone(), test.agent.clone());
    agent.be_away(true);
    spans.clear();
    let path = format!("/webhooks/twilio/{workspace}/messages");
    let sent = message(1, LEAD, "Hi");
    let signature = sign(TOKEN, &format!("{PUBLIC}{path}"), &sent);
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-twilio-signature", signature.as_str()),
        ("traceparent", traceparent.as_str()),
    ];
    assert_eq!(test.send("POST", &path, &headers, &body(&sent)).await.status, 200);
    let server = find(spans, "POST /webhooks/twilio/{workspace_id}/messages", "Server").await;
    assert_eq!((server.trace_id.as_str(), server.parent_id.as_str()), (TRACE, CALLER));
    let check = find(spans, "coachbot.vault.v1.VaultService/VerifyMac", "Client").await;
    assert_eq!((check.trace_id.as_str(), &check.parent_id), (TRACE, &server.span_id));
    let folder = test.end().await;

    spans.clear();
    agent.be_away(false);
    let again = TestGateway::over(database, PUBLIC, vault, agent).await;
    let hand_on = find(spans, "inbox.hand_on", "Internal").await;
    assert_eq!((hand_on.trace_id.as_str(), &hand_on.parent_id), (TRACE, &server.span_id));
    let call = find(spans, "coachbot.agent.v1.AgentService/IngestMessage", "Client").await;
    assert_eq!((call.trace_id.as_str(), &call.parent_id), (TRACE, &hand_on.span_id));
    again.end().await;
    drop(folder);
}

#[tokio::test]
async fn a_request_and_the_calls_that_it_makes_are_one_trace() {
    let spans = captured_spans();
    let test = TestGateway::start().await;
    let id = test.workspace("voice").await;
    let link = test.gateway.sign_in_link().await.unwrap();
    let cookie = test.sign_in().await;
    spans.clear();

    let bearer = format!("Bearer {KEY}");
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let headers = [("authorization", bearer.as_str()), ("traceparent", traceparent.as_str())];
    let path = format!("/api/v1/workspaces/{id}/integrations?secret=s3cret");
    assert_eq!(test.send("GET", &path, &headers, "").await.status, 200);

    let server = find(&spans, "GET /api/v1/workspaces/{id}/integrations", "Server").await;
    assert_eq!((server.trace_id.as_str(), server.parent_id.as_str()), (TRACE, CALLER));
    assert_eq!(server.attributes["http.response.status_code"], "200");
    let method = "coachbot.vault.v1.VaultService/DescribeIntegrations";
    let call = find(&spans, method, "Client").await;
    assert_eq!((call.trace_id.as_str(), &call.parent_id), (TRACE, &server.span_id));
    let answer = find(&spans, method, "Server").await;
    assert_eq!((answer.trace_id.as_str(), &answer.parent_id), (TRACE, &call.span_id));

    // Neither query nor token is in a span; what has no route has the method's name.
    spans.clear();
    test.send("GET", link.path(), &[], "").await;
    test.send("GET", "/nothing/s3cret", &[], "").await;
    test.send("BREW", "/", &[], "").await;
    test.page(&cookie, &format!("/w/{id}/settings?saved=s3cret")).await;
    for name in ["GET /sign-in/{token}", "GET", "_OTHER /", "GET /w/{id}/settings"] {
        find(&spans, name, "Server").await;
    }
    let text = format!("{:?}", spans.ended());
    assert!(!text.contains("s3cret"), "{text}");
    assert!(!text.contains(link.path().rsplit('/').next().unwrap()), "{text}");

    a_webhook_and_what_comes_of_it_are_one_trace(&spans).await;

    // A failure of ours carries the trace under which the log tells more.
    test.vault.be_away(true);
    let answer = test.send("GET", &path, &headers, "").await;
    assert_eq!(answer.problem(503)["trace_id"], TRACE);
    test.end().await;
}
