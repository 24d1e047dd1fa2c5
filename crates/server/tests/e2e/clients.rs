//! Real clients, unmodified, of which only the host is set: all that they send is kept and
//! delivered, once, through refusals, errors and killed servers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use heapline_action::datetime;
use serde_json::{Value, json};

use crate::support::child::ServerProcess;
use crate::support::client::Client;
use crate::support::heap::Heap;
use crate::support::house::House;
use crate::support::proxy::Proxy;
use crate::support::until;
use crate::support::workspace::Workspace;

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// A client by its package.
#[derive(Clone, Copy)]
enum Kind {
    Node(&'static str),
    Python(&'static str),
}

/// Runs a client to its end; gives the events that it says it lost.
async fn run(kind: Kind, host: &str, what: &str) -> Vec<String> {
    let (program, script, package, installed) = match kind {
        Kind::Node(package) => {
            let installed = format!("{CLIENTS}/node/node_modules/{package}/package.json");
            ("node".to_owned(), format!("{CLIENTS}/node/client.js"), package, installed)
        }
        Kind::Python(package) => {
            let python = format!("{CLIENTS}/python/.venv/bin/python");
            (python.clone(), format!("{CLIENTS}/python/client.py"), package, python)
        }
    };
    assert!(
        Path::new(&installed).exists(),
        "the client {package} isn't installed: run `cargo xtask setup` first"
    );
    let mut command = Command::new(program);
    command.args([&script, package, host, what]).stdin(Stdio::null());
    for proxy in
        ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    {
        command.env_remove(proxy);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{package}: {errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let last = printed.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|e| panic!("{package}: {e}: {printed}{errors}"))
}

/// All events of the journal, newest first.
async fn journal(client: &Client) -> Vec<Value> {
    let mut events = Vec::new();
    let mut page = client.ask("/events?limit=500").await;
    loop {
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_u64() else { return events };
        page = client.ask(&format!("/events?limit=500&before={next}")).await;
    }
}

fn time(text: &Value) -> i64 {
    let text = text.as_str().expect("a time is a text");
    datetime::read(&text.into()).unwrap_or_else(|| panic!("{text} is no time"))
}

/// The six calls are in the journal, once and whole, and what is Heap's is in Heap.
async fn all_six_arrived(house: &House, heap: &Heap) {
    let list = journal(&house.client).await;
    assert_eq!(list.len(), 6, "{list:#?}");
    let mut calls = BTreeMap::new();
    for event in &list {
        let place = event["seq"].as_u64().unwrap();
        let call = house.client.ask(&format!("/events/{place}")).await["event"].clone();
        calls.insert(call["type"].as_str().unwrap().to_owned(), call);
    }
    let has = |kind: &str, pointer: &str, expected: Value| {
        assert_eq!(
            calls[kind].pointer(pointer),
            Some(&expected),
            "{kind}{pointer}: {}",
            calls[kind]
        );
    };
    for kind in ["track", "page", "screen", "identify", "group", "alias"] {
        assert!(calls.contains_key(kind), "{kind} is missing");
        has(kind, "/userId", json!("ada"));
        assert!(calls[kind].pointer("/context/library/name").is_some(), "{}", calls[kind]);
        // Corrected by the time on the way, which is never negative on one clock.
        let (given, kept) =
            (time(&calls[kind]["originalTimestamp"]), time(&calls[kind]["timestamp"]));
        assert_eq!(given, time(&json!("2026-03-10T22:21:56.500Z")), "{}", calls[kind]);
        // Python rounds what it sent to microseconds, we to milliseconds.
        assert!(given - 1 <= kept && kept < given + 60_000, "{}", calls[kind]);
    }
    has("track", "/event", json!("Order Completed"));
    has("track", "/properties", json!({ "price": 9.5, "items": [1, 2], "note": "Zoë 🚀" }));
    has("page", "/name", json!("Pricing"));
    has("page", "/properties/path", json!("/pricing"));
    has("screen", "/name", json!("Home"));
    has("screen", "/properties/tab", json!(2));
    has("group", "/groupId", json!("g1"));
    has("group", "/traits/seats", json!(3));
    has("alias", "/previousId", json!("old"));

    let events = heap.events(3).await;
    let seen: BTreeMap<&str, &Value> =
        events.iter().map(|e| (e["event"].as_str().unwrap(), &e["properties"])).collect();
    let names: Vec<&str> = seen.keys().copied().collect();
    assert_eq!(names, ["Order Completed", "Page viewed", "Screen viewed"]);
    let track = json!({ "price": 9.5, "items": "[1,2]", "note": "Zoë 🚀" });
    assert_eq!(seen["Order Completed"], &track);
    let kept = events.iter().find(|e| e["event"] == "Order Completed").unwrap();
    assert_eq!(time(&kept["timestamp"]), time(&calls["track"]["timestamp"]));
    assert_eq!(seen["Page viewed"]["name"], "Pricing");
    assert_eq!(seen["Screen viewed"]["tab"], 2);
    for event in &events {
        assert_eq!(event["identifiers"]["identity"], "ada");
    }
    let ada = until("ada's properties", async || {
        heap.user("ada").await.filter(|ada| ada["properties"]["plan"] == "pro")
    })
    .await;
    assert_eq!(ada["properties"]["address.city"], "Paris");
    assert_eq!(heap.summary().duplicates, 0);
}

/// This client puts the traits of an identify call into its context, where the preset's mapping
/// doesn't look.
fn workspace(kind: Kind, heap: &Heap) -> Workspace {
    let workspace = Workspace::to(&heap.address);
    match kind {
        Kind::Python("rudder-sdk-python") => workspace.integration(
            r#"sources = ["server"]

[[integrations.actions]]
action = "trackEvent"
trigger = 'type = "track" or type = "page" or type = "screen"'

[[integrations.actions]]
action = "identifyUser"
trigger = 'type = "identify"'
mapping = { traits = { "@path" = "$.context.traits" } }"#,
        ),
        Kind::Python(_) | Kind::Node(_) => workspace,
    }
}

async fn six_calls(kind: Kind) {
    let heap = Heap::start().await;
    let house = House::start(&workspace(kind, &heap)).await;
    let host = format!("http://{}", house.server().address());
    assert_eq!(run(kind, &host, "six").await, [""; 0]);
    all_six_arrived(&house, &heap).await;
}

async fn tries_again(kind: Kind) {
    let heap = Heap::start().await;
    let house = House::start(&workspace(kind, &heap)).await;
    let proxy = Proxy::start(house.server().address(), &[429, 500]).await;
    assert_eq!(run(kind, &proxy.address, "six").await, [""; 0]);
    let statuses = proxy.statuses();
    assert!(statuses.starts_with(&[429, 500]) && statuses.len() > 2, "{statuses:?}");
    assert!(statuses.iter().skip(2).all(|status| *status == 200), "{statuses:?}");
    all_six_arrived(&house, &heap).await;
}

/// The server is killed twice while the client sends. A patient client loses nothing; the others
/// lose only what they say they lost.
async fn outlives_kills(kind: Kind, patient: bool) {
    let count = 300;
    let heap = Heap::start().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    Workspace::to(&heap.address).write(&data.join("workspace.toml"));
    let mut server = ServerProcess::start(data, "127.0.0.1:0", &[]).await;
    let proxy = Proxy::start(server.address(), &[]).await;
    let host = proxy.address.clone();
    let client = tokio::spawn(async move { run(kind, &host, &count.to_string()).await });
    for _ in 0..2 {
        let before = proxy.statuses().len();
        until("a request of the client", async || {
            (client.is_finished() || proxy.statuses().len() > before).then_some(())
        })
        .await;
        server.kill();
        server = ServerProcess::start(data, "127.0.0.1:0", &[]).await;
        proxy.point_at(server.address());
    }
    let lost: BTreeSet<String> = client.await.unwrap().into_iter().collect();
    assert!(!patient || lost.is_empty(), "{lost:?}");
    let names: Vec<String> = journal(&server.client(data))
        .await
        .iter()
        .map(|event| event["name"].as_str().unwrap().to_owned())
        .collect();
    let stored: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(names.len(), stored.len(), "nothing is in the journal twice");
    for number in 0..count {
        let name = format!("E {number}");
        assert!(stored.contains(&name) || lost.contains(&name), "{name} vanished");
    }
    heap.events(stored.len()).await;
}

macro_rules! client {
    ($name:ident, $kind:expr, patient: $patient:expr) => {
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn delivers_all_six_calls() {
                six_calls($kind).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn tries_again_after_429_and_500() {
                tries_again($kind).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn outlives_a_killed_server() {
                outlives_kills($kind, $patient).await;
            }
        }
    };
}

client!(customerio_node, Kind::Node("@customerio/cdp-analytics-node"), patient: false);
client!(segment_node, Kind::Node("@segment/analytics-node"), patient: true);
client!(rudderstack_node, Kind::Node("@rudderstack/rudder-sdk-node"), patient: false);
client!(customerio_python, Kind::Python("customerio-cdp-analytics"), patient: true);
client!(segment_python, Kind::Python("segment-analytics-python"), patient: true);
client!(rudderstack_python, Kind::Python("rudder-sdk-python"), patient: true);
