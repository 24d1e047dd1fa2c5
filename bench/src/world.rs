//! A server and a sandbox on a directory of their own, and what they say of themselves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;

use crate::load::fetch;
use crate::process::Program;

/// Where and how it is measured.
pub(crate) struct Place {
    pub(crate) scratch: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) short: bool,
}

impl Place {
    /// `long`, or `short` with `--short`.
    pub(crate) fn pick<T>(&self, long: T, short: T) -> T {
        if self.short { short } else { long }
    }
}

/// A data directory.
pub(crate) enum Data {
    /// Goes with whoever holds it.
    Passing(TempDir),
    /// Stays.
    Kept(PathBuf),
}

impl Data {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Data::Passing(dir) => dir.path(),
            Data::Kept(dir) => dir,
        }
    }
}

/// `heapline serve` on a data directory.
pub(crate) struct Server {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
    /// Of its admin API.
    pub(crate) token: String,
    // After the program, so that it has ended when its directory goes.
    _data: Data,
}

/// Settings of an integration that delivers everything it can, without Heap's rate limits.
pub(crate) const UNLIMITED: &str = r#"anonymous = "as_identity", eventsPerMinute = 0, eventsPerMinutePerIdentity = 0, userUpdatesPer30Seconds = 0"#;

/// A workspace document: one source, and one integration if there are `settings` for it.
pub(crate) fn document(settings: Option<&str>) -> String {
    let key = crate::events::WRITE_KEY;
    let source = format!("[[sources]]\nid = \"bench\"\nkind = \"http\"\nwriteKeys = [\"{key}\"]\n");
    let integration = settings.map(|settings| {
        format!(
            "[[integrations]]\nid = \"heap\"\ndestination = \"heap\"\nsources = [\"bench\"]\n\
             settings = {{ appId = \"11\", {settings} }}\n"
        )
    });
    source + &integration.unwrap_or_default()
}

impl Server {
    /// Without `sandbox` events are only kept.
    pub(crate) fn start(
        place: &Place,
        sandbox: Option<SocketAddr>,
        settings: &str,
    ) -> Result<Server> {
        let data = tempfile::tempdir_in(&place.scratch)?;
        let settings = sandbox.map(|sandbox| format!("baseUrl = \"http://{sandbox}\", {settings}"));
        Server::start_on(place, Data::Passing(data), &document(settings.as_deref()))
    }

    /// On a data directory, with this workspace.
    pub(crate) fn start_on(place: &Place, data: Data, document: &str) -> Result<Server> {
        let workspace = data.path().join("workspace.toml");
        std::fs::write(&workspace, document)?;
        let config = data.path().join("config.toml");
        std::fs::write(&config, "[telemetry]\nlog = \"error\"\n")?;
        let mut command = Command::new(&place.program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
        command.arg("--workspace").arg(&workspace).arg("--config").arg(&config);
        let mut program = Program::start(&mut command)?;
        let admin = data.path().join("admin.json");
        let (address, token) = program.wait_for(|| {
            let admin: Value = serde_json::from_slice(&std::fs::read(&admin).ok()?).ok()?;
            let address = admin.get("address")?.as_str()?.strip_prefix("http://")?.parse().ok()?;
            let token = admin.get("token")?.as_str()?.to_owned();
            fetch(address, "/readyz").ok().map(|_| (address, token))
        })?;
        Ok(Server { program, address, token, _data: data })
    }

    /// Sum over all lines of a metric.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let text = fetch(self.address, "/metrics")?;
        Ok(sum(&text, name))
    }
}

fn sum(text: &str, name: &str) -> f64 {
    let lines = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
    });
    lines.sum()
}

/// `heapline sandbox` without rate limits.
pub(crate) struct Sandbox {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

/// What a sandbox counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) requests: f64,
    pub(crate) events: f64,
}

impl Sandbox {
    pub(crate) fn start(place: &Place) -> Result<Sandbox> {
        let mut command = Command::new(&place.program);
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--no-rates"]);
        let mut program = Program::start(&mut command)?;
        let address = program.address()?;
        Ok(Sandbox { program, address })
    }

    pub(crate) fn arrived(&self) -> Result<Arrived> {
        let summary: Value = serde_json::from_str(&fetch(self.address, "/_sandbox/summary")?)?;
        let count = |name| summary.get(name).and_then(Value::as_f64).context("no such count");
        Ok(Arrived { requests: count("requests")?, events: count("events")? })
    }
}
