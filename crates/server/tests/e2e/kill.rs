//! kill -9 under load: what was acknowledged is delivered, in its user's order, and counted once.
//!
//! `HEAPLINE_KILLS=100` makes it as many rounds instead of 10.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::child::ServerProcess;
use crate::support::client::{Client, KEY};
use crate::support::heap::Heap;
use crate::support::until;
use crate::support::workspace::Workspace;

const POSTERS: usize = 4;

/// Longest life of a server; each has a random share of it.
const LIFE: Duration = Duration::from_millis(1200);

/// Sends one user's numbered events, singly and in batches, each until it is acknowledged, as
/// clients do. Gives how many that were.
async fn post(client: Client, user: String, over: Arc<AtomicBool>) -> usize {
    let mut next = 0;
    while !over.load(Ordering::Relaxed) {
        let size = if next % 3 == 0 { 1 } else { 7 };
        let items: Vec<Value> = (next..next + size)
            .map(|number| {
                json!({ "type": "track", "userId": user, "event": format!("{number}"),
                    "messageId": format!("message-{user}-{number}"),
                    // Makes two requests of every fifth event.
                    "anonymousId": (number % 5 == 0).then_some("anon-1") })
            })
            .collect();
        let body = match &items[..] {
            [one] => one.clone(),
            _ => json!({ "batch": items }),
        };
        let path = if size == 1 { "/v1/track" } else { "/v1/batch" };
        while client.try_post(KEY, path, &body).await.is_none_or(|a| a.status != 200) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        next += size;
    }
    next
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let rounds = std::env::var("HEAPLINE_KILLS");
    let rounds: usize = rounds.map_or(10, |text| text.parse().unwrap());
    let heap = Heap::start().await.without_rates().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let no_limits =
        "eventsPerMinute = 0, eventsPerMinutePerIdentity = 0, userUpdatesPer30Seconds = 0";
    Workspace::to(&heap.address).settings(no_limits).write(&data.join("workspace.toml"));
    // Always the same address, so that the posters find the next server.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);

    let mut server = ServerProcess::start(data, &address, &[]).await;
    let over = Arc::new(AtomicBool::new(false));
    let posters: Vec<_> = (0..POSTERS)
        .map(|number| {
            let client = server.client(data);
            tokio::spawn(post(client, format!("user-{number}"), over.clone()))
        })
        .collect();
    for _ in 0..rounds {
        let share = f64::from(getrandom::u32().unwrap()) / f64::from(u32::MAX);
        tokio::time::sleep(LIFE.mul_f64(share)).await;
        server.kill();
        server = ServerProcess::start(data, &address, &[]).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut acknowledged = BTreeMap::new();
    for (number, poster) in posters.into_iter().enumerate() {
        acknowledged.insert(format!("user-{number}"), poster.await.unwrap());
    }
    let all: usize = acknowledged.values().sum();
    assert!(all > rounds, "{acknowledged:?}");
    until("all events in Heap", async || (heap.summary().events >= all as u64).then_some(())).await;
    for (user, count) in acknowledged {
        let expected: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        assert!(
            heap.names(&user).await == expected,
            "{user}'s {count} events in their order, once"
        );
    }
    let summary = heap.summary();
    assert_eq!(summary.events, all as u64, "repeated keys are no events");
    println!("{all} events in {rounds} rounds; {} sent twice by key", summary.duplicates);
    assert_eq!(server.terminate().await.0, Some(0));
}
