//! One courier's loop: read, plan, offer; carry out decisions; write what became of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

use heapline_action::destination::Cloud;
use heapline_action::plan::{Answer, Endpoint, Reading};
use heapline_delivery::{Carried, Decision, Fact, Lane, RequestId};
use heapline_store::{Error, LedgerBatch, Millis, Reader, RequestRecord, Seq};
use tracing::error;

use super::fleet::Surroundings;
use super::health::{Told, memory};
use super::hold::Holds;
use super::ledger::Ledger;
use super::planning::Names;
use super::replay::{Chunk, Replays};
use super::ripe::Ripe;
use super::tally::Tally;
use super::window::Window;
use crate::workspace::{Integration, MAX_ACTIONS};

/// What reaches a courier's thread.
pub(super) enum Message {
    /// The journal has grown.
    Committed,
    /// A request has ended.
    Ended { request: RequestId, record: RequestRecord, reading: Reading, answer: Answer },
    /// Offer these events once more.
    Replay(Chunk),
    /// Settle what is in flight, until this moment at most, and end.
    Stop { until: Instant },
}

/// Settlements that are handed to the ledger together, unless [`FLUSH`] passes first.
const TOGETHER: usize = 1000;

/// Longest time that a settlement waits for others before it is handed to the ledger.
const FLUSH: Duration = Duration::from_millis(20);

/// Parcel ids carry the action's index in the low bits.
pub(super) const ACTIONS: u64 = MAX_ACTIONS as u64;

pub(super) struct Courier {
    pub(super) integration: Arc<Integration>,
    pub(super) revision: u64,
    pub(super) cloud: Arc<dyn Cloud>,
    pub(super) endpoints: Arc<[(Endpoint, Arc<str>)]>,
    pub(super) around: Arc<Surroundings>,
    pub(super) ledger: Ledger,
    pub(super) lane: Lane,
    pub(super) told: Told,
    pub(super) window: Window,
    pub(super) reader: Box<dyn Reader>,
    /// Below this place the ledger may know more than we do.
    pub(super) recover_below: Seq,
    pub(super) holds: Holds,
    pub(super) replays: Replays,
    pub(super) users: HashMap<Arc<str>, User>,
    pub(super) parcels: HashMap<u64, Arc<str>>,
    pub(super) flights: HashMap<RequestId, Flight>,
    pub(super) batch: LedgerBatch,
    pub(super) batch_since: Option<Instant>,
    pub(super) tally: Tally,
    pub(super) names: Names,
    pub(super) decisions: Vec<Decision>,
    pub(super) wake_at: Option<u64>,
    pub(super) now: u64,
    pub(super) draining: Option<Instant>,
    pub(super) read_all: bool,
    pub(super) outbox: Sender<Message>,
    /// False while a message about the journal's growth is under way.
    pub(super) awake: Arc<AtomicBool>,
}

#[derive(Default)]
pub(super) struct User {
    pub(super) on_the_way: u32,
    pub(super) parked: VecDeque<Seq>,
}

pub(super) struct Flight {
    pub(super) carried: Vec<Carried>,
}

impl Courier {
    #[expect(clippy::too_many_arguments, reason = "called once, by the fleet")]
    pub(super) fn new(
        integration: Arc<Integration>,
        revision: u64,
        cloud: Arc<dyn Cloud>,
        around: Arc<Surroundings>,
        ledger: Ledger,
        outbox: Sender<Message>,
        awake: Arc<AtomicBool>,
        seed: u64,
    ) -> Result<Courier, Error> {
        let store = &around.store;
        let extent = store.extent();
        let base = store.cursor(&integration.id)?.unwrap_or(extent.next).max(extent.first);
        let now = wall_ms();
        let mut lane = Lane::new(around.policy(&*cloud, seed));
        let before = memory(&**store, &integration.id, &*cloud, now)?;
        lane.handle(now, Fact::Recall(before), &mut Vec::new());
        let named = |e: &Endpoint| (e.clone(), Arc::from(e.name));
        Ok(Courier {
            holds: Holds::open(&**store, &integration.id, cloud.hold_window_ms())?,
            reader: match integration.for_pages {
                true => Box::new(Ripe::new(store.reader(base)?, around.fallback_wait_ms())),
                false => store.reader(base)?,
            },
            lane,
            told: Told::default(),
            window: Window::starting_at(base),
            recover_below: extent.next,
            endpoints: cloud.endpoints().iter().map(named).collect(),
            users: HashMap::new(),
            parcels: HashMap::new(),
            flights: HashMap::new(),
            batch: LedgerBatch::default(),
            batch_since: None,
            tally: Tally::default(),
            replays: Replays::default(),
            names: Names::default(),
            decisions: Vec::new(),
            wake_at: None,
            now,
            draining: None,
            read_all: false,
            integration,
            revision,
            cloud,
            around,
            ledger,
            outbox,
            awake,
        })
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        self.tell_health();
        let mut next_look = Instant::now();
        loop {
            match inbox.recv_timeout(self.patience()) {
                Ok(message) => {
                    self.take(message);
                    while let Ok(message) = inbox.try_recv() {
                        self.take(message);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.wake_at.is_some_and(|at| at <= self.clock()) {
                self.wake_at = None;
                self.handle(Fact::Tick);
            }
            if self.ledger.is_broken() && self.draining.is_none() {
                self.draining = Some(Instant::now());
                self.handle(Fact::Drain);
            }
            if next_look <= Instant::now() {
                next_look = Instant::now() + Duration::from_secs(1);
                // Events ripen without a message.
                self.read_all &= !self.integration.for_pages;
                self.expire_held();
                self.report();
            }
            if self.draining.is_none()
                && let Err(e) = self.refill()
            {
                error!(integration = &*self.integration.id, error = %e, "can't read the journal");
                self.draining = Some(Instant::now());
                self.handle(Fact::Drain);
            }
            self.flush(false);
            if let Some(until) = self.draining
                && (self.lane.load().in_flight == 0 || until <= Instant::now())
            {
                return self.leave();
            }
        }
    }

    fn patience(&self) -> Duration {
        if self.draining.is_none() && !self.read_all && self.has_room() {
            return Duration::ZERO;
        }
        let mut patience = Duration::from_secs(1);
        if let Some(at) = self.wake_at {
            patience = patience.min(Duration::from_millis(at.saturating_sub(wall_ms())));
        }
        if let Some(since) = self.batch_since {
            patience = patience.min(FLUSH.saturating_sub(since.elapsed()));
        }
        if let Some(until) = self.draining {
            patience = patience.min(until.saturating_duration_since(Instant::now()));
        }
        patience
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Committed => {
                self.awake.store(true, Ordering::Release);
                self.read_all = false;
            }
            Message::Ended { request, record, reading, answer } => {
                self.ended(request, record, reading, answer);
            }
            Message::Replay(chunk) => {
                if self.draining.is_none() {
                    self.replay(chunk);
                }
            }
            Message::Stop { until } => {
                self.draining = Some(until);
                self.handle(Fact::Drain);
            }
        }
    }

    /// Wall time, never going back.
    pub(super) fn clock(&mut self) -> u64 {
        self.now = self.now.max(wall_ms());
        self.now
    }

    pub(super) fn at(&mut self) -> Millis {
        Millis::try_from(self.clock()).unwrap_or(Millis::MAX)
    }

    pub(super) fn flush(&mut self, at_once: bool) {
        let due = self.batch.settlements.len() >= TOGETHER
            || self.batch_since.is_some_and(|since| since.elapsed() >= FLUSH);
        if !(due || at_once) {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        self.batch_since = None;
        batch.cursors.insert(self.integration.id.clone(), self.window.base());
        // Counted only once it is written: what a crash lets happen again isn't counted twice.
        let mut tally = std::mem::take(&mut self.tally);
        let (metrics, integration) = (self.around.metrics.clone(), self.integration.id.clone());
        let count = move || tally.hand_over(&metrics, &integration);
        self.ledger.write(batch, Box::new(count));
    }

    fn report(&mut self) {
        let next = self.around.store.extent().next;
        let unread = next.saturating_sub(self.window.end());
        let pending = unread + self.window.unsettled() as u64;
        let oldest = match self.window.oldest() {
            Some(received_at) => Some(received_at),
            None if unread > 0 => {
                let event = self.around.store.event(self.window.end()).ok().flatten();
                event.map(|e| e.event.received_at)
            }
            None => None,
        };
        let age = oldest.map_or(0, |received_at| self.at().saturating_sub(received_at).max(0));
        self.around.metrics.pending(&self.integration.id, pending, age as f64 / 1000.0);
        let now = self.clock();
        let usage = self.lane.usage(now);
        self.around.used(&self.integration.id, Some(usage));
    }

    /// Leaves what isn't settled to the journal, with the steps that are done.
    fn leave(mut self) {
        self.leave_health();
        for left in self.lane.unfinished() {
            let seq = left.parcel / ACTIONS;
            let index = usize::try_from(left.parcel % ACTIONS).unwrap_or(usize::MAX);
            let open = self.window.open(seq).or(self.holds.open_mut(seq));
            let Some(open) = open else { continue };
            let Some(delivery) = open.settlement.deliveries.get_mut(index) else { continue };
            delivery.steps_done = left.steps_done;
            if left.steps_done != 0 || !delivery.requests.is_empty() {
                self.batch.settlements.push(open.settlement.clone());
            }
        }
        self.flush(true);
        self.around.used(&self.integration.id, None);
    }
}

/// Milliseconds since 1970 by the wall clock, since retry windows outlive the process.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
