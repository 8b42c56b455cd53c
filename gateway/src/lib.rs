//! HTTP: webhooks, lead form, JSON API and dashboard. Translates them into calls
//! of the other services, and owns users, keys, sessions, workspaces, forms and
//! the inbox.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use coachbot_common::clock::{SharedClock, SystemClock};
use coachbot_common::id::new_id;
use coachbot_common::lifecycle::{Stop, Tasks};
use coachbot_common::rpc::{Identity, connect};
use coachbot_common::secret::random_token;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tracing::{info, warn};
use url::Url;

mod api;
mod app;
mod auth;
mod clients;
mod config;
mod convert;
mod dashboard;
mod deletion;
mod error;
mod facts;
mod forms;
mod health;
mod inbox;
mod layers;
mod outbox;
mod quarantine;
mod routes;
pub mod store;
mod trace;
mod wake;
mod webhooks;

use app::{App, SharedApp};
use auth::{SIGN_IN_LINK, hash_of, hint_of};
pub use clients::Clients;
use clients::{Agent, Connector, Vault};
pub use config::{Config, PublicUrl, Standalone};
pub use error::{Error, FieldError, Lock, Peer, Problem};
use quarantine::Quarantine;
use store::{ApiKey, ApiKeyId, NewOwner, Store, UserId};
use wake::Wake;

/// How long a stop waits for requests under way.
const DRAIN: Duration = Duration::from_secs(10);

/// The gateway, ready to answer.
#[derive(Clone)]
pub struct Gateway {
    app: SharedApp,
}

impl Gateway {
    /// Every path, with what stands around it.
    pub fn router(&self) -> Router {
        routes::router(Arc::clone(&self.app))
    }

    /// Makes a one-time link that signs the first owner in, for 15 minutes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_in_link(&self) -> Result<Url, Error> {
        new_sign_in_link(&self.app.store, &self.app.clock, &self.app.public_url).await
    }

    /// Answers until `stop`; requests under way then have 10 s to end.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(&self, listener: TcpListener, stop: Stop) -> Result<(), Error> {
        if let Ok(address) = listener.local_addr() {
            info!(%address, "serving");
        }
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                warn!(%error, "a connection keeps its delay");
            }
        });
        let serving =
            axum::serve(listener, self.router()).with_graceful_shutdown(stop.clone().cancelled_owned());
        let drained_too_long = async {
            stop.cancelled().await;
            tokio::time::timeout(DRAIN, std::future::pending::<()>()).await
        };
        tokio::select! {
            outcome = serving => outcome.map_err(Error::Serve),
            _ = drained_too_long => {
                warn!("requests under way were given up");
                Ok(())
            }
        }
    }

    /// Closes the database, after the last request and task.
    pub async fn close(&self) {
        self.app.store.close().await;
    }
}

/// Opens the store, makes the owners that the configuration names, and starts
/// the background work.
///
/// # Errors
/// When the database cannot be opened or fails.
pub async fn build(
    config: &Config,
    clients: Clients,
    clock: SharedClock,
    tasks: &Tasks,
) -> Result<Gateway, Error> {
    let store = Store::open(&config.database).await?;
    claim_for_bootstrap_keys(&store, &clock, config).await?;
    let app = Arc::new(App {
        store,
        vault: Vault::new(clients.vault),
        connector: Connector::new(clients.connector),
        agent: Agent::new(clients.agent),
        clock,
        public_url: config.public_url(),
        deletions: Wake::default(),
        facts: Wake::default(),
        inbox: Wake::default(),
        quarantine: Quarantine::default(),
    });
    let stop = tasks.stop();
    tasks.spawn("workspace deletion", deletion::run(Arc::clone(&app), stop.clone()));
    tasks.spawn("workspace facts", outbox::run(Arc::clone(&app), stop.clone()));
    tasks.spawn("webhook quarantine", quarantine::run(Arc::clone(&app), stop.clone()));
    tasks.spawn("inbox", inbox::run(Arc::clone(&app), stop.clone()));
    Ok(Gateway { app })
}

/// Runs the gateway as a process of its own, until `stop`.
///
/// # Errors
/// When it cannot start, the listener fails, or a background task dies.
pub async fn run(config: Standalone, listener: TcpListener, stop: Stop) -> Result<(), Error> {
    let Standalone { mut gateway, vault_url, connector_url, agent_url, security } = config;
    gateway.listen = listener.local_addr().map_err(Error::Serve)?;
    let clients = Clients {
        vault: connect(&vault_url, &security, Identity::Gateway)?,
        connector: connect(&connector_url, &security, Identity::Gateway)?,
        agent: connect(&agent_url, &security, Identity::Gateway)?,
    };
    let tasks = Tasks::new(stop.clone());
    let gateway = build(&gateway, clients, SystemClock::shared(), &tasks).await?;
    let outcome = gateway.serve(listener, stop).await;
    tasks.stop().cancel();
    tasks.finish(DRAIN).await;
    gateway.close().await;
    if tasks.failed() {
        return Err(Error::TaskDied);
    }
    outcome
}

/// Makes a one-time sign-in link beside a server that may be running on the same
/// database.
///
/// # Errors
/// When the database cannot be opened or fails.
pub async fn sign_in_link(config: &Config, clock: SharedClock) -> Result<Url, Error> {
    let store = Store::open(&config.database).await?;
    claim_for_bootstrap_keys(&store, &clock, config).await?;
    let link = new_sign_in_link(&store, &clock, &config.public_url()).await;
    store.close().await;
    link
}

async fn new_sign_in_link(store: &Store, clock: &SharedClock, public_url: &PublicUrl) -> Result<Url, Error> {
    let now = clock.now();
    if store.first_owner().await?.is_none() {
        let owner = NewOwner { user: UserId::from_uuid(new_id(now)), key: None };
        // Another process may have been first: then its owner is the one.
        store.claim(&[owner], now).await?;
    }
    let owner = store.first_owner().await?.ok_or(Error::NotFound("owner"))?;
    let token = random_token("");
    store.insert_sign_in_link(owner, &hash_of(token.expose_secret()), now, now + SIGN_IN_LINK).await?;
    Ok(Url::parse(&public_url.join(&format!("/sign-in/{}", token.expose_secret())))?)
}

/// On an empty database, makes an owner for each key of the configuration.
async fn claim_for_bootstrap_keys(store: &Store, clock: &SharedClock, config: &Config) -> Result<(), Error> {
    if config.bootstrap_keys.is_empty() {
        return Ok(());
    }
    let now = clock.now();
    let owners: Vec<NewOwner> = config
        .bootstrap_keys
        .iter()
        .map(|key| NewOwner {
            user: UserId::from_uuid(new_id(now)),
            key: Some((
                ApiKey {
                    id: ApiKeyId::from_uuid(new_id(now)),
                    name: "bootstrap".to_owned(),
                    hint: hint_of(key),
                    created_at: now,
                    last_used_at: None,
                },
                hash_of(key.expose_secret()),
            )),
        })
        .collect();
    if store.claim(&owners, now).await? {
        info!(owners = owners.len(), "the first owners were made");
        return Ok(());
    }
    for (_, hash) in owners.iter().filter_map(|owner| owner.key.as_ref()) {
        if store.api_key_by_hash(hash).await?.is_none() {
            warn!("a key of COACHBOT_BOOTSTRAP_API_KEY is not taken: the database has owners already");
        }
    }
    Ok(())
}
