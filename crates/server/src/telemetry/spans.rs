//! Every span, one function for each. They go to the OpenTelemetry collector and to nobody else:
//! where none is configured, no span is made.

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// What the collector's layer listens to.
pub(crate) const TARGET: &str = "heapline::trace";

/// A client's call, in the client's own trace if it names one (`traceparent`, W3C Trace Context).
pub(crate) fn call(method: &http::Method, path: &str, headers: &HeaderMap) -> Span {
    let span = tracing::span!(
        target: TARGET,
        Level::TRACE,
        "call",
        http.request.method = %method,
        url.path = shown(path),
        http.response.status_code = tracing::field::Empty,
        otel.kind = "server",
    );
    if !span.is_disabled() {
        let caller = TraceContextPropagator::new().extract(&Headers(headers));
        // Fails for a span that isn't exported.
        span.set_parent(caller).ok();
    }
    span
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The first two segments: the ones behind them may be a write key.
fn shown(path: &str) -> &str {
    let end = path.match_indices('/').nth(2).map_or(path.len(), |(at, _)| at);
    path.get(..end).unwrap_or_default()
}

/// A bulk request to a destination.
pub(crate) fn request(integration: &str, endpoint: &str, items: usize) -> Span {
    tracing::span!(
        target: TARGET,
        Level::TRACE,
        "request",
        integration,
        endpoint,
        items,
        http.response.status_code = tracing::field::Empty,
        otel.kind = "client",
    )
}

/// The status of the answer; 0 if there was none.
pub(crate) fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
}
