//! The official Node client, unmodified, and pages with the stand-in scripts, against the sandbox.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests")]

use std::path::Path;
use std::process::Stdio;

use heapline_sandbox::{Options, Sandbox, serve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// Runs a Node script with the port of a fresh sandbox; gives what it printed, and the answers of
/// these inspection lists.
async fn run(script: &str, lists: &[&str]) -> (Value, Vec<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let sandbox = Sandbox::new(Options::default());
    let served = tokio::spawn(serve(listener, sandbox, async move {
        stopped.await.unwrap_or_default();
    }));

    let script = format!("{TESTS}/{script}");
    let port = address.port().to_string();
    let node = tokio::task::spawn_blocking(move || {
        std::process::Command::new("node")
            .args([&script, &port])
            .stdin(Stdio::null())
            .output()
            .expect("Node runs: install Node 20 or later")
    });
    let output = node.await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the script failed: {errors}");
    let printed = serde_json::from_slice(&output.stdout).unwrap();

    let mut answers = Vec::new();
    for list in lists {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET /_sandbox/{list} HTTP/1.1\r\nhost: s\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answers.push(serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap());
    }
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
    (printed, answers)
}

#[tokio::test]
async fn the_official_node_client_is_understood() {
    assert!(
        Path::new(&format!("{TESTS}/npm/node_modules/heap-api")).exists(),
        "the npm package heap-api isn't installed: run `cargo xtask setup` first"
    );
    let (printed, answers) =
        run("npm/client.js", &["events", "users/ada@example.com", "requests"]).await;
    let done = json!({ "resolved": true });
    let refused = |text: &str| json!({ "name": "heap.ApiError", "message": format!("Heap API server error 400: {text}") });
    let expected = json!({
        "track": done,
        "track without properties": done,
        "track with the longest texts": done,
        "track with a number as identity": done,
        "addUserProperties": done,
        "addUserProperties with a reserved key":
            refused("postBody.users[0].properties property name 'ID' is invalid"),
        "addUserProperties with a list": refused("postBody.users[0].properties should be object"),
        "refused by the client": {
            "name": "TypeError",
            "message": "Unsupported type for property yes value: true",
        },
        "a wrong app id": refused("postBody.app_id should match pattern \"^[0-9]+$\""),
    });
    assert_eq!(printed, expected);

    let events = answers[0]["events"].as_array().unwrap();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["Invoice Paid", "Signed In", &"é".repeat(1024), "Signed In"]);
    assert_eq!(events[0]["properties"], json!({ "plan": "pro", "seats": 3 }));
    assert_eq!(events[3]["identifiers"]["identity"], "42");
    assert_eq!(answers[1]["event_count"], 2);
    assert_eq!(answers[1]["properties"], json!({ "age": 36, "email": "ada@example.com" }));
    let agent = answers[2]["requests"][0]["headers"]["user-agent"].as_str().unwrap();
    assert!(agent.starts_with("heap-node/1.0.1 request/"), "{agent}");
}

#[tokio::test]
async fn the_stand_in_scripts_drain_their_queues_and_report_each_call() {
    let (printed, answers) = run("web/page.js", &["web-calls"]).await;
    let expected = json!({
        "classic": {
            "loaded": true,
            "appid": "11",
            "identity": "ada",
            "push": "undefined",
            "cookie": "_hp2_id.11; path=/; max-age=34164000; samesite=lax; secure",
            "cors": "*",
            "type": "text/javascript; charset=utf-8",
        },
        "v5": {
            "loaded": true,
            "early": "ada",
            "identity": null,
            "reset": true,
            "ingestServer": true,
            "cookie": "_hp5_meta.11; path=/; max-age=34164000; samesite=lax",
            "cors": "*",
        },
    });
    assert_eq!(printed, expected);

    let calls: Vec<Value> = answers[0]["web_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| json!([call["sdk"], call["method"], call["args"]]))
        .collect();
    let config = calls[3][2][2].clone();
    assert_eq!(
        calls,
        [
            json!(["classic", "track", ["Early", { "n": 1 }]]),
            json!(["classic", "identify", ["ada"]]),
            json!(["classic", "track", ["Late", { "list": [1, null, null], "fn": "[function fn]" }]]),
            json!(["v5", "init", ["11", { "disableTextCapture": true }, config]]),
            json!(["v5", "identify", ["ada"]]),
            json!(["v5", "track", ["Early", { "n": 1 }]]),
            json!(["v5", "getIdentity", []]),
            json!(["v5", "addUserProperties", [{ "plan": "pro" }]]),
            json!(["v5", "getUserId", []]),
            json!(["v5", "resetIdentity", []]),
            json!(["v5", "getUserId", []]),
            json!(["v5", "getIdentity", []]),
        ]
    );
}
