//! The binary as a process: it starts, answers, leaves when it is asked to, and
//! loses and doubles nothing when it is killed.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic too")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use coachbot_agent::testing::{FakeConnector, Fault, Hold, Operation};
use coachbot_common::clock::{Clock as _, SystemClock, to_wire};
use coachbot_common::config::Security;
use coachbot_common::id::{WorkspaceId, new_id};
use coachbot_common::lifecycle::Stop;
use coachbot_common::rpc::{self, Identity, Rpc, connect, with_deadline};
use coachbot_proto::agent::v1::agent_service_client::AgentServiceClient;
use coachbot_proto::agent::v1::{Channel, IngestMessageRequest, PutWorkspaceRequest};
use rustix::process::{Pid, Signal};
use url::Url;

/// A running agent, killed if the test ends before it does.
struct Process {
    child: Child,
    lines: Receiver<String>,
    logged: String,
}

impl Process {
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_coachbot-agent"))
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
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.logged.push_str(&line);
            self.logged.push('\n');
        }
        assert!(Instant::now() < deadline, "it does not leave:\n{}", self.logged);
        self.child.wait().unwrap().code()
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

async fn connector(stop: &Stop) -> (FakeConnector, String) {
    let fake = FakeConnector::new(SystemClock::shared());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = Rpc {
        routes: fake.routes(),
        names: vec![],
        policy: FakeConnector::policy(),
        security: Security::Plain,
        everyone: None,
        descriptors: coachbot_proto::DESCRIPTORS,
    };
    tokio::spawn(rpc::serve(served, listener, stop.clone()));
    (fake, url)
}

async fn write(url: &Url, workspace: &str, text: &str) {
    let mut client = AgentServiceClient::new(connect(url, &Security::Plain, Identity::Gateway).unwrap());
    let limit = Duration::from_secs(10);
    let facts = PutWorkspaceRequest {
        workspace_id: workspace.into(),
        name: "Northside".into(),
        channel: Channel::Whatsapp.into(),
        timezone: "Europe/London".into(),
        version: 1,
    };
    client.put_workspace(with_deadline(facts, limit)).await.unwrap();
    let message = IngestMessageRequest {
        workspace_id: workspace.into(),
        provider_message_id: format!("SM-{text}"),
        from: "whatsapp:+447700900123".into(),
        text: text.into(),
        received_at: Some(to_wire(SystemClock.now())),
        ..IngestMessageRequest::default()
    };
    client.ingest_message(with_deadline(message, limit)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_goes_on_where_it_was_and_leaves_on_sigterm() {
    let stop = Stop::new();
    let (fake, url) = connector(&stop).await;
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("COACHBOT_LISTEN", "127.0.0.1:0"),
        ("COACHBOT_TRANSPORT", "plain"),
        ("COACHBOT_CONNECTOR_URL", &url),
        ("COACHBOT_DATA_DIR", folder.path().to_str().unwrap()),
    ];
    let workspace = WorkspaceId::from_uuid(new_id(SystemClock.now())).to_string();
    // Killed while the model thinks.
    let thinking = Arc::new(Hold::default());
    fake.fails(Operation::Generate, Fault::Held(thinking.clone()));
    let mut process = Process::start(&variables);
    let address = address_in(&process.await_line("serving"));
    write(&address, &workspace, "Hi").await;
    thinking.reached.notified().await;
    process.child.kill().unwrap();
    process.leave();

    // Killed again, after the message was taken.
    let sending = Arc::new(Hold::default());
    fake.fails(Operation::SendMessage, Fault::HeldAfter(sending.clone()));
    let mut process = Process::start(&variables);
    sending.reached.notified().await;
    process.child.kill().unwrap();
    process.leave();

    let mut process = Process::start(&variables);
    let address = address_in(&process.await_line("serving"));
    let settled = async {
        while fake.count(Operation::ListMessages) == 0 {
            tokio::task::yield_now().await;
        }
        write(&address, &workspace, "And again").await;
        while fake.texts().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), settled).await.unwrap();
    assert_eq!(fake.texts(), ["Hello!", "Hello!"], "one answer to each message");
    rustix::process::kill_process(Pid::from_child(&process.child), Signal::TERM).unwrap();
    assert_eq!(process.leave(), Some(0), "{}", process.logged);
    stop.cancel();
}

#[test]
fn wrong_configuration_is_reported_whole_with_its_own_exit_code() {
    let mut process =
        Process::start(&[("COACHBOT_LISTEN", "port 50053"), ("COACHBOT_PUBLIC_URL", "ftp://host")]);
    assert_eq!(process.leave(), Some(78));
    for variable in ["COACHBOT_LISTEN", "COACHBOT_PUBLIC_URL", "COACHBOT_TLS_CERT"] {
        assert!(process.logged.contains(variable), "{variable}:\n{}", process.logged);
    }
}
