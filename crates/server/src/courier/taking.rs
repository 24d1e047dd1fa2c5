//! Reading the journal: each event is planned, and what it sends is offered to the lane.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use heapline_action::plan::Step;
use heapline_delivery::{Fact, Parcel};
use heapline_store::{Delivery, Error, Outcome, Seq, Settlement, StoredEvent};
use tracing::{error, warn};

use super::planning::{Planned, plan_event};
use super::ripe;
use super::run::{ACTIONS, Courier};
use super::window::Open;

/// Events read and planned at a time, between two looks at the messages.
const CHUNK: usize = 256;

/// A user with so many parcels on the way has further events parked, so that he doesn't fill the
/// memory that others need.
const PARK_ABOVE: u32 = 2000;

/// A parked user's events are taken up again once he has so few parcels on the way.
pub(super) const UNPARK_BELOW: u32 = 1000;

impl Courier {
    pub(super) fn has_room(&self) -> bool {
        let load = self.lane.load();
        load.parcels < self.around.max_events
            && load.bytes < self.around.max_bytes
            && self.window.unsettled() < self.around.max_events.saturating_mul(16)
    }

    pub(super) fn refill(&mut self) -> Result<(), Error> {
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

    pub(super) fn offer(&mut self, offers: Vec<Parcel>) {
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
        if !self.integration.takes(&event.event.source)
            || (settled && !self.holds.waits_for(&event))
        {
            self.window.push_done();
            return Ok(());
        }
        let again = event.seq < self.recover_below;
        let held = again && self.holds.keeps(&*self.around.store, &event)?;
        if held && before.as_ref().is_some_and(was_set_free) {
            // Whatever set it free comes again, too, and frees it in its order.
            self.window.push_done();
            return Ok(());
        }
        // A held one is held again though its link may be known by now: else it would overtake
        // those that were held before it.
        let linked = match held {
            true => None,
            false => self.holds.linked(&*self.around.store, &event)?,
        };
        let user = linked.clone().unwrap_or_else(|| user_of(&event));
        self.link(&event);
        let busy = self.users.get(&*user);
        if busy.is_some_and(|u| u.on_the_way >= PARK_ABOVE || !u.parked.is_empty()) {
            self.window.push_parked(event.event.received_at);
            self.users.entry(user).or_default().parked.push_back(event.seq);
            return Ok(());
        }
        match self.plan_in_turn(&event, before, linked.as_deref(), &user, offers)? {
            Some(open) => self.window.push_open(open),
            None => self.window.push_done(),
        }
        Ok(())
    }

    /// Plans one event whose turn it is, and before it what it sets free. `None` if nothing of it
    /// stays open.
    fn plan_in_turn(
        &mut self,
        event: &StoredEvent,
        before: Option<Settlement>,
        linked: Option<&str>,
        user: &Arc<str>,
        offers: &mut Vec<Parcel>,
    ) -> Result<Option<Open>, Error> {
        let mut freed = 0;
        for held in self.freed_by(event)? {
            freed += u32::from(self.take_up_held(held, user, event.seq, offers)?);
        }
        Ok(match self.plan(event, before, linked, user, offers) {
            Some(open) => Some(Open { freed, ..open }),
            None if freed > 0 => Some(Open {
                settlement: self.empty_settlement(event.seq),
                deliveries: 0,
                freed,
                counted: Vec::new(),
                received_at: event.event.received_at,
            }),
            None => None,
        })
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
        let left_to_us = self.left_to_us(event);
        if left_to_us.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let planned =
            plan_event(&self.integration, &*self.cloud, event, linked, at, &mut self.names);
        let Planned { mut deliveries, mut steps, waits_for } = planned;
        if let Some(ours) = left_to_us {
            let is_ours = |delivery: &Delivery| ours.iter().any(|id| **id == *delivery.action);
            steps.retain(|(index, _)| deliveries.get(*index).is_some_and(is_ours));
            for delivery in deliveries.iter_mut().filter(|delivery| !is_ours(delivery)) {
                delivery.outcome = Outcome::Filtered;
                delivery.code = self.names.get("page");
                delivery.sentence = "The page dealt with it, or told nothing.".into();
                delivery.digest = [0; 16];
            }
        }
        if let Some(anonymous_id) = waits_for {
            let held = self.holds.hold(event, &anonymous_id, at);
            self.batch.hold.push(held);
        }
        let before = before.map(|s| kept(s, self.revision)).unwrap_or_default();
        let counted = counted(&before, &deliveries);
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
            self.settled(settlement, &counted, None);
            return None;
        }
        let received_at = event.event.received_at;
        Some(Open { settlement, deliveries: open, freed: 0, counted, received_at })
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

    /// For the fallback of an integration of pages: ids of the actions that fall to it.
    fn left_to_us(&self, event: &StoredEvent) -> Option<Vec<Box<str>>> {
        if !self.integration.for_pages {
            return None;
        }
        let ours = ripe::left_to_us(&*self.around.store, &self.integration.id, event);
        Some(ours.unwrap_or_else(|e| {
            error!(seq = event.seq, error = %e, "can't read what pages told of an event");
            Vec::new()
        }))
    }

    /// Takes up parked events of a user who has room again.
    pub(super) fn unpark(&mut self, user: &Arc<str>) {
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
        let open = self.plan_in_turn(&event, before, linked.as_deref(), user, offers)?;
        self.window.unpark(seq, open);
        Ok(())
    }

    // Held events

    /// Remembers the link that `event` makes: from now on it holds, though what it sets free may
    /// have to wait for the event's turn.
    fn link(&mut self, event: &StoredEvent) {
        let at = self.at();
        self.batch.links.extend(self.holds.link(event, at));
        if self.holds.remembers_enough() {
            // From now on they are looked up in the store, so they must be there.
            self.flush(true);
            self.ledger.settle();
            self.holds.forget_links();
        }
    }

    /// Held events that `event` links to a user id, oldest first.
    fn freed_by(&mut self, event: &StoredEvent) -> Result<Vec<StoredEvent>, Error> {
        let Some(anonymous_id) = self.holds.frees(event) else { return Ok(Vec::new()) };
        // What was held a moment ago may still be on its way to the store.
        self.flush(true);
        self.ledger.settle();
        let held = self.around.store.held(&self.integration.id, anonymous_id)?;
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
        if self.window.open(event.seq).is_some() {
            self.free_in_window(&event, user, offers);
            self.batch.release.push((self.integration.id.clone(), event.seq));
            return Ok(false);
        }
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

    /// Frees what is held of an event of which another action is still on its way: that one is left
    /// alone.
    fn free_in_window(&mut self, event: &StoredEvent, user: &Arc<str>, offers: &mut Vec<Parcel>) {
        let at = self.at();
        let planned =
            plan_event(&self.integration, &*self.cloud, event, Some(user), at, &mut self.names);
        let Some(open) = self.window.open(event.seq) else { return };
        let mut steps: BTreeMap<usize, Vec<Step>> = planned.steps.into_iter().collect();
        for (index, delivery) in planned.deliveries.into_iter().enumerate() {
            let Some(held) = open.settlement.deliveries.get_mut(index) else { continue };
            if held.outcome != Outcome::Held {
                continue;
            }
            *held = delivery;
            if let Some(steps) = steps.remove(&index) {
                open.deliveries += 1;
                let id = event.seq * ACTIONS + index as u64;
                self.parcels.insert(id, user.clone());
                self.users.entry(user.clone()).or_default().on_the_way += 1;
                let user = user.clone();
                offers.push(Parcel { id, user, steps, done: 0, failing_since_ms: None });
            }
        }
    }

    pub(super) fn expire_held(&mut self) {
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
                let before = settlement.deliveries.clone();
                expire(&mut settlement);
                let counted = counted(&before, &settlement.deliveries);
                self.settled(settlement, &counted, None);
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
}

/// Which of `deliveries` were counted when `before` was written. What is pending is written without
/// being counted, together with all that the event became elsewhere.
fn counted(before: &[Delivery], deliveries: &[Delivery]) -> Vec<bool> {
    if before.iter().any(|earlier| earlier.outcome == Outcome::Pending) {
        return Vec::new();
    }
    let was_counted = |delivery: &Delivery| {
        let earlier = before.iter().find(|earlier| earlier.action == delivery.action);
        earlier.is_some_and(|e| e.outcome != Outcome::Held || delivery.outcome == Outcome::Held)
    };
    deliveries.iter().map(was_counted).collect()
}

/// True for what is known of an event of which nothing is held any more, and something is open.
fn was_set_free(known: &Settlement) -> bool {
    known.deliveries.iter().all(|d| d.outcome != Outcome::Held)
}

/// The ordering key: the user id, else the anonymous id, else the event itself.
pub(super) fn user_of(event: &StoredEvent) -> Arc<str> {
    let event = &event.event;
    let id = event.user_id.as_deref().or(event.anonymous_id.as_deref());
    id.unwrap_or(&event.message_id).into()
}

/// The deliveries of a settlement, to be kept in one that is planned by another revision.
pub(super) fn kept(settlement: Settlement, revision: u64) -> Vec<Delivery> {
    let mut deliveries = settlement.deliveries;
    if settlement.revision != revision {
        for delivery in &mut deliveries {
            delivery.revision.get_or_insert(settlement.revision);
        }
    }
    deliveries
}
