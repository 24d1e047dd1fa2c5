//! `heapline send --direct`: files to a sandbox, without a server.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::World;

/// A directory with a workspace for the world's sandbox.
fn place(world: &World, settings: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_workspace(dir.path(), world, settings);
    dir
}

fn write_workspace(dir: &Path, world: &World, settings: &str) {
    let document = format!(
        "[[sources]]\nid = \"old\"\nkind = \"file\"\nwriteKeys = [\"wk_old\"]\n\n\
         [[integrations]]\nid = \"heap\"\ndestination = \"heap\"\nsources = [\"old\"]\n\
         settings = {{ appId = \"11\", baseUrl = \"{}\" {settings} }}\n",
        world.sandbox_url
    );
    std::fs::write(dir.join("w.toml"), document).unwrap();
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapline"));
    command.current_dir(dir).env_remove("HEAPLINE_SERVER").env_remove("HEAPLINE_TOKEN");
    command.args(["send", "--direct", "--workspace", "w.toml", "--source", "old"]).args(args);
    command
}

/// Runs the program off the threads that serve the sandbox.
async fn run(dir: &Path, args: &[&str]) -> (i32, String) {
    let mut command = command(dir, args);
    let output: Output =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    text.push_str(&String::from_utf8(output.stderr).unwrap());
    (output.status.code().unwrap(), text)
}

async fn summary(world: &World) -> Value {
    let url = format!("{}/_sandbox/summary", world.sandbox_url);
    serde_json::from_str(&reqwest::get(url).await.unwrap().text().await.unwrap()).unwrap()
}

fn write_events(file: &Path, count: usize) {
    let line = |n: usize| json!({ "userId": format!("u{n}"), "event": "Old" }).to_string();
    let lines: Vec<String> = (0..count).map(line).collect();
    std::fs::write(file, lines.join("\n")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_straight_to_the_destination_and_what_is_wrong_is_told() {
    let mut world = World::start().await;
    let dir = place(&world, "");
    let lines = [
        json!({ "userId": "ada", "event": "Paid", "timestamp": "2025-01-01T00:00:00Z" }),
        json!({ "anonymousId": "x", "event": "Looked" }),
        json!({ "event": "Nobody" }),
        json!({ "type": "alias", "userId": "ada", "previousId": "x" }),
        json!({ "type": "identify", "userId": "ada", "traits": { "plan": "gold" } }),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(dir.path().join("a.jsonl"), lines.join("\n")).unwrap();
    let file = std::fs::File::create(dir.path().join("b.csv.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packed.write_all(b"customer,event,total\nbob,Paid,2.5\ncy,Paid,3\n").unwrap();
    packed.finish().unwrap();

    let files = ["--map", "customer=userId", "--report", "r.jsonl", "a.jsonl", "b.csv.gz"];
    let (code, said) = run(dir.path(), &[&files[..], &["--dry-run"]].concat()).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("7 events to send straight from here"), "{said}");
    assert!(said.contains("15000 events a minute (and of one user 1000)"), "{said}");
    assert_eq!(summary(&world).await["requests"], 0);

    let (code, said) = run(dir.path(), &files).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("heap  4 delivered, 1 filtered, 1 refused"), "{said}");
    assert!(said.contains("input  1 refused"), "{said}");
    assert!(said.contains("First: a.jsonl, record 2."), "{said}");
    let report = std::fs::read_to_string(dir.path().join("r.jsonl")).unwrap();
    let mut told: Vec<(String, u64, String)> = report
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            (text("file"), line["record"].as_u64().unwrap(), text("code"))
        })
        .collect();
    told.sort();
    let wanted = [("a.jsonl", 2, "anonymous"), ("a.jsonl", 3, "invalid_event")];
    assert_eq!(told, wanted.map(|(file, record, code)| (file.into(), record, code.into())));
    let sandbox = summary(&world).await;
    assert_eq!((&sandbox["events"], &sandbox["users"]), (&json!(3), &json!(3)));

    // It was sent: nothing is left.
    let (code, said) = run(dir.path(), &files).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("0 events to send"), "{said}");
    assert_eq!(summary(&world).await["duplicates"], 0);
    let (code, said) = run(dir.path(), &["--integration", "none", "a.jsonl"]).await;
    assert_eq!((code, said.contains("has no integration \"none\"")), (1, true), "{said}");
    world.stop().await;
}

/// Looks until it is so.
async fn wait_for<T: PartialEq + std::fmt::Debug>(look: impl Fn() -> T, wanted: T) {
    let end = Instant::now() + Duration::from_secs(30);
    while look() != wanted {
        assert!(Instant::now() < end, "found {:?}", look());
        tokio::task::yield_now().await;
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_a_kill_is_not_sent_again() {
    let mut world = World::start().await;
    // A thousand go at once; the others have to wait for a minute.
    let dir = place(&world, ", eventsPerMinute = 1000");
    write_events(&dir.path().join("old.jsonl"), 3_000);
    let mut sending = command(dir.path(), &["old.jsonl"]);
    let killed = Killed(sending.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let kept = dir.path().join("old.jsonl.progress");
    let come = || {
        let text = std::fs::read_to_string(&kept).ok()?;
        serde_json::from_str::<Value>(&text).ok()?["records"].as_u64()
    };
    wait_for(come, Some(1_000)).await;
    drop(killed);
    assert_eq!(summary(&world).await["events"], 1_000);

    write_workspace(dir.path(), &world, "");
    let (code, said) = run(dir.path(), &["old.jsonl"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("2000 events to send") && said.contains("heap  2000 delivered"),
        "{said}"
    );
    let sandbox = summary(&world).await;
    assert_eq!((&sandbox["events"], &sandbox["duplicates"]), (&json!(3_000), &json!(0)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_is_what_overtook_an_event_that_had_to_wait() {
    let mut world = World::start().await;
    // The second event of the first user waits for a minute.
    let dir = place(&world, ", eventsPerMinutePerIdentity = 1");
    let file = dir.path().join("old.jsonl");
    write_events(&file, 999);
    let others = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{}\n{others}", json!({ "userId": "u0", "event": "First" })))
        .unwrap();
    let mut sending = command(dir.path(), &["old.jsonl"]);
    let killed = Killed(sending.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let kept = dir.path().join("old.jsonl.progress");
    let come = || {
        let text = std::fs::read_to_string(&kept).ok()?;
        let kept: Value = serde_json::from_str(&text).ok()?;
        Some((kept["records"].as_u64()?, kept["beyond"].as_array()?.len()))
    };
    wait_for(come, Some((0, 999))).await;
    drop(killed);
    assert_eq!(summary(&world).await["events"], 999);

    write_workspace(dir.path(), &world, "");
    let (code, said) = run(dir.path(), &["old.jsonl"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("1 events to send") && said.contains("heap  1 delivered"), "{said}");
    let sandbox = summary(&world).await;
    assert_eq!((&sandbox["events"], &sandbox["duplicates"]), (&json!(1_000), &json!(0)));
    world.stop().await;
}
