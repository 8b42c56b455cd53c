//! Vault, connector, agent and gateway as four processes that know each other by
//! certificate.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

#[path = "support/chat.rs"]
mod chat;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use chat::{SENDER, Sandbox};
use coachbot_common::config::{Security, TlsFiles};
use coachbot_common::rpc::{self, Identity, with_deadline};
use coachbot_common::testing::Authority;
use coachbot_connector::testing::{StubProviders, planted, stored};
use coachbot_integrations::Provider;
use coachbot_proto::connector::v1::VerifyRequest;
use coachbot_proto::connector::v1::connector_service_client::ConnectorServiceClient;
use coachbot_proto::types::v1::{self as wire, Verdict};
use coachbot_proto::vault::v1::LeaseCredentialsRequest;
use coachbot_proto::vault::v1::vault_service_client::VaultServiceClient;
use serde_json::{Value, json};
use support::{API_KEY, KEY, provider_environment};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tonic::Code;
use url::Url;

const LONG: Duration = Duration::from_secs(30);

/// One of our processes.
struct Service {
    child: Child,
    port: u16,
    log: JoinHandle<String>,
}

impl Service {
    async fn start(name: &str, files: &TlsFiles, folder: &Path, more: &[(&str, &str)]) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_coachbot")).with_file_name(name);
        assert!(binary.exists(), "{name} is not built: run the tests of the whole workspace");
        let mut child = Command::new(binary)
            .env_clear()
            .env("COACHBOT_LISTEN", "127.0.0.1:0")
            .env("COACHBOT_TLS_CERT", &files.cert)
            .env("COACHBOT_TLS_KEY", &files.key)
            .env("COACHBOT_TLS_CA", &files.ca)
            .env("RUST_LOG", "trace")
            .env("COACHBOT_DATA_DIR", folder)
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        let port = tokio::time::timeout(LONG, async {
            loop {
                let Some(line) = lines.next_line().await.unwrap() else { panic!("{name} ended: {log}") };
                log.push_str(&line);
                log.push('\n');
                if let Some((_, address)) = line.split_once("serving address=127.0.0.1:") {
                    break address.split(' ').next().unwrap().parse().unwrap();
                }
            }
        })
        .await
        .expect("it starts in time");
        let log = tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                log.push_str(&line);
                log.push('\n');
            }
            log
        });
        Self { child, port, log }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// `kill -9`.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
        self.log.await.unwrap();
    }

    /// Asks it to stop; it must leave in time and with success.
    async fn stop(mut self) -> String {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let status = tokio::time::timeout(LONG, self.child.wait()).await.expect("it ends in time").unwrap();
        let log = self.log.await.unwrap();
        assert!(status.success(), "{log}");
        log
    }
}

#[tokio::test]
async fn four_processes_that_know_each_other_verify_a_key() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let providers = StubProviders::start().await;
    let files = |identity| authority.files(identity);
    let key = [("INTEGRATIONS_ENCRYPTION_KEY", KEY)];
    let vault = Service::start("coachbot-vault", &files(Identity::Vault), folder.path(), &key).await;

    let vault_url = vault.url();
    let provider_env = provider_environment(&providers);
    let mut env: BTreeMap<_, _> = provider_env.iter().map(|(name, url)| (*name, url.as_str())).collect();
    env.insert("COACHBOT_VAULT_URL", &vault_url);
    let env: Vec<_> = env.into_iter().collect();
    let connector =
        Service::start("coachbot-connector", &files(Identity::Connector), folder.path(), &env).await;

    let connector_url = connector.url();
    let env = [("COACHBOT_CONNECTOR_URL", connector_url.as_str())];
    let agent = Service::start("coachbot-agent", &files(Identity::Agent), folder.path(), &env).await;

    let agent_url = agent.url();
    let env = [
        ("COACHBOT_AGENT_URL", agent_url.as_str()),
        ("COACHBOT_VAULT_URL", vault_url.as_str()),
        ("COACHBOT_CONNECTOR_URL", &connector_url),
        ("COACHBOT_BOOTSTRAP_API_KEY", API_KEY),
    ];
    let gateway = Service::start("coachbot-gateway", &files(Identity::Gateway), folder.path(), &env).await;

    // A key goes in by the gateway's API, and Verify comes back.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = http.get(format!("http://127.0.0.1:{}/readyz", gateway.port)).send().await.unwrap();
    let ready: Value = ready.json().await.unwrap();
    assert_eq!(ready["status"], "ok", "{ready}");
    let base = format!("http://127.0.0.1:{}/api/v1/workspaces", gateway.port);
    let body = json!({"name": "Northside", "channel": "whatsapp", "timezone": "Europe/London"});
    let made: Value =
        http.post(&base).bearer_auth(API_KEY).json(&body).send().await.unwrap().json().await.unwrap();
    let workspace = made["id"].as_str().unwrap().to_owned();
    let one = format!("{base}/{workspace}/integrations/openai");
    let fields = json!({"fields": stored(Provider::Openai)});
    let saved = http.put(&one).bearer_auth(API_KEY).json(&fields).send().await.unwrap();
    assert_eq!(saved.status().as_u16(), 200);
    let verify = http.post(format!("{one}/verify")).bearer_auth(API_KEY).send().await.unwrap();
    let answer: Value = verify.json().await.unwrap();
    assert_eq!(answer["verdict"], "OK", "{answer}");

    // Another internal service may ask for the same, and for nothing else.
    let internal = Security::Mtls(files(Identity::Internal));
    let transport =
        |url: &str| rpc::connect(&Url::parse(url).unwrap(), &internal, Identity::Internal).unwrap();
    let request = VerifyRequest { workspace_id: workspace.clone(), provider: wire::Provider::Openai.into() };
    let asked =
        ConnectorServiceClient::new(transport(&connector_url)).verify(with_deadline(request, LONG)).await;
    assert_eq!(asked.unwrap().into_inner().verification.unwrap().verdict(), Verdict::Ok);
    let lease = || LeaseCredentialsRequest {
        workspace_id: workspace.clone(),
        provider: wire::Provider::Openai.into(),
    };
    let refused =
        VaultServiceClient::new(transport(&vault_url)).lease_credentials(with_deadline(lease(), LONG)).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    let as_gateway = Security::Mtls(files(Identity::Gateway));
    let as_gateway = rpc::connect(&Url::parse(&vault_url).unwrap(), &as_gateway, Identity::Gateway).unwrap();
    let refused = VaultServiceClient::new(as_gateway).lease_credentials(with_deadline(lease(), LONG)).await;
    assert_eq!(
        refused.unwrap_err().code(),
        Code::PermissionDenied,
        "the gateway never sees a stored credential"
    );

    for service in [gateway, agent, connector, vault] {
        let log = service.stop().await;
        assert!(!log.contains(planted(Provider::Openai)), "a secret is in a log");
        assert!(!log.contains(API_KEY), "an API key is in a log");
    }
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn localhost(address: &str) -> String {
    format!("https://{}", address.replace("127.0.0.1", "localhost"))
}

/// The four of them on addresses that stay, over the sandbox.
struct Deployment {
    authority: Authority,
    folder: tempfile::TempDir,
    env: BTreeMap<&'static str, Vec<(&'static str, String)>>,
}

impl Deployment {
    fn new(sandbox: &Sandbox) -> Self {
        let [vault, connector, agent, gateway] = [0; 4].map(|_| free_address());
        let base = |path: &str| format!("{}{path}", sandbox.base);
        let public = format!("http://{}", gateway.replace("127.0.0.1", "localhost"));
        let env = BTreeMap::from([
            (
                "coachbot-vault",
                vec![("INTEGRATIONS_ENCRYPTION_KEY", KEY.to_owned()), ("COACHBOT_LISTEN", vault.clone())],
            ),
            (
                "coachbot-connector",
                vec![
                    ("COACHBOT_LISTEN", connector.clone()),
                    ("COACHBOT_VAULT_URL", localhost(&vault)),
                    ("COACHBOT_TWILIO_BASE_URL", base("/twilio")),
                    ("COACHBOT_OPENAI_BASE_URL", base("/openai/v1")),
                ],
            ),
            (
                "coachbot-agent",
                vec![
                    ("COACHBOT_LISTEN", agent.clone()),
                    ("COACHBOT_CONNECTOR_URL", localhost(&connector)),
                    ("COACHBOT_PUBLIC_URL", public.clone()),
                ],
            ),
            (
                "coachbot-gateway",
                vec![
                    ("COACHBOT_LISTEN", gateway),
                    ("COACHBOT_PUBLIC_URL", public),
                    ("COACHBOT_VAULT_URL", localhost(&vault)),
                    ("COACHBOT_CONNECTOR_URL", localhost(&connector)),
                    ("COACHBOT_AGENT_URL", localhost(&agent)),
                    ("COACHBOT_BOOTSTRAP_API_KEY", API_KEY.to_owned()),
                ],
            ),
        ]);
        Self { authority: Authority::new(), folder: tempfile::tempdir().unwrap(), env }
    }

    async fn start(&self, name: &'static str) -> Service {
        let identity = name.strip_prefix("coachbot-").unwrap().parse().unwrap();
        let env: Vec<_> = self.env[name].iter().map(|(name, value)| (*name, value.as_str())).collect();
        Service::start(name, &self.authority.files(identity), self.folder.path(), &env).await
    }
}

/// Whichever service is away: the webhook is kept, and answered once when it is
/// back.
#[tokio::test]
async fn what_comes_while_a_service_is_away_is_answered_once_when_it_returns() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(folder.path()).await;
    let deployment = Deployment::new(&sandbox);
    let mut running = BTreeMap::new();
    for name in ["coachbot-vault", "coachbot-connector", "coachbot-agent", "coachbot-gateway"] {
        running.insert(name, deployment.start(name).await);
    }
    let base = format!("http://localhost:{}", running["coachbot-gateway"].port);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = async |method: reqwest::Method, path: &str, body: Value| -> Value {
        let request = http.request(method, format!("{base}/api/v1/workspaces{path}")).bearer_auth(API_KEY);
        let answer = request.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    };
    let body = json!({"name": "Northside", "channel": "whatsapp", "timezone": "Europe/London"});
    let made = send(reqwest::Method::POST, "", body).await;
    let id = made["id"].as_str().unwrap();
    let accounts = sandbox.get("/accounts").await;
    let twilio = json!({"account_sid": accounts["twilio"][0]["account_sid"],
        "auth_token": accounts["twilio"][0]["auth_token"], "from": SENDER});
    let put = reqwest::Method::PUT;
    send(put.clone(), &format!("/{id}/integrations/twilio"), json!({"fields": twilio})).await;
    let openai = json!({"api_key": accounts["openai"]["api_key"]});
    send(put.clone(), &format!("/{id}/integrations/openai"), json!({"fields": openai})).await;
    send(put, &format!("/{id}/agent"), json!({"debounce_milliseconds": 0})).await;

    for (number, name) in ["coachbot-vault", "coachbot-connector", "coachbot-agent"].into_iter().enumerate() {
        running.remove(name).unwrap().kill().await;
        let written = json!({
            "workspace_webhook_url": format!("{base}/webhooks/twilio/{id}/messages"),
            "to": SENDER,
            "from": format!("whatsapp:+4477009{:05}", 50_000 + number),
            "text": "Hi!",
        });
        let answer = sandbox.post("/leads/messages", written).await;
        assert_eq!(answer["status"], 200, "the webhook is kept while {name} is away");
        running.insert(name, deployment.start(name).await);
        sandbox.until_effects("message", number + 1).await;
    }
    assert_eq!(sandbox.effects("message").await.len(), 3, "each lead is answered once");
    assert_eq!(sandbox.violations().await, Vec::<Value>::new());
    for name in ["coachbot-gateway", "coachbot-agent", "coachbot-connector", "coachbot-vault"] {
        running.remove(name).unwrap().stop().await;
    }
}
