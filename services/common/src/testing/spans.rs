use std::collections::BTreeMap;

use opentelemetry::global;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt as _;

/// One ended span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSpan {
    /// Its name, such as `coachbot.vault.v1.VaultService/LeaseCredentials`.
    pub name: String,
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// 16 hex digits; zeros for a root.
    pub parent_id: String,
    /// `Server`, `Client`, `Internal`.
    pub kind: String,
    /// Attributes as text.
    pub attributes: BTreeMap<String, String>,
}

/// The spans that this process ended.
#[derive(Clone, Debug)]
pub struct Spans {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
}

/// Sends all spans of this process into memory. A test that does so lies in a
/// test binary of its own.
///
/// # Panics
/// When the process has a subscriber already.
#[must_use]
pub fn captured_spans() -> Spans {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("coachbot")).with_location(false);
    let subscriber = tracing_subscriber::registry().with(tracing_subscriber::Layer::with_filter(
        traces,
        tracing_subscriber::filter::filter_fn(|metadata| metadata.target().starts_with("coachbot")),
    ));
    tracing::subscriber::set_global_default(subscriber).expect("one subscriber in this process");
    Spans { exporter, provider }
}

impl Spans {
    /// The spans that ended so far, oldest first.
    ///
    /// # Panics
    /// When the exporter fails, which one in memory does not.
    #[must_use]
    pub fn ended(&self) -> Vec<RecordedSpan> {
        let _ = self.provider.force_flush();
        let spans = self.exporter.get_finished_spans().expect("spans in memory");
        spans
            .into_iter()
            .map(|span| RecordedSpan {
                name: span.name.into_owned(),
                trace_id: span.span_context.trace_id().to_string(),
                span_id: span.span_context.span_id().to_string(),
                parent_id: span.parent_span_id.to_string(),
                kind: format!("{:?}", span.span_kind),
                attributes: span
                    .attributes
                    .into_iter()
                    .map(|pair| (pair.key.to_string(), pair.value.to_string()))
                    .collect(),
            })
            .collect()
    }

    /// Forgets the spans so far.
    pub fn clear(&self) {
        self.exporter.reset();
    }
}
