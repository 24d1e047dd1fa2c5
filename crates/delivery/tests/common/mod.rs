//! Parcels, endpoints, and a lane on a bench: what the tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use heapline_action::plan::{
    Answer, Blame, Endpoint, EndpointId, Item, Json, Limit, LimitCounts, LimitScope, Reading, Step,
};
use heapline_delivery::{Decision, End, Fact, Lane, Outgoing, Parcel, Policy};

pub const PROPERTIES: EndpointId = EndpointId(0);
pub const EVENTS: EndpointId = EndpointId(1);

pub fn endpoint(name: &'static str, max_items: usize, limits: Vec<Limit>) -> Endpoint {
    Endpoint {
        name,
        method: "POST",
        url: format!("http://destination/{name}"),
        envelope: vec![("app_id", Json::of("11"))],
        items: "items",
        max_items,
        max_bytes: 1 << 20,
        limits,
    }
}

pub fn limit(scope: LimitScope, counts: LimitCounts, count: u32, window_ms: u64) -> Limit {
    Limit { scope, counts, count, window_ms }
}

pub fn policy() -> Policy {
    Policy {
        endpoints: vec![
            endpoint("properties", 1000, Vec::new()),
            endpoint("events", 1000, Vec::new()),
        ],
        retry_window_ms: 72 * 3_600_000,
        first_backoff_ms: 500,
        max_backoff_ms: 300_000,
        max_in_flight: 4,
        linger_ms: 0,
        seed: 7,
    }
}

/// An event named `name` of `user`.
pub fn event(user: &str, name: &str) -> Step {
    let item = Item::Append(Json::of(&BTreeMap::from([("identity", user), ("event", name)])));
    Step { endpoint: EVENTS, identity: user.into(), item }
}

/// A property update of `user`.
pub fn update(user: &str, properties: &[(&str, &str)]) -> Step {
    let properties = properties.iter().map(|(k, v)| (Box::from(*k), Json::of(*v))).collect();
    let head = vec![("identity", Json::of(user))];
    let item = Item::Fold { head, member: "properties", properties };
    Step { endpoint: PROPERTIES, identity: user.into(), item }
}

pub fn parcel(id: u64, user: &str, steps: Vec<Step>) -> Parcel {
    Parcel { id, user: Arc::from(user), steps, done: 0, failing_since_ms: None }
}

/// One parcel with one event named by its id.
pub fn one_event(id: u64, user: &str) -> Parcel {
    parcel(id, user, vec![event(user, &id.to_string())])
}

pub fn answer(status: u16) -> Answer {
    Answer { status, retry_after_ms: None, excerpt: format!("status {status}") }
}

pub fn read(status: u16) -> Reading {
    match status {
        200..=299 => Reading::Delivered,
        0 | 408 | 423 | 429 | 500 | 502..=599 => Reading::Retry,
        401 | 403 | 404 => Reading::Rejected(Blame::Account),
        422 => Reading::Rejected(Blame::Items),
        _ => Reading::Rejected(Blame::Unsaid),
    }
}

/// A lane, its time, and what it has decided.
pub struct Bench {
    pub lane: Lane,
    pub now_ms: u64,
    /// Requests in flight, oldest first.
    pub flying: Vec<Outgoing>,
    pub ends: BTreeMap<u64, End>,
    pub steps_done: BTreeMap<u64, u8>,
    pub requests: BTreeMap<u64, Vec<u64>>,
    pub progress: Vec<(u64, u8)>,
    pub wake_ms: Option<u64>,
    pub sent: usize,
}

impl Bench {
    pub fn new(policy: Policy) -> Bench {
        Bench {
            lane: Lane::new(policy),
            now_ms: 1_000_000,
            flying: Vec::new(),
            ends: BTreeMap::new(),
            steps_done: BTreeMap::new(),
            requests: BTreeMap::new(),
            progress: Vec::new(),
            wake_ms: None,
            sent: 0,
        }
    }

    pub fn tell(&mut self, fact: Fact) {
        let mut out = Vec::new();
        self.lane.handle(self.now_ms, fact, &mut out);
        self.wake_ms = None;
        for decision in out {
            match decision {
                Decision::Send(outgoing) => {
                    self.sent += 1;
                    self.flying.push(outgoing);
                }
                Decision::Progress { parcel, step } => self.progress.push((parcel, step)),
                Decision::Settle { parcel, end, steps_done, requests } => {
                    assert!(self.ends.insert(parcel, end).is_none(), "parcel {parcel} ended twice");
                    self.steps_done.insert(parcel, steps_done);
                    self.requests.insert(parcel, requests);
                }
                Decision::WakeAt(ms) => {
                    assert!(ms > self.now_ms, "it asks to be woken in the past");
                    self.wake_ms = Some(ms);
                }
            }
        }
    }

    pub fn offer(&mut self, parcels: Vec<Parcel>) {
        self.tell(Fact::Offer(parcels));
    }

    /// Answers the oldest request in flight.
    pub fn answer(&mut self, status: u16) -> Outgoing {
        self.answer_with(answer(status))
    }

    pub fn answer_with(&mut self, answer: Answer) -> Outgoing {
        let outgoing = self.flying.remove(0);
        let (request, reading) = (outgoing.request, read(answer.status));
        self.tell(Fact::Ended { request, record: request.0 + 5000, reading, answer });
        outgoing
    }

    /// Sleeps until the lane wants to be woken.
    pub fn sleep(&mut self) {
        self.now_ms = self.wake_ms.expect("it wants to be woken");
        self.tell(Fact::Tick);
    }

    pub fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        self.tell(Fact::Tick);
    }

    /// Runs until nothing is left to do; `judge` gives each request its status.
    pub fn run(&mut self, mut judge: impl FnMut(&Outgoing) -> u16) {
        for _ in 0..1_000_000 {
            if let Some(first) = self.flying.first() {
                let status = judge(first);
                self.answer(status);
            } else if self.wake_ms.is_some() {
                self.sleep();
            } else {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

/// The items of a request as JSON texts.
pub fn texts(outgoing: &Outgoing) -> Vec<String> {
    outgoing.items.iter().map(|item| Json::of(item).as_str().to_owned()).collect()
}

/// The parcels of a request, in order.
pub fn parcels(outgoing: &Outgoing) -> Vec<u64> {
    outgoing.carried.iter().map(|carried| carried.parcel).collect()
}
