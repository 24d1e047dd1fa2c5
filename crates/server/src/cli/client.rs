//! The command line's way to what a server knows: its admin API, or its data directory while no
//! server runs on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use heapline_store::embedded::Embedded;
use heapline_store::{Settings, Store};
use serde::de::DeserializeOwned;

use crate::admin::{AdminFile, Ask, answer_locally};
use crate::workspace::Secret;

/// Where to ask.
#[derive(clap::Args)]
pub(crate) struct Where {
    /// Data directory of the server
    #[arg(long, value_name = "DIR", default_value = "heapline-data", env = "HEAPLINE_DATA")]
    data: PathBuf,
    /// Ask the server at this address instead of the one that runs on --data
    #[arg(long, value_name = "URL", env = "HEAPLINE_SERVER", requires = "token")]
    server: Option<String>,
    /// Token of that server's admin API
    #[arg(long, value_name = "TOKEN", env = "HEAPLINE_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Something that answers.
pub(crate) enum Client {
    /// A running server.
    Server { address: String, token: Secret },
    /// A data directory that no server uses.
    Directory(Arc<dyn Store>),
}

impl Where {
    /// The server of `--server`, else the one on `--data`, else that directory itself.
    pub(crate) fn client(&self) -> Result<Client> {
        if let (Some(address), Some(token)) = (&self.server, &self.token) {
            let address = address.trim_end_matches('/').to_owned();
            return Ok(Client::Server { address, token: Secret::new(token) });
        }
        if !self.data.is_dir() {
            bail!("there is no data directory {}; give --data or --server", self.data.display());
        }
        match Embedded::open(&self.data, Settings::default()) {
            Ok(store) => Ok(Client::Directory(Arc::new(store))),
            Err(locked) => Self::running(&self.data).with_context(|| format!("{locked}")),
        }
    }

    fn running(data: &Path) -> Result<Client> {
        let Some(file) = AdminFile::read(data)? else {
            bail!("{} names no server", data.display());
        };
        Ok(Client::Server { address: file.address, token: file.token })
    }
}

impl Client {
    /// Asks, and reads the answer as `T`.
    pub(crate) fn ask<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T> {
        let text = match self {
            Client::Server { address, token } => ask_server(address, token, ask)?,
            Client::Directory(store) => answer_locally(&**store, ask)?,
        };
        serde_json::from_str(&text).context("the answer can't be read; is it the same version?")
    }
}

fn ask_server(address: &str, token: &Secret, ask: &Ask) -> Result<String> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let url = format!("{address}/api/v1{}", ask.path_and_query());
    runtime.block_on(async {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let request = client.get(&url).bearer_auth(token.reveal());
        let response = request.send().await.with_context(|| format!("cannot reach {address}"))?;
        let good = response.status().is_success();
        let text = response.text().await?;
        if !good {
            bail!("{}", detail(&text));
        }
        Ok(text)
    })
}

/// The sentence of a problem document.
fn detail(text: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let detail = value.as_ref().and_then(|v| v.get("detail")?.as_str());
    detail.unwrap_or(text).to_owned()
}
