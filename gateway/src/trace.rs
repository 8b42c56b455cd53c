//! The trace of a request, kept with what the request leaves behind.

use coachbot_common::propagation::{extract_context, inject_context};
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The current span as W3C writes it; `None` outside a trace.
pub(crate) fn current_traceparent() -> Option<String> {
    let mut headers = HeaderMap::new();
    inject_context(&mut headers);
    headers.get(TRACEPARENT)?.to_str().ok().map(str::to_owned)
}

/// Makes a span that is not entered yet a child of the one that was kept.
pub(crate) fn continue_from(span: &Span, traceparent: Option<&str>) {
    let Some(Ok(value)) = traceparent.map(HeaderValue::from_str) else { return };
    let headers = HeaderMap::from_iter([(TRACEPARENT, value)]);
    // Without telemetry there is no context to set.
    let _ = span.set_parent(extract_context(&headers));
}
