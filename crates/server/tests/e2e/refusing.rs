//! Heap refuses everything: the integration stops, keeps what it has, says why, and goes on.

use serde_json::{Value, json};

use crate::support::heap::Heap;
use crate::support::house::House;
use crate::support::until;
use crate::support::workspace::Workspace;

const TRACK: &str = "/api/track";

/// So many events of as many users, in one batch.
async fn events(house: &House, from: usize, count: usize) {
    let items: Vec<Value> = (from..from + count)
        .map(|number| {
            json!({ "type": "track", "userId": format!("user-{number}"), "event": "E",
                "messageId": format!("message-{number}") })
        })
        .collect();
    house.client.accepted("/v1/batch", &json!({ "batch": items })).await;
}

async fn trouble(house: &House) -> Option<Value> {
    let integration = house.client.ask("/integrations/heap").await;
    integration["troubles"].get(0).cloned()
}

async fn held(house: &House) -> Value {
    until("a held integration", async || trouble(house).await.filter(|t| t["kind"] == "held")).await
}

/// Waits until each of `count` events is delivered or a dead letter; gives how many dead letters.
async fn dead_letters(house: &House, heap: &Heap, count: usize) -> usize {
    until(&format!("the end of {count} events"), async || {
        let failed = house.client.ask("/events?outcome=failed&limit=500").await;
        let failed = failed["events"].as_array().unwrap().len();
        (heap.summary().events + failed as u64 == count as u64).then_some(failed)
    })
    .await
}

fn refuse_all() -> Value {
    json!({ "kind": "status", "status": 401, "body": "who are you?" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_account_holds_the_events_and_they_go_out_once_it_is_taken() {
    let heap = Heap::start().await;
    heap.fault(&refuse_all()).await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    events(&house, 0, 300).await;
    let told = held(&house).await;
    assert_eq!((&told["endpoint"], &told["status"]), (&json!("track"), &json!(401)));
    assert!(told["reason"].as_str().unwrap().contains("who are you?"), "{told}");
    assert!(told["nextStep"].as_str().unwrap().contains("App ID \"11\""), "{told}");
    let metrics = house.client.get("/metrics").await.text;
    let line = "heapline_endpoint_held{integration=\"heap\",endpoint=\"track\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    // What comes meanwhile waits as well.
    events(&house, 300, 50).await;
    house.client.outcome("message-349", "pending").await;
    let probes = heap.answered(TRACK, 401);
    until("further probes", async || (heap.answered(TRACK, 401) > probes + 2).then_some(())).await;

    heap.no_faults().await;
    let dead = dead_letters(&house, &heap, 350).await;
    assert!(dead < 20, "{dead} dead letters for no fault of their own");
    until("an integration that is well", async || trouble(&house).await.is_none().then_some(()))
        .await;
    assert_eq!(heap.summary().duplicates, 0);
    house.client.outcome("message-349", "delivered").await;
    let metrics = house.client.get("/metrics").await.text;
    assert!(metrics.contains(&line.replace("} 1", "} 0")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_a_held_integration_asks_once_and_mended_settings_let_it_go_on() {
    let (wrong, right) = (Heap::start().await, Heap::start().await);
    wrong.fault(&refuse_all()).await;
    let mut house = House::start_with(&Workspace::to(&wrong.address), |config| {
        // No probe comes in between.
        config.delivery.first_backoff = std::time::Duration::from_secs(3600);
        config.delivery.max_backoff = std::time::Duration::from_secs(3600);
    })
    .await;
    events(&house, 0, 300).await;
    held(&house).await;
    let tried = wrong.answered(TRACK, 401);
    house.restart().await;
    held(&house).await;
    until("one more try", async || (wrong.answered(TRACK, 401) > tried).then_some(())).await;
    house.client.outcome("message-299", "pending").await;
    assert_eq!(wrong.answered(TRACK, 401), tried + 1);

    house.change(&Workspace::to(&right.address)).await;
    let dead = dead_letters(&house, &right, 300).await;
    assert!(dead < 20, "{dead} dead letters for no fault of their own");
    assert!(trouble(&house).await.is_none());
    assert_eq!(wrong.answered(TRACK, 401), tried + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quiet_that_was_asked_for_outlives_a_restart() {
    let heap = Heap::start().await;
    let fault = json!({ "kind": "status", "status": 503, "retry_after": 3600, "next": 1 });
    heap.fault(&fault).await;
    let mut house = House::start(&Workspace::to(&heap.address)).await;
    house.client.track("ada", "E", "message-1").await;
    until("a failed try", async || (heap.answered(TRACK, 503) > 0).then_some(())).await;
    house.client.event_with("message-1", |d| d["outcome"] == "pending").await;
    house.restart().await;
    house.client.track("bob", "E", "message-2").await;
    house.client.outcome("message-2", "pending").await;
    // Long enough for a request that doesn't wait.
    house.stop().await;
    assert_eq!(heap.answered(TRACK, 200), 0);
}
