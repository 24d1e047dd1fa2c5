//! What a parcel costs: `cargo run --release -p heapline-delivery --example cost`.
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::collections::VecDeque;
use std::sync::Arc;

use heapline_action::plan::{
    Answer, Endpoint, EndpointId, Item, Json, Limit, LimitCounts, LimitScope, Reading, Step,
};
use heapline_delivery::{Decision, Fact, Lane, Outgoing, Parcel, Policy};

const PARCELS: u64 = 1_000_000;

fn main() {
    for (name, users, limited) in [
        ("many users", 500_000, false),
        ("many users, limits by identity", 500_000, true),
        ("few users", 100, false),
    ] {
        let parcels: Vec<Parcel> = (0..PARCELS).map(|id| parcel(id, users)).collect();
        let mut lane = Lane::new(policy(limited));
        let (mut sent, mut settled, mut now_ms) = (0_u64, 0_u64, 1_000);
        let mut flying: VecDeque<Outgoing> = VecDeque::new();
        let mut out = Vec::new();
        let mut parcels = parcels.into_iter();
        let start = cpu_ns();
        loop {
            now_ms += 1;
            let offer: Vec<Parcel> = if lane.load().parcels < 20_000 {
                parcels.by_ref().take(500).collect()
            } else {
                Vec::new()
            };
            lane.handle(now_ms, Fact::Offer(offer), &mut out);
            if let Some(outgoing) = flying.pop_front() {
                let (request, answer) = (outgoing.request, answer());
                let reading = Reading::Delivered;
                let ended = Fact::Ended { request, record: request.0, reading, answer };
                lane.handle(now_ms, ended, &mut out);
            }
            for decision in out.drain(..) {
                match decision {
                    Decision::Send(outgoing) => {
                        sent += 1;
                        flying.push_back(outgoing);
                    }
                    Decision::Settle { .. } => settled += 1,
                    Decision::Progress { .. } | Decision::WakeAt(_) => {}
                }
            }
            if settled == PARCELS {
                break;
            }
        }
        let each = (cpu_ns() - start) / PARCELS;
        println!("{name}: {each} ns a parcel, {} a request", PARCELS / sent);
    }
}

/// Time that this process has had a processor (Linux), so that its neighbours don't count.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

fn policy(limited: bool) -> Policy {
    let own = Limit {
        scope: LimitScope::Identity,
        counts: LimitCounts::Items,
        count: 1000,
        window_ms: 60_000,
    };
    let endpoint = |name, limits| Endpoint {
        name,
        method: "POST",
        url: String::new(),
        envelope: Vec::new(),
        items: "items",
        max_items: 1000,
        max_bytes: 1 << 20,
        limits,
    };
    let limits = if limited { vec![own] } else { Vec::new() };
    Policy {
        endpoints: vec![endpoint("properties", Vec::new()), endpoint("events", limits)],
        retry_window_ms: 1 << 30,
        first_backoff_ms: 500,
        max_backoff_ms: 300_000,
        max_in_flight: 4,
        linger_ms: 5,
        seed: 1,
    }
}

/// One event of about 400 bytes; every fourth with a property update.
fn parcel(id: u64, users: u64) -> Parcel {
    let user = format!("user-{}", id.wrapping_mul(0x9E37_79B9_7F4A_7C15) % users);
    let mut steps = Vec::new();
    if id.is_multiple_of(4) {
        let properties = vec![("plan".into(), Json::of("pro")), ("seats".into(), Json::of(&id))];
        let head = vec![("identity", Json::of(&user))];
        let item = Item::Fold { head, member: "properties", properties };
        steps.push(Step { endpoint: EndpointId(0), identity: user.as_str().into(), item });
    }
    let item = Item::Append(Json::of(&(&user, id, "x".repeat(380))));
    steps.push(Step { endpoint: EndpointId(1), identity: user.as_str().into(), item });
    Parcel { id, user: Arc::from(user), steps, done: 0, failing_since_ms: None }
}

fn answer() -> Answer {
    Answer { status: 200, retry_after_ms: None, excerpt: String::new() }
}
