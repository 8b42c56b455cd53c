//! Serving over a socket, with health and reflection.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing::{info, warn};

use super::identity::{Identity, Policy};
use super::stack::{Guard, Proof};
use super::tls;
use crate::config::Security;

/// How long a stop waits for calls under way.
const DRAIN: Duration = Duration::from_secs(5);

/// What a server offers, and to whom.
pub struct Rpc {
    /// The generated servers.
    pub routes: Routes,
    /// Their full names, each with a health of its own.
    pub names: Vec<&'static str>,
    /// Who may call what.
    pub policy: Policy,
    /// How callers are reached and known.
    pub security: Security,
    /// On plain transport, who every caller is: set where the port is offered to
    /// others, unset between our own processes.
    pub everyone: Option<Identity>,
    /// The descriptors for reflection, as an encoded set.
    pub descriptors: &'static [u8],
}

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificates are not usable.
    #[error("the certificates are not usable")]
    Tls(#[from] tls::TlsError),
    /// The transport failed.
    #[error("serving failed")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors are not usable.
    #[error("the descriptors for reflection are not usable")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves until `stop`: then health turns to NOT_SERVING, no new call is taken,
/// and those under way have 5 s to end.
///
/// # Errors
/// [`ServeError`] when the certificates cannot be used or the transport fails.
pub async fn serve(rpc: Rpc, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
    let (health, health_server) = tonic_health::server::health_reporter();
    for name in &rpc.names {
        health.set_service_status(*name, tonic_health::ServingStatus::Serving).await;
    }
    let described = || {
        rpc.names
            .iter()
            // What is described is what is offered, not every contract that we have.
            .fold(tonic_reflection::server::Builder::configure(), |builder, name| {
                builder.with_service_name(*name)
            })
            .with_service_name("grpc.health.v1.Health")
            .register_encoded_file_descriptor_set(rpc.descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection = described().build_v1()?;
    // Older clients know this one only.
    let reflection_alpha = described().build_v1alpha()?;

    let proof = match (&rpc.security, rpc.everyone) {
        (Security::Mtls(_), _) => Proof::Certificate,
        (Security::Plain, Some(everyone)) => Proof::Everyone(everyone),
        (Security::Plain, None) => Proof::Named { anonymous: Some(Identity::Internal) },
    };
    let mut server = Server::builder()
        // A connection that lives for ever keeps its load on one replica.
        .max_connection_age(Duration::from_secs(300))
        .max_connection_age_grace(Duration::from_secs(30))
        .http2_keepalive_interval(Some(Duration::from_secs(20)));
    if let Security::Mtls(files) = &rpc.security {
        server = server.tls_config(tls::server(files)?)?;
    }
    let routes =
        rpc.routes.add_service(health_server).add_service(reflection).add_service(reflection_alpha).prepare();
    let guard = Guard::new(rpc.policy, proof);
    if let Ok(address) = listener.local_addr() {
        info!(%address, services = ?rpc.names, "serving");
    }
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));

    let stopped = stop.clone();
    let names = rpc.names.clone();
    let asked_to_stop = async move {
        stopped.cancelled().await;
        for name in names {
            health.set_service_status(name, tonic_health::ServingStatus::NotServing).await;
        }
    };
    let serving =
        server.layer(guard).add_routes(routes).serve_with_incoming_shutdown(incoming, asked_to_stop);
    let drained_too_long = async {
        stop.cancelled().await;
        tokio::time::timeout(DRAIN, std::future::pending::<()>()).await
    };
    tokio::select! {
        outcome = serving => Ok(outcome?),
        _ = drained_too_long => {
            warn!("calls under way were given up");
            Ok(())
        }
    }
}
