//! `heapline events`, `check`, `explain`, and how all commands end.

use heapline_server::admin::AdminFile;
use serde_json::{Value, json};

use crate::support::child::{ServerProcess, heapline, heapline_with};
use crate::support::heap::Heap;
use crate::support::house::House;
use crate::support::workspace::Workspace;

/// One event delivered, one refused by its content, one turned away at the door.
async fn history(house: &House) {
    house.client.track("ada", "Paid", "message-1").await;
    house.client.outcome("message-1", "delivered").await;
    let body = json!({ "anonymousId": "anon-1", "event": "Seen", "messageId": "message-2" });
    house.client.accepted("/v1/track", &body).await;
    house.client.outcome("message-2", "refused").await;
    let nameless = house.client.post("/v1/track", &json!({ "userId": "ada" })).await;
    assert_eq!(nameless.status, 400);
}

/// Asks all that can be asked; the answers are the same from a server and from a directory.
async fn ask(data: &str) -> Vec<Value> {
    let list = heapline(&["events", "--data", data]).await;
    assert_eq!(list.code, 0, "{}", list.err);
    for part in ["Paid", "ada", "message-1", "delivered", "anon-1", "refused"] {
        assert!(list.out.contains(part), "{part} in {}", list.out);
    }
    let one = heapline(&["events", "--data", data, "--user", "ada", "--json"]).await;
    let one: Value = serde_json::from_str(&one.out).unwrap();
    assert_eq!(one["events"].as_array().unwrap().len(), 1, "{one}");
    assert_eq!(one["events"][0]["messageId"], "message-1");
    let place = one["events"][0]["seq"].to_string();

    let by_place = heapline(&["events", "--data", data, &place]).await;
    assert_eq!(by_place.code, 0, "{}", by_place.err);
    let by_id = heapline(&["events", "--data", data, "--message-id", "message-1", "--trace"]).await;
    assert_eq!(by_place.out, by_id.out);
    for part in ["/api/track", "\"idempotency_key\": \"message-1\"", "taken", "digest agrees"] {
        assert!(by_place.out.contains(part), "{part} in {}", by_place.out);
    }
    let trace = heapline(&["events", "--data", data, &place, "--json"]).await;
    let trace: Value = serde_json::from_str(&trace.out).unwrap();
    assert_eq!(trace["ways"][0]["requestsMatch"], true, "{trace}");

    let refused = heapline(&["events", "--data", data, "--refused"]).await;
    assert_eq!(refused.code, 0, "{}", refused.err);
    assert!(refused.out.contains("invalid_event"), "{}", refused.out);
    let refused = heapline(&["events", "--data", data, "--refused", "--json"]).await;
    let refused: Value = serde_json::from_str(&refused.out).unwrap();
    assert!(refused[0]["message"].as_str().unwrap().contains("event"), "{refused}");

    let dead = heapline(&["events", "--data", data, "--outcome", "refused", "--json"]).await;
    let dead: Value = serde_json::from_str(&dead.out).unwrap();
    assert_eq!(dead["events"][0]["messageId"], "message-2", "{dead}");
    let none = heapline(&["events", "--data", data, "--user", "nobody"]).await;
    assert_eq!((none.code, &*none.out), (3, ""), "{}", none.err);
    let none = heapline(&["events", "--data", data, "--since", "1m", "--outcome", "failed"]).await;
    assert_eq!(none.code, 3, "{}", none.err);
    vec![one, trace, refused, dead]
}

#[tokio::test(flavor = "multi_thread")]
async fn events_answers_alike_from_a_running_server_and_from_its_directory() {
    let heap = Heap::start().await;
    let mut house = House::start(&Workspace::to(&heap.address)).await;
    history(&house).await;
    let data = house.data.path().to_str().unwrap().to_owned();
    let running = ask(&data).await;
    house.stop().await;
    assert_eq!(ask(&data).await, running);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_asks_a_server_by_address_and_reads_what_a_killed_one_left() {
    let heap = Heap::start().await;
    let data = tempfile::tempdir().unwrap();
    Workspace::to(&heap.address).write(&data.path().join("workspace.toml"));
    let server = ServerProcess::start(data.path(), "127.0.0.1:0", &[]).await;
    let client = server.client(data.path());
    client.track("ada", "Paid", "message-1").await;
    client.outcome("message-1", "delivered").await;
    let file = AdminFile::read(data.path()).unwrap().unwrap();
    let by_address = ["events", "--server", &file.address, "--token", file.token.reveal()];
    let ran = heapline(&by_address).await;
    assert!(ran.code == 0 && ran.out.contains("message-1"), "{}{}", ran.out, ran.err);
    let wrong = heapline(&["events", "--server", &file.address, "--token", "wrong"]).await;
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("token"), "{}", wrong.err);
    server.kill();
    let gone = heapline(&by_address).await;
    assert!(gone.code == 1 && gone.err.contains(&file.address), "{}", gone.err);
    let left = heapline(&["events", "--data", data.path().to_str().unwrap()]).await;
    assert!(left.code == 0 && left.out.contains("delivered"), "{}{}", left.out, left.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_takes_and_keeps_events() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let demo = ["demo", "--for", "1s", "--port", "0", "--data", data.to_str().unwrap()];
    let ran = heapline(&demo).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let last = ran.out.lines().last().unwrap();
    assert!(last.contains("accepted") && !last.contains("accepted 0 "), "{}", ran.out);
    assert!(ran.out.contains("web mode   http://127.0.0.1:"), "{}", ran.out);
    let list = heapline(&["events", "--data", data.to_str().unwrap(), "--limit", "1"]).await;
    assert_eq!(list.code, 0, "{}", list.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_events_follow_each_other() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    for number in 0..7 {
        house.client.track("ada", "E", &format!("message-{number}")).await;
    }
    let data = house.data.path().to_str().unwrap();
    let mut seen = Vec::new();
    let mut before = String::from("1000000");
    loop {
        let page =
            heapline(&["events", "--data", data, "--limit", "3", "--before", &before, "--json"])
                .await;
        let page: Value = serde_json::from_str(&page.out).unwrap();
        let ids = page["events"].as_array().unwrap().iter();
        seen.extend(ids.map(|e| e["messageId"].as_str().unwrap().to_owned()));
        match page["next"].as_u64() {
            Some(next) => before = next.to_string(),
            None => break,
        }
    }
    let expected: Vec<String> = (0..7).rev().map(|n| format!("message-{n}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_end_with_the_documented_exit_codes() {
    let cases: [(&[&str], i32, &str); 12] = [
        (&["--version"], 0, ""),
        (&["events", "--help"], 0, ""),
        (&["nonsense"], 2, "nonsense"),
        (&["events", "--nonsense"], 2, "--nonsense"),
        (&["events", "--data", "/nonexistent"], 1, "/nonexistent"),
        (&["check", "/nonexistent.toml"], 1, "/nonexistent.toml"),
        (&["explain", "/nonexistent.json"], 1, "/nonexistent.json"),
        (&["serve", "--workspace", "/nonexistent.toml"], 1, "/nonexistent.toml"),
        (&["serve", "--listen", "127.0.0.1:0", "--data", "/proc/no"], 1, "/proc/no"),
        (&["serve", "--config", "/nonexistent.toml"], 1, "/nonexistent.toml"),
        (&["sandbox", "--listen", "203.0.113.1:1"], 1, "203.0.113.1:1"),
        (&["sandbox", "--listen", "127.0.0.1:0", "--profile", "x"], 1, "profile"),
    ];
    for (args, code, part) in cases {
        let ran = heapline(args).await;
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{args:?}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_says_which_argument_is_wrong() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let cases: [(&[&str], &str); 3] = [
        (&["--outcome", "lost"], "found \"lost\""),
        (&["--since", "soon"], "found \"soon\""),
        (&["99"], "99"),
    ];
    for (args, part) in cases {
        let args: Vec<&str> = ["events", "--data", data].iter().chain(args).copied().collect();
        let ran = heapline(&args).await;
        assert!(ran.code == 1 && ran.err.contains(part), "{args:?}: {} {}", ran.code, ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_all_faults_with_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("workspace.toml");
    let file_name = file.to_str().unwrap();
    Workspace::to("http://127.0.0.1:1").write(&file);
    let good = heapline(&["check", file_name]).await;
    assert_eq!(good.code, 0, "{}", good.out);
    assert!(good.out.contains("2 sources, 1 integrations, 2 actions"), "{}", good.out);

    let bad = r#"
[[sources]]
id = "s"
kind = "carrier-pigeon"
writeKeys = ["wk"]

[[integrations]]
id = "heap"
destination = "heap"
sources = ["missing"]
settings = { appId = "x", regoin = "US" }

[[integrations.actions]]
name = "A"
action = "trackEvent"
trigger = "type = "
"#;
    std::fs::write(&file, bad).unwrap();
    let ran = heapline(&["check", "--json", file_name]).await;
    assert_eq!(ran.code, 3, "{}", ran.err);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let faults = told["faults"].as_array().unwrap();
    let paths: Vec<&str> = faults.iter().map(|f| f["path"].as_str().unwrap()).collect();
    for path in [
        "sources[0].kind",
        "integrations[0].sources[0]",
        "integrations[0].settings.appId",
        "integrations[0].settings.regoin",
        "integrations[0].actions[0].trigger",
    ] {
        assert!(paths.contains(&path), "{path} in {told}");
    }
    let text = heapline(&["check", file_name]).await;
    assert_eq!(text.code, 3);
    assert!(paths.iter().all(|path| text.out.contains(path)), "{}", text.out);

    std::fs::write(&file, "[[sources]\n").unwrap();
    assert_eq!(heapline(&["check", file_name]).await.code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_verdicts_payloads_and_requests_and_sends_nothing() {
    let events = [
        json!({ "type": "track", "event": "Paid", "userId": "ada", "messageId": "message-1" }),
        json!({ "type": "track", "event": "Paid", "anonymousId": "a", "messageId": "message-2" }),
    ];
    let input = format!("{}\n{}\n", events[0], events[1]);
    let ran = heapline_with(&["explain", "--json"], &input).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<Value> = ran.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let verdicts: Vec<Value> = lines
        .iter()
        .map(|l| json!([l["event"], l["action"], l["verdict"], l["trigger"]["holds"]]))
        .collect();
    let expected = [
        json!([1, "Track Event", "sent", true]),
        json!([1, "Identify User", "filtered", false]),
        json!([2, "Track Event", "refused", true]),
        json!([2, "Identify User", "filtered", false]),
    ];
    assert_eq!(verdicts, expected);
    assert_eq!(lines[0]["payload"]["event"], "Paid");
    assert_eq!(lines[0]["requests"][0]["json"]["events"][0]["identity"], "ada");
    let text = heapline_with(&["explain"], &input).await;
    for part in ["Paid", "sent", "refused", "type = \"track\"", "/api/track"] {
        assert!(text.out.contains(part), "{part} in {}", text.out);
    }
    assert_eq!(heapline_with(&["explain"], "").await.code, 3);
    assert_eq!(heapline_with(&["explain"], "{\"a\":").await.code, 1);
    assert_eq!(heapline_with(&["explain"], "[1]").await.code, 1);
}
