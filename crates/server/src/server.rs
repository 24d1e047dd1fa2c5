//! A whole server: store, door, couriers, admin API, put together and taken apart in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use arc_swap::ArcSwap;
use heapline_store::embedded::Embedded;
use heapline_store::{Commit, Millis, Settings, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::admin::{self, Admin, AdminFile, Revisions};
use crate::config::Config;
use crate::console::{self, Console};
use crate::courier::{Fleet, Surroundings};
use crate::front::Front;
use crate::ingest::{self, Ingest, Limits, Network, SourceTable, TrustedProxies};
use crate::telemetry::Metrics;
use crate::web::{PublicAddress, Web};
use crate::workspace::{self, Answers, Format, SourceKind, Workspace};

/// A server that is listening.
pub struct Server {
    address: SocketAddr,
    ingest: Arc<Ingest>,
    web: Arc<Web>,
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    workspace: Arc<ArcSwap<Workspace>>,
    metrics: Arc<Metrics>,
    sign_in: String,
    stop_within: Duration,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    /// True ends the listening.
    end: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

/// How often a workspace file is looked at, and retention is applied.
const LOOK: Duration = Duration::from_secs(1);
const RETAIN: Duration = Duration::from_secs(60);

impl Server {
    /// Starts on the data directory `data`. With `workspace_file`, that file is the workspace, now
    /// and whenever it changes; else the latest revision in the store is.
    pub async fn start(
        config: &Config,
        data: &Path,
        workspace_file: Option<PathBuf>,
        listener: TcpListener,
    ) -> Result<Server> {
        let address = listener.local_addr()?;
        let public = PublicAddress::read(&config.server.public_address, address)?;
        let web = Arc::new(Web::open(public, data)?);
        let front = Arc::new(Front::new(web.clone()));
        let (end, ending) = watch::channel(false);
        let accepting = tokio::spawn(front.clone().accept_all(listener, ending));

        let metrics = Arc::new(Metrics::new());
        let store = open_store(config, data, &metrics)?;
        web.record_in(store.clone());
        // Before it is read, so that no change falls in between.
        let seen = workspace_file.as_deref().and_then(stamp);
        let revision = match &workspace_file {
            Some(file) => read_workspace(&*store, file)?,
            None => stored_workspace(&*store)?,
        };
        tell(&revision);
        web.set_workspace(&revision);
        let workspace = Arc::new(ArcSwap::from_pointee(revision));
        let ingest = Arc::new(open_door(config, store.clone(), web.clone())?);
        ingest.set_sources(source_table(&workspace.load()));

        let runtime = tokio::runtime::Handle::current();
        let around =
            Surroundings::new(store.clone(), metrics.clone(), config.delivery.clone(), runtime)?;
        let fleet = Arc::new(Fleet::new(around)?);
        fleet.apply(&workspace.load(), config.server.stop_within)?;

        let admin_file = AdminFile::write(data, address)?;
        let admin = Arc::new(Admin {
            store: store.clone(),
            workspace: workspace.clone(),
            fleet: fleet.clone(),
            metrics: metrics.clone(),
            ingest: ingest.clone(),
            token: admin_file.token,
            revisions: Revisions::default(),
        });
        let (stop, stopping) = watch::channel(false);
        let console = Console::new(admin.clone(), workspace_file.clone(), stopping.clone());
        let sign_in = console.sign_in_path()?;
        let console = console::router(Arc::new(console));
        front.open(ingest.clone(), admin::router(admin).merge(console));
        let mut server = Server {
            address,
            ingest,
            web,
            store,
            fleet,
            workspace,
            metrics,
            sign_in,
            stop_within: config.server.stop_within,
            stop,
            tasks: Vec::new(),
            end,
            accepting,
        };
        server.tasks.push(tokio::spawn(retain_all(server.store.clone(), stopping.clone())));
        if let Some(file) = workspace_file {
            let follow = Follow {
                file,
                store: server.store.clone(),
                fleet: server.fleet.clone(),
                ingest: server.ingest.clone(),
                web: server.web.clone(),
                workspace: server.workspace.clone(),
                within: server.stop_within,
            };
            server.tasks.push(tokio::spawn(follow.run(seen, stopping)));
        }
        info!(%address, data = %data.display(), "listening");
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its console lets the first visitor in, once.
    pub fn console_link(&self) -> String {
        format!("http://{}{}", self.address, self.sign_in)
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Metrics {
        self.metrics.door(&self.ingest.counters().snapshot());
        &self.metrics
    }

    /// Revision of the workspace that it works by.
    pub fn revision(&self) -> u64 {
        self.workspace.load().revision
    }

    /// What its door has seen.
    pub fn door(&self) -> ingest::Snapshot {
        self.ingest.counters().snapshot()
    }

    /// Stops: no new intake, requests in flight are answered, deliveries in flight settle or stay
    /// in the journal. Pages get their settings to the end. Takes little more than the time set for
    /// it.
    pub async fn stop(self) -> Result<()> {
        info!("stopping");
        self.ingest.close();
        self.stop.send(true).ok();
        for task in self.tasks {
            if tokio::time::timeout(self.stop_within, task).await.is_err() {
                warn!("some of the server's own work was cut off");
            }
        }
        let within = self.stop_within;
        let (fleet, store) = (self.fleet, self.store);
        tokio::task::spawn_blocking(move || {
            fleet.stop(within);
            store.close()
        })
        .await??;
        self.end.send(true).ok();
        if tokio::time::timeout(within, self.accepting).await.is_err() {
            warn!("some clients' requests were cut off");
        }
        info!("stopped");
        Ok(())
    }
}

fn open_store(config: &Config, data: &Path, metrics: &Arc<Metrics>) -> Result<Arc<dyn Store>> {
    let observer = metrics.clone();
    let settings = Settings {
        retention: millis(config.journal.max_age),
        retention_bytes: config.journal.max_size.as_u64(),
        dedup_window: millis(config.door.dedup_window),
        rejected_items: config.door.keep_refused,
        // So an append never blocks: each request in progress has its place in the queue.
        queue: config.server.max_requests,
        segment_bytes: u32::try_from(config.journal.segment_size.as_u64())
            .context("journal.segmentSize: expected less than 4 GiB")?,
        observer: Some(Arc::new(move |commit: Commit| {
            let (write, sync) = (commit.write.as_secs_f64(), commit.sync.as_secs_f64());
            observer.appended(commit.events, write + sync, sync);
        })),
        ..Settings::default()
    };
    let store = Embedded::open(data, settings)
        .map_err(|e| anyhow!("cannot open the data directory {}: {e}", data.display()))?;
    Ok(Arc::new(store))
}

fn open_door(config: &Config, store: Arc<dyn Store>, web: Arc<Web>) -> Result<Ingest> {
    let size = |bytes: bytesize::ByteSize| usize::try_from(bytes.as_u64()).unwrap_or(usize::MAX);
    let limits = Limits {
        item: size(config.door.max_item),
        batch: size(config.door.max_batch),
        items: config.door.max_items,
        nesting: config.door.max_depth,
        requests: config.server.max_requests,
        ..Limits::default()
    };
    let networks = config.server.trusted_proxies.iter().map(|text| text.parse());
    let networks = networks.collect::<Result<Vec<Network>, String>>();
    let proxies = TrustedProxies(networks.map_err(|e| anyhow!("server.trustedProxies: {e}"))?);
    let receipts = Box::new(move |reported| web.take(&reported));
    Ok(Ingest::new(store, limits, proxies, receipts, Box::new(now)))
}

fn source_table(workspace: &Workspace) -> Arc<SourceTable> {
    let keys = workspace.sources.iter().flat_map(|source| {
        let door = Arc::new(ingest::Source {
            id: source.id.clone(),
            web: source.kind == SourceKind::JavaScript,
            enabled: source.enabled,
            answers: match source.answers {
                Answers::Strict => ingest::Answers::Strict,
                Answers::Permissive => ingest::Answers::Permissive,
            },
        });
        source.write_keys.iter().map(move |key| (key.reveal().into(), door.clone()))
    });
    Arc::new(SourceTable::new(keys))
}

fn tell(workspace: &Workspace) {
    for warning in &workspace.warnings {
        warn!(path = warning.path, "{}", warning.message);
    }
    if workspace.sources.is_empty() {
        warn!("the workspace has no source: no event gets in; start with --workspace FILE");
    }
}

/// Reads the workspace file and keeps it as a revision if it says something new.
fn read_workspace(store: &dyn Store, file: &Path) -> Result<Workspace> {
    let document = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the workspace {}", file.display()))?;
    let latest = store.revision(None)?;
    let number = latest.as_ref().map_or(0, |revision| revision.number);
    let same = latest.is_some_and(|revision| *revision.document == *document);
    let parse = |number| workspace::parse(&document, Format::guess(&document), number);
    let mut workspace = parse(number).map_err(|faults| {
        let list: Vec<String> = faults.iter().map(|f| format!("\n  {f}")).collect();
        anyhow!("the workspace {} has faults:{}", file.display(), list.concat())
    })?;
    if !same {
        let by = format!("file {}", file.display());
        workspace.revision = store.save_revision(number, now(), &by, &document)?;
    }
    Ok(workspace)
}

fn stored_workspace(store: &dyn Store) -> Result<Workspace> {
    let Some(revision) = store.revision(None)? else { return Ok(Workspace::empty()) };
    let format = Format::guess(&revision.document);
    workspace::parse(&revision.document, format, revision.number).map_err(|faults| {
        let list: Vec<String> = faults.iter().map(|f| format!("\n  {f}")).collect();
        anyhow!("revision {} of the workspace has faults:{}", revision.number, list.concat())
    })
}

async fn retain_all(store: Arc<dyn Store>, mut stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(RETAIN);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let store = store.clone();
        let retained = tokio::task::spawn_blocking(move || store.retain(now())).await;
        match retained {
            Ok(Ok(retained)) => {
                for (integration, (from, to)) in &retained.undelivered {
                    let integration = &**integration;
                    warn!(integration, from, to, "retention dropped undelivered events");
                }
            }
            Ok(Err(e)) => error!(error = %e, "retention failed"),
            Err(e) => error!(error = %e, "retention ended in a panic"),
        }
    }
}

/// What tells one state of a file from another.
type Stamp = (SystemTime, u64);

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Applies a workspace file whenever it changes.
struct Follow {
    file: PathBuf,
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    ingest: Arc<Ingest>,
    web: Arc<Web>,
    workspace: Arc<ArcSwap<Workspace>>,
    within: Duration,
}

impl Follow {
    async fn run(self, mut seen: Option<Stamp>, mut stopping: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut ticks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            let stamp = stamp(&this.file);
            if stamp == seen {
                continue;
            }
            seen = stamp;
            let again = this.clone();
            let applied = tokio::task::spawn_blocking(move || again.apply()).await;
            match applied {
                Ok(Ok(revision)) => info!(revision, "the workspace file was applied"),
                Ok(Err(e)) => error!("the workspace stays as it was: {e:#}"),
                Err(e) => error!(error = %e, "applying the workspace ended in a panic"),
            }
        }
    }

    fn apply(&self) -> Result<u64> {
        let workspace = read_workspace(&*self.store, &self.file)?;
        tell(&workspace);
        let revision = workspace.revision;
        self.ingest.set_sources(source_table(&workspace));
        self.web.set_workspace(&workspace);
        self.fleet.apply(&workspace, self.within)?;
        self.workspace.store(Arc::new(workspace));
        Ok(revision)
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// Milliseconds since 1970 by the wall clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
