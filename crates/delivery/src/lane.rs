//! The lane: the one place where facts become decisions.

mod answers;
mod expiry;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use heapline_action::plan::EndpointId;

use crate::batch::{self, Taken, Wanted};
use crate::budget::WHOLE;
use crate::message::{
    Carried, Decision, End, Fact, Load, Memory, Outgoing, Parcel, Policy, RequestId, Standing,
    Unfinished, Usage,
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
            Fact::Recall(memory) => self.recall(memory),
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

    /// The parcels that have not ended, in no particular order. Steps in flight count as not taken.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let entries = self.users.iter().flat_map(|user| user.live());
        entries
            .map(|(_, entry)| Unfinished {
                parcel: entry.id,
                steps_done: entry.done,
                failing_since_ms: entry.failing_since_ms,
            })
            .collect()
    }

    /// How each endpoint does, in the order of [`Policy::endpoints`].
    pub fn standings(&self) -> impl Iterator<Item = Standing> + '_ {
        self.outlets.iter().map(|outlet| outlet.health.standing())
    }

    /// Nothing is sent before, in milliseconds; 0 if the destination never asked for quiet.
    pub fn quiet_until_ms(&self) -> u64 {
        self.quiet_until_ms
    }

    fn recall(&mut self, memory: Memory) {
        self.quiet_until_ms = self.quiet_until_ms.max(memory.quiet_until_ms);
        for held in memory.held {
            let index = usize::from(held.endpoint.0);
            let (Some(outlet), Some(down)) =
                (self.outlets.get_mut(index), self.down.get_mut(index))
            else {
                continue;
            };
            outlet.health.hold(held.since_ms, self.now_ms, Arc::new(held.answer));
            *down = true;
        }
        for sent in memory.sent {
            let Some(outlet) = self.outlets.get_mut(usize::from(sent.endpoint.0)) else { continue };
            for budget in &mut outlet.shared {
                let amount = budget.amount(sent.items);
                budget.charge(WHOLE, amount);
                budget.answer(sent.answered_ms, WHOLE, amount);
            }
        }
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
                budget.charge(WHOLE, budget.amount(items));
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

const KNOWN: &str = "indexes of outlets come from the policy or were checked by `offer`";
