//! What the services and the workers share.

use std::future::Future;
use std::time::Duration;

use coachbot_common::clock::SharedClock;
use coachbot_common::propagation::{extract_context, inject_context};
use coachbot_common::rpc::Transport;
use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::Url;

use crate::connector::Connector;
use crate::store::{Store, StoreError};

/// How long a claim holds without being renewed: a worker that died is replaced
/// after that.
pub const LEASE: SignedDuration = SignedDuration::from_secs(10);

/// How often a claim is renewed while something takes long.
const RENEWAL: Duration = Duration::from_secs(3);

/// The agent: its tables, the connector, the time.
#[derive(Debug)]
pub struct Agent {
    pub(crate) store: Store,
    pub(crate) connector: Connector,
    pub(crate) public_url: Url,
    pub(crate) wake: Notify,
    clock: SharedClockBox,
}

/// A clock without a `Debug` of its own.
struct SharedClockBox(SharedClock);

impl std::fmt::Debug for SharedClockBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Agent {
    /// Takes what it works with.
    #[must_use]
    pub fn new(store: Store, connector: Transport, public_url: Url, clock: SharedClock) -> Self {
        let connector = Connector::new(connector);
        Self { store, connector, public_url, wake: Notify::new(), clock: SharedClockBox(clock) }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.0.now()
    }

    /// Until when a claim of now holds.
    pub(crate) fn lease(&self) -> Timestamp {
        self.now() + LEASE
    }

    /// How many transactions were committed: what a run costs is counted in them.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.store.commits()
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// Waits for something while `renew` keeps the claim. `None`: the claim was
    /// lost, and the rest is somebody else's.
    pub(crate) async fn while_renewing<T, R>(
        &self,
        work: impl Future<Output = T>,
        renew: impl Fn() -> R,
    ) -> Option<T>
    where
        R: Future<Output = Result<bool, StoreError>>,
    {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(outcome) = tokio::time::timeout(RENEWAL, &mut work).await {
                return Some(outcome);
            }
            match renew().await {
                Ok(true) => {}
                Ok(false) => return None,
                // Its end is far enough away for another try.
                Err(error) => tracing::warn!(%error, "a claim could not be renewed"),
            }
        }
    }
}

/// The trace context of the current span, to be stored.
#[must_use]
pub fn traceparent() -> Option<String> {
    let mut headers = HeaderMap::new();
    inject_context(&mut headers);
    headers.get("traceparent")?.to_str().ok().map(str::to_owned)
}

/// Makes a span a child of where the work began.
pub fn continue_trace(span: &Span, traceparent: Option<&str>) {
    let Some(value) = traceparent.and_then(|text| HeaderValue::from_str(text).ok()) else { return };
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", value);
    // Without telemetry there is nothing to continue.
    let _ = span.set_parent(extract_context(&headers));
}
