//! What settings are taken, what is said of the others, and what follows from them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use heapline_action::destination::{Cloud, Configured, Web};
use heapline_action::plan::{Answer, Blame, LimitCounts, LimitScope, Reading};
use heapline_action::value::Value;
use heapline_destinations::find;
use std::sync::Arc;

fn configure(slug: &str, json: &str) -> Result<Configured, Vec<String>> {
    let settings = Value::parse(json).unwrap();
    let configured = find(slug).unwrap().configure(settings.as_object().unwrap());
    configured.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn cloud(json: &str) -> Arc<dyn Cloud> {
    match configure("heap", json) {
        Ok(Configured::Cloud(cloud)) => cloud,
        Ok(Configured::Web(_)) => panic!("the server delivers to Heap"),
        Err(faults) => panic!("{faults:?}"),
    }
}

fn web(json: &str) -> Arc<dyn Web> {
    match configure("heap-web", json) {
        Ok(Configured::Web(web)) => web,
        Ok(Configured::Cloud(_)) => panic!("the page delivers to Heap (Web)"),
        Err(faults) => panic!("{faults:?}"),
    }
}

#[test]
fn faults_name_the_setting_what_was_found_and_what_was_expected() {
    let digits = "expected digits as text, such as \"11\", found";
    let cases = [
        ("heap", "{}", vec!["appId: is required".to_owned()]),
        ("heap", r#"{"appId":""}"#, vec![format!("appId: {digits} an empty text")]),
        ("heap", r#"{"appId":"1a"}"#, vec![format!("appId: {digits} \"1a\"")]),
        ("heap", r#"{"appId":null}"#, vec![format!("appId: {digits} null")]),
        (
            "heap",
            r#"{"appId":11}"#,
            vec![format!("appId: {digits} the number 11; put it in quotes: \"11\"")],
        ),
        (
            "heap",
            r#"{"appid":"11"}"#,
            vec![
                "appid: is no setting; the nearest one is \"appId\"".to_owned(),
                "appId: is required".to_owned(),
            ],
        ),
        (
            "heap",
            r#"{"appId":"11","region":"us","nested":7,"events":1,"retryWindow":"3w"}"#,
            vec![
                "events: is no setting; the nearest one is \"nested\"".to_owned(),
                "region: expected \"US\" or \"EU\", found \"us\"".to_owned(),
                "nested: expected \"flatten\", \"index\", \"stringify\" or \"drop\", found the \
                 number 7"
                    .to_owned(),
                "retryWindow: expected a duration such as \"72h\" (units: ms, s, m, h, d), found \
                 \"3w\""
                    .to_owned(),
            ],
        ),
        (
            "heap",
            r#"{"appId":"11","anonymous":"send"}"#,
            vec![
                "anonymous: \"send\" works with api = \"partner\" only; the public API takes no \
                 anonymous id"
                    .to_owned(),
            ],
        ),
        (
            "heap",
            r#"{"appId":"11","eventsPerMinute":-1,"refusedIdentities":["a",1],"baseUrl":"x"}"#,
            vec![
                "baseUrl: expected an address such as \"https://heap.example.com\", found \"x\""
                    .to_owned(),
                "eventsPerMinute: expected a whole number from 0 to 4294967295, found the number -1"
                    .to_owned(),
                "refusedIdentities: expected a list of texts, found a list".to_owned(),
            ],
        ),
        (
            "heap-web",
            r#"{"appId":"11","browserArrayLimit":1.5,"hostname":"https://h.example/x","receipts":2}"#,
            vec![
                "hostname: expected a host name without scheme and path, such as \
                 \"heap.example.com\", found \"https://h.example/x\""
                    .to_owned(),
                "browserArrayLimit: expected a whole number from 0 to 4294967295, found the number \
                 1.5"
                    .to_owned(),
                "receipts: expected a number from 0 to 1, found the number 2".to_owned(),
            ],
        ),
        (
            "heap-web",
            r#"{"appId":"11","secureCookie":"true"}"#,
            vec!["secureCookie: expected true or false, found \"true\"".to_owned()],
        ),
    ];
    for (slug, json, expected) in cases {
        assert_eq!(configure(slug, json).err(), Some(expected), "{slug} {json}");
    }
}

#[test]
fn the_address_follows_region_api_and_base_url() {
    let urls = |json: &str| -> Vec<String> {
        cloud(json).endpoints().iter().map(|endpoint| endpoint.url.clone()).collect()
    };
    for (json, base, prefix) in [
        (r#"{"appId":"1"}"#, "https://heapanalytics.com", "/api"),
        (r#"{"appId":"1","region":"EU"}"#, "https://c.eu.heap-api.com", "/api"),
        (
            r#"{"appId":"1","region":"EU","api":"partner"}"#,
            "https://c.eu.heap-api.com",
            "/api/integrations",
        ),
        (r#"{"appId":"1","baseUrl":"http://127.0.0.1:9100/"}"#, "http://127.0.0.1:9100", "/api"),
        (
            r#"{"appId":"1","baseUrl":"http://127.0.0.1:9100/","api":"partner"}"#,
            "http://127.0.0.1:9100",
            "/api/integrations",
        ),
    ] {
        let expected =
            ["/track", "/add_user_properties"].map(|path| format!("{base}{prefix}{path}"));
        assert_eq!(urls(json), expected, "{json}");
    }
}

#[test]
fn endpoints_stay_under_heaps_limits() {
    use LimitCounts::{Items, Requests};
    use LimitScope::{Identity, Integration};
    let limits = |json: &str| -> Vec<Vec<(LimitScope, LimitCounts, u32, u64)>> {
        let cloud = cloud(json);
        let limits = |e: &heapline_action::plan::Endpoint| {
            e.limits.iter().map(|l| (l.scope, l.counts, l.count, l.window_ms)).collect()
        };
        cloud.endpoints().iter().map(limits).collect()
    };
    for api in ["public", "partner"] {
        assert_eq!(
            limits(&format!(r#"{{"appId":"1","api":"{api}"}}"#)),
            [
                vec![(Integration, Items, 15_000, 60_000), (Identity, Items, 1_000, 60_000)],
                vec![(Identity, Requests, 30, 30_000)],
            ]
        );
    }
    let none = r#"{"appId":"1","eventsPerMinute":0,"eventsPerMinutePerIdentity":0,
        "userUpdatesPer30Seconds":0}"#;
    assert_eq!(limits(none), [vec![], vec![]]);
    for endpoint in cloud(r#"{"appId":"1"}"#).endpoints() {
        assert_eq!((endpoint.max_items, endpoint.max_bytes), (1_000, 1_048_576));
    }
}

#[test]
fn windows_and_warnings_follow_the_settings() {
    let day = 86_400_000;
    let usual = cloud(r#"{"appId":"1"}"#);
    assert_eq!((usual.retry_window_ms(), usual.hold_window_ms()), (3 * day, 0));
    assert!(usual.warnings().is_empty());
    let hold = cloud(r#"{"appId":"1","anonymous":"hold"}"#);
    assert_eq!(hold.hold_window_ms(), 30 * day);
    let own = cloud(r#"{"appId":"1","anonymous":"hold","holdWindow":"90s","retryWindow":"500ms"}"#);
    assert_eq!((own.retry_window_ms(), own.hold_window_ms()), (500, 90_000));
    let warnings = cloud(r#"{"appId":"1","anonymous":"as_identity"}"#).warnings();
    assert!(warnings.iter().any(|warning| warning.contains("never merge")), "{warnings:?}");
    let consent = cloud(r#"{"appId":"1","consentCategories":["ads"]}"#);
    assert_eq!(consent.consent_categories(), ["ads"]);
}

#[test]
fn answers_are_read_by_status_and_text() {
    use Blame::{Account, Items, Unsaid};
    let cloud = cloud(r#"{"appId":"1"}"#);
    let read = |status, text: &str| {
        cloud.read(&Answer { status, retry_after_ms: Some(1), excerpt: text.to_owned() })
    };
    for status in [200, 201, 204, 299] {
        assert_eq!(read(status, "anything"), Reading::Delivered, "{status}");
    }
    for status in [408, 423, 429, 500, 502, 503, 504, 599] {
        assert_eq!(read(status, "anything"), Reading::Retry, "{status}");
    }
    for (statuses, text, blame) in [
        (&[301, 307, 401, 402, 403, 404, 405, 410, 501][..], "anything", Account),
        (&[413, 422], "anything", Items),
        (&[400, 409, 415, 418], "anything", Unsaid),
        (&[400], "", Unsaid),
        (&[400], "{}", Unsaid),
        (&[400], "Bad request", Unsaid),
        (&[400], "postBody should be object", Unsaid),
        (&[400], "postBody should have required property 'app_id'", Account),
        (&[400], "postBody.app_id should match pattern \"^[0-9]+$\"", Account),
        (&[400], "postBody.events[7].properties should be object", Items),
        (&[400], "postBody.events[0].properties['app_id'] should be number,string", Items),
        (&[400], "postBody.users should NOT have more than 1000 items", Items),
    ] {
        for status in statuses {
            assert_eq!(read(*status, text), Reading::Rejected(blame), "{status} {text}");
        }
    }
}

#[test]
fn the_page_starts_heaps_script_by_the_settings() {
    let own = r#""hostname":"h.example""#;
    let tracking = r#""trackingServer":"https://t.example""#;
    let ingest = r#""ingestServer":"https://i.example""#;
    let us = "https://cdn.us.heap-api.com/config/1/heap_config.js";
    let eu = "https://cdn.eu.heap-api.com/config/1/heap_config.js";
    let classic = "https://cdn.heapanalytics.com/js/heap-1.js";
    let own_classic = "https://h.example/js/heap-1.js";
    let own_v5 = "https://h.example/config/1/heap_config.js";
    for (more, script, stubs) in [
        (String::new(), us, 23),
        (r#","region":"EU""#.to_owned(), eu, 23),
        (format!(",{own}"), own_classic, 9),
        (format!(",{own},{tracking},{ingest}"), own_classic, 9),
        (format!(",{tracking}"), classic, 9),
        (format!(",{tracking},{ingest}"), us, 23),
        (format!(",{ingest}"), us, 23),
        (r#","sdk":"classic""#.to_owned(), classic, 9),
        (format!(r#","sdk":"classic",{own}"#), own_classic, 9),
        (format!(r#","sdk":"v5",{own}"#), own_v5, 23),
        (format!(r#","sdk":"v5",{tracking},"region":"EU""#), eu, 23),
    ] {
        let start = web(&format!(r#"{{"appId":"1"{more}}}"#)).start();
        assert_eq!((start.script.as_str(), start.stubs.len()), (script, stubs), "{more}");
    }
}

#[test]
fn the_newer_script_is_told_not_to_fetch_its_configuration() {
    let page = web(r#"{"appId":"1"}"#).page_settings();
    let expected = concat!(
        r#"{"envId":"1","clientConfig":{"disableTextCapture":false,"secureCookie":false,"#,
        r#""shouldFetchServerConfig":false}}"#
    );
    let heap = page.get("start").and_then(|start| start.get("heap"));
    assert_eq!(heap.unwrap().to_json(), expected);
}

#[test]
fn the_page_is_given_its_settings() {
    let json = r#"{"appId":"1","numbers":"number","resetOnLogout":true,"receipts":0.5,
        "consentCategories":["ads"],"ingestServer":"https://i.example/","sdk":"classic","fallback":true}"#;
    let web = web(json);
    assert!(web.fallback().is_some());
    assert_eq!(web.consent_categories(), ["ads"]);
    assert_eq!(
        Value::Object(web.page_settings()).to_json(),
        concat!(
            r#"{"appId":"1","start":{"#,
            r#""script":"https://cdn.heapanalytics.com/js/heap-1.js","#,
            r#""heap":{"appid":"1","config":{"disableTextCapture":false,"secureCookie":false,"#,
            r#""ingestServer":"https://i.example"}},"#,
            r#""stubs":["addEventProperties","addUserProperties","clearEventProperties","#,
            r#""identify","resetIdentity","removeEventProperty","setEventProperties","track","#,
            r#""unsetEventProperty"]},"browserArrayLimit":0,"#,
            r#""numbers":"number","resetOnLogout":true,"consentCategories":["ads"],"#,
            r#""refusedIdentities":["null","undefined","NaN","[object Object]"],"#,
            r#""receipts":{"rate":0.5}}"#
        )
    );
}
