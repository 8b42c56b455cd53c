//! The binary as a process: it starts whatever the key is, tells its health, and
//! leaves in time.

#![expect(clippy::unwrap_used, reason = "a test may")]

#[expect(dead_code, reason = "this test binary uses a part of it")]
mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use coachbot_common::config::Security;
use coachbot_common::rpc::{self, Identity};
use coachbot_proto::vault::v1::{GetStatusRequest, KeyState};
use rustix::process::{Pid, Signal, kill_process};
use support::{Client, KEY, KEY_ID, call};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use url::Url;

fn command(folder: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coachbot-vault"));
    command
        .env_clear()
        .env("COACHBOT_DATA_DIR", folder)
        .env("COACHBOT_LISTEN", "127.0.0.1:0")
        .env("COACHBOT_TRANSPORT", "plain")
        .envs(variables.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A process that is ended with the test, whatever becomes of it.
struct Process {
    child: Child,
    errors: BufReader<ChildStderr>,
    log: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it and reads its address from the log.
    fn start(folder: &Path, variables: &[(&str, &str)]) -> (Self, Url) {
        let mut child = command(folder, variables).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let mut process = Self { child, errors, log: String::new() };
        loop {
            let mut line = String::new();
            assert_ne!(process.errors.read_line(&mut line).unwrap(), 0, "it ended:\n{}", process.log);
            process.log.push_str(&line);
            if let Some((_, rest)) = line.split_once("address=") {
                let address = rest.split_whitespace().next().unwrap();
                return (process, format!("http://{address}").parse().unwrap());
            }
        }
    }

    /// Sends SIGTERM and gives the whole log, and how long it took to leave.
    fn terminate(mut self) -> (String, Duration) {
        let since = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        // The pipe ends with the process.
        self.errors.read_to_string(&mut self.log).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}:\n{}", self.log);
        (std::mem::take(&mut self.log), since.elapsed())
    }
}

async fn is_serving(url: &Url) -> bool {
    let transport = rpc::connect(url, &Security::Plain, Identity::Internal).unwrap();
    let request = HealthCheckRequest { service: coachbot_vault::SERVICE.to_owned() };
    let health = HealthClient::new(transport).check(call(request)).await.unwrap().into_inner();
    health.status() == ServingStatus::Serving
}

async fn state_at(url: &Url) -> (KeyState, Option<String>) {
    let transport = rpc::connect(url, &Security::Plain, Identity::Gateway).unwrap();
    let status = Client::new(transport).get_status(call(GetStatusRequest {})).await.unwrap().into_inner();
    (status.state(), status.configured_key_id)
}

// Several threads: a client's connection must see the goodbye while this test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_tells_its_health_and_leaves_in_time() {
    let folder = tempfile::tempdir().unwrap();
    // Twice over one folder: the second start finds the key that the first enrolled.
    for _ in 0..2 {
        let (process, url) = Process::start(folder.path(), &[("INTEGRATIONS_ENCRYPTION_KEY", KEY)]);
        assert!(is_serving(&url).await);
        assert_eq!(state_at(&url).await, (KeyState::Ok, Some(KEY_ID.to_owned())));
        let (log, took) = process.terminate();
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert!(log.contains("platform key is usable") && !log.contains(KEY), "{log}");
    }
    assert!(folder.path().join("vault.sqlite").is_file());
}

// Several threads: a client's connection must see the goodbye while this test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_key_is_a_state_and_not_an_exit() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no-such-file");
    let raw = folder.path().join("raw");
    std::fs::write(&raw, [0xfe; 32]).unwrap();
    for (variables, state) in [
        (vec![], KeyState::Missing),
        (vec![("INTEGRATIONS_ENCRYPTION_KEY", "")], KeyState::Missing),
        (vec![("INTEGRATIONS_ENCRYPTION_KEY_FILE", missing.to_str().unwrap())], KeyState::Missing),
        (vec![("INTEGRATIONS_ENCRYPTION_KEY", "REPLACE_ME")], KeyState::Malformed),
        (vec![("INTEGRATIONS_ENCRYPTION_KEY_FILE", raw.to_str().unwrap())], KeyState::Malformed),
        (vec![("INTEGRATIONS_ENCRYPTION_KEY", &"0".repeat(64))], KeyState::Weak),
    ] {
        let (process, url) = Process::start(folder.path(), &variables);
        assert!(is_serving(&url).await);
        assert_eq!(state_at(&url).await, (state, None));
        process.terminate();
    }
}

fn refused(folder: &Path, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(folder, variables).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn what_cannot_work_is_said_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) =
        refused(folder.path(), &[("COACHBOT_LISTNE", "127.0.0.1:1"), ("COACHBOT_LISTEN", "here")]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("COACHBOT_LISTNE") && said.contains("COACHBOT_LISTEN must be"), "{said}");

    let (running, url) = Process::start(folder.path(), &[]);
    let (code, said) = refused(folder.path(), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is in use by another Coachbot"), "{said}");
    let elsewhere = tempfile::tempdir().unwrap();
    let taken = url.authority().to_owned();
    let (code, said) = refused(elsewhere.path(), &[("COACHBOT_LISTEN", &taken)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("{taken} is taken")), "{said}");
    running.terminate();
}
