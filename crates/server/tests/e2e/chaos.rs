//! Everything at once: visitors that log in, a Heap that fails in every way, kill -9 and changes of
//! the workspace; and in the end every event is where it belongs, in its user's order, once.
//!
//! `HEAPLINE_KILLS=100` makes it as many rounds instead of 5.

use std::collections::{BTreeMap, BTreeSet};
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

const POSTERS: usize = 3;

/// Events of one person: anonymous ones, then one that links, then identified ones.
const ANONYMOUS: usize = 4;
const EACH: usize = 12;

/// Longest life of a server.
const LIFE: Duration = Duration::from_millis(1000);

fn random_below(end: usize) -> usize {
    getrandom::u32().unwrap() as usize % end
}

/// Every so many events of a poster there is one that Heap refuses.
const POISONED: usize = 31;

fn is_poisoned(number: usize) -> bool {
    number % POISONED == POISONED - 1
}

fn person(poster: usize, number: usize) -> String {
    format!("{poster}-{}", number / EACH)
}

fn event(poster: usize, number: usize) -> Value {
    let person = person(poster, number);
    let place = number % EACH;
    let color = if is_poisoned(number) { "octarine" } else { "red" };
    json!({
        "type": "track",
        "event": format!("{number}"),
        "messageId": format!("message-{poster}-{number}"),
        "userId": (place >= ANONYMOUS).then(|| format!("user-{person}")),
        "anonymousId": (place <= ANONYMOUS).then(|| format!("visitor-{person}")),
        "properties": { "color": color },
    })
}

/// Sends events in batches of any size, each until it is acknowledged. Gives how many that were.
async fn post(client: Client, poster: usize, over: Arc<AtomicBool>) -> usize {
    let mut next = 0;
    while !over.load(Ordering::Relaxed) {
        let end = next + 1 + random_below(9);
        let items: Vec<Value> = (next..end).map(|number| event(poster, number)).collect();
        let body = json!({ "batch": items });
        while client.try_post(KEY, "/v1/batch", &body).await.is_none_or(|a| a.status != 200) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        next = end;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    next
}

async fn order_faults(heap: &Heap) {
    let poison = json!({ "kind": "poison", "property": "color", "value": "octarine" });
    heap.fault(&poison).await;
    for (kind, share, seed) in
        [("store_then_close", 0.05, 1), ("close_before_reading", 0.05, 2), ("half_answer", 0.05, 3)]
    {
        heap.fault(&json!({ "kind": kind, "probability": share, "seed": seed })).await;
    }
    for (status, seed) in [(503, 4), (429, 5)] {
        let fault =
            json!({ "kind": "status", "status": status, "probability": 0.05, "seed": seed });
        heap.fault(&fault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ends_well_in_spite_of_everything() {
    let rounds = std::env::var("HEAPLINE_KILLS");
    let rounds: usize = rounds.map_or(5, |text| text.parse().unwrap());
    let heap = Heap::start().await.without_rates().await;
    order_faults(&heap).await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let config = data.join("config.toml");
    let soon = "[delivery]\nfirstBackoff = \"10ms\"\nmaxBackoff = \"100ms\"\n";
    std::fs::write(&config, soon).unwrap();
    let options = [std::ffi::OsStr::new("--config"), config.as_os_str()];
    let no_limits = "anonymous = \"hold\", eventsPerMinute = 0, eventsPerMinutePerIdentity = 0, \
                     userUpdatesPer30Seconds = 0";
    let on = Workspace::to(&heap.address).settings(no_limits);
    let variants = [
        on.clone(),
        on.clone().integration("sources = [\"server\"]\nenabled = false"),
        on.clone().integration("sources = [\"server\"]\nname = \"Renamed\""),
    ];
    let file = data.join("workspace.toml");
    on.write(&file);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);

    let mut server = ServerProcess::start(data, &address, &options).await;
    let over = Arc::new(AtomicBool::new(false));
    let posters: Vec<_> = (0..POSTERS)
        .map(|poster| tokio::spawn(post(server.client(data), poster, over.clone())))
        .collect();
    for _ in 0..rounds {
        tokio::time::sleep(LIFE.mul_f64(random_below(1000) as f64 / 1000.0)).await;
        variants[random_below(variants.len())].write(&file);
        tokio::time::sleep(LIFE.mul_f64(random_below(1000) as f64 / 1000.0)).await;
        server.kill();
        server = ServerProcess::start(data, &address, &options).await;
    }
    over.store(true, Ordering::Relaxed);
    on.write(&file);

    // A user's events that Heap takes, in order; and those that it refuses.
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut poisoned = BTreeSet::new();
    let mut held = 0;
    for (poster, task) in posters.into_iter().enumerate() {
        let count = task.await.unwrap();
        let linked = count - count % EACH + if count % EACH > ANONYMOUS { EACH } else { 0 };
        for number in 0..count {
            if number >= linked {
                held += 1;
            } else if is_poisoned(number) {
                poisoned.insert(format!("message-{poster}-{number}"));
            } else {
                let user = format!("user-{}", person(poster, number));
                expected.entry(user).or_default().push(number.to_string());
            }
        }
    }
    let all: usize = expected.values().map(Vec::len).sum();
    until("all events in Heap", async || (heap.summary().events >= all as u64).then_some(())).await;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in heap.list("events").await {
        let user = event["identifiers"]["identity"].as_str().unwrap().to_owned();
        found.entry(user).or_default().push(event["event"].as_str().unwrap().to_owned());
    }
    for (user, expected) in &expected {
        assert_eq!(found.get(user), Some(expected), "{user}");
    }
    assert_eq!(found.len(), expected.len());

    // The ledger agrees.
    let client = server.client(data);
    let with = async |outcome: &str| {
        let mut ids = BTreeSet::new();
        let mut before = u64::MAX >> 1;
        loop {
            let path = format!("/events?outcome={outcome}&limit=500&before={before}");
            let page = client.ask(&path).await;
            let events = page["events"].as_array().unwrap();
            ids.extend(events.iter().map(|e| e["messageId"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_u64() else { return ids };
            before = next;
        }
    };
    until("a settled ledger", async || {
        (with("pending").await.is_empty() && with("held").await.len() == held).then_some(())
    })
    .await;
    assert_eq!(with("failed").await, poisoned);
    for outcome in ["refused", "expired"] {
        assert_eq!(with(outcome).await, BTreeSet::new(), "{outcome}");
    }
    println!("{all} delivered, {} refused, {held} held, {rounds} rounds", poisoned.len());
}
