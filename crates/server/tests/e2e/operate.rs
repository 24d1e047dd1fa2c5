//! What operators rely on: metrics, health, stops in bounded time, careful configuration.

use std::ffi::OsStr;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use crate::support::child::ServerProcess;
use crate::support::heap::Heap;
use crate::support::house::House;
use crate::support::until;
use crate::support::workspace::{Workspace, put};

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_and_every_metric_are_there_and_count() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    house.client.track("ada", "E", "message-1").await;
    house.client.track("ada", "E", "message-1").await;
    let body = json!({ "anonymousId": "a", "event": "E", "messageId": "message-2" });
    house.client.accepted("/v1/track", &body).await;
    house.client.post("/v1/track", &json!({ "userId": "ada" })).await;
    house.client.outcome("message-1", "delivered").await;
    house.client.outcome("message-2", "refused").await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(house.client.get(path).await.status, 200, "{path}");
    }
    let text = until("pending and its age", async || {
        let metrics = house.client.get("/metrics").await;
        assert_eq!(metrics.status, 200);
        let zero = "heapline_pending_events{integration=\"heap\"} 0";
        metrics.text.contains(zero).then_some(metrics.text)
    })
    .await;
    for line in [
        "heapline_door_requests_total 4",
        "heapline_accepted_total 2",
        "heapline_duplicates_total 1",
        "heapline_refused_total{code=\"invalid_event\"} 1",
        "heapline_deliveries_total{integration=\"heap\",outcome=\"delivered\"} 1",
        "heapline_deliveries_total{integration=\"heap\",outcome=\"refused\"} 1",
        "heapline_deliveries_total{integration=\"heap\",outcome=\"filtered\"} 2",
        "heapline_requests_total{integration=\"heap\",endpoint=\"track\",status=\"200\"} 1",
        "heapline_oldest_pending_age_seconds{integration=\"heap\"} 0",
        "heapline_journal_events 2",
        "# EOF",
    ] {
        assert!(text.lines().any(|l| l.starts_with(line)), "{line} in {text}");
    }
    for name in [
        "door_received_bytes_total",
        "client_metrics_total",
        "request_items_bucket",
        "request_duration_seconds_bucket",
        "append_duration_seconds_bucket",
        "fsync_duration_seconds_bucket",
        "append_events_bucket",
        "journal_size_bytes",
    ] {
        assert!(text.contains(&format!("\nheapline_{name}")), "{name} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_asks_for_its_token_and_unknown_addresses_are_problems() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    let address = house.server().address();
    let http = crate::support::client::plain_http();
    let url = format!("http://{address}/api/v1/events");
    assert_eq!(http.get(&url).send().await.unwrap().status(), 401);
    let wrong = http.get(&url).bearer_auth("0".repeat(48)).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(wrong.headers()["content-type"], "application/problem+json");
    for (path, status) in [
        ("/api/v1/nothing", 404),
        ("/api/v1/events/x", 400),
        ("/api/v1/events/99", 404),
        ("/api/v1/events?nonsense=1", 400),
        ("/api/v1/events?outcome=lost", 400),
        ("/nothing", 404),
    ] {
        let answer = house.client.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert!(answer.json()["detail"].as_str().is_some_and(|d| !d.is_empty()), "{}", answer.text);
    }
}

/// A destination that takes connections and never answers.
async fn hanging() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_no_hanging_destination_and_loses_nothing() {
    let heap = Heap::start().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    Workspace::to(&hanging().await).write(&data.join("workspace.toml"));
    let config = data.join("config.toml");
    let settings = "[server]\nstopWithin = \"200ms\"\n[delivery]\ntimeout = \"1h\"\n";
    std::fs::write(&config, settings).unwrap();
    let options = [OsStr::new("--config"), config.as_os_str()];
    let server = ServerProcess::start(data, "127.0.0.1:0", &options).await;
    let client = server.client(data);
    client.track("ada", "E", "message-1").await;
    client.outcome("message-1", "pending").await;
    let (code, took) = server.terminate().await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(30), "{took:?}, when each part may take 0.2 s");

    Workspace::to(&heap.address).write(&data.join("workspace.toml"));
    let server = ServerProcess::start(data, "127.0.0.1:0", &options).await;
    server.client(data).outcome("message-1", "delivered").await;
    assert_eq!(heap.names("ada").await, ["E"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_file_with_faults_leaves_the_old_workspace_at_work() {
    let heap = Heap::start().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let file = data.join("workspace.toml");
    Workspace::to(&heap.address).write(&file);
    let server = ServerProcess::start(data, "127.0.0.1:0", &[]).await;
    let client = server.client(data);
    put(&file, "[[integrations]]\nid = \"heap\"\nname = 5\n");
    until("the complaint in the log", async || {
        let log = std::fs::read_to_string(data.join("server.log")).unwrap();
        (log.contains("stays as it was") && log.contains("integrations[0].name")).then_some(())
    })
    .await;
    client.track("ada", "E", "message-1").await;
    client.outcome("message-1", "delivered").await;
    std::fs::remove_file(&file).unwrap();
    client.track("ada", "E", "message-2").await;
    client.outcome("message-2", "delivered").await;
    assert_eq!(server.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_data_is_refused_and_harms_nothing() {
    let heap = Heap::start().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let file = data.join("workspace.toml");
    Workspace::to(&heap.address).write(&file);
    let server = ServerProcess::start(data, "127.0.0.1:0", &[]).await;
    let (data_name, file_name) = (data.to_str().unwrap(), file.to_str().unwrap());
    let second = ["serve", "--data", data_name, "--workspace", file_name];
    let second =
        crate::support::child::heapline(&[&second[..], &["--listen", "127.0.0.1:0"]].concat())
            .await;
    assert_eq!(second.code, 1, "{}{}", second.out, second.err);
    assert!(second.err.contains(data_name), "{}", second.err);
    let client = server.client(data);
    client.track("ada", "E", "message-1").await;
    client.outcome("message-1", "delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_addresses_are_believed_of_trusted_proxies_only() {
    let heap = Heap::start().await;
    let page = r#"[[sources]]
id = "page"
kind = "javascript"
writeKeys = ["wk_page"]"#;
    let workspace = Workspace::to(&heap.address).more(page);
    for (trusted, expected) in [(&["127.0.0.0/8"][..], "203.0.113.9"), (&[], "127.0.0.1")] {
        let house = House::start_with(&workspace, |config| {
            config.server.trusted_proxies = trusted.iter().map(|t| (*t).to_owned()).collect();
        })
        .await;
        let url = format!("http://{}/v1/track", house.server().address());
        let body = json!({ "userId": "ada", "event": "E", "messageId": "message-1" });
        let request = crate::support::client::plain_http().post(url);
        let request = request.basic_auth("wk_page", Some("")).body(body.to_string());
        let request = request.header("x-forwarded-for", "198.51.100.1, 203.0.113.9");
        assert_eq!(request.send().await.unwrap().status(), 200);
        let trace = house.client.trace("message-1").await;
        assert_eq!(trace["event"]["context"]["ip"], expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_settings_hold_at_the_door() {
    let heap = Heap::start().await;
    let house = House::start_with(&Workspace::to(&heap.address), |config| {
        config.door.max_item = bytesize::ByteSize::b(500);
        config.door.max_items = 2;
        config.door.max_depth = 4;
    })
    .await;
    let item =
        |id: &str| json!({ "type": "track", "userId": "ada", "event": "E", "messageId": id });
    let mut long = item("message-long");
    long["properties"] = json!({ "text": "x".repeat(600) });
    let mut deep = item("message-deep");
    deep["properties"] = json!({ "a": { "b": { "c": { "d": { "e": 1 } } } } });
    for (path, body) in [
        ("/v1/track", long),
        ("/v1/track", deep),
        ("/v1/batch", json!({ "batch": [item("1"), item("2"), item("3")] })),
    ] {
        let answer = house.client.post(path, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    house.client.accepted("/v1/batch", &json!({ "batch": [item("1"), item("2")] })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_answers_for_all_that_it_took() {
    let heap = Heap::start().await.without_rates().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    Workspace::to(&heap.address)
        .settings("eventsPerMinute = 0, eventsPerMinutePerIdentity = 0")
        .write(&data.join("workspace.toml"));
    let server = ServerProcess::start(data, "127.0.0.1:0", &[]).await;
    let posters: Vec<_> = (0..4)
        .map(|poster| {
            let client = server.client(data);
            tokio::spawn(async move {
                let mut taken = Vec::new();
                loop {
                    let name = format!("{}", taken.len());
                    let body = json!({ "userId": format!("user-{poster}"), "event": name,
                        "messageId": format!("message-{poster}-{name}") });
                    let answer = client.try_post("wk_server", "/v1/track", &body).await;
                    match answer.map(|answer| answer.status) {
                        Some(200) => taken.push(name),
                        Some(503) | None => return taken,
                        Some(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    heap.events_at_least(200).await;
    assert_eq!(server.terminate().await.0, Some(0));
    let mut taken = Vec::new();
    for poster in posters {
        taken.push(poster.await.unwrap());
    }
    let all: usize = taken.iter().map(Vec::len).sum();
    let server = ServerProcess::start(data, "127.0.0.1:0", &[]).await;
    heap.events(all).await;
    for (poster, taken) in taken.iter().enumerate() {
        assert_eq!(&heap.names(&format!("user-{poster}")).await, taken);
    }
    assert_eq!(heap.summary().duplicates, 0, "a stop lets requests in flight settle");
    assert_eq!(server.terminate().await.0, Some(0));
}
