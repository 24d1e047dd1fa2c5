//! The command line against a running server: the program itself is run.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::world::World;

/// Runs the program off the threads that serve it.
async fn run(world: &World, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapline"));
    command.args(args).env("HEAPLINE_SERVER", &world.url).env("HEAPLINE_TOKEN", &world.token);
    let output: Output =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    text.push_str(&String::from_utf8(output.stderr).unwrap());
    (output.status.code().unwrap(), text)
}

async fn good(world: &World, args: &[&str]) -> String {
    let (code, text) = run(world, args).await;
    assert_eq!(code, 0, "{args:?}: {text}");
    text
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

fn document(world: &World) -> String {
    format!(
        "# Mine.\n[[sources]]\nid = \"app\"\nwriteKeys = [\"wk_app\"]\n\n[[integrations]]\n\
         id = \"heap\"\ndestination = \"heap\"\nsources = [\"app\"]\n\
         settings = {{ appId = \"11\", baseUrl = \"{}\" }}\n",
        world.sandbox_url
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_applied_and_exported_as_it_is() {
    let mut world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("w.toml");
    std::fs::write(&file, document(&world)).unwrap();
    let shown = good(&world, &["apply", "--dry-run", path(&file)]).await;
    assert!(shown.contains("+# Mine.") && !shown.contains("applied"), "{shown}");
    assert!(good(&world, &["apply", path(&file)]).await.contains("applied as revision 1"));
    assert!(good(&world, &["apply", path(&file)]).await.contains("says that already"));
    assert_eq!(good(&world, &["export"]).await, document(&world));
    let (code, text) = run(&world, &["apply", "--revision", "0", path(&file)]).await;
    assert_eq!(code, 1);
    assert!(text.contains("at revision 1 now"), "{text}");
    std::fs::write(&file, "sources = 7").unwrap();
    let (code, text) = run(&world, &["apply", path(&file)]).await;
    assert_eq!(code, 3);
    assert!(text.contains("sources: expected a list"), "{text}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_sent_once_however_often_they_are_sent() {
    let mut world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let workspace = dir.path().join("w.toml");
    std::fs::write(&workspace, document(&world)).unwrap();
    good(&world, &["apply", path(&workspace)]).await;
    let lines: Vec<String> = (0..1_200)
        .map(|n| json!({ "userId": format!("u{n}"), "event": "Old", "timestamp": "2025-01-01T00:00:00Z" }).to_string())
        .collect();
    let file = dir.path().join("events.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let send = ["send", "--source", "app", path(&file)];
    let said = good(&world, &["send", "--dry-run", "--source", "app", path(&file)]).await;
    assert!(
        said.contains("1200 events to send") && said.contains("15000 events a minute"),
        "{said}"
    );
    assert!(good(&world, &send).await.contains("1200 taken"));
    assert!(good(&world, &send).await.contains("0 taken"));
    // As if it had been interrupted after the first batch had been acknowledged.
    let kept = dir.path().join("events.jsonl.progress");
    let text = std::fs::read_to_string(&kept).unwrap().replace("1200", "500");
    std::fs::write(&kept, text).unwrap();
    assert!(good(&world, &send).await.contains("700 taken"));
    let statistics = world.get("/statistics").await;
    let sum = |key: &str| -> u64 {
        let points = statistics["door"].as_array().unwrap();
        points.iter().map(|point| point[key].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("accepted"), sum("duplicate")), (1_200, 700));

    let rows = dir.path().join("orders.csv");
    std::fs::write(&rows, "customer,event,total\nada,Paid,2.5\n,Paid,3\n").unwrap();
    let map = ["send", "--source", "app", "--typed", "--map", "customer=userId", path(&rows)];
    let (code, text) = run(&world, &map).await;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("1 taken, 1 refused"), "{text}");
    let found = world.get("/events?userId=ada").await;
    let trace = world.get(&format!("/events/{}", found["events"][0]["seq"])).await;
    assert_eq!(trace["event"]["properties"], json!({ "total": 2.5 }));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_replays_are_at_hand() {
    let mut world = World::start().await;
    let token = good(&world, &["token", "create", "dash", "--role", "viewer"]).await;
    assert!(token.starts_with("hlt_"), "{token}");
    let listed = good(&world, &["token", "list"]).await;
    assert!(listed.contains("viewer") && listed.contains("never used"), "{listed}");
    let id = listed.split_whitespace().next().unwrap();
    assert!(good(&world, &["token", "revoke", id]).await.contains("revoked"));

    let dir = tempfile::tempdir().unwrap();
    let workspace = dir.path().join("w.toml");
    std::fs::write(&workspace, document(&world)).unwrap();
    good(&world, &["apply", path(&workspace)]).await;
    let nothing = ["replay", "start", "heap", "--outcome", "failed"];
    assert_eq!(run(&world, &nothing).await.0, 3);
    world.track("wk_app", json!({ "userId": "ada", "event": "Paid" })).await;
    while world.get("/events?outcome=delivered").await["events"].as_array().unwrap().is_empty() {}
    let said = good(&world, &["replay", "start", "heap", "--user", "ada"]).await;
    assert!(said.contains("done") && said.contains("1 delivered"), "{said}");
    assert!(good(&world, &["replay", "list"]).await.contains("1 of 1 events to heap"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completions_and_man_pages_come_from_the_commands() {
    let mut world = World::start().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = good(&world, &["complete", shell]).await;
        assert!(script.contains("replay") && script.contains("dry-run"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    good(&world, &["complete", "--man", path(dir.path())]).await;
    let page = std::fs::read_to_string(dir.path().join("heapline-send.1")).unwrap();
    assert!(page.contains("progress"), "{page}");
    world.stop().await;
}
