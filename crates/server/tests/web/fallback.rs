//! The server fallback: what a page couldn't send, the server delivers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::site::{KEY, heap_web, report, site};
use crate::support::heap::Heap;
use crate::support::house::House;

async fn shop(heap: &Heap, fallback: bool, actions: &str) -> House {
    let settings = format!(
        r#"settings = {{ appId = "14", fallback = {fallback}, fallbackUrl = "{}" }}{actions}"#,
        heap.address
    );
    House::start_with(&site(&heap.address, &heap_web(&settings)), |config| {
        config.delivery.fallback_wait = Duration::from_millis(400);
    })
    .await
}

async fn call(house: &House, path: &str, event: Value) {
    let answer = house.client.post_as(KEY, path, &event).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

async fn track(house: &House, message_id: &str, more: Value) {
    let mut event = json!({ "event": "E", "messageId": message_id, "userId": "ada",
                            "properties": { "n": 1 }, "_metadata": { "bundled": ["heap-web"] } });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    call(house, "/v1/t", event).await;
}

fn told(message_id: &str, action: &str, result: &str, reason: &str) -> Value {
    json!({ "messageId": message_id, "action": action, "result": result, "reason": reason })
}

/// An event of the site that the server delivers by another way is the end of those before it.
const ACTIONS: &str = r#"
[[integrations.actions]]
id = "track"
action = "trackEvent"
trigger = 'type = "track"'
mapping = { name = { "@template" = "Shop: {{event}}" } }
[[integrations.actions]]
id = "identify"
action = "identifyUser"
"#;

#[tokio::test]
async fn what_the_page_couldnt_send_and_nothing_else_is_delivered_once_and_shown() {
    let heap = Heap::start().await.without_rates().await;
    let house = shop(&heap, true, ACTIONS).await;
    for id in ["m-blocked", "m-hanging", "m-sent", "m-silent", "m-boom", "m-late"] {
        track(&house, id, json!({})).await;
    }
    // The page lets it pass: the names in it are the page's.
    track(&house, "m-page-only", json!({ "integrations": { "All": false, "heap-web": true } }))
        .await;
    let identify =
        json!({ "userId": "ada", "messageId": "m-identify", "traits": { "plan": "pro" } });
    call(&house, "/v1/i", identify).await;
    report(
        &house,
        json!([
            told("m-blocked", "track", "failed", "sdk_load_failed"),
            told("m-hanging", "track", "failed", "sdk_not_ready"),
            told("m-sent", "track", "sent", ""),
            told("m-boom", "track", "failed", "RangeError: broken"),
            told("m-page-only", "track", "failed", "sdk_load_failed"),
            told("m-identify", "identify", "failed", "sdk_load_failed"),
        ]),
    )
    .await;
    for id in ["m-blocked", "m-hanging", "m-page-only", "m-identify"] {
        house.client.outcome(id, "delivered").await;
    }
    // Too late for what was decided already.
    report(&house, json!([told("m-late", "track", "failed", "sdk_load_failed")])).await;

    let events = heap.events(3).await;
    let keys: Vec<&str> = events.iter().map(|e| e["idempotency_key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["m-blocked", "m-hanging", "m-page-only"]);
    assert_eq!(events[0]["event"], "Shop: E", "by the page's own mapping");
    assert_eq!(heap.user("ada").await.unwrap()["properties"]["plan"], "pro");

    let trace = house.client.trace("m-blocked").await;
    let way =
        trace["ways"].as_array().unwrap().iter().find(|way| way["action"] == "track").unwrap();
    assert_eq!((&way["outcome"], &way["requestsMatch"]), (&json!("delivered"), &json!(true)));
    assert_eq!(way["integration"], "heap-web-prod");
    assert_eq!(trace["page"][0]["code"], "sdk_load_failed");
    for id in ["m-sent", "m-silent", "m-boom", "m-late"] {
        assert_eq!(house.client.trace(id).await["deliveries"], json!([]), "{id}");
    }
}

#[tokio::test]
async fn its_idempotency_keys_are_those_of_heap_in_cloud_mode() {
    let heap = Heap::start().await.without_rates().await;
    let house = shop(&heap, true, "").await;
    // The cloud's integration of the same environment has the event, too; Heap keeps one.
    let both = site(
        &heap.address,
        &heap_web(&format!(
            r#"settings = {{ appId = "11", fallback = true, fallbackUrl = "{}" }}"#,
            heap.address
        )),
    )
    .integration(r#"sources = ["site"]"#);
    house.change(&both).await;
    track(&house, "m-both-ways", json!({})).await;
    let trace = house.client.trace("m-both-ways").await;
    let action = trace["page"][0]["action"].as_str().unwrap().to_owned();
    report(&house, json!([told("m-both-ways", &action, "failed", "sdk_load_failed")])).await;
    let of = |integration: &'static str| {
        move |d: &Value| d["integration"] == integration && d["outcome"] == "delivered"
    };
    house.client.event_with("m-both-ways", of("heap")).await;
    house.client.event_with("m-both-ways", of("heap-web-prod")).await;
    assert_eq!(heap.answered("/api/track", 200), 2);
    assert_eq!(heap.events(1).await[0]["idempotency_key"], "m-both-ways");
}

#[tokio::test]
async fn without_the_setting_nothing_is_delivered() {
    let heap = Heap::start().await.without_rates().await;
    let house = shop(&heap, false, ACTIONS).await;
    track(&house, "m-before-it", json!({})).await;
    report(&house, json!([told("m-before-it", "track", "failed", "sdk_load_failed")])).await;
    // Once it is switched on, what comes is delivered; what came before is left.
    let settings = format!(
        r#"settings = {{ appId = "14", fallback = true, fallbackUrl = "{}" }}{ACTIONS}"#,
        heap.address
    );
    house.change(&site(&heap.address, &heap_web(&settings))).await;
    track(&house, "m-after-it", json!({})).await;
    report(&house, json!([told("m-after-it", "track", "failed", "sdk_load_failed")])).await;
    house.client.outcome("m-after-it", "delivered").await;
    assert_eq!(heap.events(1).await[0]["idempotency_key"], "m-after-it");
}
