//! A whole server: store, door, couriers, admin API, put together and taken apart in order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use heapline_store::embedded::Embedded;
use heapline_store::{Commit, Millis, Settings, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::admin::{self, AdminFile, Revisions};
use crate::config::Config;
use crate::console::{self, Console};
use crate::control::{Control, Origin, Problem, Replays, Tokens, Workspaces};
use crate::courier::{Fleet, Surroundings};
use crate::front::Front;
use crate::ingest::{self, Ingest, Limits, Network, TrustedProxies};
use crate::telemetry::Metrics;
use crate::web::{PublicAddress, Web};

/// A server that is listening.
pub struct Server {
    address: SocketAddr,
    ingest: Arc<Ingest>,
    store: Arc<dyn Store>,
    fleet: Arc<Fleet>,
    control: Arc<Control>,
    metrics: Arc<Metrics>,
    sign_in: String,
    stop_within: Duration,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    /// True ends the listening.
    end: watch::Sender<bool>,
    /// `None` once it has ended.
    accepting: Option<JoinHandle<()>>,
}

/// How often a workspace file is looked at, and retention is applied.
const LOOK: Duration = Duration::from_secs(1);
const RETAIN: Duration = Duration::from_secs(60);
/// How often counts are written to the store.
const COUNT: Duration = Duration::from_secs(5);

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
        let said = public.said();
        let web = Arc::new(Web::open(public, data)?);
        let front = Arc::new(Front::new(web.clone()));
        let (end, ending) = watch::channel(false);
        let accepting = tokio::spawn(front.clone().accept_all(listener, ending));

        let metrics = Arc::new(Metrics::new());
        let store = open_store(config, data, &metrics)?;
        let listening = metrics.clone();
        web.record_in(store.clone(), Box::new(move |reports| listening.tail.reported(reports)));
        let ingest = Arc::new(open_door(config, store.clone(), web.clone())?);

        let runtime = tokio::runtime::Handle::current();
        let around =
            Surroundings::new(store.clone(), metrics.clone(), config.delivery.clone(), runtime)?;
        let fleet = Arc::new(Fleet::new(around)?);
        let origin = workspace_file.map_or(Origin::Store, Origin::File);
        let workspaces = Workspaces::open(
            store.clone(),
            fleet.clone(),
            ingest.clone(),
            origin.clone(),
            config.server.stop_within,
        )
        .map_err(|problem| explained(&origin, problem))?;
        let pages = web.clone();
        pages.set_workspace(&workspaces.current());
        workspaces.on_change(move |workspace| pages.set_workspace(workspace));

        let (stop, stopping) = watch::channel(false);
        let admin_file = AdminFile::write(data, address)?;
        let control = Arc::new(Control {
            tokens: Tokens::open(store.clone(), admin_file.token)?,
            store: store.clone(),
            workspaces,
            fleet: fleet.clone(),
            metrics: metrics.clone(),
            ingest: ingest.clone(),
            revisions: Revisions::default(),
            replays: Replays::default(),
            web: web.clone(),
            stopping: stopping.clone(),
        });
        control.resume_replays()?;
        let console = Console::new(control.clone(), said, stopping.clone())?;
        let sign_in = console.sign_in_path()?;
        let console = console::router(Arc::new(console));
        front.open(ingest.clone(), admin::router(control.clone()).merge(console));
        let mut server = Server {
            address,
            ingest,
            store,
            fleet,
            control,
            metrics,
            sign_in,
            stop_within: config.server.stop_within,
            stop,
            tasks: Vec::new(),
            end,
            accepting: Some(accepting),
        };
        server.tasks.push(tokio::spawn(retain_all(server.store.clone(), stopping.clone())));
        server.tasks.push(tokio::spawn(count_all(server.control.clone(), stopping.clone())));
        if let Origin::File(_) = origin {
            server.tasks.push(tokio::spawn(follow_file(server.control.clone(), stopping)));
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
        self.control.workspaces.current().revision
    }

    /// What operators can do with it.
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// What its door has seen.
    pub fn door(&self) -> ingest::Snapshot {
        self.ingest.counters().snapshot()
    }

    /// Leaves the listening socket to the next server: who connects from now on waits for that one.
    /// Requests that have come are taken and answered; all connections are closed.
    pub async fn stop_listening(&mut self) {
        // Streams to operators would go on for ever.
        self.stop.send(true).ok();
        self.end.send(true).ok();
        let Some(mut accepting) = self.accepting.take() else { return };
        if tokio::time::timeout(self.stop_within, &mut accepting).await.is_err() {
            warn!("some clients' requests were cut off");
            accepting.abort();
        }
    }

    /// Stops: no new intake, requests in flight are answered, deliveries in flight settle or stay
    /// in the journal. Pages get their settings to the end. Takes little more than the time set for
    /// it.
    pub async fn stop(mut self) -> Result<()> {
        info!("stopping");
        self.ingest.close();
        self.stop.send(true).ok();
        for task in std::mem::take(&mut self.tasks) {
            if tokio::time::timeout(self.stop_within, task).await.is_err() {
                warn!("some of the server's own work was cut off");
            }
        }
        let within = self.stop_within;
        let (fleet, store) = (self.fleet.clone(), self.store.clone());
        let control = self.control.clone();
        tokio::task::spawn_blocking(move || {
            fleet.stop(within);
            if let Err(problem) = control.write_statistics() {
                warn!(error = %problem, "the last statistics are lost");
            }
            store.close()
        })
        .await??;
        self.stop_listening().await;
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

/// Writes what has been counted, now and then.
async fn count_all(control: Arc<Control>, mut stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(COUNT);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let control = control.clone();
        let written = tokio::task::spawn_blocking(move || control.write_statistics()).await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => warn!(error = %problem, "some statistics are lost"),
            Err(e) => error!(error = %e, "counting ended in a panic"),
        }
    }
}

/// A problem with the workspace, fault by fault.
fn explained(origin: &Origin, problem: Problem) -> anyhow::Error {
    let what = match origin {
        Origin::File(file) => format!("the workspace {}", file.display()),
        Origin::Store => "the stored workspace".to_owned(),
    };
    match problem {
        Problem::Faulty(faults) => {
            let list: Vec<String> = faults.iter().map(|f| format!("\n  {f}")).collect();
            anyhow!("{what} has faults:{}", list.concat())
        }
        problem => problem.into(),
    }
}

/// Applies the workspace file whenever it changes.
async fn follow_file(control: Arc<Control>, mut stopping: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let again = control.clone();
        let followed = tokio::task::spawn_blocking(move || again.workspaces.follow()).await;
        match followed {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(revision))) => info!(revision, "the workspace file was applied"),
            Ok(Err(problem)) => {
                let e = explained(control.workspaces.origin(), problem);
                error!("the workspace stays as it was: {e:#}");
            }
            Err(e) => error!(error = %e, "applying the workspace ended in a panic"),
        }
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
