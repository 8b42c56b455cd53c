//! Verifies credentials and calls the providers.
//!
//! The only service that speaks to Twilio, Vapi, Cal.com and OpenAI. It stores
//! nothing: a credential is leased from the vault for one check and dropped.

pub mod config;
mod convert;
pub mod error;
pub mod http;
pub mod providers;
mod service;
#[cfg(feature = "testing")]
pub mod testing;
pub mod verify;

use coachbot_common::clock::{SharedClock, SystemClock};
use coachbot_common::lifecycle::Stop;
use coachbot_common::rpc::{self, Identity, Policy, Rpc, Transport};
use coachbot_proto::connector::v1::connector_service_server::ConnectorServiceServer;
use tokio::net::TcpListener;
use tonic::service::Routes;

/// The full name of the service, for health.
pub use coachbot_proto::connector::v1::connector_service_server::SERVICE_NAME;
pub use config::{Config, Standalone};
pub use service::Connector;

use crate::http::{BuildError, HttpClient};
use crate::providers::Providers;
use crate::verify::Verifier;

/// Why the connector cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Http(#[from] BuildError),
    /// The vault's address or the certificates are not usable.
    #[error(transparent)]
    Vault(#[from] rpc::ConnectError),
    /// Serving ended.
    #[error(transparent)]
    Serve(#[from] rpc::ServeError),
}

/// Who may call what.
#[must_use]
pub const fn policy() -> Policy {
    Policy::new(&[
        (
            "/coachbot.connector.v1.ConnectorService/Verify",
            &[Identity::Gateway, Identity::Agent, Identity::Internal],
        ),
        ("/coachbot.connector.v1.ConnectorService/VerifyDraft", &[Identity::Gateway]),
    ])
}

/// Makes the service; serving it is the caller's.
///
/// # Errors
/// When the HTTP client cannot be made.
pub fn build(
    config: &Config,
    vault: Transport,
    clock: SharedClock,
) -> Result<ConnectorServiceServer<Connector>, BuildError> {
    config.providers.warn_of_plain_http();
    let http = HttpClient::new(config.limits)?;
    let providers = Providers::new(http, config.providers.clone());
    Ok(ConnectorServiceServer::new(Connector::new(Verifier::new(providers, vault, clock))))
}

/// Runs the connector by itself until `stop`.
///
/// # Errors
/// [`RunError`] when it cannot start, or serving fails.
pub async fn run(alone: Standalone, listener: TcpListener, stop: Stop) -> Result<(), RunError> {
    let vault = rpc::connect(&alone.vault, &alone.security, Identity::Connector)?;
    let server = build(&alone.config, vault, SystemClock::shared())?;
    let rpc = Rpc {
        routes: Routes::new(server),
        names: vec![SERVICE_NAME],
        policy: policy(),
        security: alone.security,
        everyone: None,
        descriptors: coachbot_proto::DESCRIPTORS,
    };
    Ok(rpc::serve(rpc, listener, stop).await?)
}
