//! Logs on standard error, traces by OTLP where an endpoint is set.

use std::fmt;
use std::io::IsTerminal as _;

use opentelemetry::global;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Event, Subscriber, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{Env as _, ProcessEnv};

/// Running telemetry. Flushed by the outermost function, whatever it ran.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

impl Telemetry {
    /// Starts logs and traces for a service. Without `OTEL_EXPORTER_OTLP_ENDPOINT`
    /// spans exist, so that trace ids are in the logs and go to other processes,
    /// and are sent nowhere.
    #[must_use]
    pub fn start(service: &'static str) -> Self {
        let endpoint = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
            .iter()
            .any(|name| ProcessEnv.get(name).is_some_and(|value| !value.is_empty()));
        let mut builder = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name(service).build());
        let mut failure = None;
        if endpoint {
            match opentelemetry_otlp::SpanExporter::builder().with_tonic().build() {
                Ok(exporter) => builder = builder.with_batch_exporter(exporter),
                Err(error) => failure = Some(error),
            }
        }
        let provider = builder.build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        let filter = ProcessEnv.get("RUST_LOG").unwrap_or_else(|| DEFAULT_FILTER.to_owned());
        let (filter, wrong) = match EnvFilter::try_new(&filter) {
            Ok(filter) => (filter, false),
            Err(_) => (EnvFilter::new(DEFAULT_FILTER), true),
        };
        let log = tracing_subscriber::fmt::layer()
            .event_format(WithTraceId(Format::default().with_ansi(std::io::stderr().is_terminal())))
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            // On the log alone: as a filter for all, `warn` would end traces too.
            .with_filter(filter);
        let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("coachbot")).with_filter(
            tracing_subscriber::filter::filter_fn(|metadata| metadata.target().starts_with("coachbot")),
        );
        // A second start in one process (tests) keeps the first.
        let _ = tracing_subscriber::registry().with(traces).with(log).try_init();
        if wrong {
            warn!("RUST_LOG is not a filter, using the default");
        }
        if let Some(error) = failure {
            warn!(%error, "traces are not exported");
        }
        Self { provider }
    }

    /// Sends what is not sent yet. It blocks, so it runs beside the runtime.
    pub async fn flush(self) {
        let _ = tokio::task::spawn_blocking(move || self.provider.shutdown()).await;
    }
}

/// The libraries beneath log what goes over the wire at debug and trace.
const DEFAULT_FILTER: &str = "info,sqlx=warn,h2=warn,hyper=warn,rustls=warn";

/// The trace id of the current span, 32 hex digits; `None` outside a trace.
#[must_use]
pub fn current_trace_id() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// Ends each log line with the trace it belongs to.
pub(crate) struct WithTraceId<F>(pub(crate) F);

impl<S, N, F> FormatEvent<S, N> for WithTraceId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if let Some(id) = current_trace_id() {
            write!(writer, "[{id}] ")?;
        }
        self.0.format_event(context, writer, event)
    }
}
