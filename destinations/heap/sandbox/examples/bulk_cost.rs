//! Prints what a bulk track request of 1,000 events costs, by event, without a network.
//!
//! `cargo run --release -p heapline-sandbox --example bulk_cost`

use std::time::Instant;

use axum::body::{Body, to_bytes};
use heapline_sandbox::{Options, Sandbox};
use http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::json;

const EVENTS: usize = 1_000;
const ROUNDS: usize = 300;

fn body(round: usize) -> String {
    let events: Vec<_> = (0..EVENTS)
        .map(|n| {
            json!({
                "identity": format!("user-{}@example.com", (round * EVENTS + n) % 50_000),
                "event": "Product Added",
                "timestamp": "2026-03-10T22:21:56.123Z",
                "idempotency_key": format!("ajs-next-1773181316123-{round}-{n}-5f0c9e1a"),
                "properties": {
                    "product_id": "sku-40213", "name": "Down jacket", "price": 129.95,
                    "currency": "EUR", "quantity": 2, "cart.id": "c-7712",
                    "list": "[\"a\",\"b\"]", "coupon": "WINTER", "brand": "Nordwand",
                    "url": "https://shop.example/products/down-jacket?utm_source=mail",
                },
            })
        })
        .collect();
    json!({ "app_id": "11", "events": events }).to_string()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::new(Options::default());
    let service = TowerToHyperService::new(sandbox.router());
    let off = Request::put("/_sandbox/switches").body(Body::from("{\"rates\":\"off\"}"))?;
    service.call(off).await?;
    let bodies: Vec<String> = (0..ROUNDS).map(body).collect();
    let bytes: usize = bodies.iter().map(String::len).sum();
    let start = Instant::now();
    for body in bodies {
        let request = Request::post("/api/track").body(Body::from(body))?;
        let answer = service.call(request).await?;
        assert_eq!(answer.status(), 200);
        to_bytes(answer.into_body(), 64).await?;
    }
    let events = ROUNDS * EVENTS;
    let micros = start.elapsed().as_secs_f64() * 1e6 / events as f64;
    assert_eq!(sandbox.summary().events, events as u64);
    println!("{micros:.2} µs an event of {} bytes", bytes / events);
    Ok(())
}
