//! Hold mode: events without a user id wait for one.

use serde_json::{Value, json};

use crate::support::heap::Heap;
use crate::support::house::House;
use crate::support::until;
use crate::support::workspace::Workspace;

const FIRST: &str = "2026-03-10T08:00:00.000Z";
const SECOND: &str = "2026-03-10T09:00:00.000Z";

async fn two_anonymous_events(house: &House) {
    for (number, (event, at)) in [("First", FIRST), ("Second", SECOND)].into_iter().enumerate() {
        let id = format!("anonymous-{number}");
        let body =
            json!({ "anonymousId": "anon-1", "event": event, "messageId": id, "timestamp": at });
        house.client.accepted("/v1/track", &body).await;
        house.client.outcome(&id, "held").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn held_events_survive_a_restart_and_go_out_in_order_under_the_linked_user() {
    let heap = Heap::start().await;
    let workspace = Workspace::to(&heap.address).settings(r#"anonymous = "hold""#);
    let mut house = House::start(&workspace).await;
    two_anonymous_events(&house).await;
    house.client.track("ada", "Before", "message-before").await;
    house.client.outcome("message-before", "delivered").await;
    assert_eq!(heap.summary().events, 1);
    house.restart().await;
    house.client.outcome("anonymous-1", "held").await;

    let link = json!({ "userId": "ada", "anonymousId": "anon-1", "event": "Link",
        "messageId": "message-link" });
    house.client.accepted("/v1/track", &link).await;
    house.client.track("ada", "After", "message-after").await;
    for id in ["anonymous-0", "anonymous-1", "message-link", "message-after"] {
        house.client.outcome(id, "delivered").await;
    }
    let late = json!({ "anonymousId": "anon-1", "event": "Late", "messageId": "message-late" });
    house.client.accepted("/v1/track", &late).await;
    house.client.outcome("message-late", "delivered").await;

    let names = heap.names("ada").await;
    assert_eq!(names, ["Before", "First", "Second", "Link", "After", "Late"]);
    let events = heap.list("events?identity=ada").await;
    let times: Vec<&Value> = events.iter().skip(1).take(2).map(|e| &e["timestamp"]).collect();
    assert_eq!(times, [FIRST, SECOND]);
    assert_eq!(heap.summary().duplicates, 0);
    let trace = house.client.trace("anonymous-0").await;
    let way = trace["ways"].as_array().unwrap().iter().find(|w| w["outcome"] == "delivered");
    assert_eq!(way.unwrap()["requestsMatch"], true, "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identify_call_links_too() {
    let heap = Heap::start().await;
    let workspace = Workspace::to(&heap.address).settings(r#"anonymous = "hold""#);
    let house = House::start(&workspace).await;
    two_anonymous_events(&house).await;
    let link = json!({ "userId": "ada", "anonymousId": "anon-1", "messageId": "message-link",
        "traits": { "plan": "pro" } });
    house.client.accepted("/v1/identify", &link).await;
    heap.events(2).await;
    assert_eq!(heap.names("ada").await, ["First", "Second"]);
    house.client.outcome("message-link", "delivered").await;
    house.client.outcome("anonymous-1", "delivered").await;
    // Each delivery is counted once at each of its outcomes.
    let counts = [("held", 2), ("delivered", 3), ("filtered", 3)];
    let line = |(outcome, count)| {
        format!("heapline_deliveries_total{{integration=\"heap\",outcome=\"{outcome}\"}} {count}\n")
    };
    until("the counts", async || {
        let metrics = house.client.get("/metrics").await.text;
        counts.iter().all(|count| metrics.contains(&line(*count))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn held_events_of_another_visitor_stay_held() {
    let heap = Heap::start().await;
    let workspace = Workspace::to(&heap.address).settings(r#"anonymous = "hold""#);
    let house = House::start(&workspace).await;
    two_anonymous_events(&house).await;
    let link = json!({ "userId": "bob", "anonymousId": "anon-2", "event": "Link",
        "messageId": "message-link" });
    house.client.accepted("/v1/track", &link).await;
    house.client.outcome("message-link", "delivered").await;
    house.client.outcome("anonymous-0", "held").await;
    heap.events(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_event_whose_window_is_over_becomes_a_dead_letter() {
    let heap = Heap::start().await;
    let workspace =
        Workspace::to(&heap.address).settings(r#"anonymous = "hold", holdWindow = "100ms""#);
    let house = House::start(&workspace).await;
    let body = json!({ "anonymousId": "anon-1", "event": "E", "messageId": "message-1" });
    house.client.accepted("/v1/track", &body).await;
    let expired = house.client.outcome("message-1", "expired").await;
    assert_eq!(expired["code"], "hold_expired");
    assert!(expired["reason"].as_str().unwrap().contains("anon-1"), "{expired}");
    assert_eq!(heap.summary().events, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freed_event_that_meets_an_outage_is_delivered_after_a_restart_once() {
    let heap = Heap::start().await;
    let workspace = Workspace::to(&heap.address).settings(r#"anonymous = "hold""#);
    let mut house = House::start(&workspace).await;
    heap.fault(&json!({ "kind": "status", "status": 503, "path": "/api/track" })).await;
    // It keeps the place in the journal before the held events.
    house.client.track("bob", "Older", "message-older").await;
    two_anonymous_events(&house).await;
    let link = json!({ "userId": "ada", "anonymousId": "anon-1", "event": "Link",
        "messageId": "message-link" });
    house.client.accepted("/v1/track", &link).await;
    // Which of them the outage is probed with is left to chance; one is tried for sure.
    house.client.event_with("anonymous-0", |d| d["outcome"] == "pending" && d["code"] == "").await;
    until("a failed try", async || {
        let tried = heap.list("requests?path=/api/track&identity=ada").await;
        (!tried.is_empty()).then_some(())
    })
    .await;
    house.restart().await;
    heap.no_faults().await;
    heap.events(4).await;
    assert_eq!(heap.names("ada").await, ["First", "Second", "Link"]);
    for id in ["message-older", "anonymous-0", "anonymous-1", "message-link"] {
        house.client.outcome(id, "delivered").await;
    }
    assert_eq!(heap.summary().duplicates, 0);
    let pending = until("nothing pending", async || {
        let metrics = house.client.get("/metrics").await.text;
        metrics.contains("heapline_pending_events{integration=\"heap\"} 0").then_some(metrics)
    })
    .await;
    assert!(pending.contains("outcome=\"delivered\"} 4"), "{pending}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_action_holds_is_freed_while_another_is_still_on_its_way() {
    let heap = Heap::start().await;
    let workspace = Workspace::to(&heap.address).settings(r#"anonymous = "hold""#).integration(
        r#"sources = ["server"]
        [[integrations.actions]]
        action = "trackEvent"
        id = "by-mail"
        mapping = { identity = { "@path" = "$.properties.email" } }
        [[integrations.actions]]
        action = "trackEvent"
        id = "by-user""#,
    );
    let house = House::start(&workspace).await;
    heap.fault(&json!({ "kind": "status", "status": 503, "path": "/api/track" })).await;
    let mail = json!({ "email": "ada@example.com" });
    let held = json!({ "anonymousId": "anon-1", "event": "Held", "messageId": "message-held",
        "properties": mail });
    house.client.accepted("/v1/track", &held).await;
    until("a failed request", async || (heap.answered("/api/track", 503) > 0).then_some(())).await;
    let link = json!({ "userId": "ada", "anonymousId": "anon-1", "event": "Link",
        "messageId": "message-link", "properties": mail });
    house.client.accepted("/v1/track", &link).await;
    heap.no_faults().await;
    house.client.outcome("message-link", "delivered").await;
    heap.events(4).await;
    assert_eq!(heap.names("ada").await, ["Held", "Link"]);
    // By mail the two stand under different visitors, so their order is open.
    let mut by_mail = heap.names("ada@example.com").await;
    by_mail.sort();
    assert_eq!(by_mail, ["Held", "Link"]);
    assert_eq!(heap.summary().duplicates, 0);
    let settled = house.client.trace("message-held").await;
    let outcomes: Vec<&Value> =
        settled["ways"].as_array().unwrap().iter().map(|way| &way["outcome"]).collect();
    assert_eq!(outcomes, ["delivered", "delivered"], "{settled}");
}

/// `from` to below `to` of a user who is numbered through, in batches.
async fn many(house: &House, user: &str, from: usize, to: usize) {
    let items: Vec<Value> = (from..to)
        .map(|number| {
            json!({ "type": "track", "userId": user, "event": number.to_string(),
                "messageId": format!("message-{number}") })
        })
        .collect();
    for chunk in items.chunks(500) {
        house.client.accepted("/v1/batch", &json!({ "batch": chunk })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_free_doesnt_overtake_events_that_wait_for_their_users_turn() {
    let heap = Heap::start().await.without_rates().await;
    heap.fault(&json!({ "kind": "status", "status": 503, "path": "/api/track" })).await;
    let workspace = Workspace::to(&heap.address)
        .settings(r#"anonymous = "hold", eventsPerMinute = 0, eventsPerMinutePerIdentity = 0"#);
    let mut house = House::start(&workspace).await;
    two_anonymous_events(&house).await;
    // More than one user may have on the way at a time.
    many(&house, "ada", 0, 2300).await;
    let link = json!({ "userId": "ada", "anonymousId": "anon-1", "event": "Link",
        "messageId": "message-link" });
    house.client.accepted("/v1/track", &link).await;
    let late = json!({ "anonymousId": "anon-1", "event": "Late", "messageId": "message-late" });
    house.client.accepted("/v1/track", &late).await;
    many(&house, "ada", 2300, 2310).await;
    house.client.track("bob", "Last", "message-bob").await;
    house.client.event_with("message-bob", |d| d["outcome"] == "pending").await;
    house.restart().await;
    house.client.event_with("message-bob", |d| d["outcome"] == "pending").await;
    heap.no_faults().await;
    heap.events(2315).await;
    let mut expected: Vec<String> = (0..2300).map(|number| number.to_string()).collect();
    expected.extend(["First", "Second", "Link", "Late"].map(str::to_owned));
    expected.extend((2300..2310).map(|number| number.to_string()));
    assert!(heap.names("ada").await == expected, "in the order of the journal");
    for id in ["anonymous-0", "anonymous-1", "message-link", "message-late", "message-2309"] {
        house.client.outcome(id, "delivered").await;
    }
    assert_eq!(heap.summary().duplicates, 0);
}
