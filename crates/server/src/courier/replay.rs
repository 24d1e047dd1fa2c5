//! Replays: chosen events of the past, offered once more through the same lane.
//!
//! A chunk of places is planned by the rules of now, and what is still under way is left alone.
//! Nothing of a replay is written before its deliveries have settled, so that a crash leaves what
//! was known before; whoever gave the chunk gives it again.

use std::collections::HashMap;
use std::time::Instant;

use heapline_delivery::Parcel;
use heapline_store::{Delivery, Error, Outcome, Seq, Settlement, StoredEvent};
use tracing::error;

use super::planning::{Planned, plan_event};
use super::run::{ACTIONS, Courier};
use super::taking::{kept, user_of};
use super::window::Open;

/// Which deliveries of an event are repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repeated {
    /// Only those with this outcome.
    pub outcome: Option<Outcome>,
    /// Only those with this code.
    pub code: Option<String>,
}

/// Events to replay, in the order of their places.
pub struct Chunk {
    /// Their places.
    pub seqs: Vec<Seq>,
    /// Which of their deliveries.
    pub repeated: Repeated,
    /// Called once all have settled; not at all if the courier ends before.
    pub done: Box<dyn FnOnce(Replayed) + Send>,
}

/// What became of a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Deliveries by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Events left alone: under way, gone, or none of this integration's.
    pub skipped: u64,
}

/// Chunks under way.
#[derive(Default)]
pub(super) struct Replays {
    open: HashMap<Seq, Again>,
    chunks: HashMap<u64, Pending>,
    next: u64,
}

/// An event on its way once more.
struct Again {
    open: Open,
    chunk: u64,
    /// Which of its deliveries are.
    replayed: Vec<bool>,
}

struct Pending {
    /// Events that are not settled, and one for the taking up itself.
    events: usize,
    report: Replayed,
    done: Box<dyn FnOnce(Replayed) + Send>,
}

impl Replays {
    pub(super) fn open_mut(&mut self, seq: Seq) -> Option<&mut Open> {
        self.open.get_mut(&seq).map(|again| &mut again.open)
    }
}

impl Repeated {
    fn takes(&self, earlier: Option<&Delivery>) -> bool {
        match earlier {
            None => self.outcome.is_none() && self.code.is_none(),
            Some(earlier) => {
                !matches!(earlier.outcome, Outcome::Pending | Outcome::Held)
                    && self.outcome.is_none_or(|outcome| earlier.outcome == outcome)
                    && self.code.as_deref().is_none_or(|code| *earlier.code == *code)
            }
        }
    }
}

impl Courier {
    pub(super) fn replay(&mut self, chunk: Chunk) {
        let Chunk { seqs, repeated, done } = chunk;
        let number = self.replays.next;
        self.replays.next += 1;
        let pending = Pending { events: 1, report: Replayed::default(), done };
        self.replays.chunks.insert(number, pending);
        // What was decided a moment ago may still be on its way to the store.
        self.flush(true);
        self.ledger.settle();
        let mut offers = Vec::new();
        for seq in seqs {
            match self.replay_event(seq, &repeated, number, &mut offers) {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(pending) = self.replays.chunks.get_mut(&number) {
                        pending.report.skipped += 1;
                    }
                }
                Err(e) => {
                    error!(seq, error = %e, "can't read an event that is to be replayed");
                    // Not reported: the chunk comes again.
                    self.replays.chunks.remove(&number);
                    break;
                }
            }
        }
        self.offer(offers);
        self.one_less(number);
    }

    /// False if nothing of the event is replayed.
    fn replay_event(
        &mut self,
        seq: Seq,
        repeated: &Repeated,
        chunk: u64,
        offers: &mut Vec<Parcel>,
    ) -> Result<bool, Error> {
        let under_way = !self.window.is_done(seq)
            || self.holds.open_mut(seq).is_some()
            || self.replays.open.contains_key(&seq);
        if under_way {
            return Ok(false);
        }
        let store = self.around.store.clone();
        let Some(event) = store.event(seq)? else { return Ok(false) };
        if !self.integration.takes(&event.event.source) {
            return Ok(false);
        }
        let before = store.settlements(&self.integration.id, seq, seq + 1)?.remove(&seq);
        let before = before.map(|s| kept(s, self.revision)).unwrap_or_default();
        self.replan(&event, before, repeated, chunk, offers)
    }

    fn replan(
        &mut self,
        event: &StoredEvent,
        before: Vec<Delivery>,
        repeated: &Repeated,
        chunk: u64,
        offers: &mut Vec<Parcel>,
    ) -> Result<bool, Error> {
        let at = self.at();
        let linked = self.holds.linked(&*self.around.store, event)?;
        let user = linked.clone().unwrap_or_else(|| user_of(event));
        let Planned { mut deliveries, steps, waits_for } = plan_event(
            &self.integration,
            &*self.cloud,
            event,
            linked.as_deref(),
            at,
            &mut self.names,
        );
        let mut replayed = vec![false; deliveries.len()];
        for (delivery, replayed) in deliveries.iter_mut().zip(&mut replayed) {
            let earlier = before.iter().find(|d| d.action == delivery.action);
            *replayed = repeated.takes(earlier);
            if *replayed {
                if let Some(earlier) = earlier {
                    delivery.requests.clone_from(&earlier.requests);
                }
            } else if let Some(earlier) = earlier {
                delivery.clone_from(earlier);
            }
        }
        // An action that the event never came to stays out of what became of it.
        let has_earlier = |d: &Delivery| before.iter().any(|earlier| earlier.action == d.action);
        if replayed.iter().all(|replayed| !replayed) {
            return Ok(false);
        }
        if let Some(anonymous_id) = waits_for
            && deliveries.iter().zip(&replayed).any(|(d, r)| *r && d.outcome == Outcome::Held)
        {
            let held = self.holds.hold(event, &anonymous_id, at);
            self.batch.hold.push(held);
        }
        let mut open = 0;
        for (index, steps) in steps {
            if !replayed.get(index).copied().unwrap_or_default() {
                continue;
            }
            open += 1;
            let id = event.seq * ACTIONS + index as u64;
            self.parcels.insert(id, user.clone());
            self.users.entry(user.clone()).or_default().on_the_way += 1;
            offers.push(Parcel { id, user: user.clone(), failing_since_ms: None, done: 0, steps });
        }
        for (delivery, replayed) in deliveries.iter_mut().zip(&replayed) {
            if !replayed && !has_earlier(delivery) {
                delivery.outcome = Outcome::Filtered;
                delivery.code = self.names.get("not_replayed");
                delivery.sentence = "The action is newer than the event.".into();
                delivery.digest = [0; 16];
            }
        }
        // What actions did that are gone is told still.
        let is_gone = |d: &Delivery| deliveries.iter().all(|planned| planned.action != d.action);
        let gone: Vec<Delivery> = before.iter().filter(|d| is_gone(d)).cloned().collect();
        deliveries.extend(gone);
        let settlement = Settlement {
            seq: event.seq,
            integration: self.integration.id.clone(),
            revision: self.revision,
            deliveries,
        };
        let decided = Open {
            settlement,
            deliveries: open,
            freed: 0,
            counted: Vec::new(),
            received_at: event.event.received_at,
        };
        if let Some(pending) = self.replays.chunks.get_mut(&chunk) {
            pending.events += 1;
        }
        let seq = event.seq;
        self.replays.open.insert(seq, Again { open: decided, chunk, replayed });
        if open == 0 {
            self.finish_replayed(seq);
        }
        Ok(true)
    }

    /// One delivery of a replayed event has settled.
    pub(super) fn replayed(&mut self, seq: Seq) {
        let Some(open) = self.replays.open_mut(seq) else { return };
        open.deliveries -= 1;
        if open.deliveries == 0 {
            self.finish_replayed(seq);
        }
    }

    fn finish_replayed(&mut self, seq: Seq) {
        let Some(Again { open, chunk, replayed }) = self.replays.open.remove(&seq) else { return };
        let again = open.settlement.deliveries.iter().zip(replayed).filter(|(_, again)| *again);
        for (delivery, _) in again {
            if let Some(pending) = self.replays.chunks.get_mut(&chunk) {
                let at = Outcome::ALL.iter().position(|o| *o == delivery.outcome);
                if let Some(count) = at.and_then(|at| pending.report.outcomes.get_mut(at)) {
                    *count += 1;
                }
            }
            self.tally.count(delivery, None);
        }
        self.around.metrics.tail.settled(&open.settlement);
        self.batch.settlements.push(open.settlement);
        self.batch_since.get_or_insert_with(Instant::now);
        self.one_less(chunk);
    }

    fn one_less(&mut self, chunk: u64) {
        let Some(pending) = self.replays.chunks.get_mut(&chunk) else { return };
        pending.events -= 1;
        if pending.events == 0
            && let Some(pending) = self.replays.chunks.remove(&chunk)
        {
            // So that what is reported is in the ledger before long.
            self.flush(true);
            (pending.done)(pending.report);
        }
    }
}
