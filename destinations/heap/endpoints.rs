//! Where Heap's requests go, how many may go, and how its answers are read.
//!
//! Limits: developers.heap.io, *Track* and *Add User Properties*, single and bulk.

use heapline_action::plan::{
    Answer, Blame, Endpoint, EndpointId, Item, Json, Limit, LimitCounts, LimitScope, Plan, Reading,
    Refusal,
};

use super::config::{Api, Config};

/// Index of the endpoint for events.
pub(super) const TRACK: EndpointId = EndpointId(0);

/// Index of the endpoint for user properties.
pub(super) const USERS: EndpointId = EndpointId(1);

/// Most items that Heap takes in one bulk request.
const MAX_ITEMS: usize = 1_000;

/// Most bytes in one body: Heap documents none, this is ours.
const MAX_BYTES: usize = 1 << 20;

/// The endpoints by their ids.
pub(super) fn of(config: &Config) -> [Endpoint; 2] {
    let (track, users) = match config.api {
        Api::Public => ("/api/track", "/api/add_user_properties"),
        Api::Partner => ("/api/integrations/track", "/api/integrations/add_user_properties"),
    };
    let endpoint = |name, path: &str, items, limits| Endpoint {
        name,
        method: "POST",
        url: format!("{}{path}", config.base_url),
        envelope: envelope(config),
        items,
        max_items: MAX_ITEMS,
        max_bytes: MAX_BYTES,
        limits,
    };
    let events = [
        limit(LimitScope::Integration, LimitCounts::Items, config.events_per_minute, 60_000),
        limit(
            LimitScope::Identity,
            LimitCounts::Items,
            config.events_per_minute_per_identity,
            60_000,
        ),
    ];
    let updates = limit(
        LimitScope::Identity,
        LimitCounts::Requests,
        config.user_updates_per_30_seconds,
        30_000,
    );
    [
        endpoint("track", track, "events", events.into_iter().flatten().collect()),
        endpoint("add_user_properties", users, "users", updates.into_iter().collect()),
    ]
}

fn envelope(config: &Config) -> Vec<(&'static str, Json)> {
    let mut members = vec![("app_id", Json::of(&config.app_id))];
    if config.api == Api::Partner {
        members.push(("library", Json::of("server")));
    }
    members
}

fn limit(scope: LimitScope, counts: LimitCounts, count: u32, window_ms: u64) -> Option<Limit> {
    (count > 0).then_some(Limit { scope, counts, count, window_ms })
}

/// Refuses a plan with a step that is larger than a whole body may be.
pub(super) fn refuse_oversized(plan: Plan, endpoints: &[Endpoint; 2]) -> Plan {
    let Plan::Send { steps, .. } = &plan else { return plan };
    for step in steps {
        let Some(endpoint) = endpoints.get(usize::from(step.endpoint.0)) else { continue };
        // A key's escapes are at most six times its length.
        if unescaped_bytes(&step.item) <= endpoint.max_bytes / 8 {
            continue;
        }
        let bytes = endpoint.body([&step.item]).len();
        if bytes > endpoint.max_bytes {
            let most = endpoint.max_bytes;
            let sentence =
                format!("The request would have {bytes} bytes; at most {most} are sent.");
            return Plan::Refuse(Refusal { code: "too_large", sentence });
        }
    }
    plan
}

fn unescaped_bytes(item: &Item) -> usize {
    match item {
        Item::Append(json) => json.as_str().len(),
        Item::Fold { head, properties, .. } => {
            let head = head.iter().map(|(key, value)| key.len() + value.as_str().len());
            let members = properties.iter().map(|(key, value)| key.len() + value.as_str().len());
            head.chain(members).sum()
        }
    }
}

/// Heap documents 200 and 400 only; the rest follows HTTP. A redirect isn't followed: the address is
/// wrong.
pub(super) fn read(answer: &Answer) -> Reading {
    match answer.status {
        200..=299 => Reading::Delivered,
        408 | 423 | 429 => Reading::Retry,
        413 | 422 => Reading::Rejected(Blame::Items),
        300..=399 | 401..=405 | 407 | 410 | 501 => Reading::Rejected(Blame::Account),
        500..=599 => Reading::Retry,
        _ => Reading::Rejected(blamed(&answer.excerpt)),
    }
}

/// Whom the text of a rejection names. Heap's own texts name the place in the body, such as
/// `postBody.events[0].properties should be object` (seen in `iagomelanias/heap-php`, issue 4).
fn blamed(text: &str) -> Blame {
    if text.contains("postBody.events") || text.contains("postBody.users") {
        Blame::Items
    } else if text.contains("app_id") {
        Blame::Account
    } else {
        Blame::Unsaid
    }
}
