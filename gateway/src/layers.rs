//! What stands around every handler: the request's span, panics and time limit,
//! and the headers of every answer.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use coachbot_common::propagation::extract_context;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tracing::{Instrument as _, Span, error, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::app::SharedApp;
use crate::dashboard;
use crate::error::{Error, Problem};

/// Longer than any call that a handler makes.
const LIMIT: Duration = Duration::from_secs(60);

/// Largest request body, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// Pages use their own script and style, and nothing of anybody else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Stands around every handler.
pub(crate) async fn around(State(app): State<SharedApp>, request: Request, next: Next) -> Response {
    let span = server_span(&request);
    let in_span = span.clone();
    async move {
        let head = dashboard::RequestHead::of(&request, &app);
        let work = AssertUnwindSafe(next.run(request)).catch_unwind();
        let response = match tokio::time::timeout(LIMIT, work).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => {
                error!(panic = panic_text(panic.as_ref()), "handler panicked");
                Error::Panicked.into_response()
            }
            Err(_elapsed) => Error::TimedOut.into_response(),
        };
        // Pages are for people: what went wrong there is told as a page.
        let mut response = match response.extensions().get::<Problem>() {
            Some(problem) if head.wants_page() => dashboard::problem_page(&head, problem, response.headers()),
            _ => response,
        };
        record(&span, response.status());
        finish(response.headers_mut(), app.public_url.is_https());
        response
    }
    .instrument(in_span)
    .await
}

/// One span a request, named after the route: a path can hold a token, and a
/// query what somebody typed.
fn server_span(request: &Request) -> Span {
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let span = info_span!(
        "http.server",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
    );
    // Must happen before the span is entered; without telemetry there is no context to set.
    let _ = span.set_parent(extract_context(request.headers()));
    span
}

/// Anybody may send any method: unknown ones are one name.
const fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

fn record(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// Only a fixed text is told: a formatted one may hold what was being handled.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("a formatted message")
}

fn finish(headers: &mut HeaderMap, https: bool) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    // Not `no-referrer`: browsers would then write `Origin: null` on our own forms.
    set(header::REFERRER_POLICY, "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()");
    if https {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use coachbot_common::db::Database;
    use coachbot_common::lifecycle::{Stop, Tasks};
    use coachbot_common::rpc::Transport;
    use coachbot_common::testing::MockClock;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{Clients, Config, build};

    fn nobody() -> Transport {
        Transport::new(tower::service_fn(async |_| Err(tonic::Status::unavailable("nobody is there"))))
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_a_problem_and_the_next_request_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(folder.path().join("gateway.sqlite"));
        let config = Config::new("127.0.0.1:0".parse().unwrap(), database);
        let tasks = Tasks::new(Stop::new());
        let clients = Clients { vault: nobody(), connector: nobody(), agent: nobody() };
        let clock = MockClock::at("2026-11-25T12:00:00Z");
        let gateway = build(&config, clients, clock, &tasks).await.unwrap();
        let router = Router::new()
            .route("/api/panics", get(async || -> &'static str { panic!("with a s3cret {}", 1) }))
            .route("/panics", get(async || -> &'static str { panic!("as the test wants") }))
            .route("/works", get(async || "works"))
            .layer(from_fn_with_state(Arc::clone(&gateway.app), around));

        for (path, status, content_type) in [
            ("/api/panics", 500, "application/problem+json"),
            ("/panics", 500, "text/html; charset=utf-8"),
            ("/works", 200, "text/plain; charset=utf-8"),
        ] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            assert!(!String::from_utf8_lossy(&body).contains("s3cret"));
        }
    }
}
