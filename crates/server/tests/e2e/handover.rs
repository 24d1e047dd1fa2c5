//! A restart with a listening socket that outlives the server: nobody is turned away.

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::child::HEAPLINE;
use crate::support::client::KEY;
use crate::support::heap::Heap;
use crate::support::until;
use crate::support::workspace::Workspace;

/// A server that is given `socket` as systemd would give it. It is killed when dropped.
struct Activated {
    child: Child,
    log: PathBuf,
}

impl Activated {
    fn start(data: &Path, socket: &TcpListener) -> Activated {
        let path = data.join("server.log");
        let log = File::options().create(true).append(true).open(&path).unwrap();
        let socket = OwnedFd::from(socket.try_clone().unwrap());
        let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" serve \
                      --data \"$1\" --workspace \"$1/workspace.toml\"";
        let child = Command::new("sh")
            .args(["-c", script, HEAPLINE])
            .arg(data)
            .stdin(Stdio::from(socket))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Activated { child, log: path }
    }

    async fn terminate(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = until("the server's end", async || self.child.try_wait().unwrap()).await;
        let log = std::fs::read_to_string(&self.log).unwrap();
        assert_eq!(status.code(), Some(0), "{status}: {log}");
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        // Fails if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sends one user's numbered events until `over`, each once, and gives how many that were.
async fn post(address: String, user: String, over: Arc<AtomicBool>) -> usize {
    // A client that opens a connection for each call has nothing to fall back on.
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        let body = json!({ "userId": user, "event": sent.to_string(),
            "messageId": format!("message-{user}-{sent}") });
        let call = http.post(format!("http://{address}/v1/track")).basic_auth(KEY, Some(""));
        let response = call.body(body.to_string()).send().await;
        let status = response.unwrap_or_else(|e| panic!("{user}, event {sent}: {e:?}")).status();
        assert_eq!(status, 200, "{user}, event {sent}");
        sent += 1;
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_a_socket_that_outlives_it_turns_nobody_away() {
    crate::support::client::plain_http();
    let heap = Heap::start().await.without_rates().await;
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    Workspace::to(&heap.address)
        .settings("eventsPerMinute = 0, eventsPerMinutePerIdentity = 0")
        .write(&data.join("workspace.toml"));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let mut server = Activated::start(data, &socket);
    let over = Arc::new(AtomicBool::new(false));
    let posters: Vec<_> = (0..4)
        .map(|number| {
            let user = format!("user-{number}");
            tokio::spawn(post(address.clone(), user, over.clone()))
        })
        .collect();
    for _ in 0..3 {
        // So that each server is seen at work.
        let before = heap.summary().events;
        heap.events_at_least(before + 50).await;
        server.terminate().await;
        server = Activated::start(data, &socket);
    }
    let before = heap.summary().events;
    heap.events_at_least(before + 50).await;
    over.store(true, Ordering::Relaxed);
    let mut all = 0;
    for (number, poster) in posters.into_iter().enumerate() {
        let count = poster.await.unwrap();
        let user = format!("user-{number}");
        let expected: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        until(&format!("{user}'s {count} events"), async || {
            (heap.names(&user).await.len() >= count).then_some(())
        })
        .await;
        assert_eq!(heap.names(&user).await, expected);
        all += count;
    }
    assert_eq!((heap.summary().events, heap.summary().duplicates), (all as u64, 0));
    server.terminate().await;
}
