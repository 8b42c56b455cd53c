//! A vault to call: over a real socket, and laid directly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coachbot_common::clock::SystemClock;
use coachbot_common::config::Security;
use coachbot_common::db::Database;
use coachbot_common::fault::{FaultKind, Refusal};
use coachbot_common::id::{WorkspaceId, new_id};
use coachbot_common::lifecycle::{Stop, Tasks};
use coachbot_common::rpc::{self, Identity, Transport, with_deadline};
use coachbot_proto::types::v1 as types;
use coachbot_proto::vault::v1::vault_service_client::VaultServiceClient;
use coachbot_proto::vault::v1::{
    GetStatusRequest, GetStatusResponse, LeaseCredentialsRequest, LeaseCredentialsResponse,
    PutCredentialsRequest, PutCredentialsResponse,
};
use coachbot_vault::{Config, RunError, Standalone};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::{Request, Status};

pub const KEY: &str = "c14f02afbd050f8e2f1dac88b3fce28ae5c3071c5ca93543efdb992e3b955ee3";
pub const KEY_ID: &str = "75925d0ab84da647";
pub const OTHER_KEY: &str = "b2b3fb36d00a56932f088c140700622cc4db73a1cff473c42fc7c5ff26802bde";
pub const OTHER_KEY_ID: &str = "1ce338548e3e0777";
pub const SID: &str = "AC00112233445566778899aabbccddeeff";
pub const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
pub const FROM: &str = "whatsapp:+447700900999";

pub type Client = VaultServiceClient<Transport>;

/// How a vault is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Socket,
    Direct,
}

pub const BOTH: [Mode; 2] = [Mode::Socket, Mode::Direct];

/// A running vault.
pub struct Running {
    pub gateway: Client,
    pub connector: Client,
    pub agent: Client,
    stop: Stop,
    serving: Option<JoinHandle<Result<(), RunError>>>,
    tasks: Tasks,
}

pub fn config(database: &Database, key: Option<&str>) -> Config {
    Config { platform_key: key.map(Into::into), database: database.clone() }
}

pub fn sqlite(folder: &Path) -> Database {
    Database::Sqlite(folder.join("vault.sqlite"))
}

pub async fn start(mode: Mode, config: Config) -> Running {
    let stop = Stop::new();
    let tasks = Tasks::new(stop.clone());
    match mode {
        Mode::Socket => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let listen = listener.local_addr().unwrap();
            let url = format!("http://{listen}").parse().unwrap();
            let alone = Standalone { config, listen, security: Security::Plain };
            let serving = tokio::spawn(coachbot_vault::run(alone, listener, stop.clone()));
            let client = |caller| Client::new(rpc::connect(&url, &Security::Plain, caller).unwrap());
            Running {
                gateway: client(Identity::Gateway),
                connector: client(Identity::Connector),
                agent: client(Identity::Agent),
                stop,
                serving: Some(serving),
                tasks,
            }
        }
        Mode::Direct => {
            let server = coachbot_vault::build(&config, SystemClock::shared(), &tasks).await.unwrap();
            let client = |caller| Client::new(rpc::direct(server.clone(), coachbot_vault::policy(), caller));
            Running {
                gateway: client(Identity::Gateway),
                connector: client(Identity::Connector),
                agent: client(Identity::Agent),
                stop,
                serving: None,
                tasks,
            }
        }
    }
}

impl Running {
    pub async fn end(self) {
        self.stop.cancel();
        if let Some(serving) = self.serving {
            serving.await.unwrap().unwrap();
        }
        self.tasks.finish(Duration::from_secs(5)).await;
    }

    pub async fn put(
        &self,
        workspace: &str,
        provider: types::Provider,
        fields: &[(&str, &str)],
    ) -> Result<PutCredentialsResponse, Status> {
        let request = put_request(workspace, provider, fields);
        self.gateway.clone().put_credentials(call(request)).await.map(tonic::Response::into_inner)
    }

    pub async fn lease(
        &self,
        workspace: &str,
        provider: types::Provider,
    ) -> Result<LeaseCredentialsResponse, Status> {
        let request =
            LeaseCredentialsRequest { workspace_id: workspace.to_owned(), provider: provider.into() };
        self.connector.clone().lease_credentials(call(request)).await.map(tonic::Response::into_inner)
    }

    pub async fn status(&self) -> GetStatusResponse {
        self.gateway.clone().get_status(call(GetStatusRequest {})).await.unwrap().into_inner()
    }
}

/// With the deadline that every call has.
pub fn call<T>(message: T) -> Request<T> {
    with_deadline(message, Duration::from_secs(10))
}

pub fn workspace() -> String {
    WorkspaceId::from_uuid(new_id("2026-11-25T12:00:00Z".parse().unwrap())).to_string()
}

pub fn put_request(
    workspace: &str,
    provider: types::Provider,
    fields: &[(&str, &str)],
) -> PutCredentialsRequest {
    PutCredentialsRequest {
        workspace_id: workspace.to_owned(),
        provider: provider.into(),
        fields: map(fields),
    }
}

pub fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn twilio(token: &str) -> [(&'static str, &str); 3] {
    [("account_sid", SID), ("auth_token", token), ("from", FROM)]
}

/// Kind, reason and the refused fields.
pub fn told(status: &Status) -> (FaultKind, Option<String>, Vec<String>) {
    let refusal = Refusal::from_status(status);
    let fields = refusal.fields.into_iter().map(|(field, _)| field).collect();
    (refusal.kind, refusal.reason, fields)
}

/// Every file of a folder with its bytes, but for the lock.
pub fn bytes_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.ends_with("lock") {
            files.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    files
}

/// What is told with a reason for programs and no field.
pub fn reason(kind: FaultKind, reason: &str) -> (FaultKind, Option<String>, Vec<String>) {
    (kind, Some(reason.to_owned()), Vec::new())
}
