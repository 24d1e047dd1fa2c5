//! What the command line says to somebody who got it wrong: `messages.json`, a list of commands.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::world::World;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    args: Vec<String>,
    /// With the address and token of a server.
    #[serde(default)]
    server: bool,
    code: i32,
    says: String,
}

fn write_files(dir: &Path) {
    let workspace = "[[sources]]\nid = \"app\"\nwriteKeys = [\"wk_app\"]\n\n[[integrations]]\n\
                     id = \"heap\"\ndestination = \"heap\"\nsources = [\"app\"]\n\
                     settings = { appId = \"11\", baseUrl = \"http://127.0.0.1:9\" }\n";
    for (name, text) in [
        ("w.toml", workspace.as_bytes()),
        ("bad.toml", b"x = ["),
        ("word.jsonl", b"not json\n"),
        ("empty.jsonl", b"\n"),
        ("latin.jsonl", b"\xe4\n"),
        ("list.jsonl", b"[1]\n"),
        ("uneven.csv", b"a,b\n1,2,3\n"),
        ("even.csv", b"a,b\n1,2\n"),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_in_one_sentence() {
    let mut world = World::start().await;
    let cases: Vec<Case> = serde_json::from_str(include_str!("messages.json")).unwrap();
    for case in cases {
        let dir = tempfile::tempdir().unwrap();
        write_files(dir.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_heapline"));
        command.current_dir(dir.path()).args(&case.args);
        for name in ["HEAPLINE_DATA", "HEAPLINE_SERVER", "HEAPLINE_TOKEN"] {
            command.env_remove(name);
        }
        if case.server {
            command.env("HEAPLINE_SERVER", &world.url).env("HEAPLINE_TOKEN", &world.token);
        }
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let args = case.args.join(" ");
        assert_eq!(output.status.code(), Some(case.code), "{args}: {said}{told}");
        assert!(said.contains(&case.says) || told.contains(&case.says), "{args}: {said}{told}");
        assert!(!said.contains("panicked"), "{args}: {said}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_has_gone_is_no_error() {
    use std::io::Read;
    use std::process::Stdio;

    let mut command = Command::new(env!("CARGO_BIN_EXE_heapline"));
    command.args(["serve", "--print-config"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    drop(running.stdout.take());
    let status = running.wait().unwrap();
    let mut said = String::new();
    running.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(status.success() && said.is_empty(), "{status} {said}");
}
