//! What happens in one run: drawn from a seed, and known before it begins.

use std::collections::BTreeSet;
use std::sync::Arc;

use heapline_action::plan::{EndpointId, Item, Json, Limit, LimitCounts, LimitScope, Step};
use heapline_delivery::{Parcel, Policy};

use crate::common::{EVENTS, PROPERTIES, endpoint, limit};

/// A generator for tests (xorshift64*).
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Uniform in `from ..= to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll() % (to - from + 1)
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.roll() % 100 < chance
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.roll()).unwrap() % of.len()]
    }
}

/// A time in which an endpoint, or all, answers nothing but failures; with 400 or 401 it refuses
/// everything, for no fault of the items.
#[derive(Clone, Debug)]
pub struct Outage {
    pub endpoint: Option<EndpointId>,
    pub from_ms: u64,
    pub to_ms: u64,
    pub status: u16,
}

/// Chances in percent, for each request.
#[derive(Clone, Debug, Default)]
pub struct Chances {
    pub unavailable: u64,
    pub unavailable_with_retry_after: u64,
    pub throttled: u64,
    pub throttled_with_retry_after: u64,
    pub reset_before: u64,
    pub reset_after: u64,
}

pub struct Scenario {
    pub policy: Policy,
    /// When each is offered first, in order.
    pub offers: Vec<(u64, Parcel)>,
    pub chances: Chances,
    /// No chances from here on.
    pub calm_ms: u64,
    pub outages: Vec<Outage>,
    /// (parcel, step) that are refused for good.
    pub refused: BTreeSet<(u64, u8)>,
    /// The status of that.
    pub refusal: u16,
    /// (parcel, step) that make the destination stumble, for ever.
    pub stumbling: BTreeSet<(u64, u8)>,
    /// On a refusal the good items are stored all the same.
    pub stores_good_items: bool,
    pub latency_ms: (u64, u64),
    /// Crashes: the lane is lost, and what was not settled is offered again.
    pub crashes: Vec<u64>,
    pub pauses: Vec<(u64, u64)>,
    /// Parcels may expire though nothing is wrong with them.
    pub hopeless: bool,
}

pub const START_MS: u64 = 1_700_000_000_000;

impl Scenario {
    pub fn draw(seed: u64) -> Scenario {
        let mut dice = Dice::new(seed);
        let dice = &mut dice;
        let hopeless = dice.percent(8);
        let spread_ms = dice.pick(&[0, 50, 2_000, 60_000]);
        let policy = draw_policy(dice, seed, hopeless);
        let offers = draw_offers(dice, spread_ms);
        let calm_ms = START_MS + spread_ms + dice.pick(&[0, 1_000, 100_000, 1_000_000]);
        let mut scenario = Scenario {
            chances: draw_chances(dice),
            calm_ms,
            outages: Vec::new(),
            refused: BTreeSet::new(),
            refusal: dice.pick(&[400, 403, 422]),
            stumbling: BTreeSet::new(),
            stores_good_items: dice.percent(30),
            latency_ms: dice.pick(&[(0, 0), (1, 5), (10, 200), (1, 10_000)]),
            crashes: Vec::new(),
            pauses: Vec::new(),
            hopeless,
            policy,
            offers,
        };
        for _ in 0..dice.pick(&[0, 0, 1, 3]) {
            let from_ms = dice.between(START_MS, calm_ms);
            scenario.outages.push(Outage {
                endpoint: dice.pick(&[None, Some(PROPERTIES), Some(EVENTS)]),
                from_ms,
                to_ms: dice.between(from_ms, calm_ms),
                status: dice.pick(&[0, 408, 500, 503]),
            });
        }
        if dice.percent(35) {
            let from_ms = if dice.percent(50) { START_MS } else { dice.between(START_MS, calm_ms) };
            scenario.outages.push(Outage {
                endpoint: dice.pick(&[None, Some(PROPERTIES), Some(EVENTS)]),
                from_ms,
                to_ms: dice.between(from_ms, calm_ms),
                status: dice.pick(&[400, 401]),
            });
            // So that what is held is held for the lockout alone.
            scenario.refusal = 422;
        }
        if hopeless {
            scenario.outages.push(Outage {
                endpoint: dice.pick(&[None, Some(PROPERTIES), Some(EVENTS)]),
                from_ms: dice.between(START_MS, calm_ms),
                to_ms: u64::MAX,
                status: 500,
            });
        }
        let (bad, stumbling) = (dice.pick(&[0, 0, 1, 10]), dice.pick(&[0, 0, 0, 1, 3]));
        for (_, parcel) in &scenario.offers {
            for step in 0..u8::try_from(parcel.steps.len()).unwrap() {
                if dice.percent(bad) {
                    scenario.refused.insert((parcel.id, step));
                } else if dice.percent(stumbling) {
                    scenario.stumbling.insert((parcel.id, step));
                }
            }
        }
        for _ in 0..dice.pick(&[0, 0, 1, 3]) {
            scenario.crashes.push(dice.between(START_MS, calm_ms + 10_000));
        }
        scenario.crashes.sort_unstable();
        if dice.percent(20) {
            let from_ms = dice.between(START_MS, calm_ms);
            scenario.pauses.push((from_ms, dice.between(from_ms + 1, from_ms + 100_000)));
        }
        scenario
    }

    /// How many parcels may be refused for no fault of their own, each time that an endpoint starts
    /// to refuse everything.
    pub fn bearable(&self) -> usize {
        let lockouts = self.outages.iter().filter(|outage| is_lockout(outage.status));
        let each = lockouts.map(|outage| {
            let endpoints = if outage.endpoint.is_some() { 1 } else { 2 };
            endpoints * if outage.status == 401 { 20 } else { 100 }
        });
        // Answers that are under way when it begins may clear it once more; and a crash may come
        // before it is clear that everything is refused.
        2 * each.sum::<usize>() * (self.crashes.len() + 1)
    }

    /// When nothing but what is wrong with the items themselves can fail any more.
    pub fn quiet_from_ms(&self) -> u64 {
        let outages = self.outages.iter().map(|o| o.to_ms).filter(|ms| *ms < u64::MAX);
        let pauses = self.pauses.iter().map(|(_, to)| *to);
        let offers = self.offers.iter().map(|(at, _)| *at);
        let crashes = self.crashes.iter().copied();
        let all = outages.chain(pauses).chain(offers).chain(crashes);
        all.max().unwrap_or(START_MS).max(self.calm_ms)
    }
}

/// Everything is refused, for no fault of the items.
pub fn is_lockout(status: u16) -> bool {
    matches!(status, 400 | 401)
}

fn draw_policy(dice: &mut Dice, seed: u64, hopeless: bool) -> Policy {
    let max_items = |dice: &mut Dice| usize::try_from(dice.pick(&[1, 2, 7, 50, 1000])).unwrap();
    let limits = |dice: &mut Dice| -> Vec<Limit> {
        let mut limits = Vec::new();
        if dice.percent(40) {
            let count = u32::try_from(dice.pick(&[1, 10, 60, 500])).unwrap();
            limits.push(limit(LimitScope::Integration, LimitCounts::Items, count, 10_000));
        }
        if dice.percent(40) {
            let count = u32::try_from(dice.pick(&[1, 5, 40])).unwrap();
            limits.push(limit(LimitScope::Identity, LimitCounts::Items, count, 10_000));
        }
        if dice.percent(20) {
            let scope = dice.pick(&[LimitScope::Integration, LimitScope::Identity]);
            limits.push(limit(scope, LimitCounts::Requests, 3, 3_000));
        }
        limits
    };
    let mut properties = endpoint("properties", max_items(dice), limits(dice));
    let mut events = endpoint("events", max_items(dice), limits(dice));
    if dice.percent(25) {
        properties.max_bytes = 200;
        events.max_bytes = 400;
    }
    Policy {
        endpoints: vec![properties, events],
        retry_window_ms: if hopeless { 600_000 } else { 7_200_000 },
        first_backoff_ms: dice.pick(&[1, 100, 500]),
        max_backoff_ms: 30_000,
        max_in_flight: usize::try_from(dice.between(1, 4)).unwrap(),
        linger_ms: dice.pick(&[0, 5, 50]),
        seed,
    }
}

fn draw_chances(dice: &mut Dice) -> Chances {
    let mut chance = || dice.pick(&[0, 0, 0, 5, 20]);
    Chances {
        unavailable: chance(),
        unavailable_with_retry_after: chance(),
        throttled: chance(),
        throttled_with_retry_after: chance(),
        reset_before: chance(),
        reset_after: chance(),
    }
}

fn draw_offers(dice: &mut Dice, spread_ms: u64) -> Vec<(u64, Parcel)> {
    let users = dice.pick(&[1, 3, 20, 200]);
    let count = dice.between(1, 250);
    let mut times: Vec<u64> = (0..count).map(|_| START_MS + dice.between(0, spread_ms)).collect();
    times.sort_unstable();
    let updates = dice.pick(&[0, 20, 60]);
    let offer = |(id, at_ms)| {
        let user = format!("u{}", dice.between(1, users));
        let mut steps = Vec::new();
        if dice.percent(updates) {
            steps.push(update(dice, id, &user));
        }
        if steps.is_empty() || dice.percent(70) {
            steps.push(event(id, &user));
        }
        if dice.percent(3) {
            steps.push(if dice.percent(50) { update(dice, id, &user) } else { event(id, &user) });
        }
        let parcel = Parcel { id, user: Arc::from(user), steps, done: 0, failing_since_ms: None };
        (at_ms, parcel)
    };
    (1..).zip(times).map(offer).collect()
}

fn event(id: u64, user: &str) -> Step {
    Step { endpoint: EVENTS, identity: user.into(), item: Item::Append(Json::of(&(user, id))) }
}

/// Sets a few of five properties to the parcel's id.
fn update(dice: &mut Dice, id: u64, user: &str) -> Step {
    let mut properties = vec![(Box::from("last"), Json::of(&id))];
    for key in ["a", "b", "c", "d"] {
        if dice.percent(40) {
            properties.push((Box::from(key), Json::of(&id)));
        }
    }
    let head = vec![("identity", Json::of(user))];
    let item = Item::Fold { head, member: "properties", properties };
    Step { endpoint: PROPERTIES, identity: user.into(), item }
}
