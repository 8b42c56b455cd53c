//! A gateway over a real socket, with a vault, a connector and an agent that tests
//! decide.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coachbot_common::db::Database;
use coachbot_common::lifecycle::{Stop, Tasks};
use coachbot_common::rpc::{Identity, Policy, direct};
use coachbot_common::testing::MockClock;
use coachbot_gateway::{Clients, Config, Gateway};
use coachbot_proto::connector::v1::connector_service_server::ConnectorServiceServer;
use coachbot_proto::vault::v1::vault_service_server::VaultServiceServer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

pub mod agent;
pub mod client;
pub mod connector;
pub mod twilio;
pub mod vault;

pub use agent::FakeAgent;
pub use client::{Answer, request};
pub use connector::FakeConnector;
pub use vault::FakeVault;

/// Two tenants.
pub const KEY: &str = "key-of-the-first-tenant-0123456789abcdef";
pub const OTHER_KEY: &str = "key-of-the-other-tenant-0123456789abcdef";

const GATEWAY: &[Identity] = &[Identity::Gateway];

const VAULT_POLICY: Policy = Policy::new(&[
    ("/coachbot.vault.v1.VaultService/GetStatus", GATEWAY),
    ("/coachbot.vault.v1.VaultService/PutCredentials", GATEWAY),
    ("/coachbot.vault.v1.VaultService/DescribeIntegrations", GATEWAY),
    ("/coachbot.vault.v1.VaultService/DeleteCredentials", GATEWAY),
    ("/coachbot.vault.v1.VaultService/DeleteWorkspace", GATEWAY),
    ("/coachbot.vault.v1.VaultService/VerifyMac", GATEWAY),
    ("/coachbot.vault.v1.VaultService/IssueToolToken", GATEWAY),
    ("/coachbot.vault.v1.VaultService/RevealToolToken", GATEWAY),
]);

const CONNECTOR_POLICY: Policy = Policy::new(&[
    ("/coachbot.connector.v1.ConnectorService/Verify", GATEWAY),
    ("/coachbot.connector.v1.ConnectorService/VerifyDraft", GATEWAY),
]);

/// A running gateway.
pub struct TestGateway {
    pub address: SocketAddr,
    pub gateway: Gateway,
    pub vault: FakeVault,
    pub connector: FakeConnector,
    pub agent: FakeAgent,
    pub clock: Arc<MockClock>,
    pub database: Database,
    stop: Stop,
    tasks: Tasks,
    folder: Option<TempDir>,
}

impl TestGateway {
    /// With two tenants, and everything well.
    pub async fn start() -> Self {
        Self::start_at("http://localhost").await
    }

    pub async fn start_at(public_url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(folder.path().join("gateway.sqlite"));
        let mut test = Self::over(database, public_url, FakeVault::default(), FakeAgent::default()).await;
        test.folder = Some(folder);
        test
    }

    /// On a database that may hold something.
    pub async fn over(database: Database, public_url: &str, vault: FakeVault, agent: FakeAgent) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config::new(address, database.clone())
            .with_public_url(public_url.parse().unwrap())
            .with_bootstrap_keys(vec![KEY.into(), OTHER_KEY.into()]);
        let connector = FakeConnector::default();
        let clients = Clients {
            vault: direct(VaultServiceServer::new(vault.clone()), VAULT_POLICY, Identity::Gateway),
            connector: direct(
                ConnectorServiceServer::new(connector.clone()),
                CONNECTOR_POLICY,
                Identity::Gateway,
            ),
            agent: agent.transport(),
        };
        let clock = MockClock::at("2026-11-25T12:00:00Z");
        let stop = Stop::new();
        let tasks = Tasks::new(stop.clone());
        let gateway = coachbot_gateway::build(&config, clients, clock.clone(), &tasks).await.unwrap();
        let serving = gateway.clone();
        let stopped = stop.clone();
        tasks.spawn("serving", async move { serving.serve(listener, stopped).await.unwrap() });
        Self { address, gateway, vault, connector, agent, clock, database, stop, tasks, folder: None }
    }

    /// Ends it, and keeps the database's folder for the next.
    pub async fn end(self) -> Option<TempDir> {
        self.stop.cancel();
        self.tasks.finish(Duration::from_secs(10)).await;
        assert!(!self.tasks.failed());
        self.gateway.close().await;
        self.folder
    }

    /// Sends a request, headers and body as they are given.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        request(self.address, method, path, headers, body).await
    }

    /// Calls the API with this key.
    pub async fn call_as(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {key}");
        let mut headers = vec![("authorization", bearer.as_str())];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(method, &format!("/api/v1{path}"), &headers, &body).await
    }

    /// Calls the API as the first tenant.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_as(KEY, method, path, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    /// A new workspace of this tenant: its id.
    pub async fn workspace_of(&self, key: &str, channel: &str) -> String {
        let body =
            json!({"name": format!("Acme {channel}"), "channel": channel, "timezone": "Europe/London"});
        let answer = self.call_as(key, "POST", "/workspaces", Some(body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub async fn workspace(&self, channel: &str) -> String {
        self.workspace_of(KEY, channel).await
    }

    /// Signs in by a fresh link: the cookie to send.
    pub async fn sign_in(&self) -> String {
        let link = self.gateway.sign_in_link().await.unwrap();
        let answer = self.send("GET", link.path(), &[], "").await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{answer:?}");
        answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }

    /// Opens a page.
    pub async fn page(&self, cookie: &str, path: &str) -> Answer {
        self.send("GET", path, &[("cookie", cookie)], "").await
    }

    /// Sends a form as a browser does that shows our page.
    pub async fn submit(&self, cookie: &str, path: &str, inputs: &[(&str, &str)]) -> Answer {
        self.submit_for(cookie, path, inputs, None).await
    }

    pub async fn submit_for(
        &self,
        cookie: &str,
        path: &str,
        inputs: &[(&str, &str)],
        fragment: Option<&str>,
    ) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(inputs).finish();
        let mut headers = vec![
            ("cookie", cookie),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        headers.extend(fragment.map(|fragment| ("x-fragment", fragment)));
        self.send("POST", path, &headers, &body).await
    }
}
