//! How long the door takes to judge an item: `cargo run --release --example door_speed`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use heapline_server::ingest::{Answers, Call, Limits, Request, Route, Source, SourceTable, decode};
use serde_json::Value;

fn main() {
    let captured = include_str!("../tests/data/requests.jsonl");
    let items: Vec<String> = captured.lines().filter_map(single).collect();
    let bytes: usize = items.iter().map(String::len).sum();
    println!("{} items, {} bytes on average", items.len(), bytes / items.len());

    let source = |web| Source { id: "s".into(), web, enabled: true, answers: Answers::Strict };
    let sources = SourceTable::new([
        ("server".into(), Arc::new(source(false))),
        ("page".into(), Arc::new(source(true))),
    ]);
    let batches: Vec<String> =
        items.chunks(100).map(|chunk| format!("{{\"batch\":[{}]}}", chunk.join(","))).collect();
    for key in ["server", "page"] {
        time(
            &format!("alone, {key}"),
            items.len(),
            &sources,
            key,
            Route::Single(Call::Track),
            &items,
        );
        time(&format!("batches of 100, {key}"), items.len(), &sources, key, Route::Batch, &batches);
    }
}

/// A captured call to a path of one call, made a track so that it fits any path.
fn single(line: &str) -> Option<String> {
    let request: Value = serde_json::from_str(line).ok()?;
    let mut item: Value = serde_json::from_str(request["body"].as_str()?).ok()?;
    item["event"].is_string().then(|| {
        item["type"] = "track".into();
        item.to_string()
    })
}

fn time(
    name: &str,
    items: usize,
    sources: &SourceTable,
    key: &str,
    route: Route,
    bodies: &[String],
) {
    let authorization = format!("Bearer {key}");
    let limits = Limits::default();
    let rounds = 200_000 / items;
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        let mut taken = 0;
        for _ in 0..rounds {
            for body in bodies {
                let request = Request {
                    route,
                    authorization: Some(&authorization),
                    address_key: None,
                    encoding: None,
                    strict: false,
                    body: body.as_bytes(),
                    now: 1_795_521_610_000,
                    client_ip: Some([198, 51, 100, 7].into()),
                };
                let decoded = decode(&request, sources, &limits, &|| "made-id-1".to_owned());
                taken += black_box(decoded).events.len();
            }
        }
        assert_eq!(taken, rounds * items, "all items are taken");
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / taken as f64);
    }
    println!("{name}: {best:.2} µs an item");
}
