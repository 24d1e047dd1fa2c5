//! What is sent arrives, where it should, and what isn't sent says why.

use serde_json::{Value, json};

use crate::support::heap::Heap;
use crate::support::house::House;
use crate::support::until;
use crate::support::workspace::Workspace;

#[tokio::test(flavor = "multi_thread")]
async fn each_single_call_reaches_heap_or_says_why_not() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    let at = "2026-03-10T22:21:56.500Z";
    let calls = [
        ("/v1/track", json!({ "event": "Paid", "properties": { "seats": 3, "vip": true } })),
        ("/v1/page", json!({ "name": "Pricing", "properties": { "path": "/pricing" } })),
        ("/v1/screen", json!({ "name": "Home" })),
        ("/v1/identify", json!({ "traits": { "plan": "pro", "email": "ada@shop.example" } })),
        ("/v1/group", json!({ "groupId": "g1" })),
        ("/v1/alias", json!({ "previousId": "old" })),
    ];
    for (path, mut body) in calls {
        body["userId"] = json!("ada");
        body["timestamp"] = json!(at);
        body["messageId"] = json!(format!("message{path}"));
        house.client.accepted(path, &body).await;
    }
    for taken in ["track", "page", "screen", "identify"] {
        house.client.outcome(&format!("message/v1/{taken}"), "delivered").await;
    }
    for other in ["group", "alias"] {
        let event = house
            .client
            .event_with(&format!("message/v1/{other}"), |d| d["outcome"] == "filtered")
            .await;
        let deliveries = event["deliveries"].as_array().unwrap();
        assert!(deliveries.iter().all(|d| d["code"] == "trigger"), "{event}");
    }

    let events = heap.events(3).await;
    let seen: Vec<Value> = events
        .iter()
        .map(|e| json!([e["event"], e["identifiers"]["identity"], e["timestamp"], e["properties"]]))
        .collect();
    let expected = [
        json!(["Paid", "ada", at, { "seats": 3, "vip": "true" }]),
        json!(["Page viewed", "ada", at, { "name": "Pricing", "path": "/pricing" }]),
        json!(["Screen viewed", "ada", at, { "name": "Home" }]),
    ];
    assert_eq!(seen, expected);
    let keys: Vec<&Value> = events.iter().map(|e| &e["idempotency_key"]).collect();
    assert_eq!(keys, ["message/v1/track", "message/v1/page", "message/v1/screen"]);
    let ada = heap.user("ada").await.unwrap();
    assert_eq!(ada["properties"]["plan"], "pro");
    assert_eq!(ada["properties"]["email"], "ada@shop.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_shows_the_very_request_that_was_sent_and_its_answer() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    house.client.track("ada", "Paid", "message-1").await;
    house.client.outcome("message-1", "delivered").await;
    let trace = house.client.trace("message-1").await;
    let way = &trace["ways"].as_array().unwrap().iter().find(|w| w["outcome"] == "delivered");
    let way = way.unwrap();
    assert_eq!(way["requestsMatch"], true);
    assert_eq!(way["requests"][0]["url"], format!("{}/api/track", heap.address));
    assert_eq!(way["requests"][0]["json"]["events"][0]["idempotency_key"], "message-1");
    assert_eq!(way["requests"][0]["done"], true);
    assert_eq!(trace["event"]["event"], "Paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_judged_item_by_item_and_a_repeated_message_id_is_stored_once() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    let item =
        |id: &str| json!({ "type": "track", "userId": "ada", "event": "E", "messageId": id });
    let nameless = json!({ "type": "track", "userId": "ada", "messageId": "message-2" });
    let batch =
        json!({ "batch": [item("message-1"), nameless, item("message-3"), item("message-1")] });
    let answer = house.client.post("/v1/batch", &batch).await;
    assert_eq!(answer.status, 200, "clients would send the good ones again: {}", answer.text);
    let meta = answer.json()["meta"].clone();
    assert_eq!((&meta["accepted"], &meta["refused"]), (&json!(3), &json!(1)));
    assert!(meta["errors"][0].as_str().unwrap().starts_with("batch[1].event"), "{meta}");
    house.client.accepted("/v1/batch", &json!({ "batch": [item("message-3")] })).await;
    house.client.outcome("message-3", "delivered").await;
    heap.events(2).await;
    assert_eq!(heap.summary().duplicates, 0);
    let refused = house.client.ask("/refused").await;
    assert_eq!(refused.as_array().unwrap().len(), 1, "{refused}");
    assert_eq!(refused[0]["code"], "invalid_event");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_integration_keeps_its_place_and_loses_nothing() {
    let heap = Heap::start().await;
    let on = Workspace::to(&heap.address);
    let off = on.clone().integration("sources = [\"server\"]\nenabled = false");
    let house = House::start(&on).await;
    house.client.track("ada", "Before", "message-1").await;
    house.client.outcome("message-1", "delivered").await;
    house.change(&off).await;
    for number in 2..=4 {
        house.client.track("ada", "Meanwhile", &format!("message-{number}")).await;
    }
    let pending = house.client.outcome("message-3", "pending").await;
    assert_eq!(pending["code"], "integration_disabled");
    assert_eq!(heap.summary().events, 1);
    house.change(&on).await;
    house.client.track("ada", "After", "message-5").await;
    house.client.outcome("message-5", "delivered").await;
    heap.events(5).await;
    let names = heap.names("ada").await;
    assert_eq!(names, ["Before", "Meanwhile", "Meanwhile", "Meanwhile", "After"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_integration_can_skip_ahead() {
    let heap = Heap::start().await;
    let on = Workspace::to(&heap.address);
    let off = on.clone().integration("sources = [\"server\"]\nenabled = false");
    let house = House::start(&off).await;
    house.client.track("ada", "Skipped", "message-1").await;
    let skipped = house.client.order("/integrations/heap/skip").await;
    assert_eq!(skipped.status, 200, "{}", skipped.text);
    house.change(&on).await;
    let conflict = house.client.order("/integrations/heap/skip").await;
    assert_eq!(conflict.status, 409, "{}", conflict.text);
    house.client.track("ada", "After", "message-2").await;
    house.client.outcome("message-2", "delivered").await;
    assert_eq!(heap.names("ada").await, ["After"]);
    let unknown = house.client.order("/integrations/nobody/skip").await;
    assert_eq!(unknown.status, 404, "{}", unknown.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_takes_only_events_of_its_sources() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    let body = json!({ "userId": "ada", "event": "Elsewhere", "messageId": "message-1" });
    assert_eq!(house.client.post_as("wk_other", "/v1/track", &body).await.status, 200);
    house.client.track("ada", "Here", "message-2").await;
    house.client.outcome("message-2", "delivered").await;
    assert_eq!(heap.names("ada").await, ["Here"]);
    let elsewhere = house.client.ask("/events?messageId=message-1").await;
    assert_eq!(elsewhere["events"][0]["deliveries"], json!([]), "{elsewhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_integrations_object_of_an_event_decides_where_it_goes() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    let cases = [
        (json!({}), "delivered"),
        (json!({ "All": false }), "filtered"),
        (json!({ "All": false, "Heap": true }), "delivered"),
        (json!({ "Heap": false }), "filtered"),
        (json!({ "Mixpanel": false }), "delivered"),
    ];
    for (number, (integrations, expected)) in cases.iter().enumerate() {
        let id = format!("message-{number}");
        let body =
            json!({ "userId": "ada", "event": "E", "messageId": id, "integrations": integrations });
        house.client.accepted("/v1/track", &body).await;
        let found = house.client.outcome(&id, expected).await;
        if *expected == "filtered" {
            assert_ne!(found["code"], "trigger", "{integrations}: {found}");
        }
    }
    heap.events(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_destination_slows_no_other() {
    let (dead, alive) = (Heap::start().await, Heap::start().await);
    dead.fault(&json!({ "kind": "status", "status": 503 })).await;
    let more = format!(
        r#"[[integrations]]
id = "second"
destination = "heap"
sources = ["server"]
settings = {{ appId = "12", baseUrl = "{}" }}"#,
        alive.address
    );
    let house = House::start(&Workspace::to(&dead.address).more(&more)).await;
    for number in 0..50 {
        house.client.track("ada", "E", &format!("message-{number}")).await;
    }
    alive.events(50).await;
    until("a try at the dead one", async || (dead.answered("/api/track", 503) > 0).then_some(()))
        .await;
    assert_eq!(dead.summary().events, 0);
    dead.no_faults().await;
    dead.events(50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_a_user_is_refused_with_the_reason() {
    let heap = Heap::start().await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    let body = json!({ "anonymousId": "anon-1", "event": "E", "messageId": "message-1" });
    house.client.accepted("/v1/track", &body).await;
    let refused = house.client.outcome("message-1", "refused").await;
    assert!(refused["reason"].as_str().unwrap().contains("user id"), "{refused}");
    assert_eq!(heap.summary().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_user_keep_their_order_through_a_restart() {
    let heap = Heap::start().await.without_rates().await;
    let mut house = House::start(&Workspace::to(&heap.address)).await;
    let send = async |house: &House, from: usize| {
        for batch in from..from + 5 {
            let items: Vec<Value> = (0..40)
                .map(|at| {
                    let (user, number) = (at % 4, batch * 10 + at / 4);
                    json!({ "type": "track", "userId": format!("user-{user}"),
                        "event": number.to_string(), "messageId": format!("message-{user}-{number}") })
                })
                .collect();
            house.client.accepted("/v1/batch", &json!({ "batch": items })).await;
        }
    };
    send(&house, 0).await;
    house.restart().await;
    send(&house, 5).await;
    heap.events(400).await;
    let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    for user in 0..4 {
        assert_eq!(heap.names(&format!("user-{user}")).await, expected);
    }
    assert_eq!(heap.summary().duplicates, 0);
}
