//! One trace from the HTTP request to the vault and the provider, in one process
//! and over sockets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coachbot_common::clock::SystemClock;
use coachbot_common::config::{MapEnv, Reader};
use coachbot_common::lifecycle::Stop;
use coachbot_common::testing::{RecordedSpan, Spans, captured_spans};
use coachbot_connector::testing::{ACCOUNT_SID, StubProviders, stored};
use coachbot_integrations::Provider;
use coachbot_sandbox::accounts;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Client;
use serde_json::{Value, json};
use sha1::Sha1;
use support::{API_KEY, KEY, provider_environment};
use tokio::net::TcpListener;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

fn environment(folder: &std::path::Path, providers: &StubProviders) -> MapEnv {
    let mut env = MapEnv::from([
        ("INTEGRATIONS_ENCRYPTION_KEY", KEY),
        ("COACHBOT_BOOTSTRAP_API_KEY", API_KEY),
        ("COACHBOT_LISTEN", "127.0.0.1:0"),
        ("COACHBOT_CONNECTOR_LISTEN", ""),
    ])
    .with("COACHBOT_DATA_DIR", folder.to_str().unwrap());
    for (name, value) in provider_environment(providers) {
        env = env.with(name, value);
    }
    env
}

/// Makes a workspace, saves a key, and presses Verify inside the given trace.
async fn press_verify(gateway: SocketAddr) {
    let http = Client::builder().no_proxy().build().unwrap();
    let base = format!("http://{gateway}/api/v1/workspaces");
    let body = json!({"name": "Northside", "channel": "whatsapp", "timezone": "Europe/London"});
    let made: Value =
        http.post(&base).bearer_auth(API_KEY).json(&body).send().await.unwrap().json().await.unwrap();
    let one = format!("{base}/{}/integrations/twilio", made["id"].as_str().unwrap());
    let saved = http.put(&one).bearer_auth(API_KEY).json(&json!({"fields": stored(Provider::Twilio)}));
    assert_eq!(saved.send().await.unwrap().status().as_u16(), 200);
    let verify = http
        .post(format!("{one}/verify"))
        .bearer_auth(API_KEY)
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    let answer: Value = verify.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["verdict"], "OK", "{answer}");
}

const ROOT: &str = "POST /api/v1/workspaces/{id}/integrations/{provider}/verify";

/// The request's span may end a moment after its answer.
async fn until_the_request_ended(spans: &Spans) -> Vec<RecordedSpan> {
    let ended = async {
        loop {
            let ended = spans.ended();
            if ended.iter().any(|span| span.name == ROOT && span.trace_id == TRACE) {
                return ended;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the request's span ends")
}

/// Follows the parents from the provider's call up to the caller.
fn assert_one_trace(spans: &[RecordedSpan]) {
    let ours: Vec<_> = spans.iter().filter(|span| span.trace_id == TRACE).collect();
    let path_up = |name: &str| -> Vec<String> {
        let mut names = Vec::new();
        let mut current = ours.iter().find(|span| span.name == name).copied();
        while let Some(span) = current {
            names.push(format!("{} {}", span.kind, span.name));
            if span.parent_id == CALLER {
                names.push("the caller".to_owned());
            }
            current = ours.iter().find(|parent| parent.span_id == span.parent_id).copied();
        }
        names
    };
    for (lowest, through) in [
        (
            "coachbot.vault.v1.VaultService/LeaseCredentials",
            "Client coachbot.vault.v1.VaultService/LeaseCredentials",
        ),
        ("twilio.fetch_account", "Server coachbot.connector.v1.ConnectorService/Verify"),
        (
            "coachbot.vault.v1.VaultService/RecordVerification",
            "Server coachbot.connector.v1.ConnectorService/Verify",
        ),
    ] {
        let names = path_up(lowest);
        let seen: BTreeSet<_> = names.iter().map(String::as_str).collect();
        let root = format!("Server {ROOT}");
        for expected in [through, "Server coachbot.connector.v1.ConnectorService/Verify", &root, "the caller"]
        {
            assert!(seen.contains(expected), "{lowest}: no {expected} in {names:#?}");
        }
    }
    let text = format!("{spans:?}");
    assert!(!text.contains("planted") && !text.contains(ACCOUNT_SID), "a span says too much");
}

/// A webhook of the sandbox's account, signed as Twilio signs, inside the trace.
async fn hand_on_a_webhook(sandbox: &coachbot_sandbox::Running, gateway: SocketAddr) {
    let http = Client::builder().no_proxy().build().unwrap();
    let base = format!("http://{gateway}/api/v1/workspaces");
    let body = json!({"name": "Northside", "channel": "whatsapp", "timezone": "Europe/London"});
    let made: Value =
        http.post(&base).bearer_auth(API_KEY).json(&body).send().await.unwrap().json().await.unwrap();
    let id = made["id"].as_str().unwrap();
    let account = &accounts::TWILIO[0];
    for (provider, fields) in [
        (
            "twilio",
            json!({"account_sid": account.sid, "auth_token": account.token, "from": account.senders[0]}),
        ),
        ("openai", json!({"api_key": accounts::OPENAI_KEY})),
    ] {
        let path = format!("{base}/{id}/integrations/{provider}");
        let saved =
            http.put(path).bearer_auth(API_KEY).json(&json!({"fields": fields})).send().await.unwrap();
        assert_eq!(saved.status().as_u16(), 200);
    }
    let url = format!("http://localhost:{}/webhooks/twilio/{id}/messages", gateway.port());
    let form = [
        ("AccountSid", account.sid),
        ("Body", "Hi!"),
        ("From", "whatsapp:+447700900456"),
        ("MessageSid", "SM00ff11ee22dd33cc44bb55aa66997788"),
        ("To", account.senders[0]),
    ];
    let mut signed = url.clone();
    form.iter().for_each(|(name, value)| signed.extend([*name, *value]));
    let mut mac = Hmac::<Sha1>::new_from_slice(account.token.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    let answer = http
        .post(&url)
        .header("x-twilio-signature", STANDARD.encode(mac.finalize().into_bytes()))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let filter = coachbot_sandbox::ledger::Filter { kind: Some("message".to_owned()), ..Default::default() };
    let sent = async {
        while sandbox.ledger(&filter).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), sent).await.expect("the reply is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_reaches_from_the_http_request_to_the_vault() {
    let spans = captured_spans();

    // In one process.
    let folder = tempfile::tempdir().unwrap();
    let providers = StubProviders::start().await;
    let stop = Stop::new();
    let config = coachbot::Config::read(&environment(folder.path(), &providers)).unwrap();
    let running = coachbot::start(config, SystemClock::shared(), stop.clone()).await.unwrap();
    press_verify(running.address()).await;
    stop.cancel();
    running.finish().await.unwrap();
    assert_one_trace(&until_the_request_ended(&spans).await);

    // Over sockets.
    spans.clear();
    let folder = tempfile::tempdir().unwrap();
    let stop = Stop::new();
    let mut listeners = Vec::new();
    for _ in 0..4 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let [vault, connector, agent, gateway] = [0, 1, 2, 3].map(|i: usize| listeners[i].local_addr().unwrap());
    let env = environment(folder.path(), &providers)
        .with("COACHBOT_TRANSPORT", "plain")
        .with("COACHBOT_VAULT_URL", format!("http://{vault}"))
        .with("COACHBOT_CONNECTOR_URL", format!("http://{connector}"))
        .with("COACHBOT_AGENT_URL", format!("http://{agent}"));
    let mut listeners = listeners.into_iter();
    let mut reader = Reader::new(&env);
    let alone = (
        coachbot_vault::Standalone::read(&mut reader).unwrap(),
        coachbot_connector::Standalone::read(&mut reader).unwrap(),
        coachbot_agent::Standalone::read(&mut reader).unwrap(),
        coachbot_gateway::Standalone::read(&mut reader).unwrap(),
    );
    let running = [
        tokio::spawn({
            let (listener, stop) = (listeners.next().unwrap(), stop.clone());
            async move { coachbot_vault::run(alone.0, listener, stop).await.unwrap() }
        }),
        tokio::spawn({
            let (listener, stop) = (listeners.next().unwrap(), stop.clone());
            async move { coachbot_connector::run(alone.1, listener, stop).await.unwrap() }
        }),
        tokio::spawn({
            let (listener, stop) = (listeners.next().unwrap(), stop.clone());
            async move { coachbot_agent::run(alone.2, listener, stop).await.unwrap() }
        }),
        tokio::spawn({
            let (listener, stop) = (listeners.next().unwrap(), stop.clone());
            async move { coachbot_gateway::run(alone.3, listener, stop).await.unwrap() }
        }),
    ];
    wait_until_ready(gateway).await;
    press_verify(gateway).await;
    stop.cancel();
    for task in running {
        task.await.unwrap();
    }
    assert_one_trace(&until_the_request_ended(&spans).await);

    // Across the inbox and the run that it starts.
    spans.clear();
    let folder = tempfile::tempdir().unwrap();
    let in_memory = coachbot_sandbox::Config::in_memory();
    let sandbox = coachbot_sandbox::Sandbox::start(&in_memory, SystemClock::shared()).await.unwrap();
    let stop = Stop::new();
    let env = environment(folder.path(), &providers)
        .with("COACHBOT_TWILIO_BASE_URL", sandbox.url("/twilio"))
        .with("COACHBOT_OPENAI_BASE_URL", sandbox.url("/openai/v1"));
    let config = coachbot::Config::read(&env).unwrap();
    let running = coachbot::start(config, SystemClock::shared(), stop.clone()).await.unwrap();
    hand_on_a_webhook(&sandbox, running.address()).await;
    stop.cancel();
    running.finish().await.unwrap();
    let ended = spans.ended();
    for name in [
        "coachbot.vault.v1.VaultService/VerifyMac",
        "coachbot.agent.v1.AgentService/IngestMessage",
        "coachbot.connector.v1.ModelService/Generate",
        "coachbot.connector.v1.MessagingService/SendMessage",
        "coachbot.vault.v1.VaultService/LeaseCredentials",
    ] {
        let in_trace = ended.iter().any(|span| span.name == name && span.trace_id == TRACE);
        assert!(in_trace, "{name} is not in the webhook's trace");
    }
    assert!(!format!("{ended:?}").contains("447700900456"), "a span says too much");
}

/// The listener is open before its server serves, so that one request waits for it.
async fn wait_until_ready(gateway: SocketAddr) {
    let http = Client::builder().no_proxy().build().unwrap();
    let ready = async {
        loop {
            let answer = http.get(format!("http://{gateway}/readyz")).send().await.unwrap();
            let body: Value = answer.json().await.unwrap();
            if body["status"] == "ok" {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ready).await.expect("all services are ready in time");
}
