//! Faults on order, as a raw TCP client sees them.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests")]

use std::time::Instant;

use heapline_sandbox::{Options, Sandbox, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A sandbox on a port of its own, with its time passing.
struct Served {
    address: std::net::SocketAddr,
    sandbox: Sandbox,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn start() -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sandbox = Sandbox::new(Options::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = sandbox.clone();
        let task = tokio::spawn(serve(listener, served, async move {
            stopped.await.unwrap_or_default();
        }));
        Served { address, sandbox, stop, task }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }

    /// Sends bytes and reads until the connection ends, by whichever side; resets count as ends.
    async fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut seen = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            seen.extend_from_slice(&piece[..count]);
        }
        seen
    }

    async fn post(&self, path: &str, body: &str) -> String {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        String::from_utf8(self.raw(request.as_bytes()).await).unwrap()
    }

    async fn track(&self, identity: &str) -> String {
        let event = json!({ "app_id": "11", "identity": identity, "event": "E" });
        self.post("/api/track", &event.to_string()).await
    }

    async fn order(&self, fault: Value) {
        let answer = self.post("/_sandbox/faults", &fault.to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    async fn inspect(&self, list: &str) -> Value {
        let request =
            format!("GET /_sandbox/{list} HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n");
        let answer = String::from_utf8(self.raw(request.as_bytes()).await).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test]
async fn store_then_close_stores_and_writes_no_byte() {
    let served = Served::start().await;
    served.order(json!({ "kind": "store_then_close", "path": "/api/track", "next": 1 })).await;
    assert_eq!(served.track("a").await, "");
    assert_eq!(status(&served.track("a").await), "200");
    let summary = served.sandbox.summary();
    assert_eq!(summary.events, 2);
    assert_eq!(summary.requests_by_path["/api/track"]["closed"], 1);
    let requests = served.inspect("requests?status=closed").await;
    assert_eq!(requests["requests"][0]["fault"], "store_then_close");
    assert_eq!(requests["requests"][0]["items"], json!(["stored"]));
    served.stop().await;
}

#[tokio::test]
async fn close_before_reading_stores_nothing_and_writes_no_byte() {
    let served = Served::start().await;
    served.order(json!({ "kind": "close_before_reading", "next": 1 })).await;
    assert_eq!(served.track("a").await, "");
    assert_eq!(served.sandbox.summary().events, 0);
    let requests = served.inspect("requests").await;
    assert_eq!(requests["requests"][0]["body_bytes"], 0);
    assert_eq!(status(&served.track("a").await), "200");
    served.stop().await;
}

#[tokio::test]
async fn half_an_answer_promises_more_than_it_writes() {
    let served = Served::start().await;
    served.order(json!({ "kind": "half_answer", "next": 1 })).await;
    let answer = served.track("a").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-length: 2\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{"), "{answer}");
    assert_eq!(served.sandbox.summary().events, 1);
    served.stop().await;
}

#[tokio::test]
async fn a_status_is_answered_without_storing_with_its_retry_after() {
    let served = Served::start().await;
    served
        .order(json!([
            { "kind": "status", "status": 503, "retry_after": 7, "next": 1 },
            { "kind": "status", "status": 429, "body": "slow down", "next": 1 },
        ]))
        .await;
    let first = served.track("a").await;
    assert_eq!(status(&first), "503");
    assert!(first.contains("retry-after: 7\r\n"), "{first}");
    let second = served.track("a").await;
    assert_eq!(status(&second), "429");
    assert!(!second.contains("retry-after") && second.ends_with("slow down"), "{second}");
    assert_eq!(status(&served.track("a").await), "200");
    assert_eq!(served.sandbox.summary().events, 1);
    served.stop().await;
}

#[tokio::test]
async fn a_delay_comes_before_the_answer() {
    let served = Served::start().await;
    served.order(json!({ "kind": "delay", "ms": 60, "next": 1 })).await;
    let start = Instant::now();
    assert_eq!(status(&served.track("a").await), "200");
    assert!(start.elapsed().as_millis() >= 60);
    served.stop().await;
}

#[tokio::test]
async fn a_body_above_a_size_is_too_large() {
    let served = Served::start().await;
    served.order(json!({ "kind": "too_large", "above": 60, "path": "/api/track" })).await;
    assert_eq!(status(&served.track(&"a".repeat(40)).await), "413");
    assert_eq!(status(&served.track("a").await), "200");
    assert_eq!(served.sandbox.summary().events, 1);
    served.stop().await;
}

#[tokio::test]
async fn a_poisoned_item_refuses_its_whole_request() {
    let served = Served::start().await;
    served.order(json!({ "kind": "poison", "property": "n", "value": 3 })).await;
    let events = |numbers: &[u64]| {
        let events: Vec<Value> = numbers
            .iter()
            .map(|n| json!({ "identity": "a", "event": "E", "properties": { "n": n } }))
            .collect();
        json!({ "app_id": "11", "events": events }).to_string()
    };
    let answer = served.post("/api/track", &events(&[1, 2, 3, 4])).await;
    assert_eq!(status(&answer), "400");
    assert!(answer.ends_with("postBody.events[2].properties['n'] should NOT be valid"), "{answer}");
    assert_eq!(status(&served.post("/api/track", &events(&[1, 2])).await), "200");
    assert_eq!(status(&served.post("/api/track", &events(&[3])).await), "400");
    assert_eq!(status(&served.post("/api/track", &events(&[4])).await), "200");
    assert_eq!(served.sandbox.summary().events, 3);
    served.stop().await;
}

#[tokio::test]
async fn a_probability_with_a_seed_hits_the_same_requests_again() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let served = Served::start().await;
        let fault = json!({ "kind": "status", "status": 500, "probability": 0.5, "seed": 42 });
        served.order(fault).await;
        let mut statuses = Vec::new();
        for n in 0..40 {
            statuses.push(status(&served.track(&format!("u{n}")).await).to_owned());
        }
        let hits = statuses.iter().filter(|status| *status == "500").count();
        assert!((8..=32).contains(&hits), "{hits} of 40");
        runs.push(statuses);
        served.stop().await;
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn a_fault_for_one_path_leaves_the_others_alone() {
    let served = Served::start().await;
    let fault = json!({ "kind": "status", "status": 500, "path": "/api/add_user_properties" });
    served.order(fault).await;
    assert_eq!(status(&served.track("a").await), "200");
    let user = json!({ "app_id": "11", "identity": "a", "properties": {} }).to_string();
    assert_eq!(status(&served.post("/api/add_user_properties", &user).await), "500");
    assert_eq!(status(&served.post("/_sandbox/reset", "").await), "200");
    assert_eq!(status(&served.post("/api/add_user_properties", &user).await), "200");
    served.stop().await;
}

#[tokio::test]
async fn a_body_above_max_body_bytes_is_read_to_its_end_and_refused() {
    let served = Served::start().await;
    let body = format!("{{\"app_id\":\"11\",\"pad\":\"{}\"}}", " ".repeat(11 << 20));
    let answer = served.post("/api/track", &body).await;
    assert_eq!(status(&answer), "413");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    served.stop().await;
}

#[tokio::test]
async fn a_sender_that_breaks_off_stores_nothing() {
    let served = Served::start().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = "POST /api/track HTTP/1.1\r\nhost: s\r\ncontent-length: 500\r\n\r\n{\"app_id\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut seen = Vec::new();
    stream.read_to_end(&mut seen).await.unwrap_or_default();
    assert_eq!(String::from_utf8(seen).unwrap(), "");
    assert_eq!(served.sandbox.summary().events, 0);
    served.stop().await;
}
