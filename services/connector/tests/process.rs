//! The binary as a process: it starts, serves, keeps its secrets to itself, and
//! leaves when it is asked to.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic too")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use coachbot_common::config::Security;
use coachbot_common::lifecycle::Stop;
use coachbot_common::rpc::{Identity, connect, with_deadline};
use coachbot_connector::SERVICE_NAMES;
use coachbot_connector::testing::{FakeVault, StubProviders, WORKSPACE, message, planted, stored};
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::connector_service_client::ConnectorServiceClient;
use coachbot_proto::connector::v1::messaging_service_client::MessagingServiceClient;
use coachbot_proto::connector::v1::{SendMessageRequest, Text, VerifyRequest};
use coachbot_proto::types::v1::{self as types, Verdict};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use url::Url;

/// A running connector, killed if the test ends before it does.
struct Process {
    child: Child,
    lines: Receiver<String>,
    logged: String,
}

impl Process {
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_coachbot-connector"))
            .env_clear()
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines, logged: String::new() }
    }

    /// Reads the log until a line has the text.
    fn await_line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("no line has {text:?}:\n{}", self.logged));
            self.logged.push_str(&line);
            self.logged.push('\n');
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for the end of the process, and of its log.
    fn leave(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.logged.push_str(&line);
            self.logged.push('\n');
        }
        assert!(Instant::now() < deadline, "it does not leave:\n{}", self.logged);
        self.child.wait().unwrap().code()
    }

    fn terminate(&self) {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_in(line: &str) -> Url {
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap();
    format!("http://{address}").parse().unwrap()
}

// The clients must be able to take leave while the test waits for the process.
#[tokio::test(flavor = "multi_thread")]
async fn the_binary_serves_verifies_and_leaves_on_sigterm() {
    let stub = StubProviders::start().await;
    let proxy = StubProviders::start().await;
    let stop = Stop::new();
    let vault = FakeVault::with(stored(Provider::Calcom));
    let vault_url = format!("http://{}", vault.serve(stop.clone()).await);
    let calcom = stub.url().join("calcom").unwrap();
    let mut process = Process::start(&[
        ("COACHBOT_LISTEN", "127.0.0.1:0"),
        ("COACHBOT_TRANSPORT", "plain"),
        ("COACHBOT_VAULT_URL", &vault_url),
        ("COACHBOT_CALCOM_BASE_URL", calcom.as_str()),
        ("RUST_LOG", "trace"),
        // A proxy of the environment gets nothing.
        ("http_proxy", proxy.url().as_str()),
        ("HTTP_PROXY", proxy.url().as_str()),
        ("HTTPS_PROXY", proxy.url().as_str()),
        ("ALL_PROXY", proxy.url().as_str()),
        // Nor are this machine's certificates there: those built in take their place.
        ("SSL_CERT_FILE", "/nonexistent.pem"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ]);
    process.await_line("provider is called over plain http");
    process.await_line("the root certificates of this machine cannot be loaded");
    let url = address_in(&process.await_line("serving"));

    let transport = connect(&url, &Security::Plain, Identity::Internal).unwrap();
    for service in SERVICE_NAMES.into_iter().chain([""]) {
        let asked = HealthCheckRequest { service: service.to_owned() };
        let asked = with_deadline(asked, Duration::from_secs(10));
        let health = HealthClient::new(transport.clone()).check(asked).await.unwrap();
        assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    }
    let asked =
        VerifyRequest { workspace_id: WORKSPACE.to_owned(), provider: types::Provider::Calcom.into() };
    let asked = with_deadline(asked, Duration::from_secs(20));
    let found = ConnectorServiceClient::new(transport).verify(asked).await.unwrap().into_inner();
    assert_eq!(found.verification.unwrap().verdict(), Verdict::Ok);
    assert_eq!((stub.seen().len(), proxy.seen().len(), vault.recorded().len()), (1, 0, 1));

    let asked_to_stop = Instant::now();
    process.terminate();
    assert_eq!(process.leave(), Some(0), "{}", process.logged);
    assert!(asked_to_stop.elapsed() < Duration::from_secs(3), "{:?}", asked_to_stop.elapsed());
    assert!(!process.logged.contains(planted(Provider::Calcom)), "the secret is in the log");
    // The libraries beneath log as well, and none of them the path.
    assert!(process.logged.contains("hyper_util") && !process.logged.contains("event-types"));
    stop.cancel();
}

// Nobody waits for the message any more, the caller has left, and it is sent all
// the same before the process leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_under_way_is_sent_before_the_binary_leaves() {
    let stop = Stop::new();
    let provider = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let twilio = format!("http://{}", provider.local_addr().unwrap());
    let vault = FakeVault::with(stored(Provider::Twilio));
    let vault_url = format!("http://{}", vault.serve(stop.clone()).await);
    let mut process = Process::start(&[
        ("COACHBOT_LISTEN", "127.0.0.1:0"),
        ("COACHBOT_TRANSPORT", "plain"),
        ("COACHBOT_VAULT_URL", &vault_url),
        ("COACHBOT_TWILIO_BASE_URL", &twilio),
    ]);
    let url = address_in(&process.await_line("serving"));
    let transport = connect(&url, &Security::Plain, Identity::Agent).unwrap();
    let asked = SendMessageRequest {
        workspace_id: WORKSPACE.to_owned(),
        to: "whatsapp:+447700900123".to_owned(),
        text: Some(Text { body: "Hi".to_owned() }),
        template: None,
        status_callback_url: "https://hooks.coachbot.example/status/end".to_owned(),
    };
    let asked = with_deadline(asked, Duration::from_secs(20));
    let calling =
        tokio::spawn(async move { MessagingServiceClient::new(transport).send_message(asked).await });
    let (mut connection, _) = provider.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"status%2Fend") {
        connection.read_buf(&mut request).await.unwrap();
    }
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    process.terminate();
    process.await_line("stopping");

    let body = message(serde_json::json!({})).to_string();
    let head = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    assert_eq!(process.leave(), Some(0), "{}", process.logged);
    assert!(process.logged.contains("message sent"), "{}", process.logged);
    assert!(process.logged.contains("the caller left before"), "{}", process.logged);
    stop.cancel();
}

#[test]
fn wrong_configuration_is_reported_whole_with_its_own_exit_code() {
    let mut process = Process::start(&[
        ("COACHBOT_LISTEN", "port 50052"),
        ("COACHBOT_TWILIO_BASE_URL", "ftp://planted-host"),
        ("COACHBOT_TWILLIO_BASE_URL", "https://api.twilio.com"),
        ("COACHBOT_OPENAI_API", "chat_completions"),
    ]);
    assert_eq!(process.leave(), Some(78));
    for variable in [
        "COACHBOT_LISTEN",
        "COACHBOT_TWILIO_BASE_URL",
        "COACHBOT_TWILLIO_BASE_URL",
        "COACHBOT_TLS_CERT",
        "COACHBOT_OPENAI_API",
    ] {
        assert!(process.logged.contains(variable), "{variable}:\n{}", process.logged);
    }
    assert!(!process.logged.contains("planted"), "{}", process.logged);
}
