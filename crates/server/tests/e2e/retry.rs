//! Heap fails, refuses, or asks for patience.

use heapline_action::datetime;
use heapline_action::value::Value as Read;
use serde_json::{Value, json};

use crate::support::heap::Heap;
use crate::support::house::House;
use crate::support::until;
use crate::support::workspace::Workspace;

const TRACK: &str = "/api/track";
const USERS: &str = "/api/add_user_properties";

fn millis(time: &Value) -> i64 {
    datetime::read(&Read::from(time.as_str().unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_item_becomes_a_dead_letter_and_all_others_are_delivered() {
    let heap = Heap::start().await;
    heap.fault(&json!({ "kind": "poison", "property": "color", "value": "octarine" })).await;
    let house = House::start(&Workspace::to(&heap.address)).await;
    let items: Vec<Value> = (0..40)
        .map(|number| {
            let color = if number == 23 { "octarine" } else { "red" };
            json!({ "type": "track", "userId": format!("user-{number}"), "event": "E",
                "messageId": format!("message-{number}"), "properties": { "color": color } })
        })
        .collect();
    house.client.accepted("/v1/batch", &json!({ "batch": items })).await;
    heap.events(39).await;
    let dead = house.client.outcome("message-23", "failed").await;
    assert_eq!(dead["code"], "http_400");
    assert!(dead["reason"].as_str().unwrap().contains("400"), "{dead}");
    let failed = house.client.ask("/events?outcome=failed").await;
    assert_eq!(failed["events"].as_array().unwrap().len(), 1);
    let trace = house.client.trace("message-23").await;
    let attempts = trace["ways"][0]["attempts"].as_array().unwrap();
    assert_eq!(attempts.last().unwrap()["items"], 1, "at last it stood alone: {trace}");
    for number in [0, 22, 24, 39] {
        house.client.outcome(&format!("message-{number}"), "delivered").await;
    }
    let fewest = heap.answered(TRACK, 200) + heap.answered(TRACK, 400);
    assert!(fewest <= 16, "bisection of 40 takes few requests, not {fewest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailability_is_waited_out_and_nothing_comes_twice() {
    for status in [503, 429, 408, 500] {
        let heap = Heap::start().await;
        heap.fault(&json!({ "kind": "status", "status": status, "next": 3 })).await;
        let house = House::start(&Workspace::to(&heap.address)).await;
        house.client.track("ada", "E", "message-1").await;
        house.client.outcome("message-1", "delivered").await;
        heap.events(1).await;
        assert_eq!((heap.answered(TRACK, status), heap.answered(TRACK, 200)), (3, 1));
        assert_eq!(heap.summary().duplicates, 0);
        let trace = house.client.trace("message-1").await;
        let way = trace["ways"].as_array().unwrap().iter().find(|w| w["outcome"] == "delivered");
        let attempts = way.unwrap()["attempts"].as_array().unwrap();
        let statuses: Vec<u64> = attempts.iter().map(|a| a["status"].as_u64().unwrap()).collect();
        let status = u64::from(status);
        assert_eq!(statuses, [status, status, status, 200], "{trace}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed() {
    for status in [429, 503] {
        let heap = Heap::start().await;
        let fault = json!({ "kind": "status", "status": status, "retry_after": 1, "next": 1 });
        heap.fault(&fault).await;
        let house = House::start(&Workspace::to(&heap.address)).await;
        house.client.track("ada", "E", "message-1").await;
        heap.events(1).await;
        let requests = heap.list("requests?path=/api/track").await;
        let times: Vec<i64> = requests.iter().map(|r| millis(&r["at"])).collect();
        assert_eq!(times.len(), 2);
        assert!(times[1] - times[0] >= 1000, "{status}: {times:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_connections_are_tried_again_and_counted_once() {
    for kind in ["store_then_close", "close_before_reading", "half_answer"] {
        let heap = Heap::start().await;
        heap.fault(&json!({ "kind": kind, "next": 2 })).await;
        let house = House::start(&Workspace::to(&heap.address)).await;
        house.client.track("ada", "E", "message-1").await;
        house.client.outcome("message-1", "delivered").await;
        heap.events(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_leaves_out_the_part_of_an_event_that_had_succeeded() {
    for (failing, other) in [(TRACK, USERS), (USERS, TRACK)] {
        let heap = Heap::start().await;
        heap.fault(&json!({ "kind": "status", "status": 503, "path": failing, "next": 2 })).await;
        let house = House::start(&Workspace::to(&heap.address)).await;
        let body = json!({ "userId": "ada", "anonymousId": "anon-1", "event": "E",
            "messageId": "message-1" });
        house.client.accepted("/v1/track", &body).await;
        house.client.outcome("message-1", "delivered").await;
        assert_eq!((heap.answered(failing, 503), heap.answered(failing, 200)), (2, 1), "{failing}");
        assert_eq!(heap.answered(other, 200), 1, "{other} when {failing} fails");
        heap.events(1).await;
        assert_eq!(heap.user("ada").await.unwrap()["properties"]["anonymous_id"], "anon-1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_leaves_out_the_part_of_an_event_that_had_succeeded() {
    let heap = Heap::start().await;
    heap.fault(&json!({ "kind": "status", "status": 503, "path": TRACK })).await;
    let mut house = House::start(&Workspace::to(&heap.address)).await;
    let body =
        json!({ "userId": "ada", "anonymousId": "anon-1", "event": "E", "messageId": "message-1" });
    house.client.accepted("/v1/track", &body).await;
    until("a failed try", async || (heap.answered(TRACK, 503) > 0).then_some(())).await;
    house.restart().await;
    heap.no_faults().await;
    house.client.outcome("message-1", "delivered").await;
    assert_eq!(heap.answered(USERS, 200), 1);
    assert_eq!(heap.answered(TRACK, 200), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_refusal_is_a_dead_letter_at_once_with_heaps_answer() {
    for status in [400, 401, 404, 501] {
        let heap = Heap::start().await;
        let fault = json!({ "kind": "status", "status": status, "body": "no such thing" });
        heap.fault(&fault).await;
        let house = House::start(&Workspace::to(&heap.address)).await;
        house.client.track("ada", "E", "message-1").await;
        let dead = house.client.outcome("message-1", "failed").await;
        assert_eq!(dead["code"], format!("http_{status}"));
        assert!(dead["reason"].as_str().unwrap().contains("no such thing"), "{dead}");
        assert_eq!(heap.answered(TRACK, status), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_no_try_delivers_in_the_retry_window_expires() {
    let heap = Heap::start().await;
    heap.fault(&json!({ "kind": "status", "status": 503, "body": "closed today" })).await;
    let workspace = Workspace::to(&heap.address).settings(r#"retryWindow = "300ms""#);
    let house = House::start(&workspace).await;
    house.client.track("ada", "E", "message-1").await;
    let expired = house.client.outcome("message-1", "expired").await;
    assert_eq!(expired["code"], "retries_over");
    assert!(expired["reason"].as_str().unwrap().contains("closed today"), "{expired}");
    assert!(heap.answered(TRACK, 503) >= 2);
    heap.no_faults().await;
    house.client.track("ada", "Later", "message-2").await;
    house.client.outcome("message-2", "delivered").await;
    assert_eq!(heap.names("ada").await, ["Later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_integration_goes_on_where_it_was_and_repeats_no_part() {
    let (old, new) = (Heap::start().await, Heap::start().await);
    old.fault(&json!({ "kind": "status", "status": 503, "path": TRACK })).await;
    let house = House::start(&Workspace::to(&old.address)).await;
    for number in 0..300 {
        let user = format!("user-{number}");
        let body = json!({ "userId": user, "anonymousId": "a", "event": "E",
            "messageId": format!("message-{number}") });
        house.client.accepted("/v1/track", &body).await;
    }
    until("all users' properties", async || (old.summary().users == 300).then_some(())).await;
    house.change(&Workspace::to(&new.address)).await;
    new.events(300).await;
    assert_eq!(new.answered(USERS, 200), 0, "the first part had succeeded before");
    assert_eq!(old.summary().events, 0);
    house.client.outcome("message-299", "delivered").await;
}
