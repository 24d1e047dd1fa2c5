//! Short ways to say what a test means.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses some of it, and it is all tests"
)]

use std::sync::mpsc::channel;

use heapline_store::{
    Appended, Delivery, Embedded, Error, HeldEvent, Link, Memory, NewEvent, Outcome, Page,
    PageReport, PageResult, Query, Rejected, RequestRecord, Settings, Settlement, Store,
    StoredEvent,
};

pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const NOW: i64 = 1_790_000_000_000;

/// A small store: segments and ledger files are full after a few events.
pub(crate) fn small() -> Settings {
    Settings { segment_bytes: 4_096, ledger_span: 16, rejected_items: 5, ..Settings::default() }
}

/// Runs `test` with each implementation.
pub(crate) fn each(settings: &Settings, test: impl Fn(&dyn Store)) {
    test(&Memory::new(settings.clone()));
    let dir = tempfile::tempdir().unwrap();
    test(&Embedded::open(dir.path(), settings.clone()).unwrap());
}

pub(crate) fn event(id: &str) -> NewEvent {
    NewEvent {
        source: "site".into(),
        received_at: NOW,
        message_id: id.into(),
        user_id: None,
        anonymous_id: None,
        name: "Clicked".into(),
        json: format!(r#"{{"type":"track","messageId":"{id}"}}"#).into_bytes().into(),
    }
}

pub(crate) fn append(store: &dyn Store, events: Vec<NewEvent>) -> Result<Vec<Appended>, Error> {
    let (told, hears) = channel();
    store.append(events, Box::new(move |result| told.send(result).unwrap()));
    hears.recv().unwrap()
}

/// Appends events with these message ids.
pub(crate) fn append_ids(store: &dyn Store, ids: impl IntoIterator<Item = impl AsRef<str>>) {
    append(store, ids.into_iter().map(|id| event(id.as_ref())).collect()).unwrap();
}

pub(crate) fn read_all(store: &dyn Store, from: u64) -> Vec<StoredEvent> {
    let mut reader = store.reader(from).unwrap();
    let mut all = Vec::new();
    loop {
        let some = reader.next(7, 1_000).unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

pub(crate) fn ids(events: &[StoredEvent]) -> Vec<String> {
    events.iter().map(|e| e.event.message_id.to_string()).collect()
}

/// All pages of an answer.
pub(crate) fn find_all(store: &dyn Store, query: &Query) -> Vec<heapline_store::Found> {
    let mut query = query.clone();
    let mut all = Vec::new();
    loop {
        let Page { found, more } = store.find(&query).unwrap();
        assert!(found.len() <= query.limit);
        all.extend(found);
        match more {
            None => return all,
            Some(before) => {
                assert!(query.before.is_none_or(|last| before < last), "no headway at {before}");
                query.before = Some(before);
            }
        }
    }
}

pub(crate) fn found_seqs(store: &dyn Store, query: &Query) -> Vec<u64> {
    find_all(store, query).iter().map(|found| found.event.seq).collect()
}

pub(crate) fn delivery(outcome: Outcome, code: &str) -> Delivery {
    Delivery {
        action: "Track Event".into(),
        outcome,
        code: code.into(),
        sentence: "".into(),
        steps_done: 1,
        requests: Vec::new(),
        digest: [7; 16],
        notices: Vec::new(),
        at: NOW,
        revision: None,
    }
}

pub(crate) fn settlement(seq: u64, integration: &str, outcome: Outcome, code: &str) -> Settlement {
    let deliveries = vec![delivery(outcome, code)];
    Settlement { seq, integration: integration.into(), revision: 3, deliveries }
}

pub(crate) fn request(id: u64) -> RequestRecord {
    RequestRecord {
        id,
        integration: "heap".into(),
        endpoint: "track".into(),
        at: NOW,
        took_ms: 41,
        status: 200,
        items: 1_000,
        excerpt: "{}".into(),
    }
}

pub(crate) fn held(seq: u64, anonymous_id: &str, until: i64) -> HeldEvent {
    let event = NewEvent { anonymous_id: Some(anonymous_id.into()), ..event(&format!("h{seq}")) };
    HeldEvent { integration: "heap".into(), until, event: StoredEvent { seq, event } }
}

pub(crate) fn link(anonymous_id: &str, user_id: &str) -> Link {
    Link {
        integration: "heap".into(),
        anonymous_id: anonymous_id.into(),
        user_id: user_id.into(),
        at: NOW,
    }
}

pub(crate) fn report(n: i64, message_id: &str, result: PageResult, reason: &str) -> PageReport {
    PageReport {
        at: NOW + n,
        source: "site".into(),
        integration: "web".into(),
        message_id: message_id.into(),
        action: if message_id.is_empty() { "" } else { "track" }.into(),
        result,
        reason: reason.into(),
        ms: 3,
        browser: "Firefox".into(),
        plugin: "p@1".into(),
        revision: 7,
        stands_for: 1.0,
    }
}

pub(crate) fn rejected(n: usize, source: &str) -> Rejected {
    Rejected {
        at: NOW + n as i64,
        source: source.into(),
        code: "invalid_event".into(),
        message: "type is missing".into(),
        excerpt: format!("{n}").into(),
    }
}
