//! Lists keep the newest within their bounds, and counts stay exact.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests")]

use axum::body::{Body, to_bytes};
use heapline_sandbox::{Options, Sandbox};
use http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

async fn track(sandbox: &Sandbox, number: usize, key: &str) {
    let event = json!({ "app_id": "11", "identity": format!("u{number}"), "event": "E",
        "idempotency_key": key, "timestamp": "2026-03-10T22:21:56Z" });
    let request = Request::post("/api/track").body(Body::from(event.to_string())).unwrap();
    let answer = TowerToHyperService::new(sandbox.router()).call(request).await.unwrap();
    assert_eq!(answer.status(), 200);
}

async fn list(sandbox: &Sandbox, name: &str) -> Value {
    let request = Request::get(format!("/_sandbox/{name}")).body(Body::empty()).unwrap();
    let answer = TowerToHyperService::new(sandbox.router()).call(request).await.unwrap();
    serde_json::from_slice(&to_bytes(answer.into_body(), usize::MAX).await.unwrap()).unwrap()
}

#[tokio::test]
async fn old_requests_events_and_effects_go_and_counts_stay() {
    let options =
        Options { keep_requests: 4, keep_events: 3, keep_effects: 2, ..Options::default() };
    let sandbox = Sandbox::new(options);
    for number in 0..10 {
        track(&sandbox, number, &format!("key-{}", number % 6)).await;
    }
    let numbers = |list: &Value, name: &str, member: &str| -> Vec<u64> {
        list[name].as_array().unwrap().iter().map(|one| one[member].as_u64().unwrap()).collect()
    };
    let requests = list(&sandbox, "requests").await;
    assert_eq!(numbers(&requests, "requests", "number"), [6, 7, 8, 9]);
    assert_eq!(requests["total"], 10);
    let events = list(&sandbox, "events").await;
    assert_eq!(numbers(&events, "events", "number"), [3, 4, 5]);
    let effects = list(&sandbox, "effects").await;
    assert_eq!(numbers(&effects, "effects", "request"), [8, 9]);
    let summary = sandbox.summary();
    assert_eq!((summary.requests, summary.events, summary.duplicates), (10, 6, 4));
    assert_eq!(summary.effects["duplicate_key"], 4);
}

#[tokio::test]
async fn bodies_are_kept_within_a_number_of_bytes() {
    let sandbox = Sandbox::new(Options { keep_body_bytes: 300, ..Options::default() });
    for number in 0..6 {
        track(&sandbox, number, "key").await;
    }
    let requests = list(&sandbox, "requests").await;
    let requests = requests["requests"].as_array().unwrap();
    let kept: Vec<bool> = requests.iter().map(|request| request.get("body").is_some()).collect();
    assert_eq!(kept, [false, false, false, false, true, true]);
    assert!(requests.iter().all(|request| request["body_bytes"].as_u64().unwrap() > 100));
}

#[tokio::test]
async fn keys_beyond_the_bound_are_forgotten_oldest_first() {
    let sandbox = Sandbox::new(Options { keep_keys: Some(2), ..Options::default() });
    for key in ["a", "b", "c", "c", "b", "a"] {
        track(&sandbox, 1, key).await;
    }
    assert_eq!((sandbox.summary().events, sandbox.summary().duplicates), (4, 2));
}
