//! `coachbot-gateway` as a process.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

#[cfg(test)]
#[expect(dead_code, reason = "this binary uses a part of it")]
#[path = "support/client.rs"]
mod client;

use client::request;

const KEY: &str = "key-of-the-first-tenant-0123456789abcdef";

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coachbot-gateway"));
    command
        .env_clear()
        .env("COACHBOT_DATA_DIR", folder)
        .env("COACHBOT_LISTEN", "127.0.0.1:0")
        .env("COACHBOT_TRANSPORT", "plain")
        // Nobody listens there.
        .env("COACHBOT_VAULT_URL", "http://127.0.0.1:1")
        .env("COACHBOT_CONNECTOR_URL", "http://127.0.0.1:1")
        .env("COACHBOT_AGENT_URL", "http://127.0.0.1:1")
        .env("COACHBOT_BOOTSTRAP_API_KEY", KEY)
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Starts it and waits until it says where it listens.
#[cfg(test)]
async fn start(folder: &Path) -> (Child, SocketAddr) {
    let mut child = command(folder).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, rest)) = line.split_once("serving address=") {
                return rest.split(' ').next().unwrap().parse().unwrap();
            }
        }
        panic!("it ended early");
    };
    let address = tokio::time::timeout(Duration::from_secs(20), found).await.unwrap();
    // What it goes on to say is read, so that it never waits for us.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, address)
}

#[tokio::test]
async fn it_starts_answers_and_leaves_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, address) = start(folder.path()).await;
    assert_eq!(request(address, "GET", "/healthz", &[], "").await.status, 200);
    let ready = request(address, "GET", "/readyz", &[], "").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &serde_json::json!("degraded")));
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str())];
    let listed = request(address, "GET", "/api/v1/workspaces", &headers, "").await;
    assert_eq!(listed.json(), serde_json::json!({"items": [], "next": null}));

    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let code = tokio::time::timeout(Duration::from_secs(10), child.wait()).await.unwrap().unwrap();
    assert_eq!(code.code(), Some(0));
}

#[tokio::test]
async fn all_problems_of_its_configuration_are_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path())
        .env("COACHBOT_LISTEN", "nowhere")
        .env("COACHBOT_BOOTSTRAP_API_KEY", "too-short-s3cret")
        .env("COACHBOT_PUBLIC_URL", "https://coach.example/path")
        .env("COACHBOT_VAULT_URL", "vault")
        .env("COACHBOT_TRANSPORT", "maybe")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    let names = ["LISTEN", "BOOTSTRAP_API_KEY", "PUBLIC_URL", "VAULT_URL", "TRANSPORT"];
    for name in names {
        assert!(said.contains(&format!("COACHBOT_{name} must")), "{name}: {said}");
    }
    assert!(!said.contains("s3cret"), "{said}");
}

#[tokio::test]
async fn a_taken_port_is_said_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(folder.path()).env("COACHBOT_LISTEN", &address).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("{address} is taken")) && said.contains("COACHBOT_LISTEN"), "{said}");
}
