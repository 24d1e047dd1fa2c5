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
