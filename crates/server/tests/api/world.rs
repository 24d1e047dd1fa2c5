//! A server whose workspace is in its store, and a sandbox to deliver to.

use std::time::Duration;

use heapline_sandbox::{Options, Sandbox};
use heapline_server::admin::AdminFile;
use heapline_server::config::Config;
use heapline_server::server::Server;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) sandbox_url: String,
    pub(crate) data: TempDir,
    config: Config,
    server: Option<Server>,
}

impl World {
    pub(crate) async fn start() -> World {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox_url = format!("http://{}", listener.local_addr().unwrap());
        let sandbox = Sandbox::new(Options::default());
        let serving = heapline_sandbox::serve(listener, sandbox.clone(), std::future::pending());
        tokio::spawn(serving);
        let mut config = Config::load(None).unwrap();
        config.delivery.first_backoff = Duration::from_millis(20);
        config.delivery.max_backoff = Duration::from_millis(200);
        let data = tempfile::tempdir().unwrap();
        let mut world = World {
            url: String::new(),
            token: String::new(),
            sandbox_url,
            data,
            config,
            server: None,
        };
        world.open().await;
        world
    }

    async fn open(&mut self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::start(&self.config, self.data.path(), None, listener).await.unwrap();
        self.url = format!("http://{}", server.address());
        let file = AdminFile::read(self.data.path()).unwrap().unwrap();
        self.token = file.token.reveal().to_owned();
        self.server = Some(server);
    }

    /// Stops the server, and starts it on the same data.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.open().await;
    }

    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().stop().await.unwrap();
    }
}

impl World {
    /// Posts to the admin API, which is to take it.
    pub(crate) async fn post(&self, path: &str, body: serde_json::Value) -> serde_json::Value {
        let url = format!("{}/api/v1{path}", self.url);
        let request = reqwest::Client::new().post(url).bearer_auth(&self.token);
        let request = request.header("content-type", "application/json").body(body.to_string());
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Asks the admin API.
    pub(crate) async fn get(&self, path: &str) -> serde_json::Value {
        let url = format!("{}/api/v1{path}", self.url);
        let request = reqwest::Client::new().get(url).bearer_auth(&self.token);
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    }

    /// Sends a track call, which is to be taken.
    pub(crate) async fn track(&self, key: &str, call: serde_json::Value) {
        let request = reqwest::Client::new().post(format!("{}/v1/track", self.url));
        let response = request.basic_auth(key, Some("")).body(call.to_string()).send().await;
        assert_eq!(response.unwrap().status(), 200);
    }
}
