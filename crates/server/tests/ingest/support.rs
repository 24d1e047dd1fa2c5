//! A door with a handful of sources, and requests to it.

use std::io::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use heapline_server::ingest::{Answers, Ingest, Limits, Source, SourceTable, TrustedProxies};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::store::Handled;

pub(crate) struct Door {
    pub(crate) ingest: Ingest,
    pub(crate) store: Handled,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) receipts: Arc<Mutex<Vec<(String, String)>>>,
}

pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// 2026-11-24T12:00:10.000Z
pub(crate) const NOON: i64 = 1_795_521_610_000;

pub(crate) fn sources() -> SourceTable {
    let source =
        |id: &str, web, enabled, answers| Arc::new(Source { id: id.into(), web, enabled, answers });
    let server = source("server", false, true, Answers::Strict);
    let keys = [
        ("wk_server", server.clone()),
        ("wk_server_second", server),
        ("wk_site", source("site", true, true, Answers::Strict)),
        ("wk_loose", source("loose", false, true, Answers::Permissive)),
        ("wk_off", source("off", false, false, Answers::Strict)),
        ("wk_off_loose", source("off-loose", false, false, Answers::Permissive)),
        ("pk_us_abc123", source("bearer", false, true, Answers::Strict)),
    ];
    SourceTable::new(keys.map(|(key, source)| (key.into(), source)))
}

impl Door {
    pub(crate) fn new() -> Door {
        Door::with(Limits::default(), &[])
    }

    pub(crate) fn with(limits: Limits, proxies: &[&str]) -> Door {
        let store = Handled::new();
        let clock = Arc::new(AtomicI64::new(NOON));
        let receipts = Arc::new(Mutex::new(Vec::new()));
        let (time, reports) = (clock.clone(), receipts.clone());
        let proxies = proxies.iter().map(|text| text.parse().unwrap()).collect();
        let ingest = Ingest::new(
            store.clone(),
            limits,
            TrustedProxies(proxies),
            Box::new(move |reported| {
                reports.lock().unwrap().push((reported.source.id.to_string(), reported.body));
            }),
            Box::new(move || time.load(Ordering::Relaxed)),
        );
        ingest.set_sources(Arc::new(sources()));
        Door { ingest, store, clock, receipts }
    }

    /// `None` if the request isn't the door's.
    pub(crate) async fn call(&self, request: Request<Full<Bytes>>) -> Option<Answered> {
        let peer: IpAddr = [198, 51, 100, 7].into();
        let response = self.ingest.handle(request, peer).await.ok()?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Some(Answered {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        })
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: impl Into<Bytes>) -> Answered {
        let request = Request::post(path).header("authorization", basic(key));
        self.call(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    /// The stored events as JSON.
    pub(crate) fn stored(&self) -> Vec<Value> {
        let events = self.store.events();
        events.iter().map(|event| serde_json::from_slice(&event.json).unwrap()).collect()
    }
}

pub(crate) fn basic(key: &str) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{key}:"));
    format!("Basic {text}")
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}
