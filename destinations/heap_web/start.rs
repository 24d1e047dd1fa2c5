//! Which of Heap's scripts the page loads, and with what.
//!
//! Method names and addresses: developers.heap.io, *Web*; the snippets of both generations.

use heapline_action::destination::Start;
use heapline_action::value::{Object, Value};

use super::config::{Config, Sdk};

const CLASSIC_STUBS: &[&str] = &[
    "addEventProperties",
    "addUserProperties",
    "clearEventProperties",
    "identify",
    "resetIdentity",
    "removeEventProperty",
    "setEventProperties",
    "track",
    "unsetEventProperty",
];

const V5_STUBS: &[&str] = &[
    "init",
    "startTracking",
    "stopTracking",
    "track",
    "resetIdentity",
    "identify",
    "identifyHashed",
    "getSessionId",
    "getUserId",
    "getIdentity",
    "addUserProperties",
    "addEventProperties",
    "removeEventProperty",
    "clearEventProperties",
    "addAccountProperties",
    "addAdapter",
    "addTransformer",
    "addTransformerFn",
    "onReady",
    "addPageviewProperties",
    "removePageviewProperty",
    "clearPageviewProperties",
    "trackPageview",
];

/// How the page starts, if it has no Heap yet.
pub(super) fn of(config: &Config) -> Start {
    let classic = is_classic(config);
    let hostname = config.hostname.as_deref();
    let id = &config.app_id;
    let script = if classic {
        let host = hostname.unwrap_or("cdn.heapanalytics.com");
        format!("https://{host}/js/heap-{id}.js")
    } else {
        let own = if config.region == "EU" { "cdn.eu.heap-api.com" } else { "cdn.us.heap-api.com" };
        format!("https://{}/config/{id}/heap_config.js", hostname.unwrap_or(own))
    };
    let mut options = Object::new();
    options.insert("disableTextCapture", Value::from(config.disable_text_capture));
    options.insert("secureCookie", Value::from(config.secure_cookie));
    if let Some(server) = &config.ingest_server {
        options.insert("ingestServer", Value::from(server.clone()));
    }
    if let Some(server) = &config.tracking_server {
        options.insert("trackingServer", Value::from(server.clone()));
    }
    let stubs = if classic { CLASSIC_STUBS } else { V5_STUBS };
    Start { script, config: options, stubs }
}

/// `start` of the plugin's settings.
pub(super) fn for_page(config: &Config) -> Object<'static> {
    let Start { script, config: mut options, stubs } = of(config);
    let mut heap = Object::new();
    let id = Value::from(config.app_id.clone());
    if is_classic(config) {
        heap.insert("appid", id);
        heap.insert("config", Value::Object(options));
    } else {
        // As Heap's own snippet does.
        options.insert("shouldFetchServerConfig", Value::from(false));
        heap.insert("envId", id);
        heap.insert("clientConfig", Value::Object(options));
    }
    let mut start = Object::new();
    start.insert("script", Value::from(script));
    start.insert("heap", Value::Object(heap));
    start.insert("stubs", Value::Array(stubs.iter().map(|name| Value::from(*name)).collect()));
    start
}

fn is_classic(config: &Config) -> bool {
    match config.sdk {
        Sdk::Classic => true,
        Sdk::V5 => false,
        Sdk::Auto => {
            let first_party = config.tracking_server.is_some() && config.ingest_server.is_none();
            config.hostname.is_some() || first_party
        }
    }
}
