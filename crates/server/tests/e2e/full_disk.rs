//! The disk is full: callers hear 503, and all is well again once there is room.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use heapline_server::admin::AdminFile;
use serde_json::{Value, json};

use crate::support::child::HEAPLINE;
use crate::support::client::{Client, KEY, plain_http};
use crate::support::heap::Heap;
use crate::support::until;
use crate::support::workspace::Workspace;

/// A server whose data directory is a small file system of its own, which goes with it.
struct Small {
    child: Child,
    /// The data directory as seen from outside.
    data: PathBuf,
}

impl Drop for Small {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// `None` where this machine lets nobody mount.
fn start(folder: &Path) -> Option<Small> {
    let mount = folder.join("data");
    std::fs::create_dir(&mount).unwrap();
    let kinds: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    let options = kinds.into_iter().find(|options| {
        let script = format!("mount -t tmpfs -o size=1m tmpfs '{}'", mount.display());
        let mut tried = Command::new("unshare");
        let tried = tried.args(*options).args(["sh", "-c", &script]);
        tried.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    })?;
    let script = "mount -t tmpfs -o size=16m tmpfs \"$1\" && exec \"$0\" serve --data \"$1\" \
                  --workspace \"$2\" --config \"$3\" --listen 127.0.0.1:0";
    let log = File::create(folder.join("server.log")).unwrap();
    let child = Command::new("unshare")
        .args(options)
        .args(["sh", "-c", script, HEAPLINE])
        .args([&mount, &folder.join("workspace.toml"), &folder.join("config.toml")])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let inside = mount.strip_prefix("/").unwrap();
    let data = PathBuf::from(format!("/proc/{}/root", child.id())).join(inside);
    Some(Small { child, data })
}

fn batch(number: usize) -> Value {
    let items: Vec<Value> = (0..20)
        .map(|at| {
            json!({ "type": "track", "userId": format!("user-{at}"), "event": number.to_string(),
                "messageId": format!("message-{number}-{at}"),
                "properties": { "text": "x".repeat(900) } })
        })
        .collect();
    json!({ "batch": items })
}

/// Calls as a page's client does, its key in the body or in a header.
async fn ask(address: SocketAddr, path: &str, key_in_header: bool, id: usize) -> reqwest::Response {
    let id = format!("page-{id}");
    let item = json!({ "type": "track", "userId": "page", "event": "E", "messageId": id });
    let mut body = match path {
        "/v1/t" => item,
        _ => json!({ "batch": [item] }),
    };
    let mut call = plain_http().post(format!("http://{address}{path}"));
    call = call.header("origin", "https://shop.example").header("content-type", "text/plain");
    if key_in_header {
        call = call.basic_auth(KEY, Some(""));
    } else {
        body["writeKey"] = json!(KEY);
    }
    call.body(body.to_string()).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_to_callers_and_recovers_without_a_loss() {
    let heap = Heap::start().await.without_rates().await;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    Workspace::to(&heap.address)
        .settings("eventsPerMinute = 0, eventsPerMinutePerIdentity = 0")
        .write(&folder.join("workspace.toml"));
    std::fs::write(folder.join("config.toml"), "[journal]\nsegmentSize = \"1 MiB\"\n").unwrap();
    let Some(small) = start(folder) else {
        eprintln!("skipped: `unshare --mount` and `mount -t tmpfs` aren't allowed here");
        return;
    };
    let file =
        until("the server's admin.json", async || AdminFile::read(&small.data).ok().flatten())
            .await;
    let address: SocketAddr = file.address.strip_prefix("http://").unwrap().parse().unwrap();
    let client = Client::new(address, &small.data);

    let mut accepted = 0;
    client.accepted("/v1/batch", &batch(accepted)).await;
    accepted += 1;
    let filler = small.data.join("filler");
    let mut file = File::create(&filler).unwrap();
    let block = vec![1; 1 << 12];
    while file.write_all(&block).is_ok() {}
    // Room that the journal had already taken is filled first.
    let refused = loop {
        let answer = client.post("/v1/batch", &batch(accepted)).await;
        if answer.status != 200 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 1000, "1,000 batches of 20 KB don't fit in 16 MB");
    };
    assert_eq!(refused.status, 503, "{}", refused.text);
    let mut small = 0;
    while ask(address, "/v1/t", false, small).await.status() == 200 {
        small += 1;
        assert!(small < 10_000, "so many events don't fit where a batch of 20 KB doesn't");
    }
    // A page's client that names its key in the body keeps the event only if it may not read the
    // answer; one that names it in a header reads the answer, and comes again.
    for (path, in_header, readable) in [
        ("/v1/t", false, false),
        ("/v1/b", false, false),
        ("/v1/t", true, true),
        ("/v1/batch", true, true),
    ] {
        let response = ask(address, path, in_header, small).await;
        assert_eq!(response.status(), 503, "{path}");
        let headers = response.headers();
        assert!(headers.contains_key("retry-after"), "{path}: {headers:?}");
        let open = headers.get("access-control-allow-origin").is_some_and(|value| value == "*");
        assert_eq!(open, readable, "{path}, key in a header: {in_header}");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(body["code"], "unavailable", "{body}");
        assert!(body["message"].as_str().is_some_and(|m| !m.is_empty()), "{body}");
    }
    // What needs no room is answered as ever.
    let settings = format!("http://{address}/v1/projects/wk_server/settings");
    assert_eq!(plain_http().get(settings).send().await.unwrap().status(), 200);
    // Room comes back once nobody has it open.
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    until("an accepted batch", async || {
        let answer = client.post("/v1/batch", &batch(accepted)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    accepted += 1;
    let again = ask(address, "/v1/t", false, small).await;
    assert_eq!(again.status(), 200);
    assert_eq!(again.headers()["access-control-allow-origin"], "*");
    heap.events(accepted * 20 + small + 1).await;
    let expected: Vec<String> = (0..accepted).map(|n| n.to_string()).collect();
    assert_eq!(heap.names("user-7").await, expected);
    client.outcome(&format!("message-{}-19", accepted - 1), "delivered").await;
    assert_eq!(client.get("/readyz").await.status, 200);
}
