//! What pages report, and what the ledger makes of it.

use serde_json::{Value, json};

use crate::site::{KEY, heap_web, report, site};
use crate::support::house::House;
use crate::support::workspace::Workspace;

const NOBODY: &str = "http://127.0.0.1:9";

/// Two actions with ids that the tests name.
const ACTIONS: &str = r#"settings = { appId = "11", receipts = 0.5 }
[[integrations.actions]]
id = "track"
name = "Track Event"
action = "trackEvent"
trigger = 'type = "track"'
[[integrations.actions]]
id = "identify"
name = "Identify User"
action = "identifyUser"
trigger = 'type = "identify"'
"#;

fn shop() -> Workspace {
    site(NOBODY, &heap_web(ACTIONS))
}

/// Sends a track call as the page's client does, with more members.
async fn track(house: &House, message_id: &str, more: Value) {
    let mut event = json!({ "type": "track", "event": "E", "messageId": message_id,
                            "anonymousId": "a", "writeKey": KEY,
                            "_metadata": { "bundled": ["heap-web"] } });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    let answer = house.client.post_as(KEY, "/v1/t", &event).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

/// Outcome and reason in the page, by action.
async fn in_page(house: &House, message_id: &str) -> Vec<(String, String, String)> {
    let trace = house.client.trace(message_id).await;
    let ways = trace["page"].as_array().unwrap().iter();
    let text = |way: &Value, key: &str| way[key].as_str().unwrap().to_owned();
    ways.map(|way| (text(way, "action"), text(way, "outcome"), text(way, "reason"))).collect()
}

fn way(action: &str, outcome: &str, reason: &str) -> (String, String, String) {
    (action.to_owned(), outcome.to_owned(), reason.to_owned())
}

const TRIGGER: &str = "The trigger doesn't fire on this event.";
const NO_RECEIPT: &str =
    "The page reported nothing: it was left out of the sample, blocked, or left too early.";

#[tokio::test]
async fn the_ledger_shows_for_each_event_and_action_what_the_page_said() {
    let house = House::start(&shop()).await;
    for id in ["m-sent", "m-skipped", "m-failed", "m-silent"] {
        track(&house, id, json!({})).await;
    }
    let about = |id: &str, result: &str, reason: &str| json!({ "messageId": id, "action": "track", "result": result, "reason": reason, "ms": 1 });
    report(
        &house,
        json!([
            about("m-sent", "sent", ""),
            about("m-skipped", "skipped", "consent"),
            about("m-failed", "failed", "RangeError: broken"),
            { "result": "failed", "reason": "sdk_load_failed" },
            { "result": "loaded" },
        ]),
    )
    .await;
    let handed = "The page handed it to the destination's script.";
    let skipped = "The page skipped it: the visitor has not consented.";
    let failed = "The page couldn't send it: an exception: RangeError: broken";
    for (id, expected) in [
        ("m-sent", way("track", "sent", handed)),
        ("m-skipped", way("track", "skipped", skipped)),
        ("m-failed", way("track", "failed", failed)),
        ("m-silent", way("track", "no_receipt", NO_RECEIPT)),
    ] {
        let expected = [expected, way("identify", "filtered", TRIGGER)];
        assert_eq!(in_page(&house, id).await, expected, "{id}");
    }
    // Nothing of it counts as a delivery of ours.
    let trace = house.client.trace("m-sent").await;
    assert_eq!(trace["deliveries"], json!([]));
    assert_eq!(house.server().metrics().totals().delivered, 0);

    let reports = house.client.ask("/integrations/heap-web-prod/page-reports").await;
    assert_eq!(reports["rate"], 0.5);
    let loads = json!({ "loaded": 1, "loadedInAll": 2, "blocked": 1, "failed": 0,
                        "otherEnvironment": 0 });
    let mut firefox = loads.clone();
    firefox["browser"] = "Firefox".into();
    assert_eq!(reports["loads"], loads);
    assert_eq!(reports["browsers"], json!([firefox]));
    let mut hours = 0;
    for hour in reports["hours"].as_array().unwrap() {
        assert!(hour["at"].as_str().unwrap().ends_with(":00:00.000Z"));
        hours += hour["loaded"].as_u64().unwrap() + hour["blocked"].as_u64().unwrap();
    }
    assert_eq!(hours, 2, "an hour may have turned");
    let events = json!([
        { "result": "sent", "code": "", "count": 1, "inAll": 2 },
        { "result": "skipped", "code": "consent", "count": 1, "inAll": 2 },
        { "result": "failed", "code": "RangeError: broken", "count": 1, "inAll": 1 },
    ]);
    assert_eq!(reports["events"], events);
    assert_eq!(reports["failures"][0]["code"], "sdk_load_failed");
    assert_eq!(reports["failures"][0]["plugin"], "heap-web@1.0.0");
    assert_eq!(reports["failures"][0]["revision"], 1);
    assert_eq!(reports["failures"][1]["messageId"], "m-failed");
    let later = "/integrations/heap-web-prod/page-reports?since=2999-01-01T00:00:00Z";
    assert_eq!(house.client.ask(later).await["browsers"], json!([]));
    assert_eq!(house.client.get("/api/v1/integrations/heap/page-reports").await.status, 404);
}

#[tokio::test]
async fn a_page_that_runs_another_environment_counts_once() {
    let house = House::start(&shop()).await;
    let other = json!({ "result": "failed", "reason": "other_environment" });
    report(&house, json!([other, { "result": "loaded" }])).await;
    let reports = house.client.ask("/integrations/heap-web-prod/page-reports").await;
    let loads = json!({ "loaded": 1, "loadedInAll": 2, "blocked": 0, "failed": 0,
                        "otherEnvironment": 1 });
    assert_eq!(reports["loads"], loads);
}

#[tokio::test]
async fn where_the_page_is_silent_the_event_itself_tells_what_it_can() {
    let house = House::start(&shop()).await;
    let all = r#"Filtered in the page: All."#;
    for (id, more, outcome, reason) in [
        ("m-1", json!({ "integrations": { "All": false } }), "filtered", all),
        (
            "m-2",
            json!({ "integrations": { "all": false } }),
            "filtered",
            "Filtered in the page: all.",
        ),
        ("m-3", json!({ "integrations": { "All": false, "Heap (Web)": true } }), "filtered", all),
        (
            "m-4",
            json!({ "integrations": { "Heap Web (Actions)": false } }),
            "filtered",
            "Filtered in the page: Heap Web (Actions).",
        ),
        (
            "m-5",
            json!({ "integrations": { "Heap Web (Actions) trackEvent": false } }),
            "filtered",
            "Filtered in the page: Heap Web (Actions) trackEvent.",
        ),
        (
            "m-6",
            json!({ "integrations": { "All": false, "heap-web": true } }),
            "no_receipt",
            NO_RECEIPT,
        ),
        (
            "m-7",
            json!({ "_metadata": { "bundled": [] } }),
            "filtered",
            "The page had no plugin for it.",
        ),
        (
            "m-8",
            json!({ "_metadata": { "bundled": ["heap-web"], "failedInitializations": ["heap-web"] } }),
            "failed",
            "The plugin couldn't start in the page.",
        ),
        ("m-9", json!({ "_metadata": null }), "no_receipt", NO_RECEIPT),
    ] {
        track(&house, id, more.clone()).await;
        let told = in_page(&house, id).await;
        assert_eq!(told[0], way("track", outcome, reason), "{more}");
    }
}

#[tokio::test]
async fn an_event_that_is_also_delivered_to_the_same_place_by_the_server_is_warned_of() {
    let both = shop().integration(r#"sources = ["site"]"#);
    let house = House::start(&both).await;
    track(&house, "m-both", json!({})).await;
    track(&house, "m-page-without", json!({ "_metadata": { "bundled": [] } })).await;
    let warnings = house.client.trace("m-both").await["warnings"].clone();
    let sentence = warnings[0].as_str().unwrap();
    assert!(sentence.contains("\"heap-web-prod\"") && sentence.contains("\"heap\""), "{sentence}");
    assert_eq!(house.client.trace("m-page-without").await["warnings"], json!([]));

    let parsed = heapline_server::workspace::parse(
        &both.text(),
        heapline_server::workspace::Format::Toml,
        1,
    );
    let Ok(workspace) = parsed else { panic!() };
    let paths: Vec<&str> = workspace.warnings.iter().map(|w| w.path.as_str()).collect();
    assert_eq!(paths, ["integrations[1]", "integrations[0]"]);
    let apart = shop().integration(r#"sources = ["server"]"#).text();
    let apart =
        heapline_server::workspace::parse(&apart, heapline_server::workspace::Format::Toml, 1);
    assert!(apart.is_ok_and(|workspace| workspace.warnings.is_empty()));
}
