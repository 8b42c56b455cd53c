//! The server's side of the stack: trace, identity, deadline, panic.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use http::{Extensions, HeaderMap, Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span, error, field, info_span, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::identity::{Identity, Policy};
use crate::propagation::extract_context;

/// Names the caller where the transport proves nothing.
pub(super) const IDENTITY_HEADER: &str = "coachbot-identity";

/// How the stack finds out who calls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proof {
    /// The client was laid over the server in this process.
    Direct(Identity),
    /// The peer's certificate.
    Certificate,
    /// Plain transport between our own processes: the caller names itself. The
    /// table holds all the same, so that a deployment learns of a wrong call
    /// before it turns TLS on.
    Named {
        /// Who a caller is that names nobody.
        anonymous: Option<Identity>,
    },
    /// Plain transport that is offered to others: every caller is this one.
    Everyone(Identity),
}

/// Lays the stack over a server.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    policy: Policy,
    proof: Proof,
}

impl Guard {
    pub(super) const fn new(policy: Policy, proof: Proof) -> Self {
        Self { policy, proof }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: *self }
    }
}

/// A server under the stack.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let span = server_span(&request);
        let caller = self.guard.proof.identity_of(&request);
        if let Some(caller) = caller {
            span.record("coachbot.caller", caller.name());
            request.extensions_mut().insert(caller);
        }
        let admitted = self
            .guard
            .policy
            .admit(request.uri().path(), caller)
            .inspect_err(|status| span.in_scope(|| warn!(code = ?status.code(), "call refused")))
            .and_then(|()| deadline(request.headers()));

        if let Ok(Some(limit)) = admitted {
            request.extensions_mut().insert(Deadline(Instant::now() + limit));
        }

        // The clone is what was made ready; the original goes on waiting for its turn.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let work = async move {
            let limit = match admitted {
                Ok(limit) => limit,
                Err(status) => return Ok(status.into_http()),
            };
            let call = AssertUnwindSafe(async move { inner.call(request).await }).catch_unwind();
            let outcome = match limit {
                None => call.await,
                Some(limit) => match tokio::time::timeout(limit, call).await {
                    Ok(outcome) => outcome,
                    Err(_elapsed) => return Ok(Status::deadline_exceeded("the deadline passed").into_http()),
                },
            };
            outcome.unwrap_or_else(|panic| {
                error!(panic = panic_text(panic.as_ref()), "handler panicked");
                Ok(Status::internal("internal error").into_http())
            })
        };
        async move {
            let outcome: Result<Response<Body>, S::Error> = work.await;
            if let Ok(response) = &outcome {
                let code =
                    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
                record_code(&Span::current(), code);
            }
            outcome
        }
        .instrument(span)
        .boxed()
    }
}

impl Proof {
    fn identity_of(self, request: &Request<Body>) -> Option<Identity> {
        match self {
            Self::Direct(caller) | Self::Everyone(caller) => Some(caller),
            Self::Certificate => {
                let connection = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>()?;
                Identity::of_certificate(connection.peer_certs()?.first()?)
            }
            Self::Named { anonymous } => match request.headers().get(IDENTITY_HEADER) {
                None => anonymous,
                Some(name) => name.to_str().ok()?.parse().ok(),
            },
        }
    }
}

/// Splits `/package.Service/Method` into the name that spans carry.
pub(super) fn method_of(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

pub(super) fn record_code(span: &Span, code: Code) {
    span.record("rpc.response.status_code", field::debug(code));
    if !matches!(code, Code::Ok) {
        span.record("otel.status_code", "ERROR");
    }
}

fn server_span(request: &Request<Body>) -> Span {
    let method = method_of(request.uri().path());
    let span = info_span!(
        "rpc.server",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = field::Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = field::Empty,
        coachbot.caller = field::Empty,
    );
    // Must happen before the span is entered; without telemetry there is no context to set.
    let _ = span.set_parent(extract_context(request.headers()));
    span
}

/// When the stack gives a request up.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

/// When the stack gives the request up, for a handler that wants to finish in
/// time; `None` without a deadline.
#[must_use]
pub fn deadline_of(extensions: &Extensions) -> Option<Instant> {
    extensions.get().map(|Deadline(at)| *at)
}

/// What `grpc-timeout` allows (gRPC over HTTP/2, "Timeout": at most eight digits
/// and a unit).
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(parse_timeout);
    parsed
        .map(Some)
        .ok_or_else(|| Status::invalid_argument("grpc-timeout must be digits and one of H M S m u n"))
}

fn parse_timeout(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(amount * 3600)),
        'M' => Some(Duration::from_secs(amount * 60)),
        'S' => Some(Duration::from_secs(amount)),
        'm' => Some(Duration::from_millis(amount)),
        'u' => Some(Duration::from_micros(amount)),
        'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Only a fixed text is told: a formatted one may hold what was being handled.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("a formatted message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        assert_eq!(parse_timeout("50m"), Some(Duration::from_millis(50)));
        assert_eq!(parse_timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "m", "5", "5x", "+5m", "123456789m", "5é"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong}");
        }
    }
}
