//! Which of Heap's scripts the page loads, and with what.
//!
//! Method names and addresses: developers.heap.io, *Web*; the snippets of both generations.

use heapline_action::destination::{Hosts, Start};
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
    let id = &config.app_id;
    let script = if classic {
        format!("https://{}/js/heap-{id}.js", script_host(config))
    } else {
        format!("https://{}/config/{id}/heap_config.js", script_host(config))
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

/// Where the script comes from and sends to. The classic one sends by images, too.
pub(super) fn hosts(config: &Config) -> Hosts {
    let classic = is_classic(config);
    let (first_party, own) = match (classic, config.region) {
        (true, _) => (&config.tracking_server, "https://heapanalytics.com"),
        (false, "EU") => (&config.ingest_server, "https://c.eu.heap-api.com"),
        (false, _) => (&config.ingest_server, "https://c.us.heap-api.com"),
    };
    let sends_to = first_party.as_deref().map_or(own, origin).to_owned();
    Hosts {
        scripts: vec![format!("https://{}", script_host(config))],
        images: if classic { vec![sends_to.clone()] } else { Vec::new() },
        requests: vec![sends_to],
    }
}

fn script_host(config: &Config) -> &str {
    let own = match (is_classic(config), config.region) {
        (true, _) => "cdn.heapanalytics.com",
        (false, "EU") => "cdn.eu.heap-api.com",
        (false, _) => "cdn.us.heap-api.com",
    };
    config.hostname.as_deref().unwrap_or(own)
}

/// An address without its path.
fn origin(address: &str) -> &str {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let host = rest.split('/').next().unwrap_or_default();
    address.get(..scheme.len() + "://".len() + host.len()).unwrap_or(address)
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
