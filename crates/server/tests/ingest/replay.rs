//! Requests captured from real clients, sent again.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use bytes::Bytes;
use heapline_server::ingest::{Answers, Source, SourceTable};
use http::Request;
use http_body_util::Full;
use serde_json::Value;

use crate::support::Door;

fn captured() -> Vec<Value> {
    let text = include_str!("../data/requests.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn body(request: &Value) -> Bytes {
    match request["body_base64"].as_str() {
        Some(text) => base64::engine::general_purpose::STANDARD.decode(text).unwrap().into(),
        None => request["body"].as_str().unwrap().as_bytes().to_vec().into(),
    }
}

#[tokio::test]
async fn captured_requests_are_all_answered_200_and_stored_once() {
    let source =
        Arc::new(Source { id: "shop".into(), web: true, enabled: true, answers: Answers::Strict });
    let keys = [
        "wk_cio_shop0001",
        "wk_cio_shop0011",
        "wk_cio_shop0002",
        "wk_cio_shop0003",
        "wk_seg_shop0006",
        "wk_seg_shop0012",
        "wk_seg_shop0010",
        "wk_rs_test",
        "wk_node_cio",
        "wk_node_seg",
        "wk_py_cio",
        "pk_us_abc123",
        "wk_py_seg",
    ];
    let door = Door::new();
    let table = SourceTable::new(keys.map(|key| (key.into(), source.clone())));
    door.ingest.set_sources(Arc::new(table));
    for request in captured() {
        let path = request["path"].as_str().unwrap();
        let mut sent = Request::builder().method(request["method"].as_str().unwrap()).uri(path);
        for (name, value) in request["headers"].as_object().unwrap() {
            sent = sent.header(name, value.as_str().unwrap());
        }
        let answered = door.call(sent.body(Full::new(body(&request))).unwrap()).await.unwrap();
        assert_eq!((answered.status, answered.text.as_str()), (200, "{}"), "{path}");
    }
    let stored = door.stored();
    let ids: BTreeSet<&str> = stored.iter().map(|e| e["messageId"].as_str().unwrap()).collect();
    assert_eq!((stored.len(), ids.len()), (277, 277));
    let counts = door.ingest.counters().snapshot();
    assert_eq!((counts.accepted, counts.duplicate, counts.warnings), (277, 14, 0));
    assert!(door.store.refusals().is_empty());
    assert!(stored.iter().all(|event| event.get("writeKey").is_none()));
}
