//! Spans for a collector, by OTLP over HTTP.

use super::context::{TARGET, TraceContext};
use crate::error::ServerError;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tracing::level_filters::LevelFilter;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

/// How long one delivery may take.
const DELIVERY: Duration = Duration::from_secs(2);
/// How long the end of the server may wait for a collector.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Where collectors take traces, below their address.
const PATH: &str = "/v1/traces";

/// The export of spans.
#[derive(Debug)]
pub(super) struct Export {
    provider: SdkTracerProvider,
    /// Delivers; not the server's, which ends before the last spans are sent.
    runtime: Runtime,
}

impl Export {
    /// To the collector at `endpoint`, such as `http://127.0.0.1:4318`.
    pub(super) fn to(endpoint: &str) -> Result<Self, ServerError> {
        let failed = |why: String| ServerError::Telemetry(format!("--otlp {endpoint}: {why}"));
        if !endpoint.starts_with("http://") {
            let why = "must start with http://; for TLS, let a collector nearby send it on";
            return Err(failed(why.to_owned()));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(ServerError::doing("start a runtime for --otlp"))?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}{PATH}", endpoint.trim_end_matches('/')))
            .with_timeout(DELIVERY)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let exporter = OnRuntime { inner: Arc::new(exporter), handle: runtime.handle().clone() };
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name("nono-mcp").build())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self { provider, runtime })
    }

    /// What hands spans over: those of calls, and nothing else.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let calls = Targets::new().with_target(TARGET, LevelFilter::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("nono-mcp"))
            .with_location(false)
            .with_threads(false)
            .with_filter(calls)
    }

    /// Sends what is left.
    pub(super) fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST_WORDS) {
            tracing::warn!(%error, "the last spans may not have reached the collector");
        }
        self.runtime.shutdown_background();
    }
}

/// Delivers on a runtime: batches come from a thread that has none, and the client needs one.
#[derive(Debug)]
struct OnRuntime {
    inner: Arc<opentelemetry_otlp::SpanExporter>,
    handle: Handle,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let inner = Arc::clone(&self.inner);
        let delivered = self.handle.spawn(async move { inner.export(batch).await }).await;
        delivered.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())))
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Called before the first batch, so nobody shares it yet.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}

/// Makes a span part of the client's trace.
pub(super) fn join(span: &Span, context: &TraceContext) {
    if context.parent.is_none() {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&Carrier(context));
    if let Err(error) = span.set_parent(parent) {
        tracing::debug!(%error, "a span has no parent");
    }
}

struct Carrier<'c>(&'c TraceContext);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.0.parent.as_deref(),
            "tracestate" => self.0.state.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}
