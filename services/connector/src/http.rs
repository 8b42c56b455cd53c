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

use bytes::Bytes;
use coachbot_common::propagation::inject_context;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::redirect;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout_at;
use tracing::{Instrument as _, Span, warn};
use url::Url;
use zeroize::Zeroizing;

pub use answer::{Answer, Unreadable};
pub use base_url::BaseUrl;
pub use cause::Cause;
pub use operation::Operation;

/// Longest wait for name, connection and TLS together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest wait for one whole call of a check, body included.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(8);

/// Longest wait for all calls of one request about messages or bookings.
pub const LIVE_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest wait for a model's turn.
pub const MODEL_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest body that a check reads, in bytes. OpenAI's list of models, the
/// longest answer that a check asks for, has under 100 KiB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Longest body that a live call reads, in bytes: a page of messages or of
/// bookings, or a model's turn with the instructions repeated in it.
pub const MAX_LIVE_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Sent with each call; Vapi's bot protection turns away clients without one.
const USER_AGENT: &str = concat!("coachbot/", env!("CARGO_PKG_VERSION"));

/// The bounds of one call. Only tests need others than [`Limits::default`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest wait for name, connection and TLS together.
    pub connect: Duration,
    /// Longest wait for one whole call of a check, body included.
    pub total: Duration,
    /// Longest wait for a request about messages.
    pub messaging: Duration,
    /// Longest wait for a request about the calendar.
    pub calendar: Duration,
    /// Longest wait for a model's turn.
    pub model: Duration,
    /// Longest body that a check reads.
    pub body_bytes: usize,
    /// Longest body that a live call reads.
    pub live_body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            total: TOTAL_TIMEOUT,
            messaging: LIVE_TIMEOUT,
            calendar: LIVE_TIMEOUT,
            model: MODEL_TIMEOUT,
            body_bytes: MAX_BODY_BYTES,
            live_body_bytes: MAX_LIVE_BODY_BYTES,
        }
    }
}

/// What a call is made for: each purpose has bounds of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A check of credentials.
    Check,
    /// Messages.
    Messaging,
    /// The calendar.
    Calendar,
    /// A model's turn.
    Model,
}

impl Limits {
    /// The longest wait for one call of that purpose, body included.
    #[must_use]
    pub const fn total_of(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Check => self.total,
            Purpose::Messaging => self.messaging,
            Purpose::Calendar => self.calendar,
            Purpose::Model => self.model,
        }
    }

    const fn body_of(&self, purpose: Purpose) -> usize {
        match purpose {
            Purpose::Check => self.body_bytes,
            Purpose::Messaging | Purpose::Calendar | Purpose::Model => self.live_body_bytes,
        }
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

/// One call to a provider. A clone is the same call once more.
///
/// It has no `Debug`: its URL, headers and body hold ids, credentials and what
/// people wrote.
#[derive(Clone)]
pub struct Request {
    operation: Operation,
    purpose: Purpose,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
}

impl Request {
    /// A read that asks for JSON.
    #[must_use]
    pub fn get(operation: Operation, url: Url) -> Self {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self { operation, purpose: Purpose::Check, method: Method::GET, url, headers, body: None }
    }

    /// A write of a form. Names and values are escaped here: `+` as `%2B`.
    #[must_use]
    pub fn post_form(operation: Operation, url: Url, pairs: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Self::post(operation, url, HeaderValue::from_static("application/x-www-form-urlencoded"), body)
    }

    /// A write of JSON, which the caller has made.
    #[must_use]
    pub fn post_json(operation: Operation, url: Url, body: String) -> Self {
        Self::post(operation, url, HeaderValue::from_static("application/json"), body)
    }

    fn post(operation: Operation, url: Url, content_type: HeaderValue, body: String) -> Self {
        let mut request = Self::get(operation, url).header(CONTENT_TYPE, content_type);
        request.method = Method::POST;
        request.body = Some(Bytes::from_owner(Zeroizing::new(body.into_bytes())));
        request
    }

    /// Says what it is made for; a check, unless told otherwise.
    #[must_use]
    pub fn made_for(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Which call it is.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
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
    /// Whether the provider may have got the request. `false` only when there
    /// was no connection to send it on.
    pub may_have_arrived: bool,
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

    /// Its bounds.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Makes one call, in a span of its own.
    ///
    /// It ends within `within` (what is left of the caller's deadline) and
    /// within the limit of its purpose, whichever is shorter. Nothing is tried
    /// again, apart from a request that provably never left.
    ///
    /// # Errors
    /// [`Failure`] when no status came back. An answer whose body is too long,
    /// encoded, or breaks off is an [`Answer`] all the same: its status counts.
    pub async fn send(&self, request: Request, within: Duration) -> Result<Answer, Failure> {
        let span = request.operation.span(&request.method);
        let limit = within.min(self.limits.total_of(request.purpose));
        self.exchange(request, limit).instrument(span).await
    }

    async fn exchange(&self, request: Request, limit: Duration) -> Result<Answer, Failure> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::from_std(started + limit);
        let Request { operation: _, purpose, method, url, mut headers, body } = request;
        inject_context(&mut headers);

        let mut sending = self.client.request(method, url).headers(headers);
        if let Some(body) = body {
            sending = sending.body(body);
        }
        let (cause, may_have_arrived) = match timeout_at(deadline, sending.send()).await {
            Ok(Ok(response)) => {
                let most = self.limits.body_of(purpose);
                let answer = answer::read(response, most, started, deadline).await;
                record(&answer);
                return Ok(answer);
            }
            Ok(Err(error)) => (Cause::of(&error), !error.is_connect()),
            // Nobody knows how far it had come.
            Err(_) => (Cause::Timeout, true),
        };
        Span::current().record("error.type", cause.code());
        Err(Failure { cause, elapsed: started.elapsed(), may_have_arrived })
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
