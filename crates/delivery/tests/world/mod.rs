//! The world of the simulation: it owns time, the destination and the courier, and checks each
//! decision against what was promised.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "a module of a test")]

pub mod destination;
pub mod scenario;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use heapline_action::plan::{Answer, Blame, EndpointId, Item, LimitCounts, LimitScope, Reading};
use heapline_delivery::{
    Decision, End, Fact, Held, Lane, Memory, Outgoing, Parcel, RequestId, Sent, Standing,
};

use self::destination::Destination;
use self::scenario::{Dice, START_MS, Scenario, is_lockout};
use crate::common::read;

/// A fault of the courier, planted to see that the checks see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    None,
    /// Offers two neighbours of a user in the wrong order.
    SwapsOffers,
    /// Doesn't pass on Retry-After.
    DropsRetryAfter,
    /// Forgets after a crash which steps were taken.
    ForgetsProgress,
    /// Takes a lost connection for a success.
    TakesResetsForSuccess,
    /// Tells the lane ten times the destination's limits.
    LiesAboutLimits,
    /// Loses one parcel.
    LosesAParcel,
    /// Takes what concerns the account for a fault of the items.
    BlamesItems,
    /// Forgets after a crash what the destination asked for.
    ForgetsQuiet,
}

/// What is known of a parcel outside the lane.
struct Known {
    parcel: Parcel,
    /// Steps acknowledged to the courier, or refused for good, or given up with their parcel.
    taken: u8,
    resolved: u8,
    end: Option<End>,
}

struct Flying {
    request: Outgoing,
    arrives_ms: u64,
    answered_ms: u64,
    answer: Option<Answer>,
}

pub struct World {
    scenario: Scenario,
    plant: Plant,
    dice: Dice,
    now_ms: u64,
    lane: Lane,
    destination: Destination,
    known: BTreeMap<u64, Known>,
    /// Parcels of each user, in order.
    users: BTreeMap<String, Vec<u64>>,
    flying: BTreeMap<RequestId, Flying>,
    wake_ms: Option<u64>,
    paused: bool,
    quiet_until_ms: u64,
    /// The lane has forgotten what it sent before; limits hold again from here.
    limits_from_ms: u64,
    next_offer: usize,
    /// What was answered so far.
    sent: Vec<Sent>,
    /// A step that has just been refused alone, and where.
    refused_alone: Option<(EndpointId, u64, u8)>,
    /// Parcels that were refused for no fault of their own.
    for_account: usize,
    /// The latest update of each property that was acknowledged: (user, key) to parcel.
    updated: BTreeMap<(String, String), u64>,
    pub requests: usize,
    pub trace: String,
}

impl World {
    pub fn new(seed: u64, plant: Plant) -> World {
        let scenario = Scenario::draw(seed);
        let mut world = World {
            lane: Lane::new(scenario.policy.clone()),
            plant,
            dice: Dice::new(seed ^ 0xBEEF),
            now_ms: START_MS,
            destination: Destination::new(seed),
            known: BTreeMap::new(),
            users: BTreeMap::new(),
            flying: BTreeMap::new(),
            wake_ms: None,
            paused: false,
            quiet_until_ms: 0,
            limits_from_ms: 0,
            next_offer: 0,
            sent: Vec::new(),
            refused_alone: None,
            for_account: 0,
            updated: BTreeMap::new(),
            requests: 0,
            trace: String::new(),
            scenario,
        };
        world.lane = world.new_lane();
        for (_, parcel) in &world.scenario.offers {
            world.users.entry(parcel.user.to_string()).or_default().push(parcel.id);
            let known = Known { parcel: parcel.clone(), taken: 0, resolved: 0, end: None };
            world.known.insert(parcel.id, known);
        }
        world
    }

    /// Runs to the end, or panics with what went wrong.
    pub fn run(&mut self) {
        let mut rounds = 0;
        while self.round() {
            rounds += 1;
            assert!(rounds < 40_000, "it never comes to rest: {:?}", self.lane.load());
        }
        self.check_the_end();
    }

    /// Does the next thing that happens. False if nothing can happen any more.
    fn round(&mut self) -> bool {
        let offer = self.scenario.offers.get(self.next_offer).map(|(at, _)| *at);
        let crash = self.scenario.crashes.first().copied();
        let pause =
            self.scenario.pauses.first().map(|(from, to)| if self.paused { *to } else { *from });
        let arrival = self.flying.values().filter(|f| f.answer.is_none()).map(|f| f.arrives_ms);
        let arrival = arrival.min();
        let answer = self.flying.values().filter(|f| f.answer.is_some()).map(|f| f.answered_ms);
        let answer = answer.min();
        let wake = self.wake_ms;
        let times = [offer, crash, pause, arrival, answer, wake];
        let Some(next) = times.into_iter().flatten().min() else { return false };
        self.now_ms = self.now_ms.max(next);
        let due = |at: Option<u64>| at.is_some_and(|at| at <= self.now_ms);
        if due(arrival) {
            self.arrivals(self.now_ms);
        } else if due(crash) {
            self.scenario.crashes.remove(0);
            self.crash();
        } else if due(pause) {
            self.toggle_pause();
        } else if due(answer) {
            self.answer_one();
        } else if due(offer) {
            self.offer();
        } else {
            self.tell(Fact::Tick);
        }
        true
    }

    fn new_lane(&self) -> Lane {
        let mut policy = self.scenario.policy.clone();
        if self.plant == Plant::LiesAboutLimits {
            let limits = policy.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.limits);
            limits.for_each(|limit| limit.count *= 10);
        }
        Lane::new(policy)
    }

    fn offer(&mut self) {
        let due = self.scenario.offers.iter().skip(self.next_offer);
        let due = due.take_while(|(at, _)| *at <= self.now_ms).take(40);
        let mut parcels: Vec<Parcel> = due.map(|(_, parcel)| parcel.clone()).collect();
        self.next_offer += parcels.len();
        match self.plant {
            Plant::SwapsOffers => parcels.reverse(),
            Plant::LosesAParcel if self.next_offer == parcels.len() => {
                parcels.pop();
            }
            Plant::LosesAParcel
            | Plant::None
            | Plant::DropsRetryAfter
            | Plant::ForgetsProgress
            | Plant::TakesResetsForSuccess
            | Plant::LiesAboutLimits
            | Plant::BlamesItems
            | Plant::ForgetsQuiet => {}
        }
        self.tell(Fact::Offer(parcels));
    }

    fn crash(&mut self) {
        // What was sent may still arrive, but before the program is up again.
        self.arrivals(u64::MAX);
        let limits = self.scenario.policy.endpoints.iter().flat_map(|e| &e.limits);
        let own = limits.clone().any(|limit| limit.scope == LimitScope::Identity);
        if own || !self.flying.is_empty() {
            // Of these nothing is known any more.
            let window = limits.map(|limit| limit.window_ms).max().unwrap_or(0);
            self.limits_from_ms = self.now_ms + self.scenario.latency_ms.1 + window;
        }
        self.flying.clear();
        let lane = self.new_lane();
        let old = std::mem::replace(&mut self.lane, lane);
        let memory = self.memory(&old);
        self.lane.handle(self.now_ms, Fact::Recall(memory), &mut Vec::new());
        let mut since: BTreeMap<u64, Option<u64>> = BTreeMap::new();
        for unfinished in old.unfinished() {
            assert_eq!(unfinished.steps_done, self.known[&unfinished.parcel].taken);
            since.insert(unfinished.parcel, unfinished.failing_since_ms);
        }
        if self.paused {
            self.lane.handle(self.now_ms, Fact::Pause, &mut Vec::new());
        }
        let offered = self.scenario.offers.iter().take(self.next_offer).map(|(_, p)| p.id);
        let again = offered.filter(|id| self.known[id].end.is_none()).map(|id| {
            let known = &self.known[&id];
            let done = if self.plant == Plant::ForgetsProgress { 0 } else { known.taken };
            let failing_since_ms = since.get(&id).copied().flatten();
            Parcel { done, failing_since_ms, ..known.parcel.clone() }
        });
        let again: Vec<Parcel> = again.collect();
        // A refused step is forgotten: it may be sent and refused again. If it was refused for no
        // fault of its own it may even be taken, later than what came after it.
        for parcel in &again {
            let known = self.known.get_mut(&parcel.id).unwrap();
            if known.resolved != known.taken {
                known.resolved = known.taken;
                self.updated.retain(|(user, _), _| **user != *parcel.user);
            }
        }
        self.tell(Fact::Offer(again));
    }

    /// What a courier keeps of a lane.
    fn memory(&self, old: &Lane) -> Memory {
        let held = (0..).map(EndpointId).zip(old.standings());
        let held = held.filter_map(|(endpoint, standing)| match standing {
            Standing::Held(trouble) => {
                let answer = Answer::clone(&trouble.answer);
                Some(Held { endpoint, since_ms: trouble.since_ms, answer })
            }
            Standing::Open | Standing::Down(_) => None,
        });
        let quiet = self.plant != Plant::ForgetsQuiet;
        Memory {
            quiet_until_ms: if quiet { old.quiet_until_ms() } else { 0 },
            held: held.collect(),
            sent: self.sent.clone(),
        }
    }

    fn toggle_pause(&mut self) {
        self.paused = !self.paused;
        if self.paused {
            self.tell(Fact::Pause);
        } else {
            self.scenario.pauses.remove(0);
            self.tell(Fact::Resume);
        }
    }

    fn arrivals(&mut self, until_ms: u64) {
        let mut due: Vec<(u64, RequestId)> = Vec::new();
        for (id, flying) in &self.flying {
            if flying.answer.is_none() && flying.arrives_ms <= until_ms {
                due.push((flying.arrives_ms, *id));
            }
        }
        due.sort_unstable();
        for (at_ms, id) in due {
            let flying = self.flying.get_mut(&id).unwrap();
            let broken = self.destination.over_limit.len();
            let answer = self.destination.take(at_ms, &flying.request, &self.scenario);
            flying.answer = Some(answer);
            for ((user, key), parcel) in &self.updated {
                let value = self.destination.properties[user][key];
                assert!(value >= *parcel, "out of order: {key} of {user} went back to {value}");
            }
            if at_ms >= self.limits_from_ms {
                let broken = &self.destination.over_limit[broken..];
                assert!(broken.is_empty(), "over the limit: {broken:?}");
            }
        }
    }

    fn answer_one(&mut self) {
        let due = self.flying.iter().filter(|(_, f)| f.answer.is_some());
        let (_, request) = due.map(|(id, f)| (f.answered_ms, *id)).min().unwrap();
        let flying = self.flying.remove(&request).unwrap();
        let mut answer = flying.answer.unwrap();
        let mut reading = read(answer.status);
        if let Some(wait_ms) = answer.retry_after_ms {
            self.quiet_until_ms = self.quiet_until_ms.max(self.now_ms + wait_ms);
        }
        if self.plant == Plant::DropsRetryAfter {
            answer.retry_after_ms = None;
        }
        if self.plant == Plant::TakesResetsForSuccess && answer.status == 0 {
            reading = Reading::Delivered;
        }
        if self.plant == Plant::BlamesItems && matches!(reading, Reading::Rejected(_)) {
            reading = Reading::Rejected(Blame::Items);
        }
        self.sent.push(Sent {
            endpoint: flying.request.endpoint,
            answered_ms: self.now_ms,
            items: u32::try_from(flying.request.items.len()).unwrap(),
        });
        if let (Reading::Rejected(_), [carried]) = (reading, &flying.request.carried[..]) {
            self.refused_alone = Some((flying.request.endpoint, carried.parcel, carried.step));
        }
        for carried in &flying.request.carried {
            let known = self.known.get_mut(&carried.parcel).unwrap();
            let bit = 1 << carried.step;
            match reading {
                Reading::Delivered => {
                    known.taken |= bit;
                    known.resolved |= bit;
                    let step = (carried.parcel, carried.step);
                    assert!(self.destination.stored.contains(&step), "lost: {step:?}");
                    let item = &known.parcel.steps[usize::from(carried.step)].item;
                    if let Item::Fold { properties, .. } = item {
                        for (key, _) in properties {
                            let key = (known.parcel.user.to_string(), key.to_string());
                            let latest = self.updated.entry(key).or_default();
                            *latest = carried.parcel.max(*latest);
                        }
                    }
                }
                Reading::Rejected(_) | Reading::Retry => {}
            }
        }
        self.tell(Fact::Ended { request, record: request.0, reading, answer });
    }

    fn tell(&mut self, fact: Fact) {
        let mut out = Vec::new();
        self.lane.handle(self.now_ms, fact, &mut out);
        self.wake_ms = None;
        if let Some((endpoint, parcel, step)) = self.refused_alone.take()
            && !self.is_held(endpoint)
        {
            self.known.get_mut(&parcel).unwrap().resolved |= 1 << step;
        }
        for decision in out {
            writeln!(self.trace, "{} {decision:?}", self.now_ms - START_MS).unwrap();
            match decision {
                Decision::Send(request) => self.send(request),
                Decision::Progress { parcel, step } => {
                    let known = &self.known[&parcel];
                    assert!(known.taken & (1 << step) != 0, "progress without acknowledgement");
                }
                Decision::Settle { parcel, end, steps_done, .. } => {
                    self.settle(parcel, end, steps_done);
                }
                Decision::WakeAt(ms) => {
                    assert!(ms > self.now_ms, "it asks to be woken in the past");
                    self.wake_ms = Some(ms);
                }
            }
        }
        let load = self.lane.load();
        assert_eq!(load.in_flight, self.flying.len());
        let open = self.known.values().take(self.next_offer).filter(|k| k.end.is_none());
        if self.plant != Plant::LosesAParcel {
            assert_eq!(load.parcels, open.count(), "parcels were lost or made");
        }
        if load.parcels > 0 && self.flying.is_empty() && !self.paused {
            assert!(self.wake_ms.is_some(), "stuck: nothing in flight, and no time awaited");
        }
    }

    fn is_held(&self, endpoint: EndpointId) -> bool {
        let standing = self.lane.standings().nth(usize::from(endpoint.0)).unwrap();
        matches!(standing, Standing::Held(_))
    }

    fn send(&mut self, request: Outgoing) {
        assert!(!self.paused, "sent while paused");
        assert!(self.now_ms >= self.quiet_until_ms, "sent while told to be quiet");
        self.check_form(&request);
        self.check_order(&request);
        let endpoint = request.endpoint;
        let beside = self.flying.values().filter(|f| f.request.endpoint == endpoint).count();
        assert!(beside < self.scenario.policy.max_in_flight, "too many in flight");
        if self.is_held(endpoint) {
            let single = request.carried.len() == 1;
            assert!(single && beside == 0, "more than one step for an endpoint that is held");
        }
        self.requests += 1;
        let (least, most) = self.scenario.latency_ms;
        let arrives_ms = self.now_ms + self.dice.between(least, most);
        let answered_ms = arrives_ms + self.dice.between(least, most);
        let id = request.request;
        let flying = Flying { request, arrives_ms, answered_ms, answer: None };
        assert!(self.flying.insert(id, flying).is_none(), "a request's name was used twice");
    }

    /// The items say what the carried steps say, and the request is no larger than allowed.
    fn check_form(&self, request: &Outgoing) {
        let endpoint = &self.scenario.policy.endpoints[usize::from(request.endpoint.0)];
        assert!(request.items.len() <= endpoint.max_items, "too many items");
        let bytes = endpoint.body(&request.items).len();
        assert!(bytes <= endpoint.max_bytes || request.items.len() == 1, "too many bytes");
        let mut items: Vec<Item> = Vec::new();
        for carried in &request.carried {
            let step = &self.known[&carried.parcel].parcel.steps[usize::from(carried.step)];
            assert_eq!(step.endpoint, request.endpoint);
            if usize::try_from(carried.item).unwrap() == items.len() {
                items.push(step.item.clone());
            } else {
                assert!(items.last_mut().unwrap().fold(&step.item), "carried by a wrong item");
            }
        }
        assert_eq!(items, request.items, "the items are not what the steps say");
    }

    fn check_order(&self, request: &Outgoing) {
        let mut here: BTreeSet<(u64, u8)> = BTreeSet::new();
        for carried in &request.carried {
            let known = &self.known[&carried.parcel];
            let step = &known.parcel.steps[usize::from(carried.step)];
            let bit = 1 << carried.step;
            assert!(known.taken & bit == 0, "sent again after it was acknowledged: {carried:?}");
            assert!(known.end.is_none(), "sent after its parcel's end: {carried:?}");
            let is_update = matches!(step.item, Item::Fold { .. });
            for other in &self.users[&*known.parcel.user] {
                let other = &self.known[other];
                for (earlier, at) in other.parcel.steps.iter().zip(0..) {
                    let same = other.parcel.id == carried.parcel;
                    if other.parcel.id > carried.parcel || same && at >= carried.step {
                        break;
                    }
                    let matters = !is_update || same || matches!(earlier.item, Item::Fold { .. });
                    let settled = other.end.is_some() || other.resolved & (1 << at) != 0;
                    assert!(
                        !matters || settled || here.contains(&(other.parcel.id, at)),
                        "out of order: {carried:?} before step {at} of {}",
                        other.parcel.id
                    );
                }
            }
            here.insert((carried.parcel, carried.step));
        }
        let user = |request: &Outgoing| -> BTreeSet<String> {
            let carried = request.carried.iter();
            carried.map(|c| self.known[&c.parcel].parcel.user.to_string()).collect()
        };
        let mine = user(request);
        for flying in self.flying.values() {
            assert!(mine.is_disjoint(&user(&flying.request)), "a user is in two requests");
        }
    }

    fn settle(&mut self, id: u64, end: End, steps_done: u8) {
        let steps = u8::try_from(self.known[&id].parcel.steps.len()).unwrap();
        let any = |set: &BTreeSet<(u64, u8)>| (0..steps).any(|step| set.contains(&(id, step)));
        let refused = any(&self.scenario.refused);
        let user = &self.users[&*self.known[&id].parcel.user];
        let blocked = self.scenario.stumbling.iter().any(|(other, _)| user.contains(other));
        let known = self.known.get_mut(&id).unwrap();
        assert!(known.end.is_none(), "parcel {id} ended twice");
        assert_eq!(steps_done, known.taken);
        let whole = u8::try_from((1_u32 << steps) - 1).unwrap();
        match &end {
            End::Delivered => assert_eq!(steps_done, whole, "delivered, but not all of it"),
            End::Failed { step, answer } => {
                assert_eq!(known.resolved, whole);
                if self.scenario.refused.contains(&(id, *step)) {
                    assert!(answer.status == self.scenario.refusal || is_lockout(answer.status));
                } else {
                    assert!(is_lockout(answer.status), "{id} was not to blame");
                    self.for_account += 1;
                    let bearable = self.scenario.bearable();
                    assert!(self.for_account <= bearable, "too many that were not to blame");
                }
            }
            // What its user sent before may have blocked it for so long, but nothing of others.
            End::Expired { .. } => {
                if !(blocked || self.scenario.hopeless) {
                    eprintln!("LANE {:#?} {:#?}", self.lane, self.scenario.policy);
                }
                assert!(blocked || self.scenario.hopeless, "{id} expired for others' faults");
            }
        }
        if refused && !blocked && !self.scenario.hopeless {
            assert!(matches!(end, End::Failed { .. }), "{id} was refused but ended as {end:?}");
        }
        known.end = Some(end);
        if !self.scenario.hopeless {
            self.check_in_time(id);
        }
    }

    /// Whoever has nothing that stumbles among his own parcels is served soon after the last
    /// trouble, whatever others' parcels do.
    fn check_in_time(&self, id: u64) {
        let own = &self.users[&*self.known[&id].parcel.user];
        let waits = own.iter().filter(|other| {
            self.scenario.stumbling.iter().any(|(stumbling, _)| stumbling == *other)
        });
        let window = self.scenario.policy.retry_window_ms;
        let windows = u64::try_from(waits.count()).unwrap() * 2 * (window + 600_000);
        let limits = self.scenario.policy.endpoints.iter().flat_map(|endpoint| &endpoint.limits);
        let parcels = u64::try_from(self.scenario.offers.len()).unwrap();
        let by_limits = limits.map(|limit| {
            let turns = match limit.counts {
                LimitCounts::Items => 3 * parcels / u64::from(limit.count),
                LimitCounts::Requests => 3 * parcels,
            };
            (turns + 3) * (limit.window_ms + 2 * self.scenario.latency_ms.1) * 3
        });
        let by_limits: u64 = by_limits.sum();
        let slow = parcels * 6 * (self.scenario.latency_ms.1 * 2 + 1000);
        let allowed = 900_000 + windows + by_limits + slow;
        let late = self.now_ms.saturating_sub(self.scenario.quiet_from_ms());
        assert!(late <= allowed, "parcel {id} was held for {late} ms of {allowed} ms");
    }

    fn check_the_end(&self) {
        let load = self.lane.load();
        assert_eq!((load.parcels, load.bytes, load.in_flight), (0, 0, 0));
        for known in self.known.values() {
            assert!(known.end.is_some(), "parcel {} never ended", known.parcel.id);
        }
    }
}
