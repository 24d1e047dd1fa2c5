//! What a collector of OpenTelemetry hears.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::child::ServerProcess;
use crate::support::client::{KEY, plain_http};
use crate::support::heap::Heap;
use crate::support::workspace::Workspace;

/// Takes spans and keeps them.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    async fn start() -> (Collector, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let collector = Collector::default();
        let take = |State(collector): State<Collector>, body: Bytes| async move {
            collector.0.lock().unwrap().push(body);
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, address)
    }

    /// All spans, each with the name of its service.
    fn spans(&self) -> Vec<(String, Span)> {
        let bodies = self.0.lock().unwrap();
        let exports = bodies.iter().map(|b| ExportTraceServiceRequest::decode(b.clone()).unwrap());
        let mut spans = Vec::new();
        for group in exports.flat_map(|export| export.resource_spans) {
            let service = attributes(&group.resource.unwrap().attributes)["service.name"].clone();
            let of_scopes = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(of_scopes.map(|span| (service.clone(), span)));
        }
        spans
    }
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Any| match value {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |pair: &KeyValue| {
        let value = pair.value.as_ref().and_then(|value| value.value.as_ref());
        value.map(text).unwrap_or_default()
    };
    list.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_requests_are_spans_and_a_caller_finds_his_own_trace() {
    let (collector, address) = Collector::start().await;
    let heap = Heap::start().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    Workspace::to(&heap.address).write(&data.join("workspace.toml"));
    let config = data.join("config.toml");
    std::fs::write(&config, format!("[telemetry]\notlpEndpoint = \"{address}\"\n")).unwrap();
    let options = [OsStr::new("--config"), config.as_os_str()];
    let server = ServerProcess::start(data, "127.0.0.1:0", &options).await;
    let http = plain_http();
    let url = |path: &str| format!("http://{}{path}", server.address());
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let body = json!({ "userId": "ada", "event": "E", "messageId": "message-1" }).to_string();
    let traced = http.post(url("/v1/track")).basic_auth(KEY, Some("")).body(body);
    let traced = traced.header("traceparent", format!("00-{trace}-{parent}-01"));
    assert_eq!(traced.send().await.unwrap().status(), 200);
    let unsampled = http.post(url("/v1/page")).body("{}");
    let unsampled = unsampled.header("traceparent", format!("00-{}-{parent}-00", "a".repeat(32)));
    assert_eq!(unsampled.send().await.unwrap().status(), 401);
    // Keys stand in some addresses.
    let settings = http.get(url(&format!("/v1/projects/{KEY}/settings"))).send().await;
    assert!(settings.is_ok());
    server.client(data).outcome("message-1", "delivered").await;
    assert_eq!(server.terminate().await.0, Some(0), "what is left is sent at the end");

    let spans = collector.spans();
    assert!(spans.iter().all(|(service, _)| service == "heapline"));
    let named = |name: &str, key: &str, value: &str| {
        let found = spans.iter().map(|(_, span)| span).find(|span| {
            let attributes = attributes(&span.attributes);
            span.name == name && attributes.get(key).is_some_and(|found| found == value)
        });
        found.unwrap_or_else(|| panic!("no {name} with {key} = {value} in {spans:#?}"))
    };
    let call = named("call", "url.path", "/v1/track");
    assert_eq!(call.kind(), SpanKind::Server);
    assert_eq!((hex(&call.trace_id), hex(&call.parent_span_id)), (trace.into(), parent.into()));
    let found = attributes(&call.attributes);
    assert_eq!(found["http.request.method"], "POST");
    assert_eq!(found["http.response.status_code"], "200");

    let request = named("request", "endpoint", "track");
    assert_eq!(request.kind(), SpanKind::Client);
    let found = attributes(&request.attributes);
    assert_eq!((found["integration"].as_str(), found["items"].as_str()), ("heap", "1"));
    assert_eq!(found["http.response.status_code"], "200");
    assert!(request.end_time_unix_nano > request.start_time_unix_nano);

    let settings = named("call", "url.path", "/v1/projects");
    assert!(settings.parent_span_id.is_empty(), "a trace of its own");
    let all = format!("{spans:?}");
    assert!(!all.contains(KEY), "a write key in {all}");
    assert!(!all.contains("/v1/page"), "its caller didn't want it sampled");
}
