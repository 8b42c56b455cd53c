//! One trace from the call to the provider. Lies in a test binary of its own,
//! because it captures the process's spans.

use std::time::Duration;

use coachbot_common::rpc::{Identity, with_deadline};
use coachbot_common::testing::{MockClock, captured_spans};
use coachbot_connector::http::Limits;
use coachbot_connector::testing::{FakeVault, Reply, StubProviders, WORKSPACE, config_at, connector, stored};
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::VerifyRequest;
use coachbot_proto::types::v1 as types;
use tracing::Instrument as _;

#[tokio::test]
async fn the_providers_calls_belong_to_the_callers_trace_and_say_nothing_of_an_id() {
    let spans = captured_spans();
    let stub = StubProviders::start().await;
    let cases: [(Provider, &[&str]); 4] = [
        (Provider::Twilio, &["twilio.fetch_account"]),
        (Provider::Vapi, &["vapi.fetch_assistant", "vapi.fetch_phone_number"]),
        (Provider::Calcom, &["calcom.fetch_event_type"]),
        (Provider::Openai, &["openai.list_models"]),
    ];
    for (provider, names) in cases {
        spans.clear();
        stub.answer([]);
        let config = config_at(&stub.url(), Limits::default());
        let vault = FakeVault::with(stored(provider));
        let clock = MockClock::at("2026-11-25T12:00:00Z");
        let mut client = connector(&config, &vault, clock, Identity::Gateway);
        let asked = VerifyRequest {
            workspace_id: WORKSPACE.to_owned(),
            provider: types::Provider::from(provider).into(),
        };
        let root = tracing::info_span!(target: "coachbot", "root");
        client.verify(with_deadline(asked, Duration::from_secs(20))).instrument(root).await.unwrap();

        let ended = spans.ended();
        let trace = &ended[0].trace_id;
        assert!(ended.iter().all(|span| span.trace_id == *trace), "{ended:#?}");
        let calls: Vec<_> = ended.iter().filter(|span| names.contains(&span.name.as_str())).collect();
        assert_eq!(calls.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), names);
        for (call, seen) in calls.iter().zip(stub.seen()) {
            assert_eq!(call.kind, "Client");
            assert_eq!(call.attributes["http.response.status_code"], "200");
            assert!(!call.attributes.keys().any(|key| key.contains("url")), "{call:?}");
            let sent = seen.headers["traceparent"].to_str().unwrap();
            assert_eq!(sent, format!("00-{trace}-{}-01", call.span_id));
        }
        let server = ended.iter().find(|span| span.name.ends_with("ConnectorService/Verify")).unwrap();
        assert_eq!(server.trace_id, *trace);
        let text = format!("{ended:?}");
        for value in stored(provider).values().filter(|value| value.len() > 6) {
            // The model is in no span either.
            assert!(!text.contains(value.as_str()), "{value}");
        }
    }

    // A failure says which kind, in a word of ours.
    spans.clear();
    stub.answer([Reply::page(200).header("content-encoding", "gzip")]);
    let vault = FakeVault::with(stored(Provider::Openai));
    let config = config_at(&stub.url(), Limits::default());
    let mut client = connector(&config, &vault, MockClock::at("2026-11-25T12:00:00Z"), Identity::Gateway);
    let asked =
        VerifyRequest { workspace_id: WORKSPACE.to_owned(), provider: types::Provider::Openai.into() };
    client.verify(with_deadline(asked, Duration::from_secs(20))).await.unwrap();
    let ended = spans.ended();
    let call = ended.iter().find(|span| span.name == "openai.list_models").unwrap();
    assert_eq!(call.attributes["error.type"], "body_encoded");
}
