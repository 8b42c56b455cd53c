//! The client's side of the stack, over a connection or over the server itself.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use http::{HeaderValue, Request, Response};
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::{Layer as _, Service, ServiceExt as _};
use tracing::{Instrument as _, Span, field, info_span};
use url::Url;

use super::Transport;
use super::identity::{Identity, Policy};
use super::stack::{Guard, IDENTITY_HEADER, Proof, method_of, record_code};
use super::tls;
use crate::config::Security;
use crate::propagation::inject_context;

/// Why a client could not be made. Whether the server is there shows later.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not one that gRPC can use.
    #[error("the address of a service is not usable")]
    Address(#[source] tonic::transport::Error),
    /// The certificates are not usable.
    #[error("the certificates are not usable")]
    Tls(#[from] tls::TlsError),
}

/// Lays a generated client's transport directly over a generated server.
///
/// The caller's identity is what is given here; the server's table holds as it
/// does over a connection.
pub fn direct<S>(server: S, policy: Policy, caller: Identity) -> Transport
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let guarded = Guard::new(policy, Proof::Direct(caller)).layer(server);
    Transport::new(Client { inner: guarded.map_err(|never: Infallible| match never {}), caller: None })
}

/// A transport to the service at `url`. The connection is made at the first call
/// and again whenever it is lost.
///
/// # Errors
/// [`ConnectError`] when the address or the certificates are not usable.
pub fn connect(url: &Url, security: &Security, caller: Identity) -> Result<Transport, ConnectError> {
    let mut endpoint = Endpoint::from_shared(url.to_string())
        .map_err(ConnectError::Address)?
        .connect_timeout(Duration::from_secs(2))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let mut named = None;
    match security {
        Security::Plain => named = Some(caller),
        Security::Mtls(files) => {
            endpoint = endpoint.tls_config(tls::client(files, url)?).map_err(ConnectError::Address)?;
        }
    }
    let channel: Channel = endpoint.connect_lazy();
    let status = |error: tonic::transport::Error| Status::from_error(error.into());
    Ok(Transport::new(Client { inner: channel.map_err(status), caller: named }))
}

/// Opens the client's span and writes the trace context.
#[derive(Clone, Debug)]
struct Client<S> {
    inner: S,
    /// Written as a header where the transport proves nothing.
    caller: Option<Identity>,
}

impl<S> Service<Request<Body>> for Client<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Status>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = method_of(request.uri().path());
        let span = info_span!(
            "rpc.client",
            otel.name = method,
            otel.kind = "client",
            otel.status_code = field::Empty,
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.response.status_code = field::Empty,
        );
        span.in_scope(|| inject_context(request.headers_mut()));
        if let Some(caller) = self.caller {
            request.headers_mut().insert(IDENTITY_HEADER, HeaderValue::from_static(caller.name()));
        }
        let call = span.in_scope(|| self.inner.call(request));
        async move {
            let outcome = call.await;
            let code = match &outcome {
                Ok(response) => {
                    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
                }
                Err(status) => status.code(),
            };
            record_code(&Span::current(), code);
            outcome
        }
        .instrument(span)
        .boxed()
    }
}
