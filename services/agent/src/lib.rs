//! The chat loop: leads, conversations, runs and their effects.
//!
//! What comes in is stored once; what goes out is a row before it happens. The
//! model proposes, and rules in code decide.

pub mod agent;
pub mod claim;
pub mod config;
pub mod connector;
pub mod conversation;
mod convert;
pub mod effects;
pub mod error;
pub mod escalation;
pub mod intent;
pub mod item;
pub mod keyword;
pub mod lead;
pub mod model;
pub mod prompt;
mod service;
pub mod settings;
pub mod split;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod toolbox;
pub mod tools;
pub mod transcript;
mod turn;
mod words;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coachbot_common::clock::{SharedClock, SystemClock};
use coachbot_common::db::Database;
use coachbot_common::lifecycle::{LockedFolder, StartError, Stop, Tasks};
use coachbot_common::rpc::{self, Identity, Policy, Rpc, ServeError, Transport};
use coachbot_proto::agent::v1::agent_service_server::{self, AgentServiceServer};
use coachbot_proto::agent::v1::inbox_service_server::{self, InboxServiceServer};
use coachbot_proto::agent::v1::settings_service_server::{self, SettingsServiceServer};
use tokio::net::TcpListener;
use tonic::service::Routes;

pub use config::{Config, Standalone};
pub use service::Service;

use crate::agent::Agent;
use crate::store::{Store, StoreError};

/// The full names of the services, for health.
pub const SERVICES: [&str; 3] = [
    agent_service_server::SERVICE_NAME,
    inbox_service_server::SERVICE_NAME,
    settings_service_server::SERVICE_NAME,
];

/// How long a stop waits for effects under way: what does not end in time is
/// found again by its evidence.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database cannot be opened.
    #[error("the agent's database cannot be used")]
    Store(#[from] StoreError),
    /// The folder of the database is in use.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The connector's address or the certificates are not usable.
    #[error(transparent)]
    Connector(#[from] rpc::ConnectError),
    /// Serving ended.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Who may call what: everything is the gateway's.
#[must_use]
pub const fn policy() -> Policy {
    const GATEWAY: &[Identity] = &[Identity::Gateway];
    Policy::new(&[
        ("/coachbot.agent.v1.AgentService/PutWorkspace", GATEWAY),
        ("/coachbot.agent.v1.AgentService/DeleteWorkspace", GATEWAY),
        ("/coachbot.agent.v1.AgentService/IngestMessage", GATEWAY),
        ("/coachbot.agent.v1.AgentService/IngestDeliveryStatus", GATEWAY),
        ("/coachbot.agent.v1.AgentService/IngestLead", GATEWAY),
        ("/coachbot.agent.v1.InboxService/ListLeads", GATEWAY),
        ("/coachbot.agent.v1.InboxService/GetLead", GATEWAY),
        ("/coachbot.agent.v1.InboxService/DeleteLead", GATEWAY),
        ("/coachbot.agent.v1.InboxService/ListConversations", GATEWAY),
        ("/coachbot.agent.v1.InboxService/GetConversation", GATEWAY),
        ("/coachbot.agent.v1.InboxService/ListEscalations", GATEWAY),
        ("/coachbot.agent.v1.InboxService/ListBookings", GATEWAY),
        ("/coachbot.agent.v1.SettingsService/GetSettings", GATEWAY),
        ("/coachbot.agent.v1.SettingsService/PutSettings", GATEWAY),
    ])
}

/// Opens the database, starts the workers, and makes the services; serving them is
/// the caller's. Where SQLite is used, the caller has locked its folder.
///
/// # Errors
/// When the database cannot be used.
pub async fn build(
    config: &Config,
    connector: Transport,
    clock: SharedClock,
    tasks: &Tasks,
) -> Result<Routes, RunError> {
    let agent = open(config, connector, clock).await?;
    agent.start(tasks);
    Ok(routes(&agent))
}

/// Opens the database, and starts nothing.
///
/// # Errors
/// When the database cannot be used.
pub async fn open(config: &Config, connector: Transport, clock: SharedClock) -> Result<Arc<Agent>, RunError> {
    let store = Store::open(&config.database).await?;
    Ok(Arc::new(Agent::new(store, connector, config.public_url.clone(), clock)))
}

/// The three services over an agent.
#[must_use]
pub fn routes(agent: &Arc<Agent>) -> Routes {
    let service = Service::new(Arc::clone(agent));
    Routes::new(AgentServiceServer::new(service.clone()))
        .add_service(InboxServiceServer::new(service.clone()))
        .add_service(SettingsServiceServer::new(service))
}

/// Runs the agent by itself until `stop`.
///
/// # Errors
/// [`RunError`] when it cannot start, or serving fails.
pub async fn run(alone: Standalone, listener: TcpListener, stop: Stop) -> Result<(), RunError> {
    let _lock = lock(&alone.config.database)?;
    let connector = rpc::connect(&alone.connector, &alone.security, Identity::Agent)?;
    let tasks = Tasks::new(stop.clone());
    let agent = open(&alone.config, connector, SystemClock::shared()).await?;
    agent.start(&tasks);
    let rpc = Rpc {
        routes: routes(&agent),
        names: SERVICES.to_vec(),
        policy: policy(),
        security: alone.security,
        everyone: None,
        descriptors: coachbot_proto::DESCRIPTORS,
    };
    let served = rpc::serve(rpc, listener, stop.clone()).await;
    stop.cancel();
    tasks.finish(DRAIN).await;
    agent.close().await;
    Ok(served?)
}

/// Leases in a SQLite file are ended at the start: nobody else may hold one.
fn lock(database: &Database) -> Result<Option<LockedFolder>, StartError> {
    let Database::Sqlite(path) = database else { return Ok(None) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    LockedFolder::take(folder.unwrap_or(Path::new(".")), &["agent"]).map(Some)
}
