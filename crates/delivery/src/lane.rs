//! The lane: the one place where facts become decisions.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use heapline_action::plan::{Answer, EndpointId, LimitCounts, Reading};

use crate::batch::{self, Taken, Wanted};
use crate::budget::WHOLE;
use crate::health::{Probe, backoff};
use crate::message::{
    Carried, Decision, End, Fact, Load, Outgoing, Parcel, Policy, RequestId, Unfinished, Usage,
};
use crate::outlet::{Gate, Outlet};
use crate::random::{Keyed, Random};
use crate::users::{Entry, Place, UserId, Users};

/// What one integration still has to deliver, and how it goes about it.
#[derive(Debug)]
pub struct Lane {
    policy: Policy,
    keyed: Keyed,
    random: Random,
    now_ms: u64,
    outlets: Vec<Outlet>,
    /// Outlets that are down, by index.
    down: Vec<bool>,
    users: Users,
    flights: BTreeMap<u64, Flight>,
    next_request: u64,
    /// Nothing is sent before.
    quiet_until_ms: u64,
    /// Users who back off, by the time at which they come back. A failed batch stays together.
    resting: BinaryHeap<Reverse<(u64, u64, Vec<UserId>)>>,
    /// When to look which parcels of a user have expired.
    deadlines: BinaryHeap<Reverse<(u64, UserId)>>,
    paused: bool,
    draining: bool,
    parcels: usize,
    bytes: usize,
}

/// A request that has not ended.
#[derive(Debug)]
struct Flight {
    outlet: usize,
    suspect: bool,
    items: u32,
    users: Vec<UserId>,
    taken: Vec<Taken>,
    charges: Vec<(u64, u32)>,
    /// [`crate::health::Health::successes`] when it was sent.
    successes: u64,
}

impl Lane {
    /// An empty lane.
    pub fn new(policy: Policy) -> Lane {
        let keyed = Keyed(policy.seed);
        let outlets: Vec<Outlet> =
            policy.endpoints.iter().map(|endpoint| Outlet::new(endpoint.clone(), keyed)).collect();
        Lane {
            keyed,
            random: Random::new(policy.seed),
            now_ms: 0,
            down: vec![false; outlets.len()],
            outlets,
            users: Users::new(keyed),
            flights: BTreeMap::new(),
            next_request: 1,
            quiet_until_ms: 0,
            resting: BinaryHeap::new(),
            deadlines: BinaryHeap::new(),
            paused: false,
            draining: false,
            parcels: 0,
            bytes: 0,
            policy,
        }
    }

    /// Takes one fact at `now_ms` (milliseconds since any fixed moment, the same for all calls; a
    /// clock that goes back is taken to stand still) and appends what is to be done to `out`.
    ///
    /// # Panics
    ///
    /// If a parcel has more than 8 steps or names an endpoint that the policy doesn't have.
    pub fn handle(&mut self, now_ms: u64, fact: Fact, out: &mut Vec<Decision>) {
        self.now_ms = self.now_ms.max(now_ms);
        match fact {
            Fact::Offer(parcels) => parcels.into_iter().for_each(|parcel| self.offer(parcel, out)),
            Fact::Ended { request, record, reading, answer } => {
                self.ended(request, record, reading, answer, out);
            }
            Fact::Tick => {}
            Fact::Pause => self.paused = true,
            Fact::Resume => self.paused = false,
            Fact::Drain => self.draining = true,
        }
        if self.paused || self.draining {
            return;
        }
        self.wake_rested();
        self.wake_waiting();
        self.expire(out);
        for index in 0..self.outlets.len() {
            self.send(index, out);
        }
        if let Some(at_ms) = self.next_wake_ms() {
            out.push(Decision::WakeAt(at_ms.max(self.now_ms + 1)));
        }
    }

    /// How much is inside: by this the courier knows when to stop offering.
    pub fn load(&self) -> Load {
        Load { parcels: self.parcels, bytes: self.bytes, in_flight: self.flights.len() }
    }

    /// How far each limit is used at `now_ms`, endpoint by endpoint.
    pub fn usage(&self, now_ms: u64) -> Vec<Usage> {
        let outlets = (0..).map(EndpointId).zip(&self.outlets);
        outlets.flat_map(|(endpoint, outlet)| outlet.usage(endpoint, now_ms)).collect()
    }

    /// Ends the lane and gives back the parcels that have not ended, in no particular order. Steps
    /// in flight count as not taken.
    pub fn into_unfinished(self) -> Vec<Unfinished> {
        let entries = self.users.iter().flat_map(|user| user.live());
        entries
            .map(|(_, entry)| Unfinished {
                parcel: entry.id,
                steps_done: entry.done,
                failing_since_ms: entry.failing_since_ms,
            })
            .collect()
    }

    fn offer(&mut self, parcel: Parcel, out: &mut Vec<Decision>) {
        assert!(parcel.steps.len() <= 8, "a parcel has at most 8 steps");
        let known = |endpoint: EndpointId| usize::from(endpoint.0) < self.outlets.len();
        assert!(parcel.steps.iter().all(|step| known(step.endpoint)), "a step's endpoint is known");
        let user = parcel.user.clone();
        let entry = Entry::new(parcel, self.now_ms);
        if entry.next().is_none() {
            let (parcel, steps_done) = (entry.id, entry.done);
            let end = End::Delivered;
            out.push(Decision::Settle { parcel, end, steps_done, requests: Vec::new() });
            return;
        }
        self.parcels += 1;
        self.bytes += entry.bytes;
        let id = self.users.named(&user);
        self.users.get_mut(id).push(entry);
        match self.users.get(id).place {
            Place::Idle => self.line_up(id, false),
            Place::InLine { outlet, suspect, .. } => self.recount(id, outlet, suspect),
            Place::InFlight | Place::Resting | Place::Waiting => {}
        }
    }

    /// Puts a user who is nowhere into the line where his next step belongs.
    fn line_up(&mut self, id: UserId, first: bool) {
        let user = self.users.get_mut(id);
        let Some(aim) = user.aim(&self.down) else {
            user.place = Place::Idle;
            self.users.forget(id);
            return;
        };
        let suspect = aim.cap > 0;
        user.in_line_ms = self.now_ms;
        user.place = Place::InLine { outlet: aim.outlet, suspect, items: aim.items };
        let queue = self.outlet(aim.outlet).queue(suspect);
        let was_empty = queue.users.is_empty();
        queue.items += aim.items;
        if first {
            queue.users.push_front(id);
        } else {
            queue.users.push_back(id);
        }
        if was_empty {
            let now_ms = self.now_ms;
            self.outlet(aim.outlet).queue(suspect).since_ms = now_ms;
        }
    }

    fn recount(&mut self, id: UserId, outlet: usize, suspect: bool) {
        let user = self.users.get_mut(id);
        let Place::InLine { items: before, .. } = user.place else { return };
        let Some(aim) = user.aim(&self.down).filter(|aim| aim.outlet == outlet) else { return };
        user.place = Place::InLine { outlet, suspect, items: aim.items };
        let queue = self.outlet(outlet).queue(suspect);
        queue.items = (queue.items + aim.items).saturating_sub(before);
    }

    fn send(&mut self, index: usize, out: &mut Vec<Decision>) {
        while self.quiet_until_ms <= self.now_ms {
            let first = self.outlet(index).suspects_turn;
            let made = [first, !first].into_iter().any(|suspect| {
                self.gate(index, suspect) == Gate::Open && self.send_one(index, suspect, out)
            });
            if !made {
                return;
            }
        }
    }

    /// Makes one request, if anybody in the line can send. False if the line is as it was.
    fn send_one(&mut self, index: usize, suspect: bool, out: &mut Vec<Decision>) -> bool {
        let outlet = self.outlets.get_mut(index).expect(KNOWN);
        let before = outlet.queue(suspect).users.len();
        let max_steps = outlet.health.down().map_or(usize::MAX, |down| down.max_steps);
        let wanted =
            Wanted { outlet: index, suspect, max_steps, down: &self.down, keyed: self.keyed };
        let mut astray = Vec::new();
        let batch = batch::form(outlet, &mut self.users, wanted, &mut astray);
        if !batch.taken.is_empty() {
            let items = u32::try_from(batch.items.len()).unwrap_or(u32::MAX);
            for budget in &mut outlet.shared {
                let amount = if budget.counts() == LimitCounts::Items { items } else { 1 };
                budget.charge(WHOLE, amount);
            }
            let successes = outlet.health.successes;
            outlet.suspects_turn = !suspect;
            let queue = outlet.queue(suspect);
            queue.in_flight += 1;
            queue.since_ms = self.now_ms;
            let request = self.next_request;
            self.next_request += 1;
            let carried = |taken: &Taken| Carried {
                parcel: self.users.get(taken.user).entry(taken.position).id,
                step: taken.step,
                item: taken.item,
            };
            out.push(Decision::Send(Outgoing {
                request: RequestId(request),
                endpoint: EndpointId(u8::try_from(index).expect("endpoints are named by a u8")),
                carried: batch.taken.iter().map(carried).collect(),
                items: batch.items,
            }));
            let (users, taken, charges) = (batch.users, batch.taken, batch.charges);
            let flight = Flight { outlet: index, suspect, items, users, taken, charges, successes };
            self.flights.insert(request, flight);
        }
        let moved = outlet.queue(suspect).users.len() < before;
        for id in astray {
            self.line_up(id, false);
        }
        moved
    }

    fn gate(&self, index: usize, suspect: bool) -> Gate {
        let outlet = self.outlets.get(index).expect(KNOWN);
        outlet.gate(self.now_ms, suspect, &self.policy)
    }

    fn ended(
        &mut self,
        request: RequestId,
        record: u64,
        reading: Reading,
        answer: Answer,
        out: &mut Vec<Decision>,
    ) {
        let Some(flight) = self.flights.remove(&request.0) else { return };
        let now_ms = self.now_ms;
        let outlet = self.outlet(flight.outlet);
        outlet.queue(flight.suspect).in_flight -= 1;
        for budget in &mut outlet.shared {
            let items = budget.counts() == LimitCounts::Items;
            budget.answer(now_ms, WHOLE, if items { flight.items } else { 1 });
        }
        for budget in &mut outlet.own {
            let items = budget.counts() == LimitCounts::Items;
            for (key, amount) in &flight.charges {
                budget.answer(now_ms, *key, if items { *amount } else { 1 });
            }
        }
        for taken in &flight.taken {
            self.users.get_mut(taken.user).entry_mut(taken.position).carried_by(record);
        }
        match reading {
            Reading::Delivered => self.delivered(&flight, out),
            Reading::Rejected => self.rejected(&flight, answer, out),
            Reading::Retry => self.failed(request.0, &flight, answer, out),
        }
    }

    /// The endpoint has answered like one that works.
    fn lives(&mut self, index: usize) {
        self.outlet(index).health.lives();
        *self.down.get_mut(index).expect(KNOWN) = false;
    }

    fn delivered(&mut self, flight: &Flight, out: &mut Vec<Decision>) {
        self.lives(flight.outlet);
        for taken in &flight.taken {
            let entry = self.users.get_mut(taken.user).entry_mut(taken.position);
            entry.done |= 1 << taken.step;
            let (parcel, step) = (entry.id, taken.step);
            if !self.move_on(taken, out) {
                out.push(Decision::Progress { parcel, step });
            }
        }
        for &id in &flight.users {
            let user = self.users.get_mut(id);
            (user.attempts, user.blocker) = (0, None);
            self.line_up(id, false);
        }
    }

    /// A single step was refused for good; several are parted, and tried again at once.
    fn rejected(&mut self, flight: &Flight, answer: Answer, out: &mut Vec<Decision>) {
        self.lives(flight.outlet);
        if let [taken] = flight.taken.as_slice() {
            let answer = Arc::new(answer);
            let entry = self.users.get_mut(taken.user).entry_mut(taken.position);
            entry.refused |= 1 << taken.step;
            entry.refusal.get_or_insert((taken.step, answer));
            self.move_on(taken, out);
            self.users.get_mut(taken.user).blocker = None;
            self.line_up(taken.user, false);
            return;
        }
        let successes = self.outlet(flight.outlet).health.successes;
        self.part(flight, successes);
        for &id in flight.users.iter().rev() {
            self.line_up(id, true);
        }
    }

    fn failed(&mut self, request: u64, flight: &Flight, answer: Answer, out: &mut Vec<Decision>) {
        let now_ms = self.now_ms;
        let answer = Arc::new(answer);
        if let Some(wait_ms) = answer.retry_after_ms {
            self.quiet_until_ms = self.quiet_until_ms.max(now_ms.saturating_add(wait_ms));
        }
        let cause = self.cause(flight, &answer);
        let until_ms = if cause == Cause::Endpoint {
            let (next, steps) = (self.next_request, flight.taken.len());
            *self.down.get_mut(flight.outlet).expect(KNOWN) = true;
            let outlet = self.outlets.get_mut(flight.outlet).expect(KNOWN);
            let probe = Probe { request, steps, next };
            outlet.health.fails(now_ms, probe, &answer, &self.policy, &mut self.random)
        } else {
            let users = flight.users.iter();
            let attempts = users.map(|id| self.users.get(*id).attempts).max().unwrap_or(0);
            now_ms.saturating_add(backoff(&self.policy, attempts, &mut self.random))
        };
        let successes = self.outlet(flight.outlet).health.successes;
        if cause == Cause::SomeItem {
            self.part(flight, successes);
        } else {
            let throttled = answer.status == TOO_MANY_REQUESTS;
            let max_items = self.outlet(flight.outlet).endpoint.max_items;
            let whole = u32::try_from(max_items).unwrap_or(u32::MAX).max(1);
            for taken in &flight.taken {
                let entry = self.users.get_mut(taken.user).entry_mut(taken.position);
                if entry.cap == 0 && !throttled {
                    entry.cap = whole;
                }
                entry.convicted |= cause == Cause::ThisItem;
                entry.seen = successes;
                entry.failure = Some(answer.clone());
                entry.failing_since_ms.get_or_insert(now_ms);
            }
        }
        let mut firsts = flight.taken.iter();
        for &id in &flight.users {
            let first = firsts.find(|taken| taken.user == id);
            self.users.get_mut(id).blocker = first.map(|taken| taken.position);
            self.expire_blocker(id, out);
        }
        for &id in &flight.users {
            let user = self.users.get_mut(id);
            user.place = Place::Resting;
            // Parting is progress, and an outage has its own count: only an item that fails alone
            // makes its user wait longer and longer.
            if cause == Cause::ThisItem {
                user.attempts = user.attempts.saturating_add(1);
            }
        }
        self.resting.push(Reverse((until_ms, request, flight.users.clone())));
    }

    /// What a failure that is no refusal says, and of whom.
    fn cause(&self, flight: &Flight, answer: &Answer) -> Cause {
        let entries = flight.taken.iter().map(|t| self.users.get(t.user).entry(t.position));
        let (mut convicted, mut last_seen) = (false, flight.successes);
        for entry in entries.filter(|entry| entry.cap > 0) {
            convicted |= entry.convicted;
            last_seen = last_seen.min(entry.seen);
        }
        let alive = self.outlets.get(flight.outlet).expect(KNOWN).health.successes > last_seen;
        if answer.status == TOO_MANY_REQUESTS || !(alive || convicted) {
            Cause::Endpoint
        } else if flight.taken.len() > 1 {
            Cause::SomeItem
        } else {
            Cause::ThisItem
        }
    }

    /// Lets the steps of a failed batch go only in batches of half its size. One of them is to
    /// blame: the others have not begun to fail.
    fn part(&mut self, flight: &Flight, successes: u64) {
        let half = u32::try_from(flight.taken.len() / 2).unwrap_or(u32::MAX).max(1);
        for taken in &flight.taken {
            let entry = self.users.get_mut(taken.user).entry_mut(taken.position);
            entry.cap = half;
            entry.seen = successes;
            (entry.failing_since_ms, entry.failure) = (None, None);
        }
    }

    /// To be called after a step was taken or refused. True if that was the parcel's end.
    fn move_on(&mut self, taken: &Taken, out: &mut Vec<Decision>) -> bool {
        let user = self.users.get_mut(taken.user);
        let entry = user.entry_mut(taken.position);
        // What is known of one step says nothing of the next.
        (entry.cap, entry.convicted) = (0, false);
        (entry.failing_since_ms, entry.failure) = (None, None);
        if entry.next().is_some() {
            user.moved_on(taken.position);
            return false;
        }
        let end = match entry.refusal.take() {
            Some((step, answer)) => End::Failed { step, answer },
            None => End::Delivered,
        };
        self.settle(taken.user, taken.position, end, out);
        true
    }

    fn settle(&mut self, id: UserId, position: u64, end: End, out: &mut Vec<Decision>) {
        let user = self.users.get_mut(id);
        user.blocker = user.blocker.filter(|blocker| *blocker != position);
        let entry = user.entry_mut(position);
        self.parcels -= 1;
        self.bytes -= entry.bytes;
        out.push(Decision::Settle {
            parcel: entry.id,
            end,
            steps_done: entry.done,
            requests: std::mem::take(&mut entry.requests),
        });
        user.end(position);
    }

    fn wake_rested(&mut self) {
        while self.resting.peek().is_some_and(|Reverse((at_ms, ..))| *at_ms <= self.now_ms) {
            let Some(Reverse((.., users))) = self.resting.pop() else { return };
            for id in users {
                self.line_up(id, false);
            }
        }
    }

    fn wake_waiting(&mut self) {
        let mut woken = Vec::new();
        for outlet in &mut self.outlets {
            for budget in outlet.own.iter_mut().chain(&mut outlet.shared) {
                budget.advance(self.now_ms, &mut woken);
            }
        }
        for id in woken {
            self.line_up(id, false);
        }
    }

    /// Has the user looked at when the retry window of something that first failed at `since_ms` is
    /// over.
    fn set_deadline(&mut self, id: UserId, since_ms: u64) {
        let user = self.users.get_mut(id);
        let at_ms = since_ms.saturating_add(self.policy.retry_window_ms);
        if user.deadline_ms.is_none_or(|before_ms| at_ms < before_ms) {
            user.deadline_ms = Some(at_ms);
            self.deadlines.push(Reverse((at_ms, id)));
        }
    }

    fn expire(&mut self, out: &mut Vec<Decision>) {
        while self.deadlines.peek().is_some_and(|Reverse((at_ms, _))| *at_ms <= self.now_ms) {
            let Some(Reverse((at_ms, id))) = self.deadlines.pop() else { break };
            let Some(user) = self.users.find(id) else { continue };
            if user.deadline_ms != Some(at_ms) {
                continue;
            }
            user.deadline_ms = None;
            if user.place != Place::InFlight {
                self.expire_blocker(id, out);
            }
        }
        for index in 0..self.outlets.len() {
            self.expire_behind(index, out);
        }
    }

    /// Ends the parcel that blocks a user if it failed for too long. What was tried behind it may
    /// have failed only in its company: it gets at least one more try.
    fn expire_blocker(&mut self, id: UserId, out: &mut Vec<Decision>) {
        let user = self.users.get(id);
        let Some(position) = user.blocker else { return };
        let entry = user.entry(position);
        let Some((since_ms, answer)) = entry.failing_since_ms.zip(entry.failure.clone()) else {
            return;
        };
        if since_ms.saturating_add(self.policy.retry_window_ms) <= self.now_ms {
            self.settle(id, position, End::Expired { answer }, out);
        } else {
            self.set_deadline(id, since_ms);
        }
    }

    /// Ends parcels that were never tried because their endpoint has been down for too long.
    fn expire_behind(&mut self, index: usize, out: &mut Vec<Decision>) {
        while self.due_behind_ms(index).is_some_and(|due_ms| due_ms <= self.now_ms) {
            let outlet = self.outlets.get_mut(index).expect(KNOWN);
            let Some(answer) = outlet.health.down().map(|down| down.answer.clone()) else { return };
            let queue = outlet.queue(false);
            let Some(id) = queue.users.pop_front() else { return };
            if let Place::InLine { items, .. } = self.users.get(id).place {
                queue.items = queue.items.saturating_sub(items);
            }
            // A user who came before the outage may have events first that go elsewhere.
            let first = self.users.get(id).live().next();
            let first = first.filter(|(_, entry)| entry.next_outlet() == Some(index));
            if let Some(position) = first.map(|(position, _)| position) {
                self.settle(id, position, End::Expired { answer }, out);
            }
            let in_line_ms = self.users.get(id).in_line_ms;
            self.line_up(id, true);
            // What stood behind it has waited as long.
            if let Some(user) = self.users.find(id) {
                user.in_line_ms = in_line_ms;
            }
        }
    }

    /// When the first parcel in the clean line of an outlet that is down has waited too long for it
    /// to come back.
    fn due_behind_ms(&self, index: usize) -> Option<u64> {
        let outlet = self.outlets.get(index).expect(KNOWN);
        let down = outlet.health.down()?;
        let user = self.users.get(*outlet.clean.users.front()?);
        let (_, entry) = user.live().next()?;
        let since_ms = user.in_line_ms.max(entry.offered_ms).max(down.since_ms);
        Some(since_ms.saturating_add(self.policy.retry_window_ms))
    }

    fn next_wake_ms(&self) -> Option<u64> {
        let mut next: Option<u64> = None;
        let mut at = |ms: u64| next = Some(next.map_or(ms, |next| next.min(ms)));
        if let Some(Reverse((ms, ..))) = self.resting.peek() {
            at(*ms);
        }
        if let Some(Reverse((ms, _))) = self.deadlines.peek() {
            at(*ms);
        }
        for (index, outlet) in self.outlets.iter().enumerate() {
            for suspect in [true, false] {
                match self.gate(index, suspect) {
                    Gate::Open => at(self.quiet_until_ms),
                    Gate::At(ms) => at(ms.max(self.quiet_until_ms)),
                    Gate::Shut => {}
                }
            }
            if let Some(ms) = self.due_behind_ms(index) {
                at(ms);
            }
            for budget in &outlet.own {
                if let Some(ms) = budget.next_wake_ms() {
                    at(ms);
                }
            }
        }
        next
    }

    fn outlet(&mut self, index: usize) -> &mut Outlet {
        self.outlets.get_mut(index).expect(KNOWN)
    }
}

/// Who is to blame for a failure that is no refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The endpoint, for all we know.
    Endpoint,
    /// Others were served since this batch was last tried: something in it makes it fail.
    SomeItem,
    /// The same, and it was alone.
    ThisItem,
}

const KNOWN: &str = "indexes of outlets come from the policy or were checked by `offer`";

/// RFC 6585, section 4: the sender is too fast, which says nothing of what it sent.
const TOO_MANY_REQUESTS: u16 = 429;
