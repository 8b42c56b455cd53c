//! Verifies credentials and calls the providers.
//!
//! The only service that speaks to Twilio, Vapi, Cal.com and OpenAI. It stores
//! nothing: a credential is leased from the vault for one check or one call and
//! dropped.

pub mod config;
mod convert;
mod deadline;
pub mod error;
pub mod failure;
pub mod http;
pub mod live;
pub mod providers;
mod service;
#[cfg(feature = "testing")]
pub mod testing;
mod vault;
pub mod verify;

use coachbot_common::clock::{SharedClock, SystemClock};
use coachbot_common::lifecycle::{Stop, Tasks};
use coachbot_common::rpc::{self, Identity, Policy, Rpc, Transport};
use coachbot_proto::connector::v1::calendar_service_server::{self, CalendarServiceServer};
use coachbot_proto::connector::v1::connector_service_server::ConnectorServiceServer;
use coachbot_proto::connector::v1::messaging_service_server::{self, MessagingServiceServer};
use coachbot_proto::connector::v1::model_service_server::{self, ModelServiceServer};
use tokio::net::TcpListener;
use tonic::service::Routes;

/// The full name of the service that checks credentials, for health.
pub use coachbot_proto::connector::v1::connector_service_server::SERVICE_NAME;
pub use config::{Config, Standalone};
pub use service::{Calendar, Connector, Messaging, Model};

use crate::http::{BuildError, HttpClient, LIVE_TIMEOUT};
use crate::live::Live;
use crate::providers::Providers;
use crate::verify::Verifier;

/// The full names of all services, for health.
pub const SERVICE_NAMES: [&str; 4] = [
    SERVICE_NAME,
    messaging_service_server::SERVICE_NAME,
    calendar_service_server::SERVICE_NAME,
    model_service_server::SERVICE_NAME,
];

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
    /// A provider call panicked; the log says where.
    #[error("a provider call died")]
    Task,
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
        ("/coachbot.connector.v1.MessagingService/SendMessage", &[Identity::Agent]),
        ("/coachbot.connector.v1.MessagingService/ListMessages", &[Identity::Agent]),
        ("/coachbot.connector.v1.MessagingService/GetMessage", &[Identity::Agent]),
        ("/coachbot.connector.v1.CalendarService/GetEventType", &[Identity::Agent]),
        ("/coachbot.connector.v1.CalendarService/ListSlots", &[Identity::Agent]),
        ("/coachbot.connector.v1.CalendarService/CreateBooking", &[Identity::Agent]),
        ("/coachbot.connector.v1.CalendarService/ListBookings", &[Identity::Agent]),
        ("/coachbot.connector.v1.CalendarService/GetBooking", &[Identity::Agent]),
        ("/coachbot.connector.v1.ModelService/Generate", &[Identity::Agent]),
    ])
}

/// Makes the services; serving them is the caller's.
///
/// Messages and bookings run in tasks of their own, which nobody waits for at the
/// end of the process: [`build_tracked`] lets the caller do so.
///
/// # Errors
/// When the HTTP client cannot be made.
pub fn build(config: &Config, vault: Transport, clock: SharedClock) -> Result<Routes, BuildError> {
    build_tracked(config, vault, clock, &Tasks::new(Stop::new()))
}

/// Makes the services; messages and bookings run among `tasks`, which is to be
/// waited for after the server has stopped.
///
/// # Errors
/// When the HTTP client cannot be made.
pub fn build_tracked(
    config: &Config,
    vault: Transport,
    clock: SharedClock,
    tasks: &Tasks,
) -> Result<Routes, BuildError> {
    config.providers.warn_of_plain_http();
    let http = HttpClient::new(config.limits)?;
    let providers = Providers::new(http, config.providers.clone());
    let verifier = Verifier::new(providers.clone(), vault.clone(), clock.clone());
    let live = Live::new(providers, vault, clock, tasks.clone());
    Ok(Routes::new(ConnectorServiceServer::new(Connector::new(verifier)))
        .add_service(MessagingServiceServer::new(Messaging::new(live.clone())))
        .add_service(CalendarServiceServer::new(Calendar::new(live.clone())))
        .add_service(ModelServiceServer::new(Model::new(live))))
}

/// Runs the connector by itself until `stop`.
///
/// # Errors
/// [`RunError`] when it cannot start, or serving fails.
pub async fn run(alone: Standalone, listener: TcpListener, stop: Stop) -> Result<(), RunError> {
    let vault = rpc::connect(&alone.vault, &alone.security, Identity::Connector)?;
    let tasks = Tasks::new(stop.clone());
    let routes = build_tracked(&alone.config, vault, SystemClock::shared(), &tasks)?;
    let rpc = Rpc {
        routes,
        names: SERVICE_NAMES.to_vec(),
        policy: policy(),
        security: alone.security,
        everyone: None,
        descriptors: coachbot_proto::DESCRIPTORS,
    };
    let outcome = rpc::serve(rpc, listener, stop).await;
    // A message or a booking that is under way is not cut.
    tasks.finish(LIVE_TIMEOUT).await;
    if tasks.failed() {
        return Err(RunError::Task);
    }
    Ok(outcome?)
}
