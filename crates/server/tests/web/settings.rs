//! The settings document.

use heapline_server::web::{PublicAddress, Web};
use heapline_store::Embedded;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::site::{KEY, document, get, heap_web, site};
use crate::support::client::plain_http;
use crate::support::house::House;

const NOBODY: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn it_has_all_that_both_clients_need() {
    let heap = heap_web(r#"settings = { appId = "1234567890", receipts = 0.5 }"#);
    let mut workspace = site(NOBODY, &heap);
    workspace = workspace.integration(r#"sources = ["server", "site"]"#);
    let house = House::start_with(&workspace, |config| {
        config.server.public_address = "https://shop.example/_cdp/".into();
    })
    .await;

    let document = document(&house).await;
    let server = json!({
        "apiKey": KEY,
        "apiHost": "shop.example/_cdp/v1",
        "protocol": "https",
        "addBundledMetadata": true,
        "unbundledIntegrations": ["Heap Cloud (Actions)"],
        "maybeBundledConfigIds": { "heap-web": ["heap-web-prod"] },
    });
    assert_eq!(document["integrations"]["Customer.io Data Pipelines"], server);
    assert_eq!(document["integrations"]["Segment.io"], server);
    let page = json!({ "bundlingStatus": "bundled", "versionSettings": { "componentTypes": [] } });
    assert_eq!(document["integrations"]["heap-web"], page);
    assert_eq!(document["plan"], json!({}));
    assert_eq!(document["middlewareSettings"], json!({ "routingRules": [] }));
    assert_eq!(document["enabledMiddleware"], json!({}));
    assert_eq!(document["legacyVideoPluginsEnabled"], false);
    assert_eq!(document["metrics"], json!({ "sampleRate": 0, "host": "shop.example/_cdp/v1" }));

    let [remote] = document["remotePlugins"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(remote["name"], "heap-web");
    assert_eq!(remote["creationName"], "heap-web");
    assert_eq!(remote["libraryName"], "heap-webDestination");
    let url = remote["url"].as_str().unwrap();
    let path = url.strip_prefix("https://shop.example/_cdp").unwrap();
    assert_eq!(get(&house, path, &[]).await.status, 200);
    let settings = &remote["settings"];
    assert_eq!(settings["appId"], "1234567890");
    let receipts = json!({ "rate": 0.5, "url": "https://shop.example/_cdp/v1/r" });
    assert_eq!(settings["receipts"], receipts);
    assert_eq!(settings["writeKey"], KEY);
    assert_eq!(settings["revision"], house.revision());
    let names: Vec<&Value> =
        settings["subscriptions"].as_array().unwrap().iter().map(|s| &s["partnerAction"]).collect();
    assert_eq!(names, ["trackEvent", "identifyUser"]);
    assert_eq!(settings["subscriptions"][0]["test"], json!(["=", "type", "track"]));
}

#[tokio::test]
async fn it_tells_pages_nothing_of_what_is_switched_off() {
    let on = heap_web(r#"settings = { appId = "11" }"#);
    let house = House::start(&site(NOBODY, &on)).await;
    let whole = document(&house).await;
    assert!(whole["integrations"].get("heap-web").is_some());

    let off = heap_web("enabled = false\nsettings = { appId = \"11\" }");
    house.change(&site(NOBODY, &off)).await;
    let without = document(&house).await;
    assert!(without["integrations"].get("heap-web").is_none());
    assert_eq!(without["remotePlugins"], json!([]));
    assert_eq!(without["integrations"]["Segment.io"]["maybeBundledConfigIds"], json!({}));

    // A disabled source's page goes on to send, so that its events are seen to be refused.
    house.change(&site(NOBODY, &format!("enabled = false\n{on}"))).await;
    let disabled = document(&house).await;
    assert_eq!(disabled["integrations"]["Segment.io"]["apiKey"], KEY);
    assert!(disabled["integrations"].get("heap-web").is_none());
    assert_eq!(disabled["remotePlugins"], json!([]));
}

#[tokio::test]
async fn consent_categories_are_told_to_the_clients_own_consent_tools() {
    let heap = heap_web(r#"settings = { appId = "11", consentCategories = ["analytics"] }"#);
    let house = House::start(&site(NOBODY, &heap)).await;
    let document = document(&house).await;
    let entry = &document["integrations"]["heap-web"];
    assert_eq!(entry["consentSettings"], json!({ "categories": ["analytics"] }));
}

#[tokio::test]
async fn without_receipts_the_page_has_no_address_for_them_unless_the_fallback_needs_them() {
    for (settings, told) in [
        ("receipts = 0", false),
        ("receipts = 0, fallback = true", true),
        ("receipts = 0.01", true),
    ] {
        let heap = heap_web(&format!("settings = {{ appId = \"11\", {settings} }}"));
        let house = House::start(&site(NOBODY, &heap)).await;
        let document = document(&house).await;
        let plugin = &document["remotePlugins"][0]["settings"];
        assert_eq!(plugin.get("receipts").is_some(), told, "{settings}");
    }
}

#[tokio::test]
async fn it_is_cached_for_a_short_time_and_confirmed_by_its_tag() {
    let house = House::start(&site(NOBODY, &heap_web(r#"settings = { appId = "11" }"#))).await;
    let path = format!("/v1/projects/{KEY}/settings");
    let got = get(&house, &path, &[]).await;
    assert_eq!(got.header("access-control-allow-origin"), "*");
    let cache = "public, max-age=60, stale-while-revalidate=600, stale-if-error=86400";
    assert_eq!(got.header("cache-control"), cache);
    let tag = got.header("etag").to_owned();

    let again = get(&house, &path, &[("if-none-match", &tag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), tag);
    assert_eq!(again.header("access-control-allow-origin"), "*");

    house.change(&site(NOBODY, &heap_web(r#"settings = { appId = "12" }"#))).await;
    let changed = get(&house, &path, &[("if-none-match", &tag)]).await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn an_unknown_key_is_a_readable_404_that_nobody_keeps_and_data_in_shows() {
    let house = House::start(&site(NOBODY, "")).await;
    let got = get(&house, "/v1/projects/wk_typo/settings", &[]).await;
    assert_eq!(got.status, 404);
    assert_eq!(got.header("access-control-allow-origin"), "*");
    assert_eq!(got.header("cache-control"), "no-store");
    assert_eq!(got.json()["code"], "unknown_write_key");
    let refused = house.client.ask("/refused").await;
    assert_eq!(refused[0]["code"], "unknown_write_key");
    assert!(refused[0]["message"].as_str().unwrap().starts_with("a page's settings: "));
    assert!(!refused.to_string().contains("wk_typo"));
}

#[tokio::test]
async fn each_of_a_sources_keys_has_its_own() {
    let house = House::start(&site(NOBODY, &heap_web(r#"settings = { appId = "11" }"#))).await;
    let got = get(&house, "/v1/projects/wk_site_next/settings", &[]).await;
    let document = got.json();
    assert_eq!(document["integrations"]["Segment.io"]["apiKey"], "wk_site_next");
    assert_eq!(document["remotePlugins"][0]["settings"]["writeKey"], "wk_site_next");
}

#[tokio::test]
async fn pages_get_it_before_the_store_is_open() {
    let workspace = site(NOBODY, &heap_web(r#"settings = { appId = "11" }"#));
    let mut house = House::start(&workspace).await;
    let before = get(&house, &format!("/v1/projects/{KEY}/settings"), &[]).await;
    let address = PublicAddress::read("", house.server().address()).unwrap();
    house.stop().await;

    let web = Web::open(address.clone(), house.data.path()).unwrap();
    let ask = |path: &str| Request::get(path).body(()).unwrap();
    let response = web.handle(&ask("/v1/projects/wk_site/settings")).unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, before.body);

    // Where no workspace was ever read, nobody can say that a key is unknown.
    let empty = tempfile::tempdir().unwrap();
    let web = Web::open(address, empty.path()).unwrap();
    let response = web.handle(&ask("/v1/projects/wk_site/settings")).unwrap();
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn pages_get_it_until_the_store_is_closed() {
    let workspace = site(NOBODY, &heap_web(r#"settings = { appId = "11" }"#));
    let mut house = House::start(&workspace).await;
    let url = format!("http://{}/v1/projects/{KEY}/settings", house.server().address());
    let http = plain_http();
    let (first, answered) = tokio::sync::oneshot::channel();
    let mut first = Some(first);
    let visitor = tokio::spawn(async move {
        // No answer but 200 until the socket is gone.
        while let Ok(response) = http.get(&url).send().await {
            assert_eq!(response.status(), 200);
            if let Some(first) = first.take() {
                first.send(()).unwrap();
            }
        }
    });
    answered.await.unwrap();
    house.stop().await;
    visitor.await.unwrap();
    let again = Embedded::open(house.data.path(), heapline_store::Settings::default());
    assert!(again.is_ok(), "the store was closed");
}

#[tokio::test]
async fn the_policy_names_what_the_settings_need() {
    for (settings, policy) in [
        (
            r#"appId = "11""#,
            "script-src 'nonce-RANDOM' https://cdp.shop.example https://cdn.us.heap-api.com;\n\
             connect-src https://cdp.shop.example https://c.us.heap-api.com;",
        ),
        (
            r#"appId = "11", region = "EU", ingestServer = "https://in.shop.example/heap""#,
            "script-src 'nonce-RANDOM' https://cdp.shop.example https://cdn.eu.heap-api.com;\n\
             connect-src https://cdp.shop.example https://in.shop.example;",
        ),
        (
            r#"appId = "11", hostname = "heap.shop.example""#,
            "script-src 'nonce-RANDOM' https://cdp.shop.example https://heap.shop.example;\n\
             connect-src https://cdp.shop.example https://heapanalytics.com;\n\
             img-src https://heapanalytics.com;",
        ),
    ] {
        let heap = heap_web(&format!("settings = {{ {settings} }}"));
        let house = House::start_with(&site(NOBODY, &heap), |config| {
            config.server.public_address = "https://cdp.shop.example".into();
        })
        .await;
        let told = house.client.ask("/integrations/heap-web-prod/page-policy").await;
        assert_eq!(told["header"], policy);
        assert_eq!(told["scriptSrc"][0], "https://cdp.shop.example");
        let missing = house.client.get("/api/v1/integrations/heap/page-policy").await;
        assert_eq!(missing.status, 404);
    }
}
