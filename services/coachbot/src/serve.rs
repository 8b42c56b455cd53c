//! All services in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use coachbot_common::clock::SharedClock;
use coachbot_common::config::{ConfigError, Env, Reader, Security};
use coachbot_common::db::Database;
use coachbot_common::lifecycle::{self, Failure, LockedFolder, Stop, Tasks};
use coachbot_common::rpc::{self, Identity, Policy, Rpc, with_deadline};
use coachbot_proto::vault::v1::GetStatusRequest;
use coachbot_proto::vault::v1::vault_service_client::VaultServiceClient;
use tokio::net::TcpListener;
use tracing::error;
use url::Url;

use crate::key;

const CONNECTOR_LISTEN: &str = "COACHBOT_CONNECTOR_LISTEN";

/// What other services are offered: Verify, and nothing else, whoever they are.
const OFFERED: Policy = Policy::new(&[(
    "/coachbot.connector.v1.ConnectorService/Verify",
    &[Identity::Internal, Identity::Gateway, Identity::Agent],
)]);

/// What `serve` is told: the configuration of each service, and what only one
/// process has.
pub struct Config {
    vault: coachbot_vault::Config,
    connector: coachbot_connector::Config,
    agent: coachbot_agent::Config,
    gateway: coachbot_gateway::Config,
    /// Where Verify is offered to other internal services; `None` for nowhere.
    connector_listen: Option<(SocketAddr, Security)>,
    /// Locked for this process: SQLite files lie in it.
    data_dir: Option<PathBuf>,
}

impl Config {
    /// Reads everything from the environment.
    ///
    /// # Errors
    /// All problems together.
    pub fn read(env: &dyn Env) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(env);
        reader.unknown_names();
        let vault = coachbot_vault::Config::read(&mut reader);
        let connector = coachbot_connector::Config::read(&mut reader);
        let agent = coachbot_agent::Config::read(&mut reader);
        let gateway = coachbot_gateway::Config::read(&mut reader);
        let connector_listen = connector_listen(env, &mut reader);
        let database = reader.text("COACHBOT_DATABASE_URL");
        if database.is_some_and(|url| url.starts_with("sqlite:")) {
            reader.problem(
                "COACHBOT_DATABASE_URL",
                "must be postgres://… for `serve`: its SQLite files, one a service, lie in COACHBOT_DATA_DIR",
            );
        }
        // The files lie in the data folder; a server keeps its own order among writers.
        let in_files = vault.as_ref().is_some_and(|vault| matches!(vault.database, Database::Sqlite(_)));
        let data_dir = in_files.then(|| reader.data_dir());
        let config = match (vault, connector, agent, gateway) {
            (Some(vault), Some(connector), Some(agent), Some(gateway)) => {
                Some(Self { vault, connector, agent, gateway, connector_listen, data_dir })
            }
            _ => None,
        };
        reader.finish(config)
    }
}

/// Set but empty is off, so that this one cannot be read as other variables are.
fn connector_listen(env: &dyn Env, reader: &mut Reader<'_>) -> Option<(SocketAddr, Security)> {
    let tls = reader.tls_files();
    let address: SocketAddr = match env.get(CONNECTOR_LISTEN) {
        Some(text) if text.trim().is_empty() => return None,
        Some(_) => reader.parse(CONNECTOR_LISTEN, "an address such as 127.0.0.1:50052, or empty for off")?,
        None => SocketAddr::from(([127, 0, 0, 1], 50052)),
    };
    let plain_is_written = reader.text("COACHBOT_TRANSPORT").is_some_and(|text| text == "plain");
    match tls {
        Some(files) => Some((address, Security::Mtls(files))),
        None if address.ip().is_loopback() || plain_is_written => Some((address, Security::Plain)),
        None => {
            reader.problem(
                CONNECTOR_LISTEN,
                "is not a loopback address: set the three COACHBOT_TLS_* files, or write COACHBOT_TRANSPORT=plain",
            );
            None
        }
    }
}

/// A started product.
pub struct Running {
    gateway: coachbot_gateway::Gateway,
    public_url: coachbot_gateway::PublicUrl,
    address: SocketAddr,
    connector_address: Option<SocketAddr>,
    vault: rpc::Transport,
    tasks: Tasks,
    _lock: Option<LockedFolder>,
}

/// Starts everything: folder, ports, vault, connector, gateway, in this order, so
/// that a second start on the same folder or port is refused before it touches
/// anything.
///
/// # Errors
/// In words for the person who started it.
pub async fn start(mut config: Config, clock: SharedClock, stop: Stop) -> Result<Running, Failure> {
    let lock = config
        .data_dir
        .as_deref()
        .map(|folder| LockedFolder::take(folder, &["vault", "agent", "gateway"]))
        .transpose()?;
    let listener = lifecycle::listen(config.gateway.listen, "COACHBOT_LISTEN").await?;
    let address = listener.local_addr()?;
    // Without a public URL, addresses are made from the port that was given.
    config.gateway.listen = address;
    let offered = match &config.connector_listen {
        Some((address, _)) => Some(lifecycle::listen(*address, CONNECTOR_LISTEN).await?),
        None => None,
    };
    let connector_address = offered.as_ref().map(TcpListener::local_addr).transpose()?;

    let tasks = Tasks::new(stop);
    let vault_server = coachbot_vault::build(&config.vault, clock.clone(), &tasks).await?;
    let vault_for = |caller| rpc::direct(vault_server.clone(), coachbot_vault::policy(), caller);
    let connector = coachbot_connector::build_tracked(
        &config.connector,
        vault_for(Identity::Connector),
        clock.clone(),
        &tasks,
    )?
    .prepare();
    let connector_for = |caller| rpc::direct(connector.clone(), coachbot_connector::policy(), caller);
    // One process has one address, and the gateway knows its port.
    config.agent.public_url = Url::parse(&config.gateway.public_url().origin())?;
    let agent = coachbot_agent::build(&config.agent, connector_for(Identity::Agent), clock.clone(), &tasks)
        .await?
        .prepare();
    let clients = coachbot_gateway::Clients {
        vault: vault_for(Identity::Gateway),
        connector: connector_for(Identity::Gateway),
        agent: rpc::direct(agent, coachbot_agent::policy(), Identity::Gateway),
    };
    let gateway = coachbot_gateway::build(&config.gateway, clients, clock, &tasks).await?;

    if let (Some(listener), Some((_, security))) = (offered, config.connector_listen) {
        let rpc = Rpc {
            routes: connector,
            names: vec![coachbot_connector::SERVICE_NAME],
            policy: OFFERED,
            security,
            everyone: Some(Identity::Internal),
            descriptors: coachbot_proto::DESCRIPTORS,
        };
        offer(&tasks, "connector", rpc::serve(rpc, listener, tasks.stop().clone()));
    }
    let (serving, stop) = (gateway.clone(), tasks.stop().clone());
    offer(&tasks, "gateway", async move { serving.serve(listener, stop).await });
    let vault = vault_for(Identity::Gateway);
    let public_url = config.gateway.public_url();
    Ok(Running { gateway, public_url, address, connector_address, vault, tasks, _lock: lock })
}

/// A server that ends early takes the process with it.
fn offer<E: std::error::Error>(
    tasks: &Tasks,
    name: &'static str,
    serving: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    tasks.spawn(name, async move {
        if let Err(failure) = serving.await {
            error!(server = name, error = %failure, "a server ended");
            panic!("a server ended");
        }
    });
}

impl Running {
    /// Where the gateway listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where Verify is offered to other services.
    #[must_use]
    pub const fn connector_address(&self) -> Option<SocketAddr> {
        self.connector_address
    }

    /// The lines for the person at the terminal: addresses, and what is missing.
    ///
    /// # Errors
    /// When the sign-in link cannot be stored.
    pub async fn greeting(&self) -> Result<Vec<String>, Failure> {
        let link = self.gateway.sign_in_link().await?;
        let mut lines = vec![
            "Coachbot is running.".to_owned(),
            format!("Dashboard:    {link}  (signs in once, within 15 minutes; more: coachbot link)"),
            format!("JSON API:     {}", self.public_url.join("/api/v1/openapi.json")),
        ];
        if let Some(address) = self.connector_address {
            lines.push(format!("Verify:       gRPC on {address}"));
        }
        let request = with_deadline(GetStatusRequest {}, Duration::from_secs(5));
        let status = VaultServiceClient::new(self.vault.clone()).get_status(request).await?.into_inner();
        lines.push(format!("Platform key: {}", key::sentence(&status)));
        Ok(lines)
    }

    /// Waits for the word to stop, then for what is under way.
    ///
    /// # Errors
    /// When it stopped because something of ours died.
    pub async fn finish(self) -> Result<(), Failure> {
        self.tasks.stop().cancelled().await;
        self.tasks.finish(Duration::from_secs(8)).await;
        self.gateway.close().await;
        if self.tasks.failed() {
            return Err("stopped because a part of it failed; the log says which".into());
        }
        Ok(())
    }
}
