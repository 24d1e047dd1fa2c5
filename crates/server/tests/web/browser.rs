//! The real browser clients in Chromium, against a server and a local Heap in this process.
//!
//! The visits are told in `browser/`; here is what they visit.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use heapline_server::admin::AdminFile;
use heapline_server::config::Config;
use heapline_server::server::Server;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::support::client::plain_http;
use crate::support::heap::Heap;

/// The first action gives a payload that it can't take, the second is as always.
const ODD: &str = r#"
[[integrations.actions]]
id = "odd"
action = "trackEvent"
mapping = { name = { "@path" = "$.event" }, properties = "no object" }
[[integrations.actions]]
id = "track"
action = "trackEvent"
"#;

/// Each visit has a source of its own where its settings differ.
fn workspace(heap: &str) -> String {
    let source = |id: &str, more: &str| {
        format!(
            "\n[[sources]]\nid = \"{id}\"\nkind = \"javascript\"\nwriteKeys = [\"wk_{id}\"]\n{more}"
        )
    };
    let web = |id: &str, app: &str, settings: &str, actions: &str| {
        let source = source(id, "");
        format!(
            r#"{source}
[[integrations]]
id = "web-{id}"
destination = "heap-web"
sources = ["{id}"]
settings = {{ appId = "{app}", receipts = 1{settings} }}
{actions}"#
        )
    };
    let cloud = |id: &str, app: &str| {
        format!(
            r#"
[[integrations]]
id = "cloud-{id}"
destination = "heap"
sources = ["{id}"]
settings = {{ appId = "{app}", baseUrl = "{heap}" }}
"#
        )
    };
    let fallback = format!(r#", fallback = true, fallbackUrl = "{heap}""#);
    [
        web("site", "11", "", ""),
        web("consent", "12", r#", consentCategories = ["analytics"]"#, ""),
        web("reset", "13", ", resetOnLogout = true", ""),
        web("fallback", "14", &fallback, ""),
        cloud("fallback", "14"),
        web("both", "15", "", ""),
        cloud("both", "15"),
        web("odd", "16", "", ODD),
        source("off", "enabled = false\n"),
        source("plain", ""),
    ]
    .concat()
}

/// A server that can be stopped and started again at the same address.
struct Shop {
    config: Config,
    data: TempDir,
    address: std::net::SocketAddr,
    server: Mutex<Option<Server>>,
}

impl Shop {
    async fn start(heap: &str) -> Arc<Shop> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::load(None).unwrap();
        // Long enough for a slow page's word.
        config.delivery.fallback_wait = Duration::from_secs(6);
        let shop = Shop {
            config,
            data: tempfile::tempdir().unwrap(),
            address: listener.local_addr().unwrap(),
            server: Mutex::default(),
        };
        std::fs::write(shop.data.path().join("workspace.toml"), workspace(heap)).unwrap();
        shop.open(listener).await;
        Arc::new(shop)
    }

    async fn open(&self, listener: TcpListener) {
        let file = self.data.path().join("workspace.toml");
        let server = Server::start(&self.config, self.data.path(), Some(file), listener).await;
        *self.server.lock().await = Some(server.unwrap());
    }

    async fn stop(&self) {
        let server = self.server.lock().await.take();
        server.unwrap().stop().await.unwrap();
    }

    /// From now on nothing can be stored, as when the disk is full.
    async fn refuse(&self) {
        self.server.lock().await.as_ref().unwrap().control().ingest.close();
    }

    async fn again(&self) {
        self.open(TcpListener::bind(self.address).await.unwrap()).await;
    }
}

/// Lets the visits stop the server and start it again.
async fn control(shop: Arc<Shop>) -> String {
    let (refuses, stops, starts) = (shop.clone(), shop.clone(), shop);
    let router = Router::new()
        .route("/refuse", post(|| async move { refuses.refuse().await }))
        .route("/stop", post(|| async move { stops.stop().await }))
        .route("/start", post(|| async move { starts.again().await }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_clients_work_with_it_in_a_real_browser() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/browser");
    assert!(folder.join("node_modules").exists(), "run `cargo xtask setup` first");
    plain_http();
    let heap = Heap::start().await.without_rates().await;
    let shop = Shop::start(&heap.address).await;
    let admin = AdminFile::read(shop.data.path()).unwrap().unwrap();
    let mut visits = Command::new("node");
    visits
        .args(["--test", "--test-reporter=spec"])
        .current_dir(folder)
        .env("SERVER", format!("http://{}", shop.address))
        .env("ADMIN_FILE", shop.data.path().join("admin.json"))
        .env("TOKEN", admin.token.reveal())
        .env("HEAP", &heap.address)
        .env("CONTROL", control(shop.clone()).await)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || visits.output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{told}");
    let passed =
        told.lines().find_map(|line| line.trim().strip_prefix("\u{2139} pass ")?.parse().ok());
    assert!(passed >= Some(58_u32), "Node ran {passed:?} visits");
    shop.stop().await;
}
