//! A server in the test's process, on a data directory that outlives its restarts.

use std::path::PathBuf;
use std::time::Duration;

use heapline_server::config::Config;
use heapline_server::server::Server;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::client::Client;
use super::until;
use super::workspace::Workspace;

pub(crate) struct House {
    pub(crate) data: TempDir,
    pub(crate) config: Config,
    pub(crate) client: Client,
    server: Option<Server>,
}

impl House {
    pub(crate) async fn start(workspace: &Workspace) -> House {
        House::start_with(workspace, |_| {}).await
    }

    /// With settings changed by `change`.
    pub(crate) async fn start_with(
        workspace: &Workspace,
        change: impl FnOnce(&mut Config),
    ) -> House {
        let data = tempfile::tempdir().unwrap();
        let mut config = Config::load(None).unwrap();
        // Tries come soon, so that tests end soon.
        config.delivery.first_backoff = Duration::from_millis(20);
        config.delivery.max_backoff = Duration::from_millis(200);
        change(&mut config);
        let file = data.path().join("workspace.toml");
        workspace.write(&file);
        let (server, client) = start(&config, &data, file).await;
        House { data, config, client, server: Some(server) }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.data.path().join("workspace.toml")
    }

    /// Changes the workspace file, and waits until the server has taken it.
    pub(crate) async fn change(&self, workspace: &Workspace) {
        let before = self.revision();
        workspace.write(&self.file());
        until("the changed workspace", async || (self.revision() > before).then_some(())).await;
    }

    pub(crate) fn revision(&self) -> u64 {
        self.server().revision()
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub(crate) async fn stop(&mut self) {
        self.server.take().unwrap().stop().await.unwrap();
    }

    /// Stops the server if it runs, and starts it on the same data.
    pub(crate) async fn restart(&mut self) {
        if self.server.is_some() {
            self.stop().await;
        }
        let (server, client) = start(&self.config, &self.data, self.file()).await;
        (self.server, self.client) = (Some(server), client);
    }
}

async fn start(config: &Config, data: &TempDir, workspace: PathBuf) -> (Server, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(config, data.path(), Some(workspace), listener).await.unwrap();
    let client = Client::new(server.address(), data.path());
    (server, client)
}
