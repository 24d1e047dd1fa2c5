//! While somebody watches an integration live, its pages report everything.

use std::time::Duration;

use heapline_server::admin::AdminFile;
use serde_json::{Value, json};

use crate::site::{document, get, heap_web, report, site};
use crate::support::client::plain_http;
use crate::support::house::House;
use crate::support::until;

const NOBODY: &str = "http://127.0.0.1:9";

async fn rate(house: &House) -> Value {
    document(house).await["remotePlugins"][0]["settings"]["receipts"]["rate"].clone()
}

#[tokio::test]
async fn the_settings_say_1_as_long_as_anybody_watches() {
    let heap = heap_web(r#"settings = { appId = "11", receipts = 0.25 }"#);
    let house = House::start(&site(NOBODY, &heap)).await;
    assert_eq!(rate(&house).await, json!(0.25));
    let before = get(&house, "/v1/projects/wk_site/settings", &[]).await;

    let web = &house.server().control().web;
    let first = web.watch("heap-web-prod");
    let second = web.watch("heap-web-prod");
    assert_eq!(rate(&house).await, json!(1));
    let tag = [("if-none-match", before.header("etag"))];
    assert_eq!(get(&house, "/v1/projects/wk_site/settings", &tag).await.status, 200);
    drop(first);
    assert_eq!(rate(&house).await, json!(1));

    // A change of the workspace doesn't end it.
    let renamed = heap_web("name = \"New\"\nsettings = { appId = \"11\", receipts = 0.25 }");
    house.change(&site(NOBODY, &renamed)).await;
    assert_eq!(rate(&house).await, json!(1));
    drop(second);
    assert_eq!(rate(&house).await, json!(0.25));
    let _other = web.watch("heap");
    let _nothing = web.watch("there-is-no-such-integration");
    assert_eq!(rate(&house).await, json!(0.25));
}

#[tokio::test]
async fn who_listens_to_its_tail_watches_it() {
    let heap = heap_web(r#"settings = { appId = "11", receipts = 0.25 }"#);
    let house = House::start(&site(NOBODY, &heap)).await;
    let admin = AdminFile::read(house.data.path()).unwrap().unwrap();
    let tail = |query: &str| {
        let url = format!("http://{}/api/v1/tail{query}", house.server().address());
        plain_http().get(url).bearer_auth(admin.token.reveal()).send()
    };
    let _all = tail("").await.unwrap();
    assert_eq!(rate(&house).await, json!(0.25), "who listens to everything watches none");
    let mut listener = tail("?integration=heap-web-prod").await.unwrap();
    until("all of it", async || (rate(&house).await == json!(1)).then_some(())).await;

    // And hears what they say.
    let sent = json!({ "messageId": "m-1", "action": "track", "result": "sent" });
    report(&house, json!([sent, { "result": "failed", "reason": "sdk_load_failed" }])).await;
    let mut heard = String::new();
    while heard.matches("data:").count() < 2 || !heard.ends_with("\n\n") {
        let chunk = listener.chunk().await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let items: Vec<Value> = heard
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok())
        .collect();
    let told = |item: &Value| {
        ["kind", "integration", "result", "messageId", "reason"].map(|key| item[key].clone())
    };
    let (web, none) = ("heap-web-prod", Value::Null);
    let handed = "The page handed it to the destination's script.";
    let blocked = "The destination is out of reach in the page: the destination's script was \
                   blocked, or couldn't be loaded.";
    assert_eq!(
        told(&items[0]),
        [json!("reported"), json!(web), json!("sent"), json!("m-1"), json!(handed)]
    );
    assert_eq!(
        told(&items[1]),
        [json!("reported"), json!(web), json!("failed"), none, json!(blocked)]
    );
    drop(listener);
    until("the sample", async || (rate(&house).await == json!(0.25)).then_some(())).await;
}

#[tokio::test]
async fn what_is_switched_off_stays_off() {
    let heap = heap_web(r#"settings = { appId = "11", receipts = 0, fallback = true }"#);
    let house = House::start_with(&site(NOBODY, &heap), |config| {
        config.delivery.fallback_wait = Duration::from_millis(400);
    })
    .await;
    let _watching = house.server().control().web.watch("heap-web-prod");
    assert_eq!(rate(&house).await, json!(0));
}
