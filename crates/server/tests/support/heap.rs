//! A local Heap on a port of its own.

use heapline_sandbox::{Options, Sandbox, Summary, serve};
use serde_json::Value;
use tokio::net::TcpListener;

use super::client::plain_http;
use super::until;

pub(crate) struct Heap {
    sandbox: Sandbox,
    http: reqwest::Client,
    pub(crate) address: String,
}

impl Heap {
    pub(crate) async fn start() -> Heap {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let sandbox = Sandbox::new(Options { keep_events: 10_000_000, ..Options::default() });
        tokio::spawn(serve(listener, sandbox.clone(), std::future::pending()));
        Heap { sandbox, http: plain_http(), address }
    }

    pub(crate) fn summary(&self) -> Summary {
        self.sandbox.summary()
    }

    /// Keeps no rate limits.
    pub(crate) async fn without_rates(self) -> Heap {
        self.call(self.http.put(self.url("switches")).body(r#"{"rates":"off"}"#)).await;
        self
    }

    /// Orders a fault.
    pub(crate) async fn fault(&self, fault: &Value) {
        self.call(self.http.post(self.url("faults")).body(fault.to_string())).await;
    }

    pub(crate) async fn no_faults(&self) {
        self.call(self.http.delete(self.url("faults"))).await;
    }

    /// A list by its name, e.g. `requests?path=/api/track`: its entries, oldest first.
    pub(crate) async fn list(&self, what: &str) -> Vec<Value> {
        let whole = self.call(self.http.get(self.url(what))).await;
        let name = what.split('?').next().unwrap();
        whole[name].as_array().unwrap().clone()
    }

    /// A user by identity, if he exists.
    pub(crate) async fn user(&self, identity: &str) -> Option<Value> {
        let response = self.http.get(self.url(&format!("users/{identity}"))).send().await.unwrap();
        let found = response.status().is_success();
        let text = response.text().await.unwrap();
        found.then(|| serde_json::from_str(&text).unwrap())
    }

    /// Waits for so many events, or more.
    pub(crate) async fn events_at_least(&self, count: u64) {
        until(&format!("{count} events in Heap"), async || {
            (self.summary().events >= count).then_some(())
        })
        .await;
    }

    /// The stored events once there are `count` of them; more is a failure.
    pub(crate) async fn events(&self, count: usize) -> Vec<Value> {
        self.events_at_least(count as u64).await;
        let events = self.list("events").await;
        assert_eq!(events.len(), count, "{events:#?}");
        events
    }

    /// Names of a user's events, in the order of their arrival.
    pub(crate) async fn names(&self, identity: &str) -> Vec<String> {
        let events = self.list(&format!("events?identity={identity}")).await;
        events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Requests to `path` that were answered with `status`.
    pub(crate) fn answered(&self, path: &str, status: u16) -> u64 {
        let summary = self.summary();
        let by_status = summary.requests_by_path.get(path);
        by_status.and_then(|by| by.get(&status.to_string())).copied().unwrap_or_default()
    }

    fn url(&self, what: &str) -> String {
        format!("{}/_sandbox/{what}", self.address)
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Value {
        let response = request.header("content-type", "application/json").send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}
