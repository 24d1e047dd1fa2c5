//! One courier's loop: read, plan, offer; carry out decisions; write what became of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime};

use heapline_action::destination::Cloud;
use heapline_action::plan::{Answer, Endpoint, Reading};
use heapline_delivery::{Carried, Decision, End, Fact, Lane, Outgoing, Parcel, RequestId};
use heapline_store::{
    Delivery, Error, LedgerBatch, Millis, Outcome, Reader, RequestRecord, Seq, Settlement,
    StoredEvent,
};
use tracing::{Instrument, error, info, warn};

use super::fleet::Surroundings;
use super::hold::Holds;
use super::ledger::Ledger;
use super::planning::{Names, Planned, plan_event};
use super::window::{Open, Window};
use crate::telemetry::spans;
use crate::workspace::Integration;

/// What reaches a courier's thread.
pub(super) enum Message {
    /// The journal has grown.
    Committed,
    /// A request has ended.
    Ended { request: RequestId, record: RequestRecord, reading: Reading, answer: Answer },
    /// Settle what is in flight, until this moment at most, and end.
    Stop { until: Instant },
}

/// Events read and planned at a time, between two looks at the messages.
const CHUNK: usize = 256;

/// Settlements that are handed to the ledger together, unless [`FLUSH`] passes first.
const TOGETHER: usize = 1000;

/// Longest time that a settlement waits for others before it is handed to the ledger.
const FLUSH: Duration = Duration::from_millis(20);

/// A user with so many parcels on the way has further events parked, so that he doesn't fill the
/// memory that others need.
const PARK_ABOVE: u32 = 2000;

/// A parked user's events are taken up again once he has so few parcels on the way.
const UNPARK_BELOW: u32 = 1000;

/// Requests listed with a delivery: the first few tell how it began, the last ones where it stands.
const LISTED_FIRST: usize = 5;
const LISTED: usize = 20;

/// Parcel ids carry the action's index in the low bits.
const ACTIONS: u64 = 256;

pub(super) struct Courier {
    integration: Arc<Integration>,
    revision: u64,
    cloud: Arc<dyn Cloud>,
    endpoints: Arc<[(Endpoint, Arc<str>)]>,
    around: Arc<Surroundings>,
    ledger: Ledger,
    lane: Lane,
    window: Window,
    reader: Box<dyn Reader>,
    /// Below this place the ledger may know more than we do.
    recover_below: Seq,
    holds: Holds,
    users: HashMap<Arc<str>, User>,
    parcels: HashMap<u64, Arc<str>>,
    flights: HashMap<RequestId, Flight>,
    batch: LedgerBatch,
    batch_since: Option<Instant>,
    counts: [u64; Outcome::ALL.len()],
    names: Names,
    decisions: Vec<Decision>,
    wake_at: Option<u64>,
    now: u64,
    draining: Option<Instant>,
    read_all: bool,
    outbox: Sender<Message>,
    /// False while a message about the journal's growth is under way.
    awake: Arc<AtomicBool>,
}

#[derive(Default)]
struct User {
    on_the_way: u32,
    parked: VecDeque<Seq>,
}

struct Flight {
    carried: Vec<Carried>,
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
        let policy = around.policy(&*cloud, seed);
        let named = |e: &Endpoint| (e.clone(), Arc::from(e.name));
        Ok(Courier {
            holds: Holds::open(&**store, &integration.id, cloud.hold_window_ms())?,
            reader: store.reader(base)?,
            lane: Lane::new(policy),
            window: Window::starting_at(base),
            recover_below: extent.next,
            endpoints: cloud.endpoints().iter().map(named).collect(),
            users: HashMap::new(),
            parcels: HashMap::new(),
            flights: HashMap::new(),
            batch: LedgerBatch::default(),
            batch_since: None,
            counts: [0; Outcome::ALL.len()],
            names: Names::default(),
            decisions: Vec::new(),
            wake_at: None,
            now: wall_ms(),
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
            Message::Stop { until } => {
                self.draining = Some(until);
                self.handle(Fact::Drain);
            }
        }
    }

    /// Wall time, never going back.
    fn clock(&mut self) -> u64 {
        self.now = self.now.max(wall_ms());
        self.now
    }

    fn at(&mut self) -> Millis {
        Millis::try_from(self.clock()).unwrap_or(Millis::MAX)
    }

    // Reading and planning

    fn has_room(&self) -> bool {
        let load = self.lane.load();
        load.parcels < self.around.max_events
            && load.bytes < self.around.max_bytes
            && self.window.unsettled() < self.around.max_events.saturating_mul(16)
    }

    fn refill(&mut self) -> Result<(), Error> {
        if self.read_all || !self.has_room() {
            return Ok(());
        }
        let events = self.reader.next(CHUNK, 1 << 20)?;
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            self.read_all = true;
            return Ok(());
        };
        if first.seq > self.window.end() {
            let (from, to) = (self.window.end(), first.seq);
            warn!(integration = &*self.integration.id, from, to, "retention dropped events unsent");
            self.window.skip_to(first.seq);
        }
        let mut known = if first.seq < self.recover_below {
            self.around.store.settlements(&self.integration.id, first.seq, last.seq + 1)?
        } else {
            Default::default()
        };
        let mut offers = Vec::with_capacity(events.len());
        for event in events {
            let before = known.remove(&event.seq);
            self.take_up(event, before, &mut offers)?;
        }
        self.offer(offers);
        Ok(())
    }

    fn offer(&mut self, offers: Vec<Parcel>) {
        if !offers.is_empty() {
            self.handle(Fact::Offer(offers));
        }
    }

    /// Takes up the next event of the journal.
    fn take_up(
        &mut self,
        event: StoredEvent,
        before: Option<Settlement>,
        offers: &mut Vec<Parcel>,
    ) -> Result<(), Error> {
        let settled = before.as_ref().is_some_and(Settlement::is_final);
        if !self.integration.takes(&event.event.source) {
            self.window.push_done();
            return Ok(());
        }
        if settled {
            self.window.push_done();
            return Ok(());
        }
        let linked = self.holds.linked(&*self.around.store, &event)?;
        let user = linked.clone().unwrap_or_else(|| user_of(&event));
        let freed = self.freed_by(&event)?;
        let busy = self.users.get(&*user);
        if busy.is_some_and(|u| u.on_the_way >= PARK_ABOVE || !u.parked.is_empty())
            && freed.is_empty()
        {
            self.window.push_parked(event.event.received_at);
            self.users.entry(user).or_default().parked.push_back(event.seq);
            return Ok(());
        }
        let mut waiting = 0;
        for held in freed {
            waiting += u32::from(self.take_up_held(held, &user, event.seq, offers)?);
        }
        match self.plan(&event, before, linked.as_deref(), &user, offers) {
            Some(open) => self.window.push_open(Open { freed: waiting, ..open }),
            None if waiting > 0 => {
                let settlement = self.empty_settlement(event.seq);
                let received_at = event.event.received_at;
                let open = Open { settlement, deliveries: 0, freed: waiting, received_at };
                self.window.push_open(open);
            }
            None => self.window.push_done(),
        }
        Ok(())
    }

    /// Plans one event; what is decided at once is written, what is to be sent goes to `offers`.
    /// `None` if nothing of it stays open.
    fn plan(
        &mut self,
        event: &StoredEvent,
        before: Option<Settlement>,
        linked: Option<&str>,
        user: &Arc<str>,
        offers: &mut Vec<Parcel>,
    ) -> Option<Open> {
        let at = self.at();
        let planned =
            plan_event(&self.integration, &*self.cloud, event, linked, at, &mut self.names);
        let Planned { mut deliveries, steps, waits_for } = planned;
        if let Some(anonymous_id) = waits_for {
            let held = self.holds.hold(event, &anonymous_id, at);
            self.batch.hold.push(held);
        }
        let before = before.map(|s| s.deliveries).unwrap_or_default();
        let mut open = 0;
        for (index, steps) in steps {
            let Some(delivery) = deliveries.get_mut(index) else { continue };
            let earlier = before.iter().find(|d| d.action == delivery.action);
            if let Some(earlier) = earlier {
                delivery.requests.clone_from(&earlier.requests);
                delivery.steps_done = earlier.steps_done;
                if !matches!(earlier.outcome, Outcome::Pending | Outcome::Held) {
                    delivery.clone_from(earlier);
                    continue;
                }
            }
            open += 1;
            let id = event.seq * ACTIONS + index as u64;
            self.parcels.insert(id, user.clone());
            self.users.entry(user.clone()).or_default().on_the_way += 1;
            offers.push(Parcel {
                id,
                user: user.clone(),
                failing_since_ms: self.failing_since(&delivery.requests),
                done: delivery.steps_done,
                steps,
            });
        }
        let settlement = Settlement {
            seq: event.seq,
            integration: self.integration.id.clone(),
            revision: self.revision,
            deliveries,
        };
        if open == 0 {
            self.settled(settlement);
            return None;
        }
        let received_at = event.event.received_at;
        Some(Open { settlement, deliveries: open, freed: 0, received_at })
    }

    /// When a delivery that was tried before a restart was first tried, in milliseconds.
    fn failing_since(&self, requests: &[u64]) -> Option<u64> {
        let first = requests.first()?;
        let records = self.around.store.requests(&[*first]).ok()?;
        u64::try_from(records.first()?.at).ok()
    }

    fn empty_settlement(&self, seq: Seq) -> Settlement {
        let integration = self.integration.id.clone();
        Settlement { seq, integration, revision: self.revision, deliveries: Vec::new() }
    }

    /// Takes up parked events of a user who has room again.
    fn unpark(&mut self, user: &Arc<str>) {
        let mut offers = Vec::new();
        while let Some(entry) = self.users.get_mut(user)
            && entry.on_the_way < UNPARK_BELOW
            && let Some(seq) = entry.parked.pop_front()
        {
            if let Err(e) = self.unpark_one(seq, user, &mut offers) {
                error!(seq, error = %e, "can't read a parked event");
                self.draining = Some(Instant::now());
                return self.handle(Fact::Drain);
            }
        }
        self.offer(offers);
    }

    fn unpark_one(
        &mut self,
        seq: Seq,
        user: &Arc<str>,
        offers: &mut Vec<Parcel>,
    ) -> Result<(), Error> {
        let Some(event) = self.around.store.event(seq)? else {
            warn!(integration = &*self.integration.id, seq, "dropped by retention unsent");
            self.window.unpark(seq, None);
            return Ok(());
        };
        let before = if seq < self.recover_below { self.known(seq)? } else { None };
        let linked = self.holds.linked(&*self.around.store, &event)?;
        let open = self.plan(&event, before, linked.as_deref(), user, offers);
        self.window.unpark(seq, open);
        Ok(())
    }

    // Held events

    /// Held events that `event` links to a user id, oldest first.
    fn freed_by(&mut self, event: &StoredEvent) -> Result<Vec<StoredEvent>, Error> {
        let at = self.at();
        let Some((link, waits)) = self.holds.link(event, at) else { return Ok(Vec::new()) };
        let anonymous_id = link.anonymous_id.clone();
        self.batch.links.push(link);
        if !waits {
            return Ok(Vec::new());
        }
        // What was held a moment ago may still be on its way to the store.
        self.flush(true);
        self.ledger.settle();
        let held = self.around.store.held(&self.integration.id, &anonymous_id)?;
        Ok(held.into_iter().map(|held| held.event).collect())
    }

    /// True if the held event is on its way now; false if it was settled at once.
    fn take_up_held(
        &mut self,
        event: StoredEvent,
        user: &Arc<str>,
        freed_by: Seq,
        offers: &mut Vec<Parcel>,
    ) -> Result<bool, Error> {
        let before = self.known(event.seq)?;
        Ok(match self.plan(&event, before, Some(user), user, offers) {
            Some(open) => {
                self.holds.freed(event.seq, open, freed_by);
                true
            }
            None => {
                self.batch.release.push((self.integration.id.clone(), event.seq));
                false
            }
        })
    }

    fn expire_held(&mut self) {
        let at = self.at();
        let due = self.holds.due(&*self.around.store, at);
        let due = match due {
            Ok(due) => due,
            Err(e) => {
                warn!(error = %e, "can't look for held events whose time is up");
                return;
            }
        };
        if due.is_empty() {
            return;
        }
        for held in due {
            self.expire(&held.event);
            self.batch.release.push((self.integration.id.clone(), held.event.seq));
        }
        // Else the store would give them again.
        self.flush(true);
        self.ledger.settle();
    }

    fn expire(&mut self, event: &StoredEvent) {
        let at = self.at();
        let code = self.names.get("hold_expired");
        let sentence = format!(
            "No event linked the anonymous id {:?} to a user id in time.",
            event.event.anonymous_id.as_deref().unwrap_or_default()
        );
        let expire = |settlement: &mut Settlement| {
            let held = |delivery: &&mut Delivery| delivery.outcome == Outcome::Held;
            for delivery in settlement.deliveries.iter_mut().filter(held) {
                delivery.outcome = Outcome::Expired;
                delivery.code = code.clone();
                delivery.sentence = sentence.as_str().into();
                delivery.at = at;
            }
        };
        if let Some(open) = self.window.open(event.seq) {
            expire(&mut open.settlement);
            return;
        }
        match self.known(event.seq) {
            Ok(Some(mut settlement)) => {
                expire(&mut settlement);
                self.settled(settlement);
            }
            // It is beyond the cursor, and is taken up again.
            Ok(None) => {}
            Err(e) => warn!(seq = event.seq, error = %e, "can't read what became of a held event"),
        }
    }

    /// What the ledger knows of an event here.
    fn known(&self, seq: Seq) -> Result<Option<Settlement>, Error> {
        let known = self.around.store.settlements(&self.integration.id, seq, seq + 1)?;
        Ok(known.into_values().next())
    }

    // Decisions

    fn handle(&mut self, fact: Fact) {
        let now = self.clock();
        let mut decisions = std::mem::take(&mut self.decisions);
        self.wake_at = None;
        self.lane.handle(now, fact, &mut decisions);
        let mut thawed = Vec::new();
        for decision in decisions.drain(..) {
            match decision {
                Decision::Send(outgoing) => self.send(outgoing),
                Decision::Progress { parcel, step } => {
                    if let Some(delivery) = self.delivery(parcel) {
                        delivery.steps_done |= 1 << step;
                    }
                }
                Decision::Settle { parcel, end, steps_done, requests } => {
                    thawed.extend(self.settle(parcel, end, steps_done, &requests));
                }
                Decision::WakeAt(at) => self.wake_at = Some(at),
            }
        }
        self.decisions = decisions;
        for user in thawed {
            self.unpark(&user);
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let Outgoing { request, endpoint, items, carried } = outgoing;
        let at = self.at();
        let record = RequestRecord {
            id: self.around.store.next_request_id(),
            integration: self.integration.id.clone(),
            endpoint: Arc::default(),
            at,
            took_ms: 0,
            status: 0,
            items: u32::try_from(items.len()).unwrap_or(u32::MAX),
            excerpt: "".into(),
        };
        self.flights.insert(request, Flight { carried });
        let (endpoints, cloud) = (self.endpoints.clone(), self.cloud.clone());
        let (transport, outbox) = (self.around.transport.clone(), self.outbox.clone());
        let metrics = self.around.metrics.clone();
        self.around.runtime.spawn(async move {
            let (endpoint, name) = endpoints
                .get(usize::from(endpoint.0))
                .expect("a step names an endpoint of its destination");
            let span = spans::request(&record.integration, name, items.len());
            let began = Instant::now();
            let sending = transport.send(endpoint, endpoint.body(&items));
            let answer = sending.instrument(span.clone()).await;
            let took = began.elapsed();
            spans::answered(&span, answer.status);
            let reading = if answer.status == 0 { Reading::Retry } else { cloud.read(&answer) };
            metrics.request(
                &record.integration,
                name,
                answer.status,
                items.len(),
                took.as_secs_f64(),
            );
            let record = RequestRecord {
                endpoint: name.clone(),
                took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
                status: answer.status,
                excerpt: answer.excerpt.as_str().into(),
                ..record
            };
            // The courier may have left at its deadline: then the journal has the events still.
            outbox.send(Message::Ended { request, record, reading, answer }).ok();
        });
    }

    fn ended(
        &mut self,
        request: RequestId,
        record: RequestRecord,
        reading: Reading,
        answer: Answer,
    ) {
        let Some(flight) = self.flights.remove(&request) else { return };
        let id = record.id;
        if reading != Reading::Delivered {
            let (status, endpoint) = (record.status, &*record.endpoint);
            info!(
                integration = &*self.integration.id,
                endpoint,
                status,
                items = record.items,
                answer = answer.excerpt,
                "a request was not taken"
            );
            let mut touched: Vec<Seq> = Vec::new();
            for carried in flight.carried {
                if let Some(delivery) = self.delivery(carried.parcel) {
                    list(&mut delivery.requests, id);
                    touched.push(carried.parcel / ACTIONS);
                }
            }
            if reading == Reading::Retry {
                touched.dedup();
                for seq in touched {
                    let open = self.window.open(seq).or(self.holds.open_mut(seq));
                    if let Some(settlement) = open.map(|open| open.settlement.clone()) {
                        self.batch.settlements.push(settlement);
                    }
                }
            }
        }
        self.batch.requests.push(record);
        self.batch_since.get_or_insert_with(Instant::now);
        self.handle(Fact::Ended { request, record: id, reading, answer });
    }

    fn delivery(&mut self, parcel: u64) -> Option<&mut Delivery> {
        let (seq, index) = (parcel / ACTIONS, usize::try_from(parcel % ACTIONS).ok()?);
        let open = match self.window.open(seq) {
            Some(open) => open,
            None => self.holds.open_mut(seq)?,
        };
        open.settlement.deliveries.get_mut(index)
    }

    /// Gives the user if he has parked events and room for them.
    fn settle(
        &mut self,
        parcel: u64,
        end: End,
        steps_done: u8,
        requests: &[u64],
    ) -> Option<Arc<str>> {
        let at = self.at();
        let title = self.integration.destination.definition().title;
        let (outcome, code, sentence) = read_end(&end, title);
        let code = self.names.get(&code);
        if let Some(delivery) = self.delivery(parcel) {
            delivery.outcome = outcome;
            delivery.code = code;
            delivery.sentence = sentence.into();
            delivery.steps_done = steps_done;
            delivery.at = at;
            for request in requests {
                list(&mut delivery.requests, *request);
            }
        }
        let seq = parcel / ACTIONS;
        if let Some(open) = self.window.open(seq) {
            open.deliveries -= 1;
            self.finish_if_done(seq);
        } else if let Some(open) = self.holds.open_mut(seq) {
            open.deliveries -= 1;
            if open.deliveries == 0
                && let Some((settlement, freed_by)) = self.holds.finish(seq)
            {
                self.batch.release.push((self.integration.id.clone(), seq));
                self.settled(settlement);
                if let Some(open) = self.window.open(freed_by) {
                    open.freed -= 1;
                    self.finish_if_done(freed_by);
                }
            }
        }
        let user = self.parcels.remove(&parcel)?;
        let entry = self.users.get_mut(&user)?;
        entry.on_the_way -= 1;
        if entry.parked.is_empty() {
            if entry.on_the_way == 0 {
                self.users.remove(&user);
            }
            return None;
        }
        (entry.on_the_way < UNPARK_BELOW).then_some(user)
    }

    fn finish_if_done(&mut self, seq: Seq) {
        if self.window.open(seq).is_some_and(|open| open.deliveries == 0 && open.freed == 0)
            && let Some(settlement) = self.window.finish(seq)
            && !settlement.deliveries.is_empty()
        {
            self.settled(settlement);
        }
    }

    fn settled(&mut self, settlement: Settlement) {
        for delivery in &settlement.deliveries {
            let at = Outcome::ALL.iter().position(|o| *o == delivery.outcome);
            if let Some(count) = at.and_then(|at| self.counts.get_mut(at)) {
                *count += 1;
            }
        }
        self.batch.settlements.push(settlement);
        self.batch_since.get_or_insert_with(Instant::now);
    }

    // Writing down

    fn flush(&mut self, at_once: bool) {
        let due = self.batch.settlements.len() >= TOGETHER
            || self.batch_since.is_some_and(|since| since.elapsed() >= FLUSH);
        if !(due || at_once) {
            return;
        }
        let mut batch = std::mem::take(&mut self.batch);
        self.batch_since = None;
        batch.cursors.insert(self.integration.id.clone(), self.window.base());
        self.ledger.write(batch);
        for (outcome, count) in Outcome::ALL.iter().zip(&mut self.counts) {
            let count = std::mem::take(count);
            if count > 0 {
                self.around.metrics.settled(&self.integration.id, *outcome, count);
            }
        }
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
    }

    /// Leaves what isn't settled to the journal, with the steps that are done.
    fn leave(mut self) {
        let unfinished = self.lane.into_unfinished();
        for left in unfinished {
            let seq = left.parcel / ACTIONS;
            let index = usize::try_from(left.parcel % ACTIONS).unwrap_or(usize::MAX);
            let Some(open) = self.window.open(seq) else { continue };
            let Some(delivery) = open.settlement.deliveries.get_mut(index) else { continue };
            delivery.steps_done = left.steps_done;
            if left.steps_done != 0 || !delivery.requests.is_empty() {
                self.batch.settlements.push(open.settlement.clone());
            }
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.cursors.insert(self.integration.id.clone(), self.window.base());
        self.ledger.write(batch);
    }
}

/// The ordering key: the user id, else the anonymous id, else the event itself.
fn user_of(event: &StoredEvent) -> Arc<str> {
    let event = &event.event;
    let id = event.user_id.as_deref().or(event.anonymous_id.as_deref());
    id.unwrap_or(&event.message_id).into()
}

fn list(requests: &mut Vec<u64>, id: u64) {
    if requests.last() == Some(&id) || requests.contains(&id) {
        return;
    }
    if requests.len() >= LISTED {
        requests.remove(LISTED_FIRST);
    }
    requests.push(id);
}

fn read_end(end: &End, title: &str) -> (Outcome, String, String) {
    match end {
        End::Delivered => (Outcome::Delivered, String::new(), String::new()),
        End::Failed { step, answer } => {
            let sentence = format!("{title} refused step {}: {}.", step + 1, said(answer));
            (Outcome::Failed, format!("http_{}", answer.status), sentence)
        }
        End::Expired { answer } => {
            let sentence = format!("{title} took it at no try in time; at last: {}.", said(answer));
            (Outcome::Expired, "retries_over".to_owned(), sentence)
        }
    }
}

fn said(answer: &Answer) -> String {
    let excerpt: String = answer.excerpt.chars().take(200).collect();
    match (answer.status, excerpt.trim()) {
        (0, why) => why.to_owned(),
        (status, "") => format!("status {status}"),
        (status, text) => format!("status {status}, {text:?}"),
    }
}

/// Milliseconds since 1970 by the wall clock, since retry windows outlive the process.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
