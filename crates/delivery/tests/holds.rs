//! When an endpoint that refuses everything is held, and what the next lane is told: cases as data.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;

use common::*;
use heapline_action::plan::{Answer, EndpointId, LimitCounts, LimitScope};
use heapline_delivery::{
    End, Fact, Held, Lane, Memory, Outgoing, Parcel, Policy, Sent, Standing, Unfinished,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    limit_a_minute: Option<u32>,
    script: Vec<Act>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    /// How the destination answers from now on.
    Answer(Rule),
    /// So many come at once.
    Offer(Offer),
    /// So many come, each once the one before has been answered.
    OfferOneByOne(u64),
    /// Time passes.
    RunForS(u64),
    /// Another lane takes over, with what is left and what is remembered.
    Restart,
    Expect(Expected),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// The status of every answer.
    all: Option<u16>,
    /// Only at this endpoint.
    endpoint: Option<String>,
    retry_after_s: Option<u64>,
    bad: Option<Bad>,
    /// The status where something bad is inside.
    status: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", untagged)]
enum Bad {
    FromTo(u64, u64),
    Every(Odd),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Odd {
    Odd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    #[serde(default)]
    events: u64,
    #[serde(default)]
    updates: u64,
    users: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// Of the endpoint for events.
    standing: Option<String>,
    delivered_at_least: Option<usize>,
    delivered_at_most: Option<usize>,
    failed_at_least: Option<usize>,
    failed_at_most: Option<usize>,
    expired_at_least: Option<usize>,
    pending_at_least: Option<usize>,
    pending_at_most: Option<usize>,
    /// Since the lane began.
    requests_at_most: Option<usize>,
}

impl Rule {
    fn answer(&self, request: &Outgoing) -> Answer {
        let here = match self.endpoint.as_deref() {
            None => true,
            Some("events") => request.endpoint == EVENTS,
            Some(other) => panic!("no case needs {other:?}"),
        };
        let is_bad = |id: &u64| match &self.bad {
            None => false,
            Some(Bad::FromTo(from, to)) => (from..=to).contains(&id),
            Some(Bad::Every(Odd::Odd)) => id % 2 == 1,
        };
        let bad = parcels(request).iter().any(is_bad);
        let status = match (self.all, self.status) {
            (Some(all), _) if here => all,
            (_, Some(status)) if bad => status,
            _ => 200,
        };
        Answer { retry_after_ms: self.retry_after_s.map(|s| s * 1000), ..answer(status) }
    }
}

struct Play {
    bench: Bench,
    policy: Policy,
    rule: Rule,
    offered: BTreeMap<u64, Parcel>,
    sent: Vec<Sent>,
}

impl Play {
    fn new(case: &Case) -> Play {
        let mut policy = policy();
        if let Some(count) = case.limit_a_minute {
            let all = limit(LimitScope::Integration, LimitCounts::Items, count, 60_000);
            policy.endpoints[1].limits.push(all);
        }
        Play {
            bench: Bench::new(policy.clone()),
            policy,
            rule: Rule::default(),
            offered: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Answer(rule) => self.rule = rule,
            Act::Offer(Offer { events, updates, users }) => {
                let first = self.offered.len() as u64;
                let user = |n: u64| format!("u{}", first + n % users);
                let mut parcels = Vec::new();
                for n in 0..events {
                    parcels.push(one_event(first + n, &user(n)));
                }
                for n in 0..updates {
                    let update = update(&user(n), &[("a", "b")]);
                    parcels.push(parcel(first + events + n, &user(n), vec![update]));
                }
                self.offer(parcels);
            }
            Act::OfferOneByOne(count) => {
                for _ in 0..count {
                    let id = self.offered.len() as u64;
                    self.offer(vec![one_event(id, &format!("u{id}"))]);
                    self.run_until(self.bench.now_ms);
                }
            }
            Act::RunForS(seconds) => self.run_until(self.bench.now_ms + seconds * 1000),
            Act::Restart => self.restart(),
            Act::Expect(expected) => self.check(&expected),
        }
    }

    fn offer(&mut self, parcels: Vec<Parcel>) {
        self.offered.extend(parcels.iter().map(|parcel| (parcel.id, parcel.clone())));
        self.bench.offer(parcels);
    }

    /// Answers take no time.
    fn run_until(&mut self, end_ms: u64) {
        loop {
            if let Some(first) = self.bench.flying.first() {
                let answer = self.rule.answer(first);
                self.sent.push(Sent {
                    endpoint: first.endpoint,
                    answered_ms: self.bench.now_ms,
                    items: u32::try_from(first.items.len()).unwrap(),
                });
                self.bench.answer_with(answer);
            } else if self.bench.wake_ms.is_some_and(|at| at <= end_ms) {
                self.bench.sleep();
            } else {
                self.bench.now_ms = end_ms;
                return;
            }
        }
    }

    fn restart(&mut self) {
        let old = std::mem::replace(&mut self.bench.lane, Lane::new(self.policy.clone()));
        let held = (0..).map(EndpointId).zip(old.standings());
        let held = held.filter_map(|(endpoint, standing)| match standing {
            Standing::Held(trouble) => {
                let answer = Answer::clone(&trouble.answer);
                Some(Held { endpoint, since_ms: trouble.since_ms, answer })
            }
            Standing::Open | Standing::Down(_) => None,
        });
        let memory = Memory {
            quiet_until_ms: old.quiet_until_ms(),
            held: held.collect(),
            sent: std::mem::take(&mut self.sent),
        };
        let again = |left: Unfinished| Parcel {
            done: left.steps_done,
            failing_since_ms: left.failing_since_ms,
            ..self.offered[&left.parcel].clone()
        };
        let mut again: Vec<Parcel> = old.unfinished().into_iter().map(again).collect();
        again.sort_by_key(|parcel| parcel.id);
        self.bench.sent = 0;
        self.bench.tell(Fact::Recall(memory));
        self.bench.offer(again);
    }

    fn check(&self, expected: &Expected) {
        let count = |good: fn(&End) -> bool| self.bench.ends.values().filter(|e| good(e)).count();
        let delivered = count(|end| matches!(end, End::Delivered));
        let failed = count(|end| matches!(end, End::Failed { .. }));
        let expired = count(|end| matches!(end, End::Expired { .. }));
        let pending = self.bench.lane.load().parcels;
        let standing = match self.bench.lane.standings().nth(usize::from(EVENTS.0)).unwrap() {
            Standing::Open => "open",
            Standing::Down(_) => "down",
            Standing::Held(_) => "held",
        };
        let sent = self.bench.sent;
        let state = format!(
            "{standing}, {delivered} delivered, {failed} failed, {expired} expired, {pending} \
             pending, {sent} requests"
        );
        if let Some(expected) = &expected.standing {
            assert_eq!(expected, standing, "{state}");
        }
        for (least, found) in [
            (expected.delivered_at_least, delivered),
            (expected.failed_at_least, failed),
            (expected.expired_at_least, expired),
            (expected.pending_at_least, pending),
        ] {
            assert!(least.is_none_or(|least| found >= least), "{least:?}: {state}");
        }
        for (most, found) in [
            (expected.delivered_at_most, delivered),
            (expected.failed_at_most, failed),
            (expected.pending_at_most, pending),
            (expected.requests_at_most, sent),
        ] {
            assert!(most.is_none_or(|most| found <= most), "{most:?}: {state}");
        }
    }
}

#[test]
fn cases_of_holds() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases/holds.json")).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        eprintln!("{}", case.name);
        let mut play = Play::new(&case);
        for act in case.script {
            play.act(act);
        }
    }
}
