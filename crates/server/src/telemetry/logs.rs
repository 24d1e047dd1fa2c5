//! Structured logs on standard error, and traces to an OpenTelemetry collector where one is named.

use std::io::IsTerminal;

use anyhow::{Context, Result};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::spans;
use crate::config::{LogFormat, Telemetry};

/// Keeps logging and traces going until it is dropped.
#[must_use = "dropping it ends the traces"]
pub struct Logging {
    traces: Option<SdkTracerProvider>,
}

impl Drop for Logging {
    fn drop(&mut self) {
        if let Some(Err(e)) = self.traces.as_ref().map(SdkTracerProvider::shutdown) {
            eprintln!("the last traces could not be sent: {e}");
        }
    }
}

/// Starts logging by `settings`, once for the program.
pub fn start(settings: &Telemetry) -> Result<Logging> {
    let filter = EnvFilter::try_new(&settings.log)
        .with_context(|| format!("telemetry.log: {:?} is no log filter", settings.log))?;
    let text = match settings.log_format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if text {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    let traces = match settings.otlp_endpoint.as_str() {
        "" => None,
        endpoint => Some(exporter(endpoint)?),
    };
    let spans = traces.as_ref().map(|traces| {
        let tracer = traces.tracer("heapline");
        let only = Targets::new().with_target(spans::TARGET, tracing::Level::TRACE);
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(only)
    });
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(spans)
        .try_init()
        .context("cannot start logging")?;
    Ok(Logging { traces })
}

fn exporter(endpoint: &str) -> Result<SdkTracerProvider> {
    // Fails only if a provider was installed before, which serves as well.
    rustls::crypto::ring::default_provider().install_default().ok();
    let address = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&address)
        .with_headers([("user-agent".to_owned(), "heapline".to_owned())].into())
        .build()
        .with_context(|| format!("telemetry.otlpEndpoint: can't export to {endpoint:?}"))?;
    let resource = Resource::builder().with_service_name("heapline").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
