//! The command line's way to what a server knows: its admin API, or its data directory while no
//! server runs on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use heapline_store::embedded::Embedded;
use heapline_store::{Settings, Store};
use reqwest::Method;
use serde::de::DeserializeOwned;

use crate::admin::{AdminFile, Ask, answer_locally};
use crate::workspace::Secret;

/// Where to ask.
#[derive(clap::Args)]
pub(crate) struct Where {
    /// Data directory of the server
    #[arg(
        long,
        value_name = "DIR",
        default_value = "heapline-data",
        env = "HEAPLINE_DATA",
        global = true
    )]
    data: PathBuf,
    /// Ask the server at this address instead of the one that runs on --data
    #[arg(long, value_name = "URL", env = "HEAPLINE_SERVER", requires = "token", global = true,
        value_parser = server_address)]
    server: Option<String>,
    /// Token of that server's admin API
    #[arg(
        long,
        value_name = "TOKEN",
        env = "HEAPLINE_TOKEN",
        hide_env_values = true,
        global = true
    )]
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
            bail!(
                "there is no data directory {}: start a server with `heapline serve`, or say with \
                 --data or --server where it is",
                self.data.display()
            );
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
            Client::Server { address, token } => {
                let server = Server::at(address.clone(), token.clone())?;
                return server.api(Method::GET, &ask.path_and_query(), None);
            }
            Client::Directory(store) => answer_locally(&**store, ask)?,
        };
        serde_json::from_str(&text).context("the answer can't be read; is it the same version?")
    }
}

/// A running server.
pub(crate) struct Server {
    address: String,
    token: Secret,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) retry_after: Option<Duration>,
}

impl Where {
    /// The server of `--server`, else the one that runs on `--data`.
    pub(crate) fn server(&self) -> Result<Server> {
        match self.client()? {
            Client::Server { address, token } => Server::at(address, token),
            Client::Directory(_) => {
                let data = self.data.display();
                bail!("no server runs on {data}; start one, or give --server and --token")
            }
        }
    }
}

impl Server {
    pub(crate) fn at(address: String, token: Secret) -> Result<Server> {
        // Fails only if a provider was installed before, which serves as well.
        rustls::crypto::ring::default_provider().install_default().ok();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(10)).build()?;
        Ok(Server { address, token, http, runtime })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Asks the admin API, with a JSON body if there is one.
    pub(crate) fn api<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<T> {
        let text = body.map(ToString::to_string);
        self.api_text(method, path, text.map(|text| ("application/json", text)))
    }

    /// The same with any body.
    pub(crate) fn api_text<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Result<T> {
        let url = format!("{}/api/v1{path}", self.address);
        let mut request = self.http.request(method, &url).bearer_auth(self.token.reveal());
        if let Some((kind, text)) = body {
            request = request.header("content-type", kind).body(text);
        }
        let answer = self.runtime.block_on(answer(request.timeout(Duration::from_secs(120))));
        let answer = answer.map_err(|e| unreachable(&self.address, &e))?;
        if !(200..300).contains(&answer.status) {
            bail!("{}", detail(answer.status, &answer.text));
        }
        serde_json::from_str(&answer.text)
            .context("the answer can't be read; is it the same version?")
    }

    /// Posts to the door.
    pub(crate) fn door(&self, path: &str, write_key: &str, body: String) -> Result<Answer> {
        let url = format!("{}{path}", self.address);
        let request = self.http.post(url).basic_auth(write_key, Some(""));
        let request = request.header("content-type", "application/json").body(body);
        self.runtime.block_on(answer(request.timeout(Duration::from_secs(60))))
    }

    /// Gives each server-sent event's data to `take`, until the stream ends.
    pub(crate) fn stream(
        &self,
        path: &str,
        mut take: impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        let url = format!("{}/api/v1{path}", self.address);
        self.runtime.block_on(async {
            let request = self.http.get(url).bearer_auth(self.token.reveal());
            let sent = request.send().await;
            let mut response = sent.map_err(|e| unreachable(&self.address, &e.into()))?;
            if !response.status().is_success() {
                bail!("{}", detail(response.status().as_u16(), &response.text().await?));
            }
            let mut waiting = Vec::new();
            while let Some(chunk) = response.chunk().await.context("the server has gone")? {
                waiting.extend_from_slice(&chunk);
                while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = waiting.drain(..=end).collect();
                    let line = String::from_utf8_lossy(&line);
                    if let Some(data) = line.strip_prefix("data:") {
                        take(data.trim())?;
                    }
                }
            }
            Ok(())
        })
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
    let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    Ok(Answer { status: response.status().as_u16(), text: response.text().await?, retry_after })
}

/// Why there was no answer: only the innermost cause tells something.
pub(crate) fn unreachable(address: &str, e: &anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("cannot reach {address}: {}; does a server run there?", e.root_cause())
}

/// An address of a server.
fn server_address(text: &str) -> Result<String, String> {
    let is_one = text.starts_with("http://") || text.starts_with("https://");
    match reqwest::Url::parse(text) {
        Ok(_) if is_one => Ok(text.to_owned()),
        Ok(_) | Err(_) => {
            Err(format!("expected one such as http://127.0.0.1:8080, found {text:?}"))
        }
    }
}

/// The sentence of a problem document, and all faults that it names.
fn detail(status: u16, text: &str) -> String {
    if status == 401 {
        return "the server doesn't know this token: make one on its machine with `heapline token \
                create NAME --role editor`"
            .to_owned();
    }
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let detail = value.as_ref().and_then(|v| v.get("detail")?.as_str());
    detail.unwrap_or(text).to_owned()
}
