//! One trace from the caller to the provider, across the task that an effect runs
//! in. Lies in a test binary of its own, because it captures the process's spans.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests may panic too")]

mod support;

use coachbot_common::testing::captured_spans;
use coachbot_connector::testing::StubProviders;
use coachbot_integrations::Provider::Twilio;
use support::{Live, text_to_lead};
use tracing::Instrument as _;

#[tokio::test]
async fn an_effect_in_a_task_of_its_own_stays_in_the_callers_trace() {
    let spans = captured_spans();
    let stub = StubProviders::start().await;
    let root = tracing::info_span!(target: "coachbot", "root");
    Live::at(&stub.url(), Twilio).send(text_to_lead("Hi")).instrument(root).await.unwrap();

    let ended = spans.ended();
    let call = ended.iter().find(|span| span.name == "twilio.send_message").unwrap();
    let server = ended.iter().find(|span| span.name.ends_with("MessagingService/SendMessage")).unwrap();
    assert_eq!(call.trace_id, server.trace_id);
    assert_eq!((call.kind.as_str(), call.attributes["http.request.method"].as_str()), ("Client", "POST"));
    let sent = stub.seen()[0].headers["traceparent"].to_str().unwrap().to_owned();
    assert_eq!(sent, format!("00-{}-{}-01", call.trace_id, call.span_id));
}
