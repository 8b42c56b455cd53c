//! The product as a process.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use coachbot_connector::testing::{StubProviders, stored};
use coachbot_integrations::Provider;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

pub const KEY: &str = "c14f02afbd050f8e2f1dac88b3fce28ae5c3071c5ca93543efdb992e3b955ee3";
pub const OTHER_KEY: &str = "b2b3fb36d00a56932f088c140700622cc4db73a1cff473c42fc7c5ff26802bde";
pub const API_KEY: &str = "cbk_bootstrap-key-of-the-first-tenant-0000";
pub const SECOND_API_KEY: &str = "cbk_bootstrap-key-of-the-second-tenant-000";

const LONG: Duration = Duration::from_secs(60);

/// A running `coachbot`.
pub struct Product {
    child: Child,
    /// What it printed for the person at the terminal.
    pub greeting: Vec<String>,
    pub base: String,
    pub verify: Option<SocketAddr>,
    log: JoinHandle<String>,
    output: JoinHandle<String>,
    http: reqwest::Client,
}

/// What a process left behind.
pub struct Ended {
    pub status: ExitStatus,
    pub output: String,
    pub log: String,
}

/// The command with nothing of this process's environment but the given names.
pub fn command(arguments: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coachbot"));
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub async fn run(arguments: &[&str], env: &[(&str, &str)]) -> Ended {
    let output = tokio::time::timeout(LONG, command(arguments, env).output()).await.unwrap().unwrap();
    Ended {
        status: output.status,
        output: String::from_utf8(output.stdout).unwrap(),
        log: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An environment for `serve`: free ports, the folder, and what else is given.
pub fn environment(folder: &Path, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([
        ("COACHBOT_DATA_DIR".to_owned(), folder.to_str().unwrap().to_owned()),
        ("COACHBOT_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("COACHBOT_CONNECTOR_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
    ]);
    env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    env
}

impl Product {
    /// Starts `serve` over the providers of a test.
    pub async fn serve_over(providers: &StubProviders, folder: &Path, more: &[(&str, &str)]) -> Self {
        let env = provider_environment(providers);
        let mut all: Vec<_> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend_from_slice(more);
        Self::serve(folder, &all).await
    }

    /// Starts `serve` with a key and an API key.
    pub async fn serve(folder: &Path, more: &[(&str, &str)]) -> Self {
        let mut all = vec![("INTEGRATIONS_ENCRYPTION_KEY", KEY), ("COACHBOT_BOOTSTRAP_API_KEY", API_KEY)];
        all.extend_from_slice(more);
        Self::start(&["serve"], &environment(folder, &all)).await
    }

    /// Starts it, and waits for the last line of its greeting.
    pub async fn start(arguments: &[&str], env: &BTreeMap<String, String>) -> Self {
        let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut child = command(arguments, &env).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut errors = child.stderr.take().unwrap();
        let log = tokio::spawn(async move {
            let mut text = String::new();
            errors.read_to_string(&mut text).await.unwrap();
            text
        });
        let greeting = tokio::time::timeout(LONG, greeting(&mut lines)).await.expect("it starts in time");
        if !greeting.iter().any(|line| line.starts_with("Platform key:")) {
            panic!("it did not start: {greeting:?}\n{}", log.await.unwrap());
        }
        let output = tokio::spawn(async move {
            let mut text = String::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                text.push_str(&line);
                text.push('\n');
            }
            text
        });
        let link = word_after(&greeting, "Dashboard:").unwrap();
        let base = link.split("/sign-in/").next().unwrap().to_owned();
        let verify = word_after(&greeting, "Verify:").map(|_| {
            let line = greeting.iter().find(|line| line.starts_with("Verify:")).unwrap();
            line.rsplit(' ').next().unwrap().parse().unwrap()
        });
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { child, greeting, base, verify, log, output, http }
    }

    /// The one-time link that it printed.
    pub fn link(&self) -> String {
        word_after(&self.greeting, "Dashboard:").unwrap().to_owned()
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap()
    }

    /// Asks it to stop, and waits.
    pub async fn stop(self) -> Ended {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).unwrap();
        self.end().await
    }

    /// `kill -9`.
    pub async fn kill(self) -> Ended {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::KILL).unwrap();
        self.end().await
    }

    async fn end(mut self) -> Ended {
        let status = tokio::time::timeout(LONG, self.child.wait()).await.expect("it ends in time").unwrap();
        Ended { status, output: self.output.await.unwrap(), log: self.log.await.unwrap() }
    }

    /// One call of the JSON API with the first tenant's key.
    pub async fn api(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.api_as(API_KEY, method, path, body).await
    }

    /// One call of the JSON API.
    pub async fn api_as(&self, key: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.base)).bearer_auth(key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A GET outside the API, with a cookie if there is one.
    pub async fn get(&self, path: &str, cookie: Option<&str>) -> (u16, HeaderMap, String) {
        let mut request = self.http.get(format!("{}{path}", self.base));
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.text().await.unwrap())
    }

    /// Signs in with the printed link; gives the cookie back.
    pub async fn sign_in(&self) -> String {
        let answer = self.http.get(self.link()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 303, "the link signs in");
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Makes a workspace; gives its id back.
    pub async fn workspace(&self, channel: &str) -> String {
        let body =
            json!({"name": format!("Northside {channel}"), "channel": channel, "timezone": "Europe/London"});
        let (status, workspace) = self.api(Method::POST, "/workspaces", Some(body)).await;
        assert_eq!(status, 201, "{workspace}");
        workspace["id"].as_str().unwrap().to_owned()
    }

    /// Saves the credentials that the providers of the tests accept.
    pub async fn save(&self, workspace: &str, provider: Provider) -> (u16, Value) {
        self.save_fields(workspace, provider, &stored(provider)).await
    }

    /// Saves fields.
    pub async fn save_fields(
        &self,
        workspace: &str,
        provider: Provider,
        fields: &BTreeMap<String, String>,
    ) -> (u16, Value) {
        let path = format!("/workspaces/{workspace}/integrations/{provider}");
        self.api(Method::PUT, &path, Some(json!({"fields": fields}))).await
    }

    /// Presses Verify by the JSON API.
    pub async fn verify(&self, workspace: &str, provider: Provider) -> (u16, Value) {
        self.api(Method::POST, &format!("/workspaces/{workspace}/integrations/{provider}/verify"), None).await
    }
}

async fn greeting(lines: &mut tokio::io::Lines<BufReader<ChildStdout>>) -> Vec<String> {
    let mut greeting = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let last = line.starts_with("Platform key:");
        greeting.push(line);
        if last {
            break;
        }
    }
    greeting
}

fn word_after<'a>(lines: &'a [String], start: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.strip_prefix(start))?.split_whitespace().next()
}

/// Where the product finds the providers of a test.
pub fn provider_environment(providers: &StubProviders) -> Vec<(&'static str, String)> {
    let at = |path: &str| format!("{}{path}", providers.url().as_str().trim_end_matches('/'));
    vec![
        ("COACHBOT_TWILIO_BASE_URL", at("/twilio")),
        ("COACHBOT_VAPI_BASE_URL", at("/vapi")),
        ("COACHBOT_VAPI_BASE_URL_EU", at("/vapi")),
        ("COACHBOT_CALCOM_BASE_URL", at("/calcom")),
        ("COACHBOT_OPENAI_BASE_URL", at("/openai/v1")),
        ("COACHBOT_OPENAI_BASE_URL_EU", at("/openai/v1")),
        ("COACHBOT_OPENAI_BASE_URL_US", at("/openai/v1")),
    ]
}

/// Every file under a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A fresh database on the test server, for a whole product.
pub async fn fresh_postgres_database(server: &url::Url, name: &str) -> String {
    use sqlx::Connection as _;

    let mut connection = sqlx::PgConnection::connect(server.as_str()).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let mut url = server.clone();
    url.set_path(name);
    url.to_string()
}
