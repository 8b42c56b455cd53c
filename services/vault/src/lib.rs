//! Seals and opens credentials.
//!
//! The only service that holds the platform key. Callers see a plaintext for one
//! provider call, or an answer to whether a signature is right.

mod cache;
pub mod config;
mod convert;
pub mod error;
pub mod integration;
pub mod keyring;
pub mod mac;
pub mod platform;
pub mod platform_key;
pub mod seal;
mod service;
pub mod store;
pub mod vault;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coachbot_common::clock::{SharedClock, SystemClock};
use coachbot_common::db::Database;
use coachbot_common::lifecycle::{LockedFolder, StartError, Stop, Tasks};
use coachbot_common::rpc::{self, Identity, Policy, Rpc, ServeError};
use coachbot_proto::vault::v1::GetStatusResponse;
use coachbot_proto::vault::v1::vault_service_server::{SERVICE_NAME, VaultServiceServer};
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use config::{Config, Standalone};
pub use service::Service;

use crate::error::Error;
use crate::platform::{FirstUse, Platform};
use crate::store::{Store, StoreError};
use crate::vault::{Status, Vault};

/// The full name of the service, for health.
pub const SERVICE: &str = SERVICE_NAME;

/// The largest request: candidates of a MAC, and the rest of the message.
const LARGEST_REQUEST: usize = convert::CANDIDATE_BYTES + 64 * 1024;

/// How long a stop waits for writes under way.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the vault cannot run. A bad platform key is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database cannot be opened.
    #[error("the vault's database cannot be used")]
    Store(#[from] StoreError),
    /// The platform key cannot be judged, because the database fails.
    #[error("the platform key cannot be judged")]
    Judge(#[from] Error),
    /// The folder of the database is in use.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Serving ended.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Who may call what. Plaintext goes to the connector only.
#[must_use]
pub const fn policy() -> Policy {
    const GATEWAY: &[Identity] = &[Identity::Gateway];
    const CONNECTOR: &[Identity] = &[Identity::Connector];
    const BOTH: &[Identity] = &[Identity::Gateway, Identity::Connector];
    Policy::new(&[
        ("/coachbot.vault.v1.VaultService/GetStatus", BOTH),
        ("/coachbot.vault.v1.VaultService/PutCredentials", GATEWAY),
        ("/coachbot.vault.v1.VaultService/DescribeIntegrations", GATEWAY),
        ("/coachbot.vault.v1.VaultService/DeleteCredentials", GATEWAY),
        ("/coachbot.vault.v1.VaultService/DeleteWorkspace", GATEWAY),
        ("/coachbot.vault.v1.VaultService/LeaseCredentials", CONNECTOR),
        ("/coachbot.vault.v1.VaultService/VerifyMac", GATEWAY),
        ("/coachbot.vault.v1.VaultService/IssueToolToken", GATEWAY),
        ("/coachbot.vault.v1.VaultService/RevealToolToken", GATEWAY),
        ("/coachbot.vault.v1.VaultService/CheckToolToken", GATEWAY),
        ("/coachbot.vault.v1.VaultService/RecordVerification", CONNECTOR),
    ])
}

/// Opens the database, judges the platform key, and makes the service; serving it
/// is the caller's. Where SQLite is used, the caller has locked its folder.
///
/// # Errors
/// When the database cannot be used.
pub async fn build(
    config: &Config,
    clock: SharedClock,
    tasks: &Tasks,
) -> Result<VaultServiceServer<Service>, RunError> {
    Ok(server(open(config, clock, tasks).await?))
}

async fn open(config: &Config, clock: SharedClock, tasks: &Tasks) -> Result<Arc<Vault>, RunError> {
    let store = Store::open(&config.database).await?;
    let first_use = FirstUse::Enrol(clock.now());
    let platform = Platform::judge(Some(&store), config.platform_key.as_ref(), first_use).await?;
    platform.announce();
    let vault = Arc::new(Vault::new(store, platform, clock));
    let (writing, stop) = (Arc::clone(&vault), tasks.stop().clone());
    tasks.spawn("vault writes", async move {
        stop.cancelled().await;
        writing.finish_writes().await;
    });
    tasks.spawn("vault changes", Arc::clone(&vault).follow_changes(tasks.stop().clone()));
    Ok(vault)
}

fn server(vault: Arc<Vault>) -> VaultServiceServer<Service> {
    VaultServiceServer::new(Service::new(vault)).max_decoding_message_size(LARGEST_REQUEST)
}

/// Judges the configured key against the data without changing a byte, also
/// beside a running server.
///
/// # Errors
/// When the database cannot be read.
pub async fn status(config: &Config) -> Result<GetStatusResponse, RunError> {
    let store = store::peek(&config.database).await?;
    let platform = Platform::judge(store.as_ref(), config.platform_key.as_ref(), FirstUse::LookOnly).await?;
    let status = Status::of(&platform, store.as_ref()).await?;
    if let Some(store) = store {
        store.close().await;
    }
    Ok(status.into())
}

/// Runs the vault by itself until `stop`.
///
/// # Errors
/// [`RunError`] when it cannot start, or serving fails.
pub async fn run(alone: Standalone, listener: TcpListener, stop: Stop) -> Result<(), RunError> {
    let _lock = lock(&alone.config.database)?;
    let tasks = Tasks::new(stop.clone());
    let vault = open(&alone.config, SystemClock::shared(), &tasks).await?;
    let rpc = Rpc {
        routes: Routes::new(server(Arc::clone(&vault))),
        names: vec![SERVICE],
        policy: policy(),
        security: alone.security,
        everyone: None,
        descriptors: coachbot_proto::DESCRIPTORS,
    };
    let served = rpc::serve(rpc, listener, stop.clone()).await;
    stop.cancel();
    tasks.finish(DRAIN).await;
    vault.close().await;
    Ok(served?)
}

/// The cache trusts that nobody else writes to a SQLite file.
fn lock(database: &Database) -> Result<Option<LockedFolder>, StartError> {
    let Database::Sqlite(path) = database else { return Ok(None) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    LockedFolder::take(folder.unwrap_or(Path::new(".")), &["vault"]).map(Some)
}
