//! A hostile destination: what it stores, what it answers, and its own idea of its limits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use heapline_action::plan::{Answer, Item, LimitCounts, LimitScope};
use heapline_delivery::Outgoing;

use super::scenario::{Dice, Scenario};
use crate::common::EVENTS;

pub struct Destination {
    dice: Dice,
    /// Steps that it has stored at least once.
    pub stored: BTreeSet<(u64, u8)>,
    /// Events of each user in the order of their first acceptance.
    pub events: BTreeMap<String, Vec<u64>>,
    /// Properties of each user; values are ids of parcels.
    pub properties: BTreeMap<String, BTreeMap<String, u64>>,
    /// Arrivals under each limit: (endpoint, limit, whose) to (when, how much).
    arrivals: BTreeMap<(usize, usize, String), VecDeque<(u64, u32)>>,
    /// Requests that broke a limit.
    pub over_limit: Vec<String>,
}

impl Destination {
    pub fn new(seed: u64) -> Destination {
        Destination {
            dice: Dice::new(seed ^ 0xD357),
            stored: BTreeSet::new(),
            events: BTreeMap::new(),
            properties: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            over_limit: Vec::new(),
        }
    }

    /// A request arrives at `now_ms`; the answer.
    pub fn take(&mut self, now_ms: u64, request: &Outgoing, scenario: &Scenario) -> Answer {
        if self.breaks_a_limit(now_ms, request, scenario) {
            return answer(429, None);
        }
        if now_ms < scenario.calm_ms
            && let Some(answer) = self.mishap(request, scenario)
        {
            return answer;
        }
        let hit = |outage: &&super::scenario::Outage| {
            outage.endpoint.is_none_or(|e| e == request.endpoint)
                && (outage.from_ms..outage.to_ms).contains(&now_ms)
        };
        if let Some(outage) = scenario.outages.iter().find(hit) {
            return answer(outage.status, None);
        }
        let steps = request.carried.iter().map(|carried| (carried.parcel, carried.step));
        if steps.clone().any(|step| scenario.stumbling.contains(&step)) {
            return answer(500, None);
        }
        if steps.clone().any(|step| scenario.refused.contains(&step)) {
            if scenario.stores_good_items {
                self.store(request, &scenario.refused);
            }
            return answer(scenario.refusal, None);
        }
        self.store(request, &BTreeSet::new());
        answer(200, None)
    }

    fn mishap(&mut self, request: &Outgoing, scenario: &Scenario) -> Option<Answer> {
        let chances = &scenario.chances;
        let wait_ms = Some(self.dice.between(1, 20) * 1000);
        if self.dice.percent(chances.unavailable) {
            return Some(answer(503, None));
        }
        if self.dice.percent(chances.unavailable_with_retry_after) {
            return Some(answer(503, wait_ms));
        }
        if self.dice.percent(chances.throttled) {
            return Some(answer(429, None));
        }
        if self.dice.percent(chances.throttled_with_retry_after) {
            return Some(answer(429, wait_ms));
        }
        if self.dice.percent(chances.reset_before) {
            return Some(answer(0, None));
        }
        let mut steps = request.carried.iter().map(|carried| (carried.parcel, carried.step));
        let is_bad =
            steps.any(|s| scenario.refused.contains(&s) || scenario.stumbling.contains(&s));
        if self.dice.percent(chances.reset_after) && !is_bad {
            self.store(request, &BTreeSet::new());
            return Some(answer(0, None));
        }
        None
    }

    fn store(&mut self, request: &Outgoing, without: &BTreeSet<(u64, u8)>) {
        for (item, at) in request.items.iter().zip(0..) {
            let carried = request.carried.iter().filter(|carried| carried.item == at);
            let steps: Vec<_> = carried.map(|carried| (carried.parcel, carried.step)).collect();
            if steps.iter().any(|step| without.contains(step)) {
                continue;
            }
            match item {
                Item::Append(json) => {
                    assert_eq!(request.endpoint, EVENTS);
                    let text = json.as_str().trim_matches(['[', ']', '"']).to_owned();
                    let (user, id) = text.split_once("\",").unwrap();
                    let id = id.parse().unwrap();
                    if steps.iter().all(|step| self.stored.insert(*step)) {
                        let events = self.events.entry(user.to_owned()).or_default();
                        assert!(
                            events.last().is_none_or(|last| *last <= id),
                            "out of order: event {id} of {user} after {events:?}"
                        );
                        events.push(id);
                    }
                }
                Item::Fold { head, properties, .. } => {
                    let user = head[0].1.as_str().trim_matches('"').to_owned();
                    let known = self.properties.entry(user.clone()).or_default();
                    for (key, value) in properties {
                        let value: u64 = value.as_str().parse().unwrap();
                        known.insert(key.to_string(), value);
                    }
                    self.stored.extend(steps);
                }
            }
        }
    }

    /// Counts everything that arrives, whatever becomes of it: stricter than any real one.
    fn breaks_a_limit(&mut self, now_ms: u64, request: &Outgoing, scenario: &Scenario) -> bool {
        let index = usize::from(request.endpoint.0);
        let mut charges = Vec::new();
        for (limit, at) in scenario.policy.endpoints[index].limits.iter().zip(0..) {
            let mut amounts: BTreeMap<String, u32> = BTreeMap::new();
            for item in &request.items {
                let whose = match limit.scope {
                    LimitScope::Integration => String::new(),
                    LimitScope::Identity => user_of(item),
                };
                *amounts.entry(whose).or_default() += 1;
            }
            for (whose, items) in amounts {
                let amount = if limit.counts == LimitCounts::Items { items } else { 1 };
                let log = self.arrivals.entry((index, at, whose.clone())).or_default();
                while log.front().is_some_and(|(at, _)| at + limit.window_ms <= now_ms) {
                    log.pop_front();
                }
                let used: u32 = log.iter().map(|(_, n)| n).sum();
                if used + amount > limit.count {
                    self.over_limit.push(format!("{used} + {amount} of {limit:?} for {whose:?}"));
                    return true;
                }
                charges.push(((index, at, whose), amount));
            }
        }
        for (key, amount) in charges {
            self.arrivals.entry(key).or_default().push_back((now_ms, amount));
        }
        false
    }
}

fn user_of(item: &Item) -> String {
    match item {
        Item::Append(json) => json.as_str().split('"').nth(1).unwrap().to_owned(),
        Item::Fold { head, .. } => head[0].1.as_str().trim_matches('"').to_owned(),
    }
}

fn answer(status: u16, retry_after_ms: Option<u64>) -> Answer {
    Answer { status, retry_after_ms, excerpt: String::new() }
}
