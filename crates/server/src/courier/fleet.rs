//! All couriers: started, stopped and replaced as the workspace changes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use heapline_action::destination::{Cloud, Configured};
use heapline_delivery::{Policy, Usage};
use heapline_store::{Error, LedgerBatch, Millis, Seq, Store};
use tracing::{info, warn};

use super::health::{Trouble, Troubles};
use super::ledger::Ledger;
use super::replay::Chunk;
use super::run::{Courier, Message};
use crate::config::Delivery;
use crate::telemetry::Metrics;
use crate::transport::Transport;
use crate::workspace::{Integration, Workspace};

/// What couriers work with.
pub struct Surroundings {
    pub(super) store: Arc<dyn Store>,
    pub(super) transport: Transport,
    pub(super) metrics: Arc<Metrics>,
    pub(super) troubles: Troubles,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) max_events: usize,
    pub(super) max_bytes: usize,
    settings: Delivery,
    /// How far each courier has used its destination's limits.
    usage: Mutex<BTreeMap<Arc<str>, Vec<Usage>>>,
}

impl Surroundings {
    /// `runtime` carries the requests.
    pub fn new(
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        settings: Delivery,
        runtime: tokio::runtime::Handle,
    ) -> Result<Surroundings> {
        let transport = Transport::new(settings.timeout)?;
        let max_bytes = usize::try_from(settings.max_bytes.as_u64()).unwrap_or(usize::MAX);
        let max_events = settings.max_events;
        let usage = Mutex::default();
        Ok(Surroundings {
            store,
            transport,
            metrics,
            troubles: Troubles::default(),
            runtime,
            max_events,
            max_bytes,
            settings,
            usage,
        })
    }

    /// A courier tells how far it has used its destination's limits; `None` when it ends.
    pub(super) fn used(&self, integration: &Arc<str>, usage: Option<Vec<Usage>>) {
        for (at, usage) in usage.iter().flatten().enumerate().filter(|(_, usage)| usage.used > 0) {
            self.metrics.used(integration, at, usage.used);
        }
        let mut all = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        match usage {
            Some(usage) => all.insert(integration.clone(), usage),
            None => all.remove(integration),
        };
    }

    /// How old events are when the server decides whether to deliver them in place of a page.
    pub(super) fn fallback_wait_ms(&self) -> Millis {
        Millis::try_from(self.settings.fallback_wait.as_millis()).unwrap_or(Millis::MAX)
    }

    pub(super) fn policy(&self, cloud: &dyn Cloud, seed: u64) -> Policy {
        Policy {
            endpoints: cloud.endpoints().to_vec(),
            retry_window_ms: cloud.retry_window_ms(),
            first_backoff_ms: millis(self.settings.first_backoff),
            max_backoff_ms: millis(self.settings.max_backoff),
            max_in_flight: self.settings.max_in_flight.max(1),
            linger_ms: millis(self.settings.linger),
            seed,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// All couriers of a server.
pub struct Fleet {
    around: Arc<Surroundings>,
    ledger: Ledger,
    ledger_thread: Mutex<Option<JoinHandle<()>>>,
    couriers: Mutex<BTreeMap<Arc<str>, Running>>,
    wakes: Arc<Mutex<Vec<Wake>>>,
}

struct Running {
    fingerprint: String,
    inbox: Sender<Message>,
    thread: JoinHandle<()>,
}

struct Wake {
    inbox: Sender<Message>,
    /// Cleared by a wake, set again once the courier has heard it: one message is enough.
    awake: Arc<AtomicBool>,
}

impl Fleet {
    /// A fleet without couriers; [`Fleet::apply`] starts them.
    pub fn new(around: Surroundings) -> Result<Fleet> {
        let around = Arc::new(around);
        let (ledger, ledger_thread) = Ledger::start(around.store.clone())?;
        let wakes: Arc<Mutex<Vec<Wake>>> = Arc::default();
        let all = wakes.clone();
        around.store.on_commit(Box::new(move |_| {
            let all = all.lock().unwrap_or_else(PoisonError::into_inner);
            for wake in &*all {
                if wake.awake.swap(false, Ordering::AcqRel) {
                    wake.inbox.send(Message::Committed).ok();
                }
            }
        }));
        let ledger_thread = Mutex::new(Some(ledger_thread));
        Ok(Fleet { around, ledger, ledger_thread, couriers: Mutex::default(), wakes })
    }

    /// The way to destinations.
    pub fn transport(&self) -> &Transport {
        &self.around.transport
    }

    /// Why an integration can't deliver, endpoint by endpoint; empty if it can.
    pub fn troubles(&self, integration: &str) -> Vec<Trouble> {
        self.around.troubles.of(integration)
    }

    /// False once the ledger can't be written any more.
    pub fn is_sound(&self) -> bool {
        !self.ledger.is_broken()
    }

    /// Makes the couriers those of `workspace`. Couriers of integrations that haven't changed go
    /// on; the others settle what is in flight first. Blocks meanwhile.
    pub fn apply(&self, workspace: &Workspace, within: Duration) -> Result<()> {
        let mut couriers = self.couriers.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = |id: &str, running: &Running| {
            workspace
                .integration(id)
                .is_some_and(|i| i.enabled && i.fingerprint == running.fingerprint)
        };
        let leaving: Vec<Arc<str>> = couriers
            .iter()
            .filter(|(id, running)| !unchanged(id, running))
            .map(|(id, _)| id.clone())
            .collect();
        let stopped: Vec<Running> = leaving.iter().filter_map(|id| couriers.remove(id)).collect();
        self.stop_all(stopped, within);
        for integration in &workspace.integrations {
            let integration = integration.fallback.as_ref().unwrap_or(integration);
            let Configured::Cloud(cloud) = &integration.configured else { continue };
            let id = &integration.id;
            self.keep_place(id)?;
            if integration.enabled && !couriers.contains_key(id) {
                let running = self.start(integration, workspace.revision, cloud.clone())?;
                couriers.insert(id.clone(), running);
            }
        }
        Ok(())
    }

    /// Lets an integration that has no courier now go on at the end of the journal, past all that
    /// it has not delivered. Gives its new place.
    pub fn skip_ahead(&self, integration: &Arc<str>) -> Result<Seq, Error> {
        let next = self.around.store.extent().next;
        let cursors = [(integration.clone(), next)].into();
        self.around.store.record(&LedgerBatch { cursors, ..LedgerBatch::default() })?;
        Ok(next)
    }

    /// Gives a chunk to an integration's courier; false if it has none.
    pub fn replay(&self, integration: &str, chunk: Chunk) -> bool {
        let couriers = self.couriers.lock().unwrap_or_else(PoisonError::into_inner);
        let courier = couriers.get(integration);
        courier.is_some_and(|courier| courier.inbox.send(Message::Replay(chunk)).is_ok())
    }

    /// How far an integration has used each limit of its destination's endpoints, a moment ago;
    /// nothing if it has no courier.
    pub fn usage(&self, integration: &str) -> Vec<Usage> {
        let all = self.around.usage.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(integration).cloned().unwrap_or_default()
    }

    /// Waits until all that couriers have told the ledger is written.
    pub fn settle_ledger(&self) {
        self.ledger.settle();
    }

    /// Stops all couriers, waiting for requests in flight no longer than `within`, and writes the
    /// ledger to its end. Later calls do nothing.
    pub fn stop(&self, within: Duration) {
        let mut couriers = self.couriers.lock().unwrap_or_else(PoisonError::into_inner);
        let all = std::mem::take(&mut *couriers).into_values().collect();
        drop(couriers);
        self.stop_all(all, within);
        self.ledger.end();
        let mut thread = self.ledger_thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.take().is_some_and(|thread| thread.join().is_err()) {
            warn!("the ledger's thread ended in a panic");
        }
    }

    /// A new integration begins with the next event; a known one has its place.
    fn keep_place(&self, id: &Arc<str>) -> Result<()> {
        let store = &self.around.store;
        if store.cursor(id)?.is_none() {
            let cursors = [(id.clone(), store.extent().next)].into();
            store.record(&LedgerBatch { cursors, ..LedgerBatch::default() })?;
        }
        Ok(())
    }

    fn start(
        &self,
        integration: &Arc<Integration>,
        revision: u64,
        cloud: Arc<dyn Cloud>,
    ) -> Result<Running> {
        let (inbox, messages) = channel();
        let awake = Arc::new(AtomicBool::new(true));
        let seed = getrandom::u64().context("the system gives no random numbers")?;
        let courier = Courier::new(
            integration.clone(),
            revision,
            cloud,
            self.around.clone(),
            self.ledger.clone(),
            inbox.clone(),
            awake.clone(),
            seed,
        )?;
        let name = format!("courier {}", integration.id);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || courier.run(&messages))
            .context("cannot start a courier's thread")?;
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        wakes.push(Wake { inbox: inbox.clone(), awake });
        info!(integration = &*integration.id, revision, "delivering");
        Ok(Running { fingerprint: integration.fingerprint.clone(), inbox, thread })
    }

    fn stop_all(&self, couriers: Vec<Running>, within: Duration) {
        let until = Instant::now() + within;
        for courier in &couriers {
            courier.inbox.send(Message::Stop { until }).ok();
        }
        for courier in couriers {
            if courier.thread.join().is_err() {
                warn!("a courier's thread ended in a panic");
            }
        }
        // Those that follow begin with what these have left.
        self.ledger.settle();
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        wakes.retain(|wake| wake.inbox.send(Message::Committed).is_ok());
    }
}
