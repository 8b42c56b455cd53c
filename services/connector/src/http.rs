//! The one HTTP client: every call to a provider goes through it.
//!
//! What it will not do is as much the point as what it does: it follows no
//! redirect (a credential goes to the configured host and nowhere else), takes
//! no proxy from the environment, asks for no compression, and reads no more
//! than a bounded body. A URL never reaches a log, a span or an error, because
//! the paths hold account ids.

mod answer;
mod base_url;
mod cause;
mod operation;

use std::time::{Duration, Instant};

use coachbot_common::propagation::inject_context;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::redirect;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout_at;
use tracing::{Instrument as _, Span, warn};
use url::Url;

pub use answer::{Answer, Unreadable};
pub use base_url::BaseUrl;
pub use cause::Cause;
pub use operation::Operation;

/// Longest wait for name, connection and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest wait for one whole call, body included.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(8);

/// Longest body that is read, in bytes. OpenAI's list of models, the longest
/// answer that is asked for, has under 100 KiB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Sent with each call; Vapi's bot protection turns away clients without one.
const USER_AGENT: &str = concat!("coachbot/", env!("CARGO_PKG_VERSION"));

/// The bounds of one call. Only tests need others than [`Limits::default`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest wait for name, connection and TLS together.
    pub connect: Duration,
    /// Longest wait for one whole call, body included.
    pub total: Duration,
    /// Longest body that is read.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, total: TOTAL_TIMEOUT, body_bytes: MAX_BODY_BYTES }
    }
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The TLS library refused its own settings.
    #[error("the settings of TLS do not fit the TLS library")]
    Tls(#[source] rustls::Error),
    /// The HTTP library refused its own settings.
    #[error("the HTTP client cannot be built")]
    Http(#[source] reqwest::Error),
}

/// One call to a provider.
///
/// It has no `Debug`: its URL and headers hold ids and credentials.
pub struct Request {
    operation: Operation,
    method: Method,
    url: Url,
    headers: HeaderMap,
}

impl Request {
    /// A read that asks for JSON.
    #[must_use]
    pub fn get(operation: Operation, url: Url) -> Self {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self { operation, method: Method::GET, url, headers }
    }

    /// Adds a header whose value is no secret.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds the `Authorization` header. The value is marked sensitive here, so
    /// that no library below prints it or keeps it in a compression table.
    #[must_use]
    pub fn authorization(mut self, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        self
    }
}

/// No HTTP answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// How long the call took.
    pub elapsed: Duration,
}

/// Calls providers. A clone shares the connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    limits: Limits,
}

impl HttpClient {
    /// Makes the client.
    ///
    /// A machine without root certificates of its own (a bare container) gets
    /// those that were compiled in, with a warning: it must be able to start.
    ///
    /// # Errors
    /// [`BuildError`] when a library refuses the settings.
    pub fn new(limits: Limits) -> Result<Self, BuildError> {
        match builder(limits).build() {
            Ok(client) => Ok(Self { client, limits }),
            Err(_) => {
                warn!(
                    "the root certificates of this machine cannot be loaded, so those built in are used: \
                     install its package ca-certificates"
                );
                Self::with_roots(limits, built_in_roots())
            }
        }
    }

    /// Makes a client that trusts these roots and no others.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn with_roots(limits: Limits, roots: RootCertStore) -> Result<Self, BuildError> {
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(BuildError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = builder(limits).tls_backend_preconfigured(tls).build().map_err(BuildError::Http)?;
        Ok(Self { client, limits })
    }

    /// Makes one call, in a span of its own.
    ///
    /// It ends within `within` (what is left of the caller's deadline) and
    /// within the client's own limit, whichever is shorter. Nothing is tried
    /// again, apart from a request that provably never left.
    ///
    /// # Errors
    /// [`Failure`] when no status came back. An answer whose body is too long,
    /// encoded, or breaks off is an [`Answer`] all the same: its status counts.
    pub async fn send(&self, request: Request, within: Duration) -> Result<Answer, Failure> {
        let span = request.operation.span(&request.method);
        self.exchange(request, within.min(self.limits.total)).instrument(span).await
    }

    async fn exchange(&self, request: Request, limit: Duration) -> Result<Answer, Failure> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::from_std(started + limit);
        let Request { operation: _, method, url, mut headers } = request;
        inject_context(&mut headers);

        let sending = self.client.request(method, url).headers(headers).send();
        let cause = match timeout_at(deadline, sending).await {
            Ok(Ok(response)) => {
                let answer = answer::read(response, self.limits.body_bytes, started, deadline).await;
                record(&answer);
                return Ok(answer);
            }
            Ok(Err(error)) => Cause::of(&error),
            Err(_) => Cause::Timeout,
        };
        Span::current().record("error.type", cause.code());
        Err(Failure { cause, elapsed: started.elapsed() })
    }
}

/// Writes what came back into the current span: numbers and words of our own.
fn record(answer: &Answer) {
    let span = Span::current();
    span.record("http.response.status_code", answer.status.as_u16());
    if let Some(unreadable) = answer.unreadable() {
        span.record("error.type", unreadable.code());
    }
}

fn builder(limits: Limits) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_rustls()
        .user_agent(USER_AGENT)
        .connect_timeout(limits.connect)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .dns_resolver(cause::SystemResolver)
}

/// Mozilla's root certificates, as of the build.
fn built_in_roots() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}
